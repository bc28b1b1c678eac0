//! A second reading of PVE's firewall: a packet, the two files and the node's network give a verdict.
//!
//! It follows contract 3.4 and 3.5 step by step and shares no code with `firewall`, neither the reading of the files nor
//! the order of the rules, so that one can be held against the other.

mod network;
mod payload;
mod reading;

use network::Family;
pub use network::Network;
use payload::Matcher;
pub use reading::Rules;
use reading::{Action, Direction, Rule};

use std::net::IpAddr;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Accept,
    /// It is lost without a word.
    Drop,
    /// Its sender is told.
    Reject,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the node.
    In,
    /// From the node.
    Out,
}

/// What connection tracking thinks of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The first of a connection.
    New,
    /// One of a known connection.
    Established,
    /// None that makes sense.
    Invalid,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// TCP; `syn` if nothing but SYN is set of SYN, ACK, FIN and RST.
    Tcp {
        /// Source port.
        from: u16,
        /// Destination port.
        to: u16,
        /// The start of a connection.
        syn: bool,
    },
    /// UDP.
    Udp {
        /// Source port.
        from: u16,
        /// Destination port.
        to: u16,
    },
    /// ICMP, or ICMPv6 between IPv6 addresses.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
    /// IGMP.
    Igmp,
    /// Anything else, by its number.
    Other(u8),
}

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Where it goes.
    pub way: Way,
    /// The interface it comes in by or goes out by.
    pub interface: &'a str,
    /// Its source.
    pub source: IpAddr,
    /// Its destination.
    pub destination: IpAddr,
    /// What it carries.
    pub payload: Payload,
    /// What is known of its connection.
    pub state: State,
}

impl Packet<'_> {
    fn family(&self) -> Family {
        if self.source.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    fn tcp_port(&self) -> Option<u16> {
        match self.payload {
            Payload::Tcp { to, .. } => Some(to),
            _ => None,
        }
    }
}

/// What of the node matters to its firewall.
#[derive(Clone, Debug, Default)]
pub struct NodeView {
    /// The network around the node's own address, as `pve-firewall localnet` finds it.
    pub local_network: Option<Network>,
    /// Broadcast addresses of its networks.
    pub broadcasts: Vec<IpAddr>,
    /// Its own address and those of the other nodes, link by link.
    pub links: Vec<(IpAddr, Vec<IpAddr>)>,
}

impl NodeView {
    fn is_broadcast(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => v4.is_broadcast() || self.broadcasts.contains(&address),
            IpAddr::V6(_) => false,
        }
    }
}

/// Judges a packet by the rules of the two files.
pub fn judge(rules: &Rules, node: &NodeView, packet: &Packet<'_>) -> Verdict {
    if !rules.datacenter_enabled || !rules.host_enabled {
        return Verdict::Accept;
    }
    let judge = Judge { rules, node, packet };
    judge
        .built_in_first()
        .or_else(|| judge.by_user_rules())
        .or_else(|| judge.built_in_last())
        .unwrap_or_else(|| judge.by_policy())
}

struct Judge<'a> {
    rules: &'a Rules,
    node: &'a NodeView,
    packet: &'a Packet<'a>,
}

impl Judge<'_> {
    /// Steps 1 to 4: nothing a user writes comes before these.
    fn built_in_first(&self) -> Option<Verdict> {
        let packet = self.packet;
        if packet.interface == "lo" || packet.state == State::Established {
            return Some(Verdict::Accept);
        }
        if packet.state == State::Invalid {
            return Some(Verdict::Drop);
        }
        if packet.family() == Family::V6
            && self.rules.ndp
            && let Payload::Icmp { kind, .. } = packet.payload
        {
            let known = match packet.way {
                Way::In => (133..=136).contains(&kind),
                Way::Out => matches!(kind, 133 | 135 | 136),
            };
            if known {
                return Some(Verdict::Accept);
            }
        }
        if packet.way == Way::In && (self.is_blacklisted() || self.is_smurf() || self.has_bad_flags()) {
            return Some(Verdict::Drop);
        }
        (packet.payload == Payload::Igmp).then_some(Verdict::Accept)
    }

    fn is_blacklisted(&self) -> bool {
        self.rules.set("blacklist").is_some_and(|set| set.contains(self.packet.source))
    }

    fn is_smurf(&self) -> bool {
        let IpAddr::V4(source) = self.packet.source else { return false };
        let from_nobody = source.is_unspecified();
        self.rules.smurfs
            && !from_nobody
            && (self.node.is_broadcast(self.packet.source) || source.is_multicast())
    }

    /// Of the combinations the filter knows, a packet here can only have the one with source port 0.
    fn has_bad_flags(&self) -> bool {
        self.rules.tcp_flags && matches!(self.packet.payload, Payload::Tcp { from: 0, syn: true, .. })
    }

    /// Step 5: the node's rules, then the datacenter's; the first that matches decides.
    fn by_user_rules(&self) -> Option<Verdict> {
        let mut rules = self.rules.host.iter().chain(&self.rules.datacenter);
        rules.find_map(|rule| self.by_rule(rule))
    }

    fn by_rule(&self, rule: &Rule) -> Option<Verdict> {
        if !rule.enabled || rule.interface.as_deref().is_some_and(|name| name != self.packet.interface) {
            return None;
        }
        if let Action::Group(group) = &rule.action {
            return self.rules.group(group)?.iter().find_map(|rule| self.by_rule(rule));
        }
        let direction = match self.packet.way {
            Way::In => Direction::In,
            Way::Out => Direction::Out,
        };
        if rule.direction != direction || rule.family.is_some_and(|family| family != self.packet.family()) {
            return None;
        }
        let detected = self.node.local_network;
        let ends = self.rules.matches(&rule.source, self.packet.source, detected)
            && self.rules.matches(&rule.destination, self.packet.destination, detected);
        if !ends || !rule.payloads.iter().any(|matcher| self.carries(matcher)) {
            return None;
        }
        Some(match rule.action {
            Action::Accept => Verdict::Accept,
            Action::Reject => self.rejected(),
            Action::Drop | Action::Group(_) => Verdict::Drop,
        })
    }

    fn carries(&self, matcher: &Matcher) -> bool {
        let v6 = self.packet.family() == Family::V6;
        match (matcher, self.packet.payload) {
            (Matcher::Any, _) => true,
            (Matcher::Tcp(from, to), Payload::Tcp { from: source, to: destination, .. })
            | (Matcher::Udp(from, to), Payload::Udp { from: source, to: destination }) => {
                from.contains(source) && to.contains(destination)
            }
            (Matcher::Ping, Payload::Icmp { kind, .. }) => kind == if v6 { 128 } else { 8 },
            (Matcher::Icmp(wanted), Payload::Icmp { kind, code }) => {
                !v6 && wanted.is_none_or(|(of, with)| of == kind && with.is_none_or(|with| with == code))
            }
            (Matcher::Icmp6(wanted), Payload::Icmp { kind, code }) => {
                v6 && wanted.is_none_or(|(of, with)| of == kind && with.is_none_or(|with| with == code))
            }
            (Matcher::Number(number), Payload::Other(other)) => *number == other,
            _ => false,
        }
    }

    /// Steps 6 and 7.
    fn built_in_last(&self) -> Option<Verdict> {
        let packet = self.packet;
        let (managed, ports): (bool, &[(u16, u16)]) = match packet.way {
            Way::In => (
                self.rules.management_contains(packet.source, self.node.local_network),
                &[(8006, 8006), (5900, 5999), (3128, 3128), (22, 22), (60_000, 60_050)],
            ),
            Way::Out => (
                self.rules
                    .local_network
                    .or(self.node.local_network)
                    .is_some_and(|network| network.contains(packet.destination)),
                &[(8006, 8006), (22, 22), (5900, 5999), (3128, 3128)],
            ),
        };
        let port = packet.tcp_port();
        if managed && port.is_some_and(|port| ports.iter().any(|(low, high)| (*low..=*high).contains(&port)))
        {
            return Some(Verdict::Accept);
        }
        let Payload::Udp { to: 5404..=5405, .. } = packet.payload else { return None };
        let (own, other) = match packet.way {
            Way::In => (packet.destination, packet.source),
            Way::Out => (packet.source, packet.destination),
        };
        let between = self.node.links.iter().any(|(mine, others)| *mine == own && others.contains(&other));
        between.then_some(Verdict::Accept)
    }

    /// Step 8.
    fn by_policy(&self) -> Verdict {
        let action = match self.packet.way {
            Way::In => &self.rules.policy_in,
            Way::Out => &self.rules.policy_out,
        };
        match action {
            Action::Accept => Verdict::Accept,
            Action::Reject => self.quietly(true),
            Action::Drop | Action::Group(_) => self.quietly(false),
        }
    }

    /// What is dropped or let through before the policy itself: noise, and the ICMP that connections need.
    fn quietly(&self, reject: bool) -> Verdict {
        let packet = self.packet;
        let v6 = packet.family() == Family::V6;
        let end = if reject { self.rejected() } else { Verdict::Drop };
        if v6 && packet.tcp_port() == Some(43) {
            return self.rejected();
        }
        if packet.destination.is_multicast() || self.node.is_broadcast(packet.destination) {
            return Verdict::Drop;
        }
        match packet.payload {
            Payload::Icmp { kind: 3, code: 4 } | Payload::Icmp { kind: 11, .. } if !v6 => Verdict::Accept,
            Payload::Icmp { kind: 1..=3, .. } if v6 => Verdict::Accept,
            Payload::Udp { to: 135 | 445 | 137..=139, .. } => end,
            Payload::Udp { from: 137, to: 1024.. } => end,
            Payload::Tcp { to: 135 | 139 | 445, .. } => end,
            Payload::Udp { to: 1900, .. }
            | Payload::Udp { from: 53, .. }
            | Payload::Tcp { syn: false, .. } => Verdict::Drop,
            _ => end,
        }
    }

    /// Rejecting says nothing to broadcasts, to multicast senders and about ICMP.
    fn rejected(&self) -> Verdict {
        let packet = self.packet;
        let silent = match packet.family() {
            Family::V4 => self.node.is_broadcast(packet.destination) || packet.source.is_multicast(),
            Family::V6 => false,
        };
        if silent || matches!(packet.payload, Payload::Icmp { .. }) { Verdict::Drop } else { Verdict::Reject }
    }
}
