//! PVE's own firewall (rows D1 to D9): `cluster.fw` and this node's `host.fw` as a whole, with sets in the place of
//! addresses, and what others wrote in them kept.
//!
//! **The node's own network.** PVE always adds the network that it finds the node in to the set `management` itself, so
//! that the whole LAN keeps access to SSH, the web interface, consoles and migration, whatever the set says. An entry
//! `!10.0.20.0/24` does not help: PVE adds its own entry of the same text behind it, and the last one counts. Rules that
//! drop would have to name everybody but the management networks. The alias `local_network` takes the place of what PVE
//! finds (pve-contract 3.5), and it names a network that the set holds anyway, so that nobody gets in by it.

mod audited;
mod merge;
mod rule;
mod text;

#[cfg(test)]
mod tests;

use super::tables::API_PORT;
use super::{management, ufw};
use crate::areas::{control, refusal};
use crate::change::{Change, PVE_FIREWALL_PROGRAM, PveFileChange, Switch, UnitChange};
use crate::control::{Check, Gate, GateAsk, Phase, Proposal, Refusal};
use crate::facts::networks::covers;
use crate::facts::{Facts, cluster_firewall};
use crate::profile::{Network, Outgoing, Profile, Service};
use crate::reach::Reach;
use std::net::{IpAddr, Ipv4Addr};

pub(super) use audited::audited;
pub use text::{cluster_file, host_file};

const KEY: &str = "firstlight.firewall";
const UNIT: &str = "pve-firewall.service";
/// The set that PVE itself lets in.
const MANAGEMENT: &str = "management";
const SERVICES: &str = "services";
/// PVE's own log (pve-contract 3.7).
const LOG_PATH: &str = "/var/log/pve-firewall.log";

/// The management networks; empty for everybody.
fn entries(profile: &Profile, facts: &Facts) -> Vec<Network> {
    management::networks(profile, facts).unwrap_or_default()
}

/// A network that covers all of a family, as two that do not.
fn halved(network: &Network) -> Vec<Network> {
    match (network.prefix(), network.address()) {
        (0, IpAddr::V4(_)) => {
            [0, 1 << 31].map(|bits: u32| Network::containing(Ipv4Addr::from(bits).into(), 1)).into()
        }
        (0, IpAddr::V6(_)) => {
            [0, 1 << 127].map(|bits: u128| Network::containing(IpAddr::V6(bits.into()), 1)).into()
        }
        _ => vec![*network],
    }
}

/// What stands in the place of the network that PVE finds by itself; `None` leaves it to PVE. It opens nothing: it is one
/// of the management networks, on a cluster member the one that holds the other nodes, or loopback where all may come.
fn local_network(profile: &Profile, facts: &Facts) -> Option<Network> {
    if !profile.firewall.narrow_local_network {
        return None;
    }
    let members = member_networks(facts);
    let management: Vec<Network> = entries(profile, facts).iter().flat_map(halved).collect();
    let holds = |network: &&Network| members.iter().all(|member| covers(network, member));
    management
        .iter()
        .find(holds)
        .or(management.first())
        .copied()
        .or(Some(Network::containing(Ipv4Addr::LOCALHOST.into(), 8)))
}

/// The networks in which the nodes of the cluster know each other.
fn member_networks(facts: &Facts) -> Vec<Network> {
    let mut networks: Vec<Network> = Vec::new();
    for member in &facts.member_addresses {
        let own =
            facts.addresses.iter().map(|(_, network)| *network).find(|network| network.contains(*member));
        let network = own.unwrap_or(Network::containing(*member, if member.is_ipv4() { 32 } else { 128 }));
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    networks
}

/// What cannot be done on this node (design 4).
pub(super) fn refused(profile: &Profile, facts: &Facts) -> Vec<Refusal> {
    let firewall = &profile.firewall;
    let mut refusals = Vec::new();
    let mut refuse = |key: &str, message: String| refusals.push(refusal(&format!("{KEY}.{key}"), message));
    if facts.pve_version.is_none() {
        refuse("mode", "must be \"ufw\": this node has no PVE".to_owned());
    }
    for node in &facts.nftables_nodes {
        refuse(
            "mode",
            format!(
                "needs PVE's iptables firewall: host.fw of {node} has `nftables: 1`, whose firewall keeps other rules and \
                 cannot read the time after which the firewall turns itself off; take that line out first"
            ),
        );
    }
    if facts.cluster_member {
        let members = member_networks(facts);
        let local = local_network(profile, facts);
        if !firewall.datacenter {
            refuse(
                "datacenter",
                "must be true on this cluster member: the datacenter firewall is everybody's".to_owned(),
            );
        }
        if let Some(narrow) = local.filter(|local| !members.iter().all(|member| covers(local, member))) {
            let names = members.iter().map(Network::to_string).collect::<Vec<_>>().join(", ");
            refuse(
                "narrow-local-network",
                format!(
                    "must be false on this cluster member, or one of `management` must hold all nodes ({names}): \
                     {narrow} would cut them off from each other"
                ),
            );
        }
        if firewall.outgoing == Outgoing::Drop && !firewall.services.contains(&Service::Cluster) {
            refuse(
                "services",
                "must hold \"cluster\" on this cluster member: outgoing = \"drop\" would cut it off"
                    .to_owned(),
            );
        }
    }
    if let Some(line) = foreign_alias(profile, facts) {
        refuse(
            "narrow-local-network",
            format!(
                "must be false: {} has the alias `{line}`, which somebody else wrote and which lets more than the \
                 management networks in",
                cluster_firewall::PATH
            ),
        );
    }
    if let Some(line) = shuts_out(profile, facts) {
        refuse(
            "rule",
            format!(
                "must not refuse the management networks: `{line}` in host.fw comes before every rule that lets them in"
            ),
        );
    }
    refusals
}

/// `local_network` by hand, and wider than what the answer lets in.
fn foreign_alias(profile: &Profile, facts: &Facts) -> Option<String> {
    local_network(profile, facts)?;
    let text = facts.cluster_firewall.as_deref().unwrap_or_default();
    let alias = |line: &&str| line.to_ascii_lowercase().starts_with("local_network");
    merge::foreign_lines(text, "aliases").into_iter().find(alias).map(str::to_owned)
}

/// A line of `host.fw`, anybody's, that keeps whoever manages the node out: PVE reads that file first.
fn shuts_out(profile: &Profile, facts: &Facts) -> Option<String> {
    let management = entries(profile, facts);
    let text = host_file(profile, facts);
    let ports = [profile.ssh.port.number(), API_PORT];
    let shuts = |line: &&str| {
        let Some(rule) = rule::read(line).filter(|rule| rule.refuses() && rule.concerns(&ports)) else {
            return false;
        };
        match rule.networks(&|name| set(profile, facts, name)) {
            None | Some(Err(())) => true,
            Some(Ok(networks)) => {
                let peers = facts.ssh_peers.iter().any(|peer| networks.iter().any(|net| net.contains(*peer)));
                peers
                    || management.iter().any(|wanted| networks.iter().any(|network| covers(network, wanted)))
            }
        }
    };
    let rules = text.split("[RULES]\n").nth(1).unwrap_or_default();
    rules.lines().find(shuts).map(str::to_owned)
}

/// The networks of a set that the answer knows.
fn set(profile: &Profile, facts: &Facts, name: &str) -> Option<Vec<Network>> {
    match name {
        MANAGEMENT => Some(entries(profile, facts)),
        SERVICES => Some(profile.firewall.services_from.clone()),
        _ => profile.firewall.sets.iter().find(|set| set.name == name).map(|set| set.networks.clone()),
    }
}

/// Lines of others that let somebody in beside the management networks.
fn wide(profile: &Profile, facts: &Facts, known: &[Network]) -> Vec<String> {
    let cluster = facts.cluster_firewall.as_deref().unwrap_or_default();
    let host = facts.host_firewall.as_deref().unwrap_or_default();
    let ports = [profile.ssh.port.number(), API_PORT];
    let mut wide = Vec::new();
    for text in [host, cluster] {
        for line in merge::foreign_lines(text, "rules") {
            let Some(rule) = rule::read(line).filter(|rule| rule.accepts() && rule.concerns(&ports)) else {
                continue;
            };
            match rule.networks(&|name| set(profile, facts, name)) {
                Some(Ok(networks)) if rule::all_within(&networks, known) => {}
                _ => wide.push(line.to_owned()),
            }
        }
    }
    for line in merge::foreign_lines(cluster, "ipset management") {
        let entry = line.split(['#', ' ']).next().unwrap_or_default();
        let within = Network::parse(entry).is_ok_and(|entry| rule::all_within(&[entry], known));
        if !line.starts_with(['#', '!']) && !within {
            wide.push(line.to_owned());
        }
    }
    wide
}

pub(super) fn propose(profile: &Profile, facts: &Facts, management: &[Network]) -> Proposal {
    let mut proposal = Proposal::default();
    let unit = UnitChange { name: UNIT.to_owned(), enabled: Some(true), active: Some(true) };
    proposal.changes.push((Phase::Services, Change::Unit(unit)));
    let files = [
        (cluster_firewall::host_path(&facts.node_name), host_file(profile, facts), &facts.host_firewall),
        (cluster_firewall::PATH.into(), cluster_file(profile, facts), &facts.cluster_firewall),
    ];
    for (path, content, base) in files {
        let file = PveFileChange { path, content, base: base.clone() };
        proposal.changes.push((Phase::Exposure, Change::PveFile(file)));
    }
    proposal.changes.push((Phase::Exposure, Change::PveFirewall(Switch::Trial)));
    let wanted = "PVE's firewall filters, IPv6 too, and drops what is not allowed".to_owned();
    let mut active = control("firewall.active", "D1", wanted, Check::PveFirewallOn);
    active.changes.extend(1..=3);
    proposal.controls.push(active);
    let check = Check::Unit { name: UNIT.to_owned(), enabled: Some(true), active: Some(true) };
    let mut starts =
        control("firewall.after-reboot", "D1", "PVE's firewall starts at boot".to_owned(), check);
    starts.changes.push(0);
    proposal.controls.push(starts);
    proposal.gates.push(Gate { id: "firewall.files", tool: PVE_FIREWALL_PROGRAM, ask: GateAsk::PveFirewall });
    // After PVE's own filters, so that the node is never open in between.
    let mut gone = control("firewall.ufw-off", "J4", "nothing of UFW filters".to_owned(), Check::UfwGone);
    gone.changes.push(proposal.changes.len());
    proposal.changes.push((Phase::Exposure, Change::UfwOff));
    proposal.controls.push(gone);
    let known = ufw::known_networks(profile, management);
    let wide = if management.is_empty() { Vec::new() } else { wide(profile, facts, &known) };
    for line in &wide {
        proposal.warnings.push(format!(
            "PVE's firewall already has `{line}`, which lets more than the management networks in; it is kept"
        ));
    }
    let shut = !management.is_empty() && wide.is_empty();
    proposal.reach = Some(Box::new(Reach {
        ports: vec![API_PORT],
        management: management.to_vec(),
        open: shut.then_some(known),
        ..crate::areas::reach(profile, facts)
    }));
    proposal.notes.push(format!(
        "what PVE's firewall drops is logged in {LOG_PATH}, at level {}",
        profile.firewall.log_level
    ));
    proposal.notes.push(
        "guests filter once their own firewall, and that of each network device, is switched on".to_owned(),
    );
    proposal
}
