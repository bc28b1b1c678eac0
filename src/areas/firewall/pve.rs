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
pub(super) const UNIT: &str = "pve-firewall.service";
/// The set that PVE itself lets in.
const MANAGEMENT: &str = "management";
const SERVICES: &str = "services";
/// What PVE drops before any rule (pve-contract 3.4).
const BLACKLIST: &str = "blacklist";
/// The alias that takes the place of the network that PVE finds.
const LOCAL_NETWORK: &str = "local_network";
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

/// What stands in the place of the network that PVE finds by itself; `None` leaves it to PVE. It opens nothing: it is what
/// somebody else wrote inside of the management networks, or one of them, on a cluster member the one that holds the other
/// nodes, or loopback where all may come.
fn local_network(profile: &Profile, facts: &Facts) -> Option<Network> {
    if !profile.firewall.narrow_local_network {
        return None;
    }
    let members = member_networks(facts);
    let management: Vec<Network> = entries(profile, facts).iter().flat_map(halved).collect();
    if let Some((_, Some(network))) = alias(facts, LOCAL_NETWORK)
        && rule::all_within(&[network], &management)
    {
        return Some(network);
    }
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
    if let (Some(local), Some((line, network))) = (local_network(profile, facts), alias(facts, LOCAL_NETWORK))
        && network != Some(local)
    {
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
                "must not refuse the management networks: {line} comes before every rule that lets them in"
            ),
        );
    }
    refusals
}

/// What keeps whoever manages the node out, anybody's: PVE drops the set `blacklist` first, then it reads `host.fw`.
fn shuts_out(profile: &Profile, facts: &Facts) -> Option<String> {
    let management = entries(profile, facts);
    let meets = |networks: &[Network]| {
        let holds = |peer: &IpAddr| networks.iter().any(|network| network.contains(*peer));
        let within = |wanted: &Network| networks.iter().any(|network| covers(network, wanted));
        facts.ssh_peers.iter().any(holds) || management.iter().any(within)
    };
    let listed = set(profile, facts, BLACKLIST).unwrap_or_default();
    if let Some(network) = listed.iter().find(|network| meets(&[**network])) {
        return Some(format!("`{network}` in the set {BLACKLIST}"));
    }
    let text = host_file(profile, facts);
    let ports = [profile.ssh.port.number(), API_PORT];
    let shuts = |line: &&str| {
        let Some(rule) = rule::read(line).filter(|rule| rule.refuses() && rule.concerns(&ports)) else {
            return false;
        };
        match rule.networks(&|name| set(profile, facts, name)) {
            None | Some(Err(())) => true,
            Some(Ok(networks)) => meets(&networks),
        }
    };
    let rules = text.split("[RULES]\n").nth(1).unwrap_or_default();
    rules.lines().find(shuts).map(|line| format!("`{line}` in host.fw"))
}

/// The networks of a set, from the answer and from others; exceptions (`!`) count as part of it.
fn set(profile: &Profile, facts: &Facts, name: &str) -> Option<Vec<Network>> {
    let own = match name {
        MANAGEMENT => Some(entries(profile, facts)),
        SERVICES => Some(profile.firewall.services_from.clone()),
        _ => profile.firewall.sets.iter().find(|set| set.name == name).map(|set| set.networks.clone()),
    };
    let lines = merge::foreign_lines(cluster_text(facts), &["ipset ", name].concat());
    let known = own.is_some() || !lines.is_empty();
    let mut networks = own.unwrap_or_default();
    for line in lines.into_iter().filter(|line| !line.starts_with(['#', '!'])) {
        let word = entry(line);
        let alias = || alias(facts, word.trim_start_matches("dc/"))?.1;
        networks.push(Network::parse(word).ok().or_else(alias)?);
    }
    known.then_some(networks)
}

fn cluster_text(facts: &Facts) -> &str {
    facts.cluster_firewall.as_deref().unwrap_or_default()
}

/// The line of an alias that somebody else wrote, and its network. The last one counts; names know no case.
fn alias<'a>(facts: &'a Facts, name: &str) -> Option<(&'a str, Option<Network>)> {
    let mut found = None;
    for line in merge::foreign_lines(cluster_text(facts), "aliases") {
        if let Some((_, value)) =
            line.split_once([' ', '\t']).filter(|(own, _)| own.eq_ignore_ascii_case(name))
        {
            found = Some((line, Network::parse(entry(value)).ok()));
        }
    }
    found
}

/// What stands before the comment of a line.
fn entry(line: &str) -> &str {
    line.split(['#', ' ']).next().unwrap_or_default()
}

/// Lines of others that let somebody in beside the management networks; and rules that kept somebody of these out, and do
/// not any more, as ours come first.
fn at_odds(profile: &Profile, facts: &Facts, management: &[Network]) -> [Vec<String>; 2] {
    let known = ufw::known_networks(profile, management);
    let cluster = cluster_text(facts);
    let host = facts.host_firewall.as_deref().unwrap_or_default();
    let ports = [profile.ssh.port.number(), API_PORT];
    let [mut wide, mut overruled] = [Vec::new(), Vec::new()];
    for (text, first) in [(host, true), (cluster, false)] {
        for line in merge::foreign_lines(text, "rules") {
            let Some(rule) = rule::read(line).filter(|rule| rule.concerns(&ports)) else { continue };
            let networks = rule.networks(&|name| set(profile, facts, name));
            let networks = networks.as_ref().and_then(|networks| networks.as_deref().ok());
            let within =
                |outer: &[Network]| networks.is_some_and(|networks| rule::all_within(networks, outer));
            if rule.accepts() && !within(&known) {
                wide.push(line.to_owned());
            }
            if !first && rule.drops() && (management.is_empty() || within(management)) {
                overruled.push(line.to_owned());
            }
        }
    }
    for line in merge::foreign_lines(cluster, "ipset management") {
        let within = Network::parse(entry(line)).is_ok_and(|entry| rule::all_within(&[entry], &known));
        if !line.starts_with(['#', '!']) && !within {
            wide.push(line.to_owned());
        }
    }
    if management.is_empty() {
        wide.clear();
    }
    [wide, overruled]
}

pub(super) fn propose(profile: &Profile, facts: &Facts, management: &[Network]) -> Proposal {
    let mut proposal = Proposal::default();
    let unit = UnitChange { name: UNIT.to_owned(), enabled: Some(true), active: Some(true) };
    proposal.changes.push((Phase::Services, Change::Unit(unit)));
    let cluster = cluster_file(profile, facts);
    let alone = facts.cluster_firewall.as_ref() == Some(&cluster);
    let files = [
        (
            cluster_firewall::host_path(&facts.node_name),
            host_file(profile, facts),
            &facts.host_firewall,
            alone,
        ),
        (cluster_firewall::PATH.into(), cluster, &facts.cluster_firewall, true),
    ];
    for (path, content, base, checked) in files {
        let file = PveFileChange { path, content, base: base.clone(), checked };
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
    let [wide, overruled] = at_odds(profile, facts, management);
    for (lines, what) in [
        (&wide, "lets more than the management networks in; it is kept"),
        (&overruled, "is kept; but the management networks get in before it counts"),
    ] {
        for line in lines {
            proposal.warnings.push(format!("PVE's firewall already has `{line}`, which {what}"));
        }
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
