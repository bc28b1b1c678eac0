//! UFW (rows E2 to E4 and D4). Rules are written as `ufw show added` prints them, so that they can be compared.

use super::tables::{API_PORT, OUTGOING, service};
use crate::areas::{control, refusal};
use crate::change::{Change, UfwChange, UnitChange};
use crate::control::{Check, Control, Gate, GateAsk, Phase, Proposal, Refusal};
use crate::facts::Facts;
use crate::facts::networks::{covers, short};
use crate::facts::ufw::{COMMENT_PREFIX, is_ours};
use crate::gate::UFW_PROGRAM;
use crate::profile::{Network, Outgoing, Ping, Profile, Rule, Service};
use crate::reach::Reach;

const PACKAGE: &str = "ufw";
const UNIT: &str = "ufw.service";
/// Set by the schema: `log-rate`. UFW's own rate cannot be set.
const DEFAULT_LOG_RATE: &str = "1/second";
/// The set that is always there.
const MANAGEMENT: &str = "management";
/// A list in one rule holds at most 15 numbers, a range counts two (iptables-extensions(8), multiport).
const PORTS_PER_RULE: usize = 15;

pub(super) fn refused(profile: &Profile, facts: &Facts) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if !facts.has_package(PACKAGE) && !profile.packages.enabled {
        refusals.push(refusal(
            "firstlight.packages.enabled",
            format!("must be true: {PACKAGE} is not installed"),
        ));
    }
    if facts.ufw_without_ipv6 {
        refusals.push(refusal(
            "firstlight.firewall.mode",
            "needs `IPV6=yes` in /etc/default/ufw: UFW would leave IPv6 open".to_owned(),
        ));
    }
    for rule in &profile.firewall.rules {
        if rule.from != MANAGEMENT && !profile.firewall.sets.iter().any(|set| set.name == rule.from) {
            refusals.push(refusal(
                "firstlight.firewall.rule",
                format!("must name a set in `from`; there is no set {}", rule.from),
            ));
        }
    }
    refusals
}

pub(super) fn propose(profile: &Profile, facts: &Facts, management: &[Network]) -> Proposal {
    let change = UfwChange {
        incoming: "deny".to_owned(),
        outgoing: if profile.firewall.outgoing == Outgoing::Drop { "deny" } else { "allow" }.to_owned(),
        // A node that forwards has routed or NATed guests, and they go on as before; bridged guests do not come
        // by UFW at all (bridge-nf-call is 0). Where nothing is forwarded, UFW's default stays.
        routed: if facts.forwards { "allow" } else { "deny" }.to_owned(),
        logging: logging(&profile.firewall.log_level).to_owned(),
        ping: ping(profile, management),
        rules: rules(profile, facts.cluster_member, management),
    };
    let mut proposal = Proposal { warnings: warnings(profile, facts, management), ..Proposal::default() };
    let active = Check::UfwActive {
        incoming: change.incoming.clone(),
        outgoing: change.outgoing.clone(),
        routed: change.routed.clone(),
    };
    proposal.controls.push(control(
        "firewall.active",
        "E2",
        "UFW filters, IPv6 too, and denies what is not allowed".to_owned(),
        active,
    ));
    for rule in &change.rules {
        proposal.controls.push(rule_control(rule));
    }
    proposal.gates.push(Gate {
        id: "firewall.rules",
        tool: UFW_PROGRAM,
        ask: GateAsk::UfwRules(change.rules.clone()),
    });
    for control in &mut proposal.controls {
        control.changes.push(0);
    }
    proposal.controls.extend(nothing_wider(profile, facts, management));
    proposal.reach = Some(Box::new(reach(profile, facts, management)));
    proposal.changes.push((Phase::Exposure, Change::Ufw(change)));
    proposal.controls.push(Control {
        changes: vec![1],
        ..control(
            "firewall.after-reboot",
            "E4",
            "UFW starts at boot".to_owned(),
            Check::Unit { name: UNIT.to_owned(), enabled: Some(true), active: None },
        )
    });
    let unit = UnitChange { name: UNIT.to_owned(), enabled: Some(true), active: None };
    proposal.changes.push((Phase::Services, Change::Unit(unit)));
    proposal
}

fn rule_control(rule: &[String]) -> Control {
    let words: Vec<&str> = rule.iter().map(String::as_str).take_while(|word| *word != "comment").collect();
    Control {
        id: format!("firewall.rule.{}", words.join("-")).into(),
        requirement: "E3",
        wanted: format!("the kernel does what `ufw {}` says", words.join(" ")),
        check: Check::Rule(rule.to_vec()),
        changes: Vec::new(),
    }
}

/// The management networks get in. Where a foreign rule opens more, or all may come, nobody is shut out.
fn reach(profile: &Profile, facts: &Facts, management: &[Network]) -> Reach {
    let open = known_networks(profile, management);
    let shut = !management.is_empty() && wide_rules(profile, facts, &open).is_empty();
    Reach {
        ports: vec![API_PORT],
        management: management.to_vec(),
        open: shut.then_some(open),
        ..crate::areas::reach(profile, facts)
    }
}

/// Foreign rules are kept, so where one opens more than `management` no change of ours can close it.
fn nothing_wider(profile: &Profile, facts: &Facts, management: &[Network]) -> Option<Control> {
    if management.is_empty() {
        return None;
    }
    let networks = known_networks(profile, management);
    let wide = wide_rules(profile, facts, &networks);
    Some(Control {
        changes: if wide.is_empty() { vec![0] } else { Vec::new() },
        ..control(
            "firewall.nothing-wider",
            "E3",
            super::NOTHING_WIDER.to_owned(),
            super::nothing_wider(profile, "", networks),
        )
    })
}

/// Networks that the answer opens anything for: its rules may let them reach SSH or the web interface, too.
pub(super) fn known_networks(profile: &Profile, management: &[Network]) -> Vec<Network> {
    let mut networks = management.to_vec();
    networks.extend_from_slice(&profile.firewall.services_from);
    networks.extend(profile.firewall.sets.iter().flat_map(|set| set.networks.iter().copied()));
    networks
}

/// UFW's levels: from `low` on it logs what it blocks, `medium` also what it lets through by a rule's exception.
fn logging(level: &str) -> &'static str {
    match level {
        "nolog" => "off",
        "debug" => "medium",
        _ => "low",
    }
}

fn rules(profile: &Profile, member: bool, management: &[Network]) -> Vec<Vec<String>> {
    let firewall = &profile.firewall;
    let ssh = profile.ssh.port.number().to_string();
    let mut rules = Vec::new();
    if management.is_empty() {
        // The other nodes log in several times for one migration; UFW's limit is six times in half a minute.
        rules.push(simple(if member { "allow" } else { "limit" }, &ssh, "tcp", "SSH"));
        rules.push(simple("allow", &API_PORT.to_string(), "tcp", "web interface"));
    }
    for network in management {
        rules.push(from("allow", network, &ssh, "tcp", "SSH"));
        rules.push(from("allow", network, &API_PORT.to_string(), "tcp", "web interface"));
    }
    let peers = if firewall.services_from.is_empty() { management } else { &firewall.services_from };
    for wanted in &firewall.services {
        let (name, ports) = service(*wanted);
        ports.iter().for_each(|ports| open(&mut rules, peers, ports.ports, ports.protocol, name));
        if let Some(ports) = between_nodes(*wanted, &ssh).filter(|_| !firewall.services_from.is_empty()) {
            open(&mut rules, peers, &ports, "tcp", name);
        }
    }
    if firewall.outgoing == Outgoing::Drop {
        outgoing(&mut rules, firewall.services.as_slice(), peers, &ssh);
    }
    for rule in firewall.rules.iter().filter(|rule| rule.enabled) {
        rules.extend(of_operator(profile, rule, management));
    }
    let mut unique: Vec<Vec<String>> = Vec::new();
    for rule in rules {
        // UFW knows a rule by everything but its comment.
        let same = |known: &Vec<String>| before_comment(known).eq(before_comment(&rule));
        if !unique.iter().any(same) {
            unique.push(rule);
        }
    }
    unique
}

fn before_comment(rule: &[String]) -> impl Iterator<Item = &String> {
    rule.iter().take_while(|word| *word != "comment")
}

fn open(rules: &mut Vec<Vec<String>>, peers: &[Network], ports: &str, protocol: &str, name: &str) {
    if peers.is_empty() {
        rules.push(simple("allow", ports, protocol, name));
    }
    rules.extend(peers.iter().map(|network| from("allow", network, ports, protocol, name)));
}

/// Nodes of a cluster log into each other and pass requests on to each other's API; a migration is a login, with what
/// is migrated in its tunnel (pve-contract 3.8 and 4.6).
pub(super) fn between_nodes(service: Service, ssh: &str) -> Option<String> {
    match service {
        // In UFW's own order.
        Service::Cluster if ssh.parse::<u16>().is_ok_and(|ssh| ssh > API_PORT) => {
            Some(format!("{API_PORT},{ssh}"))
        }
        Service::Cluster => Some(format!("{ssh},{API_PORT}")),
        Service::Migration => Some(ssh.to_owned()),
        _ => None,
    }
}

/// The node is a client of its services too.
fn outgoing(rules: &mut Vec<Vec<String>>, services: &[Service], peers: &[Network], ssh: &str) {
    for (name, ports) in OUTGOING {
        rules.push(words(&["allow", "out", ports], name));
    }
    let mut to = |ports: &str, protocol: &str, name: &str| {
        for network in peers {
            rules.push(words(
                &["allow", "out", "to", &short(network), "port", ports, "proto", protocol],
                name,
            ));
        }
        if peers.is_empty() {
            rules.push(words(&["allow", "out", &format!("{ports}/{protocol}")], name));
        }
    };
    for wanted in services {
        let (name, ports) = service(*wanted);
        ports.iter().for_each(|ports| to(ports.ports, ports.protocol, name));
        if let Some(ports) = between_nodes(*wanted, ssh) {
            to(&ports, "tcp", name);
        }
    }
}

fn of_operator(profile: &Profile, rule: &Rule, management: &[Network]) -> Vec<Vec<String>> {
    let set = profile.firewall.sets.iter().find(|set| set.name == rule.from);
    let networks = set.map_or(management, |set| set.networks.as_slice());
    let action = match rule.action.as_str() {
        "accept" => "allow",
        "reject" => "reject",
        _ => "deny",
    };
    let comment = if rule.comment.is_empty() { &rule.from } else { &rule.comment };
    let mut rules = Vec::new();
    for ports in port_lists(rule) {
        if networks.is_empty() {
            rules.push(simple(action, &ports, &rule.protocol, comment));
        }
        rules.extend(networks.iter().map(|network| from(action, network, &ports, &rule.protocol, comment)));
    }
    rules
}

/// Sorted as UFW sorts them, in as many lists as iptables needs.
pub(super) fn port_lists(rule: &Rule) -> Vec<String> {
    let mut ports = rule.ports.clone();
    ports.sort_unstable();
    ports.dedup();
    let (mut lists, mut list, mut numbers) = (Vec::new(), Vec::new(), 0);
    for (first, last) in ports {
        let (first, last) = (first.number(), last.number());
        let (text, count) =
            if first == last { (first.to_string(), 1) } else { (format!("{first}:{last}"), 2) };
        if numbers + count > PORTS_PER_RULE {
            lists.push(std::mem::take(&mut list).join(","));
            numbers = 0;
        }
        list.push(text);
        numbers += count;
    }
    if !list.is_empty() {
        lists.push(list.join(","));
    }
    lists
}

/// `allow from 10.0.20.0/24 to any port 22 proto tcp comment 'firstlight: SSH'`.
fn from(action: &str, network: &Network, ports: &str, protocol: &str, comment: &str) -> Vec<String> {
    words(&[action, "from", &short(network), "to", "any", "port", ports, "proto", protocol], comment)
}

/// `allow 8006/tcp comment '…'`: what `show added` makes of a rule for everybody.
fn simple(action: &str, ports: &str, protocol: &str, comment: &str) -> Vec<String> {
    words(&[action, &format!("{ports}/{protocol}")], comment)
}

/// UFW refuses quotes in comments, and comments must not bring lines of their own into its files.
fn words(rule: &[&str], comment: &str) -> Vec<String> {
    let clean: String =
        comment.chars().filter(|letter| !letter.is_control() && !"'\"".contains(*letter)).collect();
    let mut words: Vec<String> = rule.iter().map(|word| (*word).to_owned()).collect();
    words.extend(["comment".to_owned(), format!("{COMMENT_PREFIX}{clean}").trim_end().to_owned()]);
    words
}

/// Whose pings are answered; no management networks stand for everybody.
fn ping(profile: &Profile, management: &[Network]) -> Option<Vec<String>> {
    match profile.firewall.ping {
        Ping::Management if !management.is_empty() => {
            Some(management.iter().map(Network::to_string).collect())
        }
        Ping::Management | Ping::Any => None,
        Ping::None => Some(Vec::new()),
    }
}

fn warnings(profile: &Profile, facts: &Facts, management: &[Network]) -> Vec<String> {
    let firewall = &profile.firewall;
    let mut warnings = Vec::new();
    let staged = firewall.rules.iter().filter(|rule| !rule.enabled).count();
    if staged > 0 {
        warnings.push(format!("{staged} rules with enabled = false are left out: UFW has no staged rules"));
    }
    if firewall.log_rate != DEFAULT_LOG_RATE {
        warnings.push("log-rate: UFW logs at its own rate".to_owned());
    }
    if !firewall.groups.is_empty() {
        warnings.push("groups are PVE's: in mode \"ufw\" they are left out".to_owned());
    }
    if !management.is_empty() {
        for rule in wide_rules(profile, facts, &known_networks(profile, management)) {
            warnings.push(format!(
                "UFW already has the rule `{rule}`, which lets more than the management networks in; it is kept"
            ));
        }
    }
    warnings
}

/// Foreign rules that open SSH or the web interface beyond `networks`. UFW keeps a rule as action, protocol,
/// ports, destination, source ports, source, and a direction with an interface behind it:
/// `allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in`.
fn wide_rules<'a>(profile: &Profile, facts: &'a Facts, networks: &[Network]) -> Vec<&'a str> {
    let wanted = [profile.ssh.port.number(), API_PORT];
    let opens = |tuple: &&str| {
        let fields: Vec<&str> = tuple.split_ascii_whitespace().collect();
        let &[action, protocol, ports, _, _, source, ..] = fields.as_slice() else { return false };
        let source = Network::parse(source).ok();
        matches!(action, "allow" | "limit")
            && matches!(protocol, "any" | "tcp")
            && !source.is_some_and(|source| networks.iter().any(|outer| covers(outer, &source)))
            && fields.iter().skip(6).any(|word| *word == "in" || word.starts_with("in_"))
            && (ports == "any" || wanted.iter().any(|port| holds(ports, *port)))
            && !is_ours(tuple)
    };
    facts.ufw_rules.iter().map(String::as_str).filter(opens).collect()
}

pub(super) fn holds(ports: &str, wanted: u16) -> bool {
    ports.split(',').any(|item| {
        let (first, last) = item.split_once(':').unwrap_or((item, item));
        matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first), Ok(last)) if (first..=last).contains(&wanted))
    })
}
