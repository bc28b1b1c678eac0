//! Services of a PVE node (rows G2 to G4): rpcbind off, mail on loopback, nothing else that listens.

use super::firewall::tables::{API_PORT, service};
use super::{Area, control, push};
use crate::change::{Change, FileChange, ReloadChange, UnitChange};
use crate::control::{Check, Phase, Ports, Proposal, Refusal};
use crate::facts::{Facts, postfix};
use crate::profile::Profile;

/// The socket first: it would start the service again.
const RPCBIND_UNITS: [(&str, &str); 2] =
    [("services.rpcbind-socket", "rpcbind.socket"), ("services.rpcbind", "rpcbind.service")];
const RPCBIND_PORT: u16 = 111;
const POSTFIX_PACKAGE: &str = "postfix";
const POSTFIX_UNIT: &str = "postfix.service";
/// What PVE serves itself (pve-contract 6.1): web interface, SPICE, consoles, migration; and answers to a DHCP client.
const OWN_PORTS: [Ports; 6] = [
    tcp(API_PORT, API_PORT),
    tcp(3128, 3128),
    tcp(5900, 5999),
    tcp(60_000, 60_050),
    Ports { udp: true, first: 68, last: 68 },
    Ports { udp: true, first: 546, last: 546 },
];
/// corosync, one port for each link (pve-contract 3.4).
const CLUSTER_PORTS: Ports = Ports { udp: true, first: 5404, last: 5412 };

const fn tcp(first: u16, last: u16) -> Ports {
    Ports { udp: false, first, last }
}

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

fn allowed(profile: &Profile, facts: &Facts, rpcbind: bool) -> Vec<Ports> {
    let mut allowed = OWN_PORTS.to_vec();
    let ssh = facts.sshd_values("port").into_iter().filter_map(|port| port.parse().ok());
    let wanted = profile.ssh.enabled.then(|| profile.ssh.port.number());
    // One that is about to be left is not known any more.
    let ports: Vec<u16> = wanted.map_or_else(|| ssh.collect(), |port| vec![port]);
    allowed.extend(ports.into_iter().map(|port| tcp(port, port)));
    if rpcbind {
        allowed.extend([false, true].map(|udp| Ports { udp, first: RPCBIND_PORT, last: RPCBIND_PORT }));
    }
    if facts.cluster_member {
        allowed.push(CLUSTER_PORTS);
    }
    for one in &profile.firewall.services {
        for entry in service(*one).1 {
            allowed.extend(entry.ports.split(',').filter_map(|range| ports_of(entry.protocol, range)));
        }
    }
    let listed = profile.services.listeners_allowed.iter();
    allowed.extend(
        listed.filter_map(|text| text.split_once('/')).filter_map(|(kind, port)| ports_of(kind, port)),
    );
    allowed
}

/// `5405:5412`, or one port.
fn ports_of(protocol: &str, range: &str) -> Option<Ports> {
    let (first, last) = range.split_once(':').unwrap_or((range, range));
    Some(Ports { udp: protocol == "udp", first: first.parse().ok()?, last: last.parse().ok()? })
}

#[cfg(test)]
mod tests;
