//! Services of a PVE node (rows G2 to G4): rpcbind off, mail on loopback, nothing else that listens.

use super::firewall::tables::service;
use super::{Area, control, push};
use crate::change::{Change, FileChange, ReloadChange, UnitChange};
use crate::control::{Check, Phase, Proposal, Refusal};
use crate::facts::{Facts, postfix};
use crate::profile::Profile;

/// The socket first: it would start the service again.
const RPCBIND_UNITS: [(&str, &str); 2] =
    [("services.rpcbind-socket", "rpcbind.socket"), ("services.rpcbind", "rpcbind.service")];
const RPCBIND_PORTS: &str = " tcp/111 udp/111";
const POSTFIX_PACKAGE: &str = "postfix";
const POSTFIX_UNIT: &str = "postfix.service";
/// What PVE serves itself (pve-contract 6.1): web interface, SPICE, consoles, migration; and answers to a DHCP client.
const OWN_PORTS: &str = "tcp/8006 tcp/3128 tcp/5900:5999 tcp/60000:60050 udp/68 udp/546";
/// corosync, one port for each link (pve-contract 3.4).
const CLUSTER_PORTS: &str = " udp/5404:5412";

pub(super) struct Services;

impl Area for Services {
    fn name(&self) -> &'static str {
        "services"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.services.enabled
    }

    fn propose(&self, profile: &Profile, facts: &Facts) -> Result<Proposal, Vec<Refusal>> {
        let mut proposal = Proposal::default();
        let runs = rpcbind(profile, facts);
        if let Some(wanted) = runs {
            for (id, unit) in RPCBIND_UNITS {
                let (enabled, active) = (Some(wanted), Some(wanted));
                let name = unit.to_owned();
                let sentence = format!("{unit} {}", if wanted { "runs" } else { "does not run" });
                let check = Check::Unit { name: name.clone(), enabled, active };
                let change = Change::Unit(UnitChange { name, enabled, active });
                push(&mut proposal, (Phase::Services, change), vec![control(id, "G2", sentence, check)]);
            }
        } else {
            let text = format!("rpcbind stays: the storage {} may speak NFSv3", facts.nfs_storage);
            proposal.notes.push(text);
        }
        if profile.services.postfix == "loopback" && facts.has_package(POSTFIX_PACKAGE) {
            mail(&mut proposal, facts);
        }
        let allowed = allowed(profile, facts, runs != Some(false));
        let sentence = "nothing listens but what is known".to_owned();
        proposal.controls.push(control("services.listeners", "G4", sentence, Check::Listeners(allowed)));
        Ok(proposal)
    }
}

/// Whether rpcbind is to run; `None`: as it is, since a storage may need it.
fn rpcbind(profile: &Profile, facts: &Facts) -> Option<bool> {
    match profile.services.rpcbind.as_str() {
        "on" => Some(true),
        "auto" if !facts.nfs_storage.is_empty() => None,
        _ => Some(false),
    }
}

/// Postfix takes other interfaces by a new start only.
fn mail(proposal: &mut Proposal, facts: &Facts) {
    let content = postfix::on_loopback(&facts.postfix).into_bytes();
    let file = FileChange {
        path: postfix::PATH.into(),
        content,
        mode: 0o644,
        owner: "root".to_owned(),
        public: true,
    };
    let place = proposal.changes.len();
    proposal.changes.push((Phase::Files, Change::File(file)));
    let change = ReloadChange { name: POSTFIX_UNIT.to_owned(), after: vec![postfix::PATH.into()] };
    let sentence = "mail is taken on loopback alone".to_owned();
    let mut control = control("services.postfix", "G3", sentence, Check::MailOnLoopback);
    control.changes.push(place);
    push(proposal, (Phase::Services, Change::Reload(change)), vec![control]);
}

fn allowed(profile: &Profile, facts: &Facts, rpcbind: bool) -> String {
    let mut allowed = OWN_PORTS.to_owned();
    let mut add = |protocol: &str, ports: &str| {
        for port in ports.split(',') {
            allowed.push_str(&format!(" {protocol}/{port}"));
        }
    };
    // One that is about to be left is not known any more.
    add("tcp", &super::ssh_ports(profile, facts));
    for one in &profile.firewall.services {
        service(*one).1.iter().for_each(|entry| add(entry.protocol, entry.ports));
    }
    for listed in &profile.services.listeners_allowed {
        allowed.push(' ');
        allowed.push_str(listed);
    }
    allowed.push_str(if rpcbind { RPCBIND_PORTS } else { "" });
    allowed.push_str(if facts.cluster_member { CLUSTER_PORTS } else { "" });
    allowed
}

#[cfg(test)]
mod tests;
