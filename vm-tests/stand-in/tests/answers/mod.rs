//! What an answer means for a packet, worked out from the answer alone: no line of the product's or of PVE's is read here.

use std::net::IpAddr;

use stand_in::evaluator::{Network, Packet, Payload, Verdict, Way};

/// The network that the node stands in.
pub const LAN: &str = "10.0.20.0/24";

/// The firewall of an answer.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// `None` for everybody.
    pub management: Option<Vec<&'static str>>,
    pub narrow: bool,
    pub drop_outgoing: bool,
    pub ping: &'static str,
    pub services: Vec<&'static str>,
    pub services_from: Vec<&'static str>,
    pub ssh: u16,
    pub rules: Vec<Rule>,
}

/// A rule of the answer; the only sets of these answers are `backup` and `office`.
#[derive(Clone, Debug)]
pub struct Rule {
    pub from: &'static str,
    pub protocol: &'static str,
    pub ports: (u16, u16),
    pub action: &'static str,
    pub enabled: bool,
    pub scope: &'static str,
}

/// Networks of the two sets.
pub const SETS: [(&str, [&str; 2]); 2] =
    [("backup", ["10.0.40.9", "fd00:40::/64"]), ("office", ["192.0.2.0/25", "2001:db8:5::/48"])];

/// From the first port to the last.
type Ranges = &'static [(u16, u16)];

/// TCP and UDP ports of a service.
fn ports(service: &str) -> (Ranges, Ranges) {
    match service {
        "cluster" => (&[], &[(5405, 5412)]),
        "migration" => (&[(60_000, 60_050)], &[]),
        "ceph" => (&[(3300, 3300), (6789, 6789), (6800, 7300)], &[]),
        "nfs" => (&[(111, 111), (2049, 2049)], &[(111, 111), (2049, 2049)]),
        "cifs" => (&[(445, 445)], &[]),
        "backup-server" => (&[(8007, 8007)], &[]),
        "spice" => (&[(3128, 3128)], &[]),
        _ => (&[(5900, 5999)], &[]),
    }
}

/// What the management networks reach beside SSH and 8006: consoles, SPICE, migration, and SSH's usual port (row D2).
const CONSOLES: [(u16, u16); 5] = [(8006, 8006), (5900, 5999), (3128, 3128), (22, 22), (60_000, 60_050)];

fn holds(ranges: &[(u16, u16)], port: u16) -> bool {
    ranges.iter().any(|(low, high)| (*low..=*high).contains(&port))
}

fn inside(networks: &[&str], address: IpAddr) -> bool {
    networks.iter().any(|text| Network::read(text).expect("a network").contains(address))
}

fn tcp(packet: &Packet<'_>) -> Option<u16> {
    if let Payload::Tcp { to, .. } = packet.payload { Some(to) } else { None }
}

fn udp(packet: &Packet<'_>) -> Option<u16> {
    if let Payload::Udp { to, .. } = packet.payload { Some(to) } else { None }
}

impl Wanted {
    /// The answer as an operator would write it.
    pub fn text(&self) -> String {
        let list = |items: &[&str]| {
            let quoted: Vec<String> = items.iter().map(|item| format!("\"{item}\"")).collect();
            format!("[{}]", quoted.join(", "))
        };
        let management = self.management.as_deref().map_or("[\"any\"]".to_owned(), list);
        let mut text = format!(
            "{HEAD}\n[firstlight.ssh]\nport = {}\n\n[firstlight.firewall]\nmode = \"pve\"\nmanagement = {management}\n\
             management-only-remote = true\nnarrow-local-network = {}\noutgoing = \"{}\"\nping = \"{}\"\nservices = {}\n\
             services-from = {}\n",
            self.ssh,
            self.narrow,
            if self.drop_outgoing { "drop" } else { "accept" },
            self.ping,
            list(&self.services),
            list(&self.services_from),
        );
        for (name, networks) in SETS {
            text.push_str(&format!(
                "\n[[firstlight.firewall.set]]\nname = \"{name}\"\nnetworks = {}\ncomment = \"{name}, no more\"\n",
                list(&networks)
            ));
        }
        for rule in &self.rules {
            let (low, high) = rule.ports;
            let ports = if low == high { low.to_string() } else { format!("{low}-{high}") };
            text.push_str(&format!(
                "\n[[firstlight.firewall.rule]]\nfrom = \"{}\"\nprotocol = \"{}\"\nports = \"{ports}\"\naction = \"{}\"\n\
                 enabled = {}\nscope = \"{}\"\ncomment = \"IN ACCEPT -p tcp -dport 1:65535\"\n",
                rule.from, rule.protocol, rule.action, rule.enabled, rule.scope
            ));
        }
        text
    }

    /// What becomes of a new packet.
    pub fn verdict(&self, packet: &Packet<'_>) -> Verdict {
        match packet.way {
            Way::In => self.incoming(packet),
            Way::Out => self.outgoing(packet),
        }
    }

    fn manages(&self, address: IpAddr) -> bool {
        let listed = self.management.as_ref().is_some_and(|networks| inside(networks, address));
        listed || !self.narrow && inside(&[LAN], address)
    }

    fn incoming(&self, packet: &Packet<'_>) -> Verdict {
        let anybody = self.management.is_none();
        let managed = self.manages(packet.source);
        // What no firewall of a node may refuse: neighbours, and news about connections.
        let v6 = packet.source.is_ipv6();
        if let Payload::Icmp { kind, code } = packet.payload
            && if v6 { matches!(kind, 1..=3 | 133..=136) } else { matches!((kind, code), (3, 4) | (11, _)) }
        {
            return Verdict::Accept;
        }
        if let Some(verdict) = self.by_rules("node", packet) {
            return verdict;
        }
        if (anybody || managed) && tcp(packet).is_some_and(|port| port == self.ssh || port == 8006) {
            return Verdict::Accept;
        }
        let is_ping =
            matches!(packet.payload, Payload::Icmp { kind, .. } if kind == if v6 { 128 } else { 8 });
        let may_ping = match self.ping {
            "any" => true,
            "management" => anybody || managed,
            _ => false,
        };
        if is_ping && may_ping || self.is_served(packet, packet.source) {
            return Verdict::Accept;
        }
        if let Some(verdict) = self.by_rules("datacenter", packet) {
            return verdict;
        }
        if managed && tcp(packet).is_some_and(|port| holds(&CONSOLES, port)) {
            return Verdict::Accept;
        }
        Verdict::Drop
    }

    /// The services, between the node and those who use them; nodes of a cluster also log in to each other and pass on
    /// requests, where they are not let in as management anyway.
    fn is_served(&self, packet: &Packet<'_>, other: IpAddr) -> bool {
        let own = !self.services_from.is_empty();
        let peer = if own {
            inside(&self.services_from, other)
        } else {
            self.management.is_none() || self.manages(other)
        };
        let open = |service: &&str| {
            let (tcp_ports, udp_ports) = ports(service);
            let between = match *service {
                "cluster" => tcp(packet).is_some_and(|port| port == self.ssh || port == 8006),
                "migration" => tcp(packet) == Some(self.ssh),
                _ => false,
            };
            tcp(packet).is_some_and(|port| holds(tcp_ports, port))
                || udp(packet).is_some_and(|port| holds(udp_ports, port))
                || between && (own || packet.way == Way::Out)
        };
        peer && self.services.iter().any(open)
    }

    fn by_rules(&self, scope: &str, packet: &Packet<'_>) -> Option<Verdict> {
        let fits = |rule: &&Rule| {
            let from = match rule.from {
                "management" => self.management.is_none() || self.manages(packet.source),
                name => SETS.iter().any(|(set, networks)| *set == name && inside(networks, packet.source)),
            };
            let port = if rule.protocol == "tcp" { tcp(packet) } else { udp(packet) };
            rule.enabled && rule.scope == scope && from && port.is_some_and(|port| holds(&[rule.ports], port))
        };
        self.rules.iter().find(fits).map(|rule| match rule.action {
            "accept" => Verdict::Accept,
            "drop" => Verdict::Drop,
            _ => Verdict::Reject,
        })
    }

    fn outgoing(&self, packet: &Packet<'_>) -> Verdict {
        let both = |port: u16| port == 53;
        let tcp_out = |port: u16| matches!(port, 80 | 443 | 587) || both(port);
        let udp_out = |port: u16| port == 123 || both(port);
        let known = !self.drop_outgoing
            || tcp(packet).is_some_and(tcp_out)
            || udp(packet).is_some_and(udp_out)
            || self.is_served(packet, packet.destination);
        // PVE's own, for proxies and migration among the nodes of one network.
        let local = match (self.narrow, &self.management) {
            (false, _) => inside(&[LAN], packet.destination),
            (true, Some(networks)) => {
                networks.first().is_some_and(|first| inside(&[first], packet.destination))
            }
            (true, None) => false,
        };
        let nodes = local && tcp(packet).is_some_and(|port| holds(&CONSOLES[..4], port));
        if known || nodes { Verdict::Accept } else { Verdict::Drop }
    }
}

/// An admin who needs no package.
const HEAD: &str = "\
[firstlight]
schema = 1

[firstlight.admin]
name = \"ops\"
ssh-keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICSRnhZczuItvkC4OIHjiTlZfkL7tay9kjZQKYGK4cdl ops@example\"]
password-hash = \"$6$firstlight$G6pzGlbe2DHaJ9nXUz3TsTvwUh4pHKutBxYJbNr/rcgbI2F8eFxh1aGFuRz1emV0Wg37j9AawkTVMO7wPTQ.N/\"
";
