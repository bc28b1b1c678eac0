//! The evaluator's own reading of `cluster.fw` and `host.fw`: what is understood counts, everything else does not.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::network::{Family, Network, Set};
use super::payload::{Matcher, payloads};

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Let through.
    Accept,
    /// Lose.
    Drop,
    /// Refuse.
    Reject,
    /// Ask the rules of a group.
    Group(String),
}

/// Which packets a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Those to the node.
    In,
    /// Those from the node.
    Out,
    /// None of the node's own.
    Elsewhere,
}

/// Where a packet must come from or go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Anywhere.
    Any,
    /// One of these networks.
    Networks(Vec<Network>),
    /// From one address to another.
    Range(IpAddr, IpAddr),
    /// A set.
    Set(String),
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Not switched off.
    pub enabled: bool,
    /// Which packets.
    pub direction: Direction,
    /// What happens.
    pub action: Action,
    /// The only interface it holds for.
    pub interface: Option<String>,
    /// The only family it holds for.
    pub family: Option<Family>,
    /// Where from.
    pub source: End,
    /// Where to.
    pub destination: End,
    /// One of these must be carried.
    pub payloads: Vec<Matcher>,
}

/// Everything both files say.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `enable` of the datacenter.
    pub datacenter_enabled: bool,
    /// `enable` of the node.
    pub host_enabled: bool,
    /// What happens to packets no rule decides about.
    pub policy_in: Action,
    /// The same for packets from the node.
    pub policy_out: Action,
    /// Neighbour discovery is let through.
    pub ndp: bool,
    /// Smurfs are dropped.
    pub smurfs: bool,
    /// Impossible flags are dropped.
    pub tcp_flags: bool,
    /// Rules of the datacenter.
    pub datacenter: Vec<Rule>,
    /// Rules of the node.
    pub host: Vec<Rule>,
    /// The alias `local_network`, where somebody defined it.
    pub local_network: Option<Network>,
    sets: BTreeMap<String, Set>,
    aliases: BTreeMap<String, Network>,
    groups: BTreeMap<String, Vec<Rule>>,
    seen: Vec<String>,
}

impl Rules {
    /// Reads both texts as they are at a time.
    pub fn read(datacenter: &str, host: &str, now: u64) -> Self {
        let mut rules = Self {
            datacenter_enabled: false,
            host_enabled: true,
            policy_in: Action::Drop,
            policy_out: Action::Accept,
            ndp: true,
            smurfs: true,
            tcp_flags: false,
            datacenter: Vec::new(),
            host: Vec::new(),
            local_network: None,
            sets: BTreeMap::new(),
            aliases: BTreeMap::new(),
            groups: BTreeMap::new(),
            seen: Vec::new(),
        };
        rules.take_in(datacenter, false, now);
        rules.take_in(host, true, now);
        rules.local_network = rules.aliases.get("local_network").copied();
        rules
    }

    /// A set by name.
    pub fn set(&self, name: &str) -> Option<&Set> {
        self.sets.get(name)
    }

    /// A group's rules.
    pub fn group(&self, name: &str) -> Option<&[Rule]> {
        self.groups.get(name).map(Vec::as_slice)
    }

    /// Whether an address is at this end. `detected` belongs to `management`, whoever asks for that set.
    pub fn matches(&self, end: &End, address: IpAddr, detected: Option<Network>) -> bool {
        match end {
            End::Any => true,
            End::Networks(networks) => networks.iter().any(|network| network.contains(address)),
            End::Range(low, high) => (*low..=*high).contains(&address) && low.is_ipv4() == address.is_ipv4(),
            End::Set(name) if name == "management" => self.management_contains(address, detected),
            End::Set(name) => self.sets.get(name).is_some_and(|set| set.contains(address)),
        }
    }

    /// Whether an address may manage the node: the set of that name, and always the local network.
    pub fn management_contains(&self, address: IpAddr, detected: Option<Network>) -> bool {
        let mut set = self.sets.get("management").cloned().unwrap_or_default();
        if let Some(network) = self.local_network.or(detected) {
            set.add(network, true);
        }
        set.contains(address)
    }

    fn take_in(&mut self, text: &str, host: bool, now: u64) {
        let mut section = Vec::new();
        for raw in text.split('\n') {
            let line = raw.trim_matches([' ', '\t']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match heading(line, host) {
                Some(words) => {
                    section = words;
                    self.open(&section);
                }
                None => self.content(&mut section, line, host, now),
            }
        }
    }

    fn open(&mut self, section: &[String]) {
        match section {
            [kind, name] if kind == "ipset" => {
                self.sets.insert(name.clone(), Set::default());
                self.seen.clear();
            }
            [kind, name] if kind == "group" => {
                self.groups.insert(name.clone(), Vec::new());
            }
            _ => {}
        }
    }

    fn content(&mut self, section: &mut [String], line: &str, host: bool, now: u64) {
        let kind = section.first().map(String::as_str).unwrap_or_default();
        match kind {
            "options" => self.option(line, host, now),
            "aliases" => {
                let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
                let network = words.next().zip(words.next().and_then(Network::read));
                self.aliases.extend(network.map(|(name, network)| (name.to_lowercase(), network)));
            }
            "ipset" => {
                let name = section.get(1).cloned().unwrap_or_default();
                self.member(&name, line);
            }
            "rules" | "group" => {
                let Some(rule) = self.rule(line) else { return };
                match section.get(1) {
                    Some(_) if matches!(rule.action, Action::Group(_)) || rule.interface.is_some() => {}
                    Some(name) => self.groups.entry(name.clone()).or_default().push(rule),
                    None if host => self.host.push(rule),
                    None => self.datacenter.push(rule),
                }
            }
            _ => {}
        }
    }

    fn option(&mut self, line: &str, host: bool, now: u64) {
        let Some((key, value)) = line.split_once(':') else { return };
        let (key, value) = (key.to_lowercase(), value.trim());
        let on = || match value {
            "1" => Some(true),
            "0" => Some(false),
            _ => None,
        };
        let set = |field: &mut bool| *field = on().unwrap_or(*field);
        match (host, key.as_str()) {
            (false, "enable") => {
                if let Ok(number) = value.parse::<u64>() {
                    self.datacenter_enabled = number == 1 || number > 1 && number + 60 >= now;
                }
            }
            (false, "policy_in") => {
                self.policy_in = target(&value.to_uppercase()).unwrap_or(self.policy_in.clone())
            }
            (false, "policy_out") => {
                self.policy_out = target(&value.to_uppercase()).unwrap_or(self.policy_out.clone())
            }
            (true, "enable") => set(&mut self.host_enabled),
            (true, "ndp") => set(&mut self.ndp),
            (true, "nosmurfs") => set(&mut self.smurfs),
            (true, "tcpflags") => set(&mut self.tcp_flags),
            _ => {}
        }
    }

    fn alias(&self, reference: &str) -> Option<Network> {
        let name = reference.strip_prefix("dc/").unwrap_or(reference);
        self.aliases.get(&name.to_lowercase()).copied()
    }

    fn member(&mut self, set: &str, line: &str) {
        let text = line.split('#').next().unwrap_or_default().trim();
        let (text, matches) = match text.strip_prefix('!') {
            Some(rest) => (rest.trim_start(), false),
            None => (text, true),
        };
        // The same text again is a fault, with `!` or without.
        if self.seen.iter().any(|known| known == text) {
            return;
        }
        self.seen.push(text.to_owned());
        let network = Network::read(text).or_else(|| self.alias(text));
        if let Some(network) = network.filter(|_| !text.ends_with("/0")) {
            self.sets.entry(set.to_owned()).or_default().add(network, matches);
        }
    }

    /// A rule, if everything in it is sound; sets and aliases must stand above it.
    fn rule(&self, line: &str) -> Option<Rule> {
        let text = line.split('#').next().unwrap_or_default();
        let (enabled, text) = text.strip_prefix('|').map_or((true, text), |rest| (false, rest));
        let mut words = text.split_whitespace();
        let direction = match words.next()?.to_lowercase().as_str() {
            "in" => Direction::In,
            "out" => Direction::Out,
            "forward" => Direction::Elsewhere,
            "group" => return group_rule(enabled, &mut words),
            _ => return None,
        };
        let what = words.next()?;
        let mut options = BTreeMap::new();
        while let Some(word) = words.next() {
            options.insert(word.trim_start_matches('-'), words.next()?);
        }
        let (name, action) = match what.strip_suffix(')').and_then(|what| what.split_once('(')) {
            Some((name, action)) => (Some(name), action),
            None => (None, what),
        };
        let (source, from_family) = self.end(options.get("source").copied())?;
        let (destination, to_family) = self.end(options.get("dest").copied())?;
        let (payloads, own_family) = payloads(name, &options)?;
        let mut family = None;
        for found in [own_family, from_family, to_family].into_iter().flatten() {
            if family.is_some_and(|known| known != found) {
                return None;
            }
            family = Some(found);
        }
        Some(Rule {
            enabled,
            direction,
            action: target(action)?,
            interface: options.get("i").map(|name| (*name).to_owned()),
            family,
            source,
            destination,
            payloads,
        })
    }

    fn end(&self, text: Option<&str>) -> Option<(End, Option<Family>)> {
        let Some(text) = text else { return Some((End::Any, None)) };
        if let Some(set) = text.strip_prefix('+') {
            let name = set.strip_prefix("dc/").unwrap_or(set);
            return self.sets.contains_key(name).then(|| (End::Set(name.to_owned()), None));
        }
        if let Some(network) = self.alias(text) {
            return Some((End::Networks(vec![network]), Some(network.family())));
        }
        if let Some((low, high)) = text.split_once('-') {
            let range = (low.parse::<IpAddr>().ok()?, high.parse::<IpAddr>().ok()?);
            let family = if range.0.is_ipv4() { Family::V4 } else { Family::V6 };
            return (range.0 <= range.1).then_some((End::Range(range.0, range.1), Some(family)));
        }
        let networks: Option<Vec<Network>> = text.split(',').map(Network::read).collect();
        let networks = networks?;
        let family = networks.first()?.family();
        let sound = networks.iter().all(|network| network.family() == family && !network.has_host_bits());
        sound.then_some((End::Networks(networks), Some(family)))
    }
}

fn target(word: &str) -> Option<Action> {
    match word {
        "ACCEPT" => Some(Action::Accept),
        "DROP" => Some(Action::Drop),
        "REJECT" => Some(Action::Reject),
        _ => None,
    }
}

fn group_rule<'a>(enabled: bool, words: &mut impl Iterator<Item = &'a str>) -> Option<Rule> {
    let group = words.next()?.to_owned();
    let interface = match (words.next(), words.next()) {
        (None, None) => None,
        (Some("-i"), Some(name)) => Some(name.to_owned()),
        _ => return None,
    };
    Some(Rule {
        enabled,
        direction: Direction::Elsewhere,
        action: Action::Group(group),
        interface,
        family: None,
        source: End::Any,
        destination: End::Any,
        payloads: vec![Matcher::Any],
    })
}

/// The words of a section's heading in lower case; no words for one with a name that is none.
fn heading(line: &str, host: bool) -> Option<Vec<String>> {
    let text = line.strip_prefix('[')?;
    let (inside, behind) = text.split_once(']')?;
    let words: Vec<String> = inside.split_whitespace().map(str::to_lowercase).collect();
    let first = words.first()?.as_str();
    let known = match (first, words.len()) {
        ("options" | "rules", 1) => behind.is_empty(),
        ("aliases", 1) => behind.is_empty() && !host,
        ("ipset" | "group", 2) => !host && (behind.trim().is_empty() || behind.trim_start().starts_with('#')),
        _ => false,
    };
    let name = words.get(1).map_or("ok", String::as_str);
    let sound = name.len() > 1 && name.starts_with(|c: char| c.is_ascii_lowercase());
    known.then(|| if sound { words } else { Vec::new() })
}
