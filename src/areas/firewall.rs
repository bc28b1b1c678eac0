//! Which firewall filters, and what it lets through (rows D1 to D9, E1 to E4, J4). Exactly one filters (design 5).

mod management;
pub mod pve;
pub(super) mod tables;
mod ufw;

use super::{Area, also, control, refusal};
use crate::change::{Change, KernelChange, Switch};
use crate::control::{Check, Control, Phase, Proposal, Refusal};
use crate::facts::{Facts, cluster_firewall};
use crate::profile::{FirewallMode, Network, Profile, Service};

pub(super) use management::address as management_address;
pub use management::offered;

const NOTHING_WIDER: &str = "nobody else reaches SSH and the web interface";
/// Settings that send bridged packets to the filters of the layer above, with the ids of their controls.
const BRIDGE_FILTERS: [(&str, &str); 3] = [
    ("firewall.bridge-netfilter.ipv4", "net.bridge.bridge-nf-call-iptables"),
    ("firewall.bridge-netfilter.ipv6", "net.bridge.bridge-nf-call-ip6tables"),
    ("firewall.bridge-netfilter.arp", "net.bridge.bridge-nf-call-arptables"),
];

pub(super) struct Firewall;

impl Area for Firewall {
    fn name(&self) -> &'static str {
        "firewall"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.firewall.enabled
    }

    fn refused(&self, profile: &Profile, facts: &Facts) -> Vec<Refusal> {
        let mut refusals = refused(profile, facts);
        refusals.extend(management::refused(profile, facts));
        refusals.extend(management::networks(profile, facts).err());
        refusals
    }

    fn described(&self, profile: &Profile, facts: &Facts) -> Proposal {
        described(profile, facts, &management::networks(profile, facts).unwrap_or_default())
    }

    fn audited(&self, profile: &Profile, facts: &Facts) -> Vec<Control> {
        let networks = management::networks(profile, facts);
        let is_known = networks.is_ok();
        let networks = networks.unwrap_or_default();
        let mut controls = described(profile, facts, &networks).into_controls();
        let pve = mode(profile, facts) == Some(FirewallMode::Pve);
        if pve {
            controls.extend(pve::audited(profile, facts));
        }
        for (id, chain, looked_at) in
            [("firewall.nothing-wider", "PVEFW-HOST-IN", pve), ("firewall.nothing-in-front", "INPUT", true)]
        {
            if looked_at && !networks.is_empty() {
                let check = nothing_wider(profile, chain, ufw::known_networks(profile, &networks));
                also(&mut controls, &[id], "D8", &[NOTHING_WIDER], check);
            }
        }
        // Who may come in nobody knows; that somebody filters is seen all the same.
        controls.retain(|control| is_known || !control.id.starts_with("firewall.rule."));
        controls
    }
}

/// Nobody but these networks gets past the chain to SSH and the web interface.
fn nothing_wider(profile: &Profile, chain: &'static str, networks: Vec<Network>) -> Check {
    Check::NothingWider { chain, ports: vec![profile.ssh.port.number(), tables::API_PORT], networks }
}

fn described(profile: &Profile, facts: &Facts, networks: &[Network]) -> Proposal {
    let mut proposal = if mode(profile, facts) == Some(FirewallMode::Pve) {
        pve::propose(profile, facts, networks)
    } else {
        let mut proposal = ufw::propose(profile, facts, networks);
        put_pve_away(&mut proposal, facts);
        if facts.pve_version.is_some() {
            keep_bridges_apart(&mut proposal);
        }
        proposal
    };
    // Whose it is, nobody knows: told, and left alone.
    let wanted = ["nobody else filters"];
    also(&mut proposal.controls, &["firewall.alone"], "J4", &wanted, Check::NoForeignTables);
    proposal
}

/// The mode of the answer; PVE's own firewall on a PVE node; else none.
pub(super) fn mode(profile: &Profile, facts: &Facts) -> Option<FirewallMode> {
    profile.firewall.mode.or_else(|| facts.pve_version.is_some().then_some(FirewallMode::Pve))
}

fn pve_is_on(facts: &Facts) -> bool {
    facts.cluster_firewall.as_deref().is_some_and(cluster_firewall::is_enabled)
}

fn refused(profile: &Profile, facts: &Facts) -> Vec<Refusal> {
    let key = "firstlight.firewall.mode";
    let mut refusals = Vec::new();
    match mode(profile, facts) {
        None => {
            refusals.push(refusal(key, "is required on a node without PVE: mode = \"ufw\"".to_owned()));
        }
        Some(FirewallMode::Pve) => refusals.extend(pve::refused(profile, facts)),
        Some(FirewallMode::Ufw) => {
            if facts.cluster_member && pve_is_on(facts) {
                refusals.push(refusal(
                    key,
                    "must be \"pve\" on this cluster member: the datacenter firewall is on, and it is everybody's"
                        .to_owned(),
                ));
            } else if facts.cluster_member && !profile.firewall.services.contains(&Service::Cluster) {
                refusals.push(refusal(
                    "firstlight.firewall.services",
                    "must hold \"cluster\" on this cluster member: UFW would cut corosync off from the other nodes"
                        .to_owned(),
                ));
            }
            refusals.extend(ufw::refused(profile, facts));
        }
    }
    refusals
}

/// PVE's firewall is told to be off, its service stays: without it guests lose their bridges (pve-contract 3.8).
/// This comes after UFW is up, so that the node is never open in between.
fn put_pve_away(proposal: &mut Proposal, facts: &Facts) {
    if facts.pve_version.is_none() && facts.cluster_firewall.is_none() {
        return;
    }
    let mut off =
        control("firewall.pve-off", "E1", "PVE's firewall does not filter".to_owned(), Check::PveFirewallOff);
    if pve_is_on(facts) {
        off.changes.push(proposal.changes.len());
        proposal.changes.push((Phase::Exposure, Change::PveFirewall(Switch::Off)));
        proposal
            .warnings
            .push("the firewalls of guests are PVE's too: from now on they do not filter".to_owned());
    }
    proposal.controls.push(off);
    if facts.pve_version.is_some() {
        let check = Check::Unit { name: pve::UNIT.to_owned(), enabled: Some(true), active: Some(true) };
        let wanted = "PVE's firewall service stays enabled and runs: guests need it".to_owned();
        proposal.controls.push(control("firewall.pve-service", "E1", wanted, check));
    }
}

/// PVE's firewall sends bridged traffic through iptables, and nothing takes that back before the next boot (there
/// PVE's own sysctl file does): until then UFW would drop what guests say to each other (pve-contract 3.8). After
/// PVE's firewall is off, so that it does not begin anew. Other nodes may want it as it is.
fn keep_bridges_apart(proposal: &mut Proposal) {
    for (id, name) in BRIDGE_FILTERS {
        let (name, value) = (name.to_owned(), "0".to_owned());
        let wanted = format!("{name} is 0: bridged traffic of guests does not pass the node's firewall");
        let check = Check::Kernel { name: name.clone(), value: value.clone(), boot: false };
        let mut control = control(id, "E1", wanted, check);
        control.changes.push(proposal.changes.len());
        proposal.controls.push(control);
        let change = KernelChange { settings: vec![(name, value)] };
        proposal.changes.push((Phase::Exposure, Change::Kernel(change)));
    }
}

#[cfg(test)]
mod tests;
