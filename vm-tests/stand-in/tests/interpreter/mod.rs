//! A tiny interpreter of iptables' lines: what the chains that were generated would do with a packet.

use std::collections::BTreeMap;
use std::net::IpAddr;

use stand_in::evaluator::{Network, NodeView, Packet, Payload, State, Verdict, Way};
use stand_in::firewall::compile::{Compiled, Ruleset};

/// Chains and sets with a packet before them.
pub struct Interpreter<'a> {
    pub chains: &'a Ruleset,
    pub sets: &'a Ruleset,
    pub node: &'a NodeView,
    pub packet: &'a Packet<'a>,
    mark: u32,
}

enum Outcome {
    Decided(Verdict),
    Returned,
}

/// The verdict of everything that was compiled.
pub fn verdict(compiled: &Compiled, node: &NodeView, packet: &Packet<'_>) -> Verdict {
    let chains = if packet.source.is_ipv4() { &compiled.filter_v4 } else { &compiled.filter_v6 };
    let hook = match packet.way {
        Way::In => "PVEFW-INPUT",
        Way::Out => "PVEFW-OUTPUT",
    };
    let mut interpreter = Interpreter { chains, sets: &compiled.sets, node, packet, mark: 0 };
    if !chains.contains_key(hook) {
        return Verdict::Accept;
    }
    match interpreter.chain(hook) {
        Outcome::Decided(verdict) => verdict,
        Outcome::Returned => Verdict::Accept,
    }
}

impl Interpreter<'_> {
    fn chain(&mut self, name: &str) -> Outcome {
        let lines = self.chains.get(name).unwrap_or_else(|| panic!("no chain {name}")).clone();
        for line in &lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[..2], ["-A", name], "{line}");
            let target = words.iter().rposition(|word| matches!(*word, "-j" | "-g")).expect("a target");
            if !self.found(&words[2..target]) {
                continue;
            }
            match (words[target], words[target + 1]) {
                (_, "ACCEPT") => return Outcome::Decided(Verdict::Accept),
                (_, "DROP") => return Outcome::Decided(Verdict::Drop),
                (_, "REJECT") => return Outcome::Decided(Verdict::Reject),
                (_, "RETURN") => return Outcome::Returned,
                (_, "NFLOG") => {}
                (_, "MARK") => self.set_mark(words[target + 3]),
                ("-g", chain) => return self.chain(chain),
                (_, chain) => {
                    if let Outcome::Decided(verdict) = self.chain(chain) {
                        return Outcome::Decided(verdict);
                    }
                }
            }
        }
        Outcome::Returned
    }

    fn set_mark(&mut self, text: &str) {
        let (value, mask) = pair(text);
        self.mark = self.mark & !mask | value;
    }

    fn found(&self, words: &[&str]) -> bool {
        let mut words = words.iter().copied();
        let mut protocol = "";
        let mut negated = false;
        while let Some(option) = words.next() {
            let mut next = || words.next().expect("a value");
            let matched = match option {
                "!" => {
                    negated = true;
                    continue;
                }
                "-i" | "-o" => {
                    let wanted = next();
                    let way = if option == "-i" { Way::In } else { Way::Out };
                    self.packet.way == way && wanted == self.packet.interface
                }
                "-m" | "--match" => {
                    next();
                    true
                }
                // A limit has room for the one packet there is.
                "--limit" | "--limit-burst" => {
                    next();
                    true
                }
                "-p" => {
                    protocol = next();
                    self.protocol(protocol)
                }
                "-s" => lies_in(next(), self.packet.source),
                "-d" => lies_in(next(), self.packet.destination),
                "--src-range" => in_range(next(), self.packet.source),
                "--dst-range" => in_range(next(), self.packet.destination),
                "--match-set" => {
                    let set = next();
                    let address = if next() == "src" { self.packet.source } else { self.packet.destination };
                    self.in_set(set, address)
                }
                "--dport" | "--dports" => ports(next(), self.ports().map(|(_, to)| to)),
                "--sport" | "--sports" => ports(next(), self.ports().map(|(from, _)| from)),
                "--icmp-type" | "--icmpv6-type" => self.icmp(next()),
                "--ctstate" => next().split(',').any(|state| self.state(state)),
                "--dst-type" => self.kind(next(), self.packet.destination),
                "--src-type" => self.kind(next(), self.packet.source),
                "--tcp-flags" => self.flags(next(), next()),
                "--mark" => {
                    let (value, mask) = pair(next());
                    self.mark & mask == value
                }
                "--physdev-is-bridged" => false,
                "--physdev-in" | "--physdev-out" => {
                    next();
                    false
                }
                other => panic!("{other} after {protocol}"),
            };
            if matched == negated {
                return false;
            }
            negated = false;
        }
        true
    }

    fn protocol(&self, name: &str) -> bool {
        let v4 = self.packet.source.is_ipv4();
        match (name, self.packet.payload) {
            ("tcp" | "6", Payload::Tcp { .. })
            | ("udp" | "17", Payload::Udp { .. })
            | ("igmp", Payload::Igmp) => true,
            ("icmp", Payload::Icmp { .. }) => v4,
            ("icmpv6" | "ipv6-icmp", Payload::Icmp { .. }) => !v4,
            ("gre", Payload::Other(47)) => true,
            (number, Payload::Other(other)) => number.parse() == Ok(other),
            _ => false,
        }
    }

    fn ports(&self) -> Option<(u16, u16)> {
        match self.packet.payload {
            Payload::Tcp { from, to, .. } | Payload::Udp { from, to } => Some((from, to)),
            _ => None,
        }
    }

    fn icmp(&self, name: &str) -> bool {
        let Payload::Icmp { kind, code } = self.packet.payload else { return false };
        let wanted = match (self.packet.source.is_ipv4(), name) {
            (true, "any") => return true,
            (true, "echo-request") => 8,
            (true, "echo-reply") => 0,
            (true, "destination-unreachable") => 3,
            (true, "fragmentation-needed") => return (kind, code) == (3, 4),
            (true, "time-exceeded") => 11,
            (false, "destination-unreachable") => 1,
            (false, "packet-too-big") => 2,
            (false, "time-exceeded") => 3,
            (false, "echo-request") => 128,
            (false, "echo-reply") => 129,
            (false, "router-solicitation") => 133,
            (false, "router-advertisement") => 134,
            (false, "neighbor-solicitation" | "neighbour-solicitation") => 135,
            (false, "neighbor-advertisement") => 136,
            (_, digits) => digits.parse().expect("a type"),
        };
        kind == wanted
    }

    fn state(&self, name: &str) -> bool {
        match name {
            "NEW" => self.packet.state == State::New,
            "RELATED" | "ESTABLISHED" => self.packet.state == State::Established,
            "INVALID" => self.packet.state == State::Invalid,
            other => panic!("{other}"),
        }
    }

    fn kind(&self, name: &str, address: IpAddr) -> bool {
        match name {
            "BROADCAST" => {
                self.node.broadcasts.contains(&address) || address == IpAddr::from([255, 255, 255, 255])
            }
            "MULTICAST" => address.is_multicast(),
            "ANYCAST" => false,
            other => panic!("{other}"),
        }
    }

    fn flags(&self, mask: &str, wanted: &str) -> bool {
        let Payload::Tcp { syn, .. } = self.packet.payload else { return false };
        let set = if syn { "SYN" } else { "ACK" };
        let seen: Vec<&str> = mask.split(',').filter(|flag| *flag == set).collect();
        let wanted: Vec<&str> = wanted.split(',').filter(|flag| *flag != "NONE").collect();
        seen == wanted
    }

    fn in_set(&self, name: &str, address: IpAddr) -> bool {
        let lines = self.sets.get(name).unwrap_or_else(|| panic!("no set {name}"));
        let mut best: BTreeMap<u32, bool> = BTreeMap::new();
        for line in &lines[1..] {
            let words: Vec<&str> = line.split(' ').collect();
            let Some(network) = Network::read(words[2]) else { panic!("{line}") };
            if network.contains(address) {
                let length =
                    words[2].split_once('/').map_or(128, |(_, length)| length.parse().expect("a length"));
                best.insert(length, words.get(3) != Some(&"nomatch"));
            }
        }
        best.last_key_value().is_some_and(|(_, matches)| *matches)
    }
}

/// iptables makes one rule of each part of a list.
fn lies_in(list: &str, address: IpAddr) -> bool {
    list.split(',').any(|part| Network::read(part).expect("a network").contains(address))
}

fn pair(text: &str) -> (u32, u32) {
    let number = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).expect("a number");
    let (value, mask) = text.split_once('/').expect("value and mask");
    (number(value), number(mask))
}

fn in_range(text: &str, address: IpAddr) -> bool {
    let (low, high) = text.split_once('-').expect("a range");
    let (low, high): (IpAddr, IpAddr) = (low.parse().expect("an address"), high.parse().expect("an address"));
    low.is_ipv4() == address.is_ipv4() && (low..=high).contains(&address)
}

fn ports(list: &str, port: Option<u16>) -> bool {
    let Some(port) = port else { return false };
    list.split(',').any(|part| {
        let (low, high) = part.split_once(':').unwrap_or((part, part));
        let number = |text: &str| match text {
            "ssh" => 22,
            digits => digits.parse::<u16>().expect("a port"),
        };
        (number(low)..=number(high)).contains(&port)
    })
}
