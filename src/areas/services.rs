//! Services of a PVE node (rows G2 to G4): rpcbind off, mail on loopback, nothing else that listens.

use super::firewall::tables::service;
use super::{Area, control, push, push_file, push_unit};
use crate::change::{Change, ReloadChange};
use crate::control::{Check, Phase, Proposal};
use crate::facts::{Facts, postfix};
use crate::profile::Profile;

/// The socket first: it would start the service again.
const RPCBIND_UNITS: [(&str, &str); 2] =
    [("services.rpcbind-socket", "rpcbind.socket"), ("services.rpcbind", "rpcbind.service")];
const RPCBIND_PORTS: &str = " tcp/111 udp/111";
const POSTFIX_PACKAGE: &str = "postfix";
/// What PVE serves itself (pve-contract 6.1): web interface, SPICE, consoles, migration; beside them answers to a DHCP
/// client; and SSH, whose ports come behind it.
const OWN_PORTS: &str = "tcp/8006,3128,5900:5999,60000:60050 udp/68,546 tcp/";
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

    fn described(&self, profile: &Profile, facts: &Facts) -> Proposal {
        let mut proposal = Proposal::default();
        let runs = rpcbind(profile, facts);
        if let Some(wanted) = runs {
            for (id, unit) in RPCBIND_UNITS {
                push_unit(&mut proposal, (id, "G2"), unit, wanted);
            }
        } else {
            let text = ["rpcbind stays: the storage ", &facts.nfs_storage, " may speak NFSv3"].concat();
            proposal.notes.push(text);
        }
        if profile.services.postfix == "loopback" && facts.has_package(POSTFIX_PACKAGE) {
            mail(&mut proposal, facts);
        }
        let allowed = allowed(profile, facts, runs != Some(false));
        let sentence = "nothing listens but what is known".to_owned();
        proposal.controls.push(control("services.listeners", "G4", sentence, Check::Listeners(allowed)));
        proposal
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
    let place = proposal.changes.len();
    push_file(proposal, postfix::PATH, postfix::on_loopback(&facts.postfix), Vec::new());
    let change = ReloadChange { name: postfix::UNIT.to_owned(), after: vec![postfix::PATH.into()] };
    let sentence = "mail is taken on loopback alone".to_owned();
    let mut control = control("services.postfix", "G3", sentence, Check::MailOnLoopback);
    control.changes.push(place);
    push(proposal, (Phase::Services, Change::Reload(change)), vec![control]);
}

/// One that is about to be left is not known any more.
fn allowed(profile: &Profile, facts: &Facts, rpcbind: bool) -> String {
    let mut allowed = OWN_PORTS.to_owned() + &super::ssh_ports(profile, facts);
    for one in &profile.firewall.services {
        for entry in service(*one).1 {
            allowed.push_str(&[" ", entry.protocol, "/", entry.ports].concat());
        }
    }
    for listed in &profile.services.listeners_allowed {
        allowed.push_str(&[" ", listed].concat());
    }
    allowed.push_str(if rpcbind { RPCBIND_PORTS } else { "" });
    allowed.push_str(if facts.cluster_member { CLUSTER_PORTS } else { "" });
    allowed
}

#[cfg(test)]
mod tests;
