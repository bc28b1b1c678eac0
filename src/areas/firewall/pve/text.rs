//! The two files as they shall be: what the answer asks for, and what others wrote.
//!
//! Every line of ours ends in a comment `firstlight: …`, so that the next run knows them: the web interface rewrites the
//! whole file, and keeps nothing but comments at the ends of lines.

use super::super::tables::{API_PORT, OUTGOING, Ports, service};
use super::super::ufw::{between_nodes, port_lists};
use super::merge::merge;
use super::{LOCAL_NETWORK, MANAGEMENT, SERVICES, alias, entries, halved, local_network};
use crate::facts::Facts;
use crate::facts::cluster_firewall;
use crate::facts::networks::short;
use crate::profile::{Network, Outgoing, Ping, Profile, Rule};

/// The first line of a file that we wrote.
pub const HEAD: &str =
    "# firstlight: lines with this name in their comment are written anew, all others are kept";
/// How the comments of our lines begin.
pub const MARK: &str = "# firstlight: ";
const NODE_OPTIONS: &str = "\
[OPTIONS]
enable: 1
ndp: 1
nosmurfs: 1
tcpflags: 1
protection_synflood: 1
protection_synflood_rate: 200
protection_synflood_burst: 1000
nf_conntrack_allow_invalid: 0
log_nf_conntrack: 0
";

/// A file that grows line by line.
struct Text(String);

impl Text {
    fn add(&mut self, pieces: &[&str]) {
        pieces.iter().for_each(|piece| self.0.push_str(piece));
        self.0.push('\n');
    }

    /// A line break in a comment would be a line of its own, and a `#` ends an older reader's line (pve-observed 3.6).
    fn noted(&mut self, pieces: &[&str], comment: &str) {
        pieces.iter().for_each(|piece| self.0.push_str(piece));
        self.0.push(' ');
        self.0.push_str(MARK);
        self.0.extend(comment.trim().chars().filter(|letter| !letter.is_control() && *letter != '#'));
        self.0.push('\n');
    }

    /// In the order in which PVE writes a rule; without a set it is for everybody.
    fn rule(&mut self, start: &str, set: &str, protocol: &str, ports: &str, comment: &str) {
        let other = match (set, start) {
            ("", _) => "",
            (_, "OUT ACCEPT") => " -dest +",
            _ => " -source +",
        };
        self.noted(&[start, other, set, " -p ", protocol, " -dport ", ports], comment);
    }

    fn set(&mut self, name: &str, networks: &[Network], comment: &str) {
        self.noted(&["[IPSET ", name, "]"], comment);
        let mut known: Vec<Network> = Vec::new();
        for network in networks.iter().flat_map(halved) {
            if !known.contains(&network) {
                known.push(network);
                self.noted(&[&short(&network)], comment);
            }
        }
    }

    /// `enabled = false` is a rule that PVE keeps and does not use (row D9).
    fn of_operator(&mut self, wanted: &Rule, managers: &str) {
        let set = if wanted.from == MANAGEMENT { managers } else { &wanted.from };
        let comment = if wanted.comment.trim().is_empty() { &wanted.from } else { &wanted.comment };
        let staged = if wanted.enabled { "" } else { "|" };
        let start = format!("{staged}IN {}", wanted.action.to_ascii_uppercase());
        for ports in port_lists(wanted) {
            self.rule(&start, set, &wanted.protocol, &ports, comment);
        }
    }
}

/// `cluster.fw`; with `enable: 0` where the firewall is not on yet.
pub fn cluster_file(profile: &Profile, facts: &Facts) -> String {
    let firewall = &profile.firewall;
    let management = entries(profile, facts);
    let before = facts.cluster_firewall.as_deref().unwrap_or_default();
    let mut text = Text(String::new());
    text.add(&[HEAD, "\n[OPTIONS]\nenable: ", if cluster_firewall::is_on(before) { "1" } else { "0" }]);
    text.add(&["policy_in: DROP"]);
    text.add(&["policy_out: ", if firewall.outgoing == Outgoing::Drop { "DROP" } else { "ACCEPT" }]);
    // Anything that PVE cannot parse here stops its firewall as a whole (pve-observed 3.7).
    text.add(&["log_ratelimit: enable=1,rate=", &firewall.log_rate, ",burst=5"]);
    if let Some(network) = local_network(profile, facts)
        && alias(facts, LOCAL_NETWORK).is_none()
    {
        let comment = "PVE lets this one in, and would take the node's whole network";
        text.noted(&["[ALIASES]\nlocal_network ", &short(&network)], comment);
    }
    text.set(MANAGEMENT, &management, "who manages the nodes");
    if !firewall.services_from.is_empty() {
        text.set(SERVICES, &firewall.services_from, "who uses the services");
    }
    for wanted in &firewall.sets {
        let comment = if wanted.comment.trim().is_empty() { &wanted.name } else { &wanted.comment };
        text.set(&wanted.name, &wanted.networks, comment);
    }
    let managers = if management.is_empty() { "" } else { MANAGEMENT };
    text.add(&["[RULES]"]);
    rules(&mut text, profile, managers);
    for group in &firewall.groups {
        text.noted(&["[group ", &group.name, "]"], "security group");
        group.rules.iter().for_each(|rule| text.of_operator(rule, managers));
    }
    merge(&text.0, before)
}

/// `host.fw` of this node.
pub fn host_file(profile: &Profile, facts: &Facts) -> String {
    let firewall = &profile.firewall;
    let level = firewall.log_level.as_str();
    let mut text = Text(String::new());
    text.add(&[HEAD]);
    text.0.push_str(NODE_OPTIONS);
    for key in ["log_level_in", "smurf_log_level", "tcp_flags_log_level"] {
        text.add(&[key, ": ", level]);
    }
    text.add(&["log_level_out: ", if firewall.outgoing == Outgoing::Drop { level } else { "nolog" }]);
    text.add(&["[RULES]"]);
    let managers = if entries(profile, facts).is_empty() { "" } else { MANAGEMENT };
    for rule in firewall.rules.iter().filter(|rule| rule.scope == "node") {
        text.of_operator(rule, managers);
    }
    merge(&text.0, facts.host_firewall.as_deref().unwrap_or_default())
}

/// First match wins: who manages the node gets in before any rule of anybody's says otherwise.
fn rules(text: &mut Text, profile: &Profile, managers: &str) {
    let firewall = &profile.firewall;
    let ssh = profile.ssh.port.number().to_string();
    text.rule("IN ACCEPT", managers, "tcp", &ssh, "SSH");
    text.rule("IN ACCEPT", managers, "tcp", &API_PORT.to_string(), "web interface");
    if firewall.ping != Ping::None {
        let set = if firewall.ping == Ping::Any { "" } else { managers };
        text.noted(&["IN Ping(ACCEPT)", if set.is_empty() { "" } else { " -source +" }, set], "ping");
    }
    let (peers, own) = if firewall.services_from.is_empty() { (managers, false) } else { (SERVICES, true) };
    // The node is a client of its services too.
    let starts: &[&str] =
        if firewall.outgoing == Outgoing::Drop { &["IN ACCEPT", "OUT ACCEPT"] } else { &["IN ACCEPT"] };
    for start in starts {
        if *start == "OUT ACCEPT" {
            for (name, ports) in OUTGOING {
                let (ports, only) = ports.split_once('/').unwrap_or((ports, ""));
                for protocol in ["tcp", "udp"] {
                    if only.is_empty() || only == protocol {
                        text.rule(start, "", protocol, ports, name);
                    }
                }
            }
        }
        for wanted in &firewall.services {
            let (name, list) = service(*wanted);
            for Ports { protocol, ports } in list {
                text.rule(start, peers, protocol, ports, name);
            }
            if let Some(ports) = between_nodes(*wanted, &ssh).filter(|_| own || *start != "IN ACCEPT") {
                text.rule(start, peers, "tcp", &ports, name);
            }
        }
    }
    for rule in firewall.rules.iter().filter(|rule| rule.scope != "node") {
        text.of_operator(rule, managers);
    }
}
