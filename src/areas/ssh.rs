//! The SSH server (rows B1 to B6): one drop-in that sorts first, as the first value wins in sshd_config(5).

mod algorithms;
mod options;
mod refused;

use super::{Area, WRITTEN, also, control, firewall, push_file};
use crate::change::{Change, HostKeyChange, ReloadChange};
use crate::control::{Check, Control, Gate, GateAsk, Phase, Proposal, Refusal};
use crate::facts::{Facts, RSA_HOST_KEY_PATH};
use crate::gate::SSHD_PROGRAM;
use crate::profile::{Algorithms, Network, Profile, RootLogin};
use options::{Seen, SshOption};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

const DROP_IN_PATH: &str = "/etc/ssh/sshd_config.d/00-firstlight.conf";
const UNIT: &str = "ssh.service";
const ROOT: &str = "root";
const STRICT_RSA_BITS: u32 = 4096;
/// What PVE publishes of a node is this key (pve-contract 4.5); with fewer bits OpenSSH takes it for none.
const LEAST_RSA_BITS: u32 = 2048;
/// OpenSSH's default, and the same without the second name that nobody uses any more.
const KEYS_FILES: [&str; 2] = [".ssh/authorized_keys .ssh/authorized_keys2", ".ssh/authorized_keys"];
const RSA_ID: &str = "ssh.rsa-host-key";
const HEADER: &str = "\
    # It sorts first on purpose: in sshd's configuration the first value wins.\n";

pub use refused::shut_out;

pub(super) struct Ssh;

impl Area for Ssh {
    fn name(&self) -> &'static str {
        "ssh"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.ssh.enabled
    }

    fn refused(&self, profile: &Profile, facts: &Facts) -> Vec<Refusal> {
        refused::refused(profile, facts)
    }

    fn described(&self, profile: &Profile, facts: &Facts) -> Proposal {
        described(profile, facts)
    }

    fn audited(&self, profile: &Profile, facts: &Facts) -> Vec<Control> {
        if !facts.has_package(refused::PACKAGE) {
            return Vec::new();
        }
        let mut controls = described(profile, facts).into_controls();
        // A key that stands in a file that sshd does not read is none.
        let [_, (_, connection)] = connections(profile, facts);
        let values = KEYS_FILES.map(str::to_owned).to_vec();
        let check = Check::Sshd { connection, key: "authorizedkeysfile", values };
        let wanted = ["sshd reads the admin's own file of keys"];
        also(&mut controls, &["ssh.keys-file"], "A3", &wanted, check);
        if facts.pve_version.is_some() && !controls.iter().any(|control| control.id == RSA_ID) {
            let key = HostKeyChange { path: RSA_HOST_KEY_PATH.into(), bits: LEAST_RSA_BITS };
            controls.push(host_key_control(&key, 0));
        }
        controls
    }
}

fn described(profile: &Profile, facts: &Facts) -> Proposal {
    let options = options::wanted(profile, facts);
    let content = drop_in(&options);
    let path = PathBuf::from(DROP_IN_PATH);
    let connections = connections(profile, facts);
    let mut proposal = Proposal {
        controls: controls(&options, &connections),
        reach: Some(Box::new(super::reach(profile, facts))),
        warnings: warnings(profile, facts),
        ..Proposal::default()
    };
    proposal.gates.push(Gate {
        id: "ssh.configuration",
        tool: SSHD_PROGRAM,
        ask: GateAsk::Sshd {
            staged: vec![(path.clone(), content.clone().into_bytes())],
            connections: expected(&options, &connections),
        },
    });
    push_file(&mut proposal, DROP_IN_PATH, content, Vec::new());
    let mut after = vec![path];
    if profile.ssh.algorithms == Algorithms::Strict
        && facts.rsa_host_key_bits.is_some()
        && !facts.cluster_member
    {
        let change = HostKeyChange { path: RSA_HOST_KEY_PATH.into(), bits: STRICT_RSA_BITS };
        proposal.controls.push(host_key_control(&change, proposal.changes.len()));
        after.push(change.path.clone());
        proposal.changes.push((Phase::Files, Change::HostKey(change)));
    }
    let reload = ReloadChange { name: UNIT.to_owned(), after };
    proposal.changes.push((Phase::Exposure, Change::Reload(reload)));
    proposal
}

/// Who may log in: root only where it may, the admin always, then the others of the answer.
pub(super) fn allowed_users(profile: &Profile) -> Vec<&str> {
    let mut names = Vec::new();
    if profile.ssh.root_login == RootLogin::Key {
        names.push(ROOT);
    }
    for name in std::iter::once(&profile.admin.name).chain(&profile.ssh.allow_users) {
        if !names.contains(&name.as_str()) {
            names.push(name.as_str());
        }
    }
    names
}

/// Connections that must go on working, as `-C` wants them; root's first. Whatever a Match line can ask for is
/// told (sshd(8), `-C`): a block for what is not told would not count here, and would for a real connection.
fn connections(profile: &Profile, facts: &Facts) -> [(&'static str, String); 2] {
    let address = firewall::management_address(profile, facts);
    let (own, port) = (own_address(facts, address), profile.ssh.port.number());
    let specification =
        |user: &str| format!("user={user},host={address},addr={address},laddr={own},lport={port}");
    [(ROOT, specification(ROOT)), ("admin", specification(profile.admin.name.as_str()))]
}

/// The address of the node that a connection from `remote` arrives at: on the same network, else of the same family.
fn own_address(facts: &Facts, remote: IpAddr) -> IpAddr {
    let distance =
        |(own, network): &&(IpAddr, Network)| (!network.contains(remote), own.is_ipv4() != remote.is_ipv4());
    facts.addresses.iter().min_by_key(distance).map_or(Ipv4Addr::LOCALHOST.into(), |(own, _)| *own)
}

fn drop_in(options: &[SshOption]) -> String {
    let lines: Vec<String> =
        options.iter().map(|option| format!("{} {}\n", option.keyword, option.value)).collect();
    [WRITTEN, HEADER, &lines.concat()].concat()
}

fn expected(
    options: &[SshOption],
    connections: &[(&'static str, String)],
) -> Vec<(String, Vec<(String, String)>)> {
    let values: Vec<(String, String)> =
        options.iter().map(|option| (option.key(), option.printed.clone())).collect();
    connections.iter().map(|(_, connection)| (connection.clone(), values.clone())).collect()
}

/// Options that a Match block can change are looked at for root's and for the admin's connection.
fn controls(options: &[SshOption], connections: &[(&'static str, String)]) -> Vec<Control> {
    let mut controls = Vec::new();
    for option in options {
        let check = |connection: &str| Check::Sshd {
            connection: connection.to_owned(),
            key: option.name,
            values: vec![option.printed.clone()],
        };
        if option.seen == Seen::Everywhere {
            controls.push(control(option.id, option.requirement, option.wanted.clone(), check("")));
            continue;
        }
        for (who, connection) in connections {
            let mut control = control(
                option.id,
                option.requirement,
                format!("{}, for {who}", option.wanted),
                check(connection),
            );
            control.id = format!("{}.{who}", option.id).into();
            controls.push(control);
        }
    }
    for control in &mut controls {
        // The file, and sshd reading it.
        control.changes = vec![0, 1];
    }
    controls
}

/// ssh-audit's policies want 4096 bits where Debian makes 3072 (row A6).
fn has_short_key(facts: &Facts) -> bool {
    facts.rsa_host_key_bits.is_some_and(|bits| bits < STRICT_RSA_BITS)
}

fn host_key_control(change: &HostKeyChange, place: usize) -> Control {
    let check = Check::HostKeyBits { path: change.path.clone(), bits: change.bits };
    let wanted = format!("the RSA host key has at least {} bits", change.bits);
    let mut control = control(RSA_ID, "A6", wanted, check);
    control.changes = vec![place];
    control
}

fn warnings(profile: &Profile, facts: &Facts) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in &profile.ssh.allow_users {
        if facts.user(name.as_str()).is_none() {
            warnings.push(format!("AllowUsers names {}, who has no account on this node", name.as_str()));
        }
    }
    if profile.ssh.algorithms == Algorithms::Strict && has_short_key(facts) && facts.cluster_member {
        let bits = facts.rsa_host_key_bits.unwrap_or_default();
        warnings.push(format!(
            "strict: the RSA host key keeps its {bits} bits, as the other nodes of the cluster know it"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests;
