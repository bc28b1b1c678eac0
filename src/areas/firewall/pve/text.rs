//! The two files as they shall be: what the answer asks for, and what others wrote.
//!
//! Every line of ours ends in a comment `firstlight: …`, or lies in a section whose header has one, so that the next run
//! knows them: the web interface rewrites the whole file, and keeps nothing but comments at the ends of lines.

use super::super::tables::{API_PORT, OUTGOING, Ports, service};
use super::super::ufw::{between_nodes, port_lists};
use super::merge::{HEAD, Section, merge};
use super::{MANAGEMENT, SERVICES, entries, local_network};
use crate::facts::Facts;
use crate::facts::cluster_firewall;
use crate::facts::networks::short;
use crate::facts::ufw::COMMENT_PREFIX;
use crate::profile::{Network, Outgoing, Ping, Profile, Rule};

/// `cluster.fw`; with `enable: 0` where the firewall is not on yet.
pub fn cluster_file(profile: &Profile, facts: &Facts) -> String {
    let firewall = &profile.firewall;
    let management = entries(profile, facts);
    let before = facts.cluster_firewall.as_deref().unwrap_or_default();
    let outgoing = if firewall.outgoing == Outgoing::Drop { "DROP" } else { "ACCEPT" };
    let mut sections = vec![Section::new(
        "[OPTIONS]".to_owned(),
        vec![
            format!("enable: {}", u8::from(cluster_firewall::is_on(before))),
            "policy_in: DROP".to_owned(),
            format!("policy_out: {outgoing}"),
            // Anything that PVE cannot parse here stops its firewall as a whole (pve-observed 3.7).
            format!("log_ratelimit: enable=1,rate={},burst=5", firewall.log_rate),
        ],
    )];
    if let Some(network) = local_network(profile, facts) {
        let line = noted(
            format!("local_network {}", short(&network)),
            "PVE lets this one in, and would take the node's whole network",
        );
        sections.push(Section::new("[ALIASES]".to_owned(), vec![line]));
    }
    let mut set = |name: &str, networks: &[Network], comment: &str| {
        let line = |network: &Network| noted(short(network), comment);
        let header = noted(format!("[IPSET {name}]"), comment);
        sections.push(Section::new(header, halves(networks).iter().map(line).collect()));
    };
    set(MANAGEMENT, &management, "who manages the nodes");
    if !firewall.services_from.is_empty() {
        set(SERVICES, &firewall.services_from, "who uses the services");
    }
    for wanted in &firewall.sets {
        set(&wanted.name, &wanted.networks, or(&wanted.comment, &wanted.name));
    }
    sections.push(Section::new("[RULES]".to_owned(), rules(profile, management.is_empty())));
    for group in &firewall.groups {
        let lines = group.rules.iter().flat_map(|rule| of_operator(rule, management.is_empty())).collect();
        sections.push(Section::new(noted(format!("[group {}]", group.name), "security group"), lines));
    }
    merge(sections, before)
}

/// `host.fw` of this node.
pub fn host_file(profile: &Profile, facts: &Facts) -> String {
    let firewall = &profile.firewall;
    let level = &firewall.log_level;
    let outgoing = if firewall.outgoing == Outgoing::Drop { level } else { "nolog" };
    let mut lines: Vec<String> = [
        "enable: 1",
        "ndp: 1",
        "nosmurfs: 1",
        "tcpflags: 1",
        "protection_synflood: 1",
        "protection_synflood_rate: 200",
        "protection_synflood_burst: 1000",
        "nf_conntrack_allow_invalid: 0",
        "log_nf_conntrack: 0",
    ]
    .map(str::to_owned)
    .into();
    for (key, level) in [
        ("log_level_in", level.as_str()),
        ("log_level_out", outgoing),
        ("smurf_log_level", level),
        ("tcp_flags_log_level", level),
    ] {
        lines.push(format!("{key}: {level}"));
    }
    let everybody = entries(profile, facts).is_empty();
    let rules = firewall.rules.iter().filter(|rule| rule.scope == "node");
    let rules = rules.flat_map(|rule| of_operator(rule, everybody)).collect();
    let sections =
        vec![Section::new("[OPTIONS]".to_owned(), lines), Section::new("[RULES]".to_owned(), rules)];
    merge(sections, facts.host_firewall.as_deref().unwrap_or_default())
}

/// First match wins: who manages the node gets in before any rule of anybody's says otherwise.
fn rules(profile: &Profile, everybody: bool) -> Vec<String> {
    let firewall = &profile.firewall;
    let from = source(MANAGEMENT, everybody);
    let mut rules = vec![
        rule("IN ACCEPT", &from, "tcp", &profile.ssh.port.number().to_string(), "SSH"),
        rule("IN ACCEPT", &from, "tcp", &API_PORT.to_string(), "web interface"),
    ];
    match firewall.ping {
        Ping::Management => rules.push(noted(format!("IN Ping(ACCEPT){from}"), "ping")),
        Ping::Any => rules.push(noted("IN Ping(ACCEPT)".to_owned(), "ping")),
        Ping::None => {}
    }
    let peers = if firewall.services_from.is_empty() { MANAGEMENT } else { SERVICES };
    let everybody_serves = everybody && peers == MANAGEMENT;
    for wanted in &firewall.services {
        let (name, ports) = service(*wanted);
        for Ports { protocol, ports } in ports {
            rules.push(rule("IN ACCEPT", &source(peers, everybody_serves), protocol, ports, name));
        }
        let ssh = profile.ssh.port.number().to_string();
        if let Some(ports) = between_nodes(*wanted, &ssh).filter(|_| peers == SERVICES) {
            rules.push(rule("IN ACCEPT", &source(peers, false), "tcp", &ports, name));
        }
    }
    if firewall.outgoing == Outgoing::Drop {
        outgoing(profile, if everybody_serves { "" } else { peers }, &mut rules);
    }
    let own = firewall.rules.iter().filter(|rule| rule.scope != "node");
    rules.extend(own.flat_map(|rule| of_operator(rule, everybody)));
    rules
}

/// The node is a client of its services too.
fn outgoing(profile: &Profile, peers: &str, rules: &mut Vec<String>) {
    for (name, ports) in OUTGOING {
        let (ports, protocols) = match ports.split_once('/') {
            Some((ports, protocol)) => (ports, vec![protocol]),
            None => (ports, vec!["tcp", "udp"]),
        };
        rules.extend(protocols.iter().map(|protocol| rule("OUT ACCEPT", "", protocol, ports, name)));
    }
    let to = if peers.is_empty() { String::new() } else { format!(" -dest +{peers}") };
    for wanted in &profile.firewall.services {
        let (name, ports) = service(*wanted);
        for Ports { protocol, ports } in ports {
            rules.push(rule("OUT ACCEPT", &to, protocol, ports, name));
        }
        if let Some(ports) = between_nodes(*wanted, &profile.ssh.port.number().to_string()) {
            rules.push(rule("OUT ACCEPT", &to, "tcp", &ports, name));
        }
    }
}

/// `enabled = false` is a rule that PVE keeps and does not use (row D9).
fn of_operator(wanted: &Rule, everybody: bool) -> Vec<String> {
    let staged = if wanted.enabled { "" } else { "|" };
    let start = format!("{staged}IN {}", wanted.action.to_ascii_uppercase());
    let from = source(&wanted.from, everybody && wanted.from == MANAGEMENT);
    let comment = or(&wanted.comment, &wanted.from);
    port_lists(wanted).iter().map(|ports| rule(&start, &from, &wanted.protocol, ports, comment)).collect()
}

/// In the order in which PVE writes a rule.
fn rule(start: &str, address: &str, protocol: &str, ports: &str, comment: &str) -> String {
    noted(format!("{start}{address} -p {protocol} -dport {ports}"), comment)
}

fn source(set: &str, everybody: bool) -> String {
    if everybody { String::new() } else { format!(" -source +{set}") }
}

fn or<'a>(comment: &'a str, name: &'a str) -> &'a str {
    if comment.trim().is_empty() { name } else { comment }
}

/// A line break in a comment would be a line of its own, and a `#` ends an older reader's line (pve-observed 3.6).
fn noted(line: String, comment: &str) -> String {
    let clean: String = comment.chars().filter(|letter| !letter.is_control() && *letter != '#').collect();
    format!("{line} # {COMMENT_PREFIX}{}", clean.trim())
}

/// The kernel's sets cannot hold everything in one entry, and PVE refuses it: two halves can be held.
fn halves(networks: &[Network]) -> Vec<Network> {
    let mut found: Vec<Network> = Vec::new();
    for network in networks {
        for half in super::halved(network) {
            if !found.contains(&half) {
                found.push(half);
            }
        }
    }
    found
}

/// Whether the text is this version's own.
pub fn is_ours(line: &str) -> bool {
    line.starts_with(HEAD) || line.contains(&format!("# {COMMENT_PREFIX}"))
}
