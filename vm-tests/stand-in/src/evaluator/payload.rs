//! What a rule wants a packet to carry: protocol and ports, ICMP, macros.

use std::collections::BTreeMap;

use super::network::Family;

/// Ports as lists of ranges; an empty list is every port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports(Vec<(u16, u16)>);

impl Ports {
    fn read(text: &str) -> Option<Self> {
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let (low, high) = part.split_once(':').unwrap_or((part, part));
            let service = |name: &str| match name {
                "ssh" => Some(22),
                "http" => Some(80),
                "https" => Some(443),
                digits => digits.parse().ok(),
            };
            ranges.push((service(low)?, service(high)?));
        }
        let numbers: usize = text.split(',').map(|part| 1 + usize::from(part.contains(':'))).sum();
        let sound = numbers <= 15 && ranges.iter().all(|(low, high)| low <= high);
        // A lone 0 is no port at all to the real tool: the rule matches every one.
        sound.then(|| if text == "0" { Self::default() } else { Self(ranges) })
    }

    /// Whether a port is one of these.
    pub fn contains(&self, port: u16) -> bool {
        self.0.is_empty() || self.0.iter().any(|(low, high)| (*low..=*high).contains(&port))
    }
}

/// Type and perhaps code of ICMP.
pub type IcmpKind = Option<(u8, Option<u8>)>;

/// What a packet must carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matcher {
    /// Whatever it likes.
    Any,
    /// TCP from and to these ports.
    Tcp(Ports, Ports),
    /// UDP from and to these ports.
    Udp(Ports, Ports),
    /// An echo request of either family.
    Ping,
    /// ICMP of IPv4.
    Icmp(IcmpKind),
    /// ICMP of IPv6.
    Icmp6(IcmpKind),
    /// Another protocol.
    Number(u8),
}

/// What of a macro or of protocol and ports must be carried, and the family that follows from it.
pub fn payloads(
    name: Option<&str>,
    options: &BTreeMap<&str, &str>,
) -> Option<(Vec<Matcher>, Option<Family>)> {
    if let Some(name) = name {
        // The real tool takes what repeats the macro; nobody writes that, and here it is not understood.
        let own =
            ["p", "proto", "dport", "sport", "icmp-type"].iter().any(|option| options.contains_key(option));
        return if own { None } else { Some((of_macro(name)?, None)) };
    }
    let ports = |option: &str| match options.get(option) {
        None => Some(Ports::default()),
        Some(text) => Ports::read(text),
    };
    let protocol = options.get("p").or_else(|| options.get("proto")).copied();
    let (from, to) = match protocol {
        Some("icmp" | "icmpv6" | "ipv6-icmp") => (Ports::default(), Ports::default()),
        _ => (ports("sport")?, ports("dport")?),
    };
    let given = options.contains_key("sport") || options.contains_key("dport");
    let kind = options.get("icmp-type").or_else(|| options.get("dport")).copied();
    match protocol {
        None => (!given && !options.contains_key("icmp-type")).then_some((vec![Matcher::Any], None)),
        Some("tcp" | "6") => Some((vec![Matcher::Tcp(from, to)], None)),
        Some("udp" | "17") => Some((vec![Matcher::Udp(from, to)], None)),
        Some("icmp") => Some((vec![Matcher::Icmp(icmp(kind)?)], Some(Family::V4))),
        Some("icmpv6" | "ipv6-icmp") => Some((vec![Matcher::Icmp6(icmp6(kind)?)], Some(Family::V6))),
        Some("gre" | "47") => (!given).then_some((vec![Matcher::Number(47)], None)),
        Some("esp" | "50") => (!given).then_some((vec![Matcher::Number(50)], None)),
        Some(_) => None,
    }
}

fn icmp(name: Option<&str>) -> Option<IcmpKind> {
    Some(match name {
        None | Some("any") => None,
        Some("echo-request" | "8") => Some((8, None)),
        Some("echo-reply" | "0") => Some((0, None)),
        Some("destination-unreachable" | "3") => Some((3, None)),
        Some("fragmentation-needed") => Some((3, Some(4))),
        Some("time-exceeded" | "11") => Some((11, None)),
        Some(_) => return None,
    })
}

fn icmp6(name: Option<&str>) -> Option<IcmpKind> {
    Some(match name {
        None => None,
        Some("echo-request") => Some((128, None)),
        Some("echo-reply") => Some((129, None)),
        Some("packet-too-big") => Some((2, None)),
        Some("neighbour-solicitation" | "neighbor-solicitation") => Some((135, None)),
        Some(_) => return None,
    })
}

/// The macros somebody is likely to write for a node.
fn of_macro(name: &str) -> Option<Vec<Matcher>> {
    let tcp = |low, high| Matcher::Tcp(Ports::default(), Ports(vec![(low, high)]));
    let udp = |low, high| Matcher::Udp(Ports::default(), Ports(vec![(low, high)]));
    Some(match name.to_lowercase().as_str() {
        "ping" => vec![Matcher::Ping],
        "ssh" => vec![tcp(22, 22)],
        "http" => vec![tcp(80, 80)],
        "https" => vec![tcp(443, 443)],
        "web" => vec![tcp(80, 80), tcp(443, 443)],
        "dns" => vec![udp(53, 53), tcp(53, 53)],
        "ntp" => vec![udp(123, 123)],
        "smtp" => vec![tcp(25, 25)],
        "spiceproxy" | "squid" => vec![tcp(3128, 3128)],
        "vnc" => vec![tcp(5900, 5999)],
        "pmg" => vec![tcp(8006, 8006)],
        "ceph" => vec![tcp(6789, 6789), tcp(3300, 3300), tcp(6800, 7300)],
        "snmp" => vec![udp(161, 162), tcp(161, 161)],
        "syslog" => vec![udp(514, 514), tcp(514, 514)],
        _ => return None,
    })
}
