//! Names the firewall knows: services, protocols, ICMP types, log levels, and the port lists made of them.

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;

/// Log levels a rule or option may have.
pub const LOG_LEVELS: [&str; 9] =
    ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog"];

/// ICMP types by the names iptables has for them (`iptables -p icmp -h`).
pub const ICMP_TYPES: [&str; 37] = [
    "any",
    "echo-reply",
    "destination-unreachable",
    "network-unreachable",
    "host-unreachable",
    "protocol-unreachable",
    "port-unreachable",
    "fragmentation-needed",
    "source-route-failed",
    "network-unknown",
    "host-unknown",
    "network-prohibited",
    "host-prohibited",
    "TOS-network-unreachable",
    "TOS-host-unreachable",
    "communication-prohibited",
    "host-precedence-violation",
    "precedence-cutoff",
    "source-quench",
    "redirect",
    "network-redirect",
    "host-redirect",
    "TOS-network-redirect",
    "TOS-host-redirect",
    "echo-request",
    "router-advertisement",
    "router-solicitation",
    "time-exceeded",
    "ttl-zero-during-transit",
    "ttl-zero-during-reassembly",
    "parameter-problem",
    "ip-header-bad",
    "required-option-missing",
    "timestamp-request",
    "timestamp-reply",
    "address-mask-request",
    "address-mask-reply",
];

/// ICMPv6 types by the names ip6tables has for them.
pub const ICMPV6_TYPES: [&str; 25] = [
    "destination-unreachable",
    "no-route",
    "communication-prohibited",
    "beyond-scope",
    "address-unreachable",
    "port-unreachable",
    "failed-policy",
    "reject-route",
    "packet-too-big",
    "time-exceeded",
    "ttl-zero-during-transit",
    "ttl-zero-during-reassembly",
    "parameter-problem",
    "bad-header",
    "unknown-header-type",
    "unknown-option",
    "echo-request",
    "echo-reply",
    "router-solicitation",
    "router-advertisement",
    "neighbor-solicitation",
    "neighbour-solicitation",
    "neighbor-advertisement",
    "neighbour-advertisement",
    "redirect",
];

/// Whether ports can be given with this protocol.
pub fn has_ports(protocol: &str) -> bool {
    matches!(protocol, "udp" | "17" | "udplite" | "136" | "tcp" | "6" | "dccp" | "33" | "sctp" | "132")
}

/// Whether the protocol is one of the spellings of ICMP.
pub fn is_icmp(protocol: &str) -> bool {
    matches!(protocol, "icmp" | "icmpv6" | "ipv6-icmp")
}

/// A name as aliases, sets and groups have it: a letter, then at least one letter, digit, `-` or `_`.
pub fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && text.len() > 1
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

const COMMON_SERVICES: &str =
    "ssh 22/tcp\nsmtp 25/tcp\ndomain 53/udp\nhttp 80/tcp\nntp 123/udp\nhttps 443/tcp\n";
const COMMON_PROTOCOLS: &str = "icmp 1\nigmp 2\ntcp 6\nudp 17\ndccp 33\ngre 47\nesp 50\nah 51\nipv6-icmp 58\nospf 89\nsctp 132\nudplite 136\n";

/// The services and protocols of the node (`/etc/services`, `/etc/protocols`).
#[derive(Clone, Debug, Default)]
pub struct Names {
    services: BTreeSet<String>,
    protocols: BTreeSet<String>,
}

impl Names {
    /// Those of the machine, or a few common ones where it has no such files.
    pub fn of_the_machine() -> &'static Self {
        static NAMES: OnceLock<Names> = OnceLock::new();
        NAMES.get_or_init(|| {
            let text =
                |path: &str, common: &str| fs::read_to_string(path).unwrap_or_else(|_| common.to_owned());
            Self::parse(&text("/etc/services", COMMON_SERVICES), &text("/etc/protocols", COMMON_PROTOCOLS))
        })
    }

    /// The same from the texts of the two files.
    pub fn parse(services: &str, protocols: &str) -> Self {
        let mut names = Self::default();
        for line in services.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            if let (Some(name), Some(port)) = (words.next(), words.next())
                && ["/tcp", "/udp", "/sctp"].iter().any(|kind| port.ends_with(kind))
            {
                names.services.insert(name.to_owned());
            }
        }
        for line in protocols.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            if let (Some(name), Some(number)) = (words.next(), words.next())
                && number.bytes().all(|byte| byte.is_ascii_digit())
            {
                names.protocols.extend([name.to_owned(), number.to_owned()]);
            }
        }
        names.protocols.insert("icmpv6".to_owned());
        names
    }

    /// Refuses a protocol that `/etc/protocols` does not name.
    pub fn verify_protocol(&self, protocol: &str) -> Result<(), String> {
        if super::truthy(protocol) && !self.protocols.contains(protocol) {
            return Err(format!("unknown protocol '{protocol}'"));
        }
        Ok(())
    }

    /// Reads a list of ports; true if it has several entries. `icmp` allows the names of ICMP types, as a destination
    /// port once meant them.
    pub fn verify_ports(&self, list: &str, icmp: bool) -> Result<bool, String> {
        if list.is_empty() {
            return Ok(false);
        }
        if list.ends_with(',') {
            return Err("extraneous commas in list".to_owned());
        }
        let (mut count, mut icmp_name) = (0, false);
        for item in list.split(',') {
            if let Some((low, high)) = range(item) {
                count += 2;
                backwards(low, high)?;
            } else if !item.is_empty() && item.bytes().all(|byte| byte.is_ascii_digit()) {
                count += 1;
                port(item)?;
            } else if icmp && (ICMP_TYPES.contains(&item) || ICMPV6_TYPES.contains(&item)) {
                icmp_name = true;
            } else if !self.services.contains(item) {
                return Err(format!("invalid port '{item}'"));
            }
        }
        if icmp_name && count > 0 {
            return Err("ICMP ports not allowed in port range".to_owned());
        }
        if count > 15 {
            return Err("too many entries in port list (> 15 numbers)".to_owned());
        }
        Ok(list.contains(','))
    }
}

fn range(item: &str) -> Option<(&str, &str)> {
    let (low, high) = item.split_once(':')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(low) && digits(high)).then_some((low, high))
}

fn port(digits: &str) -> Result<u16, String> {
    digits.parse().map_err(|_| format!("invalid port '{digits}'"))
}

fn backwards(low: &str, high: &str) -> Result<(), String> {
    if port(low)? > port(high)? {
        return Err(format!("backwards range '{low}:{high}' not allowed, did you mean '{high}:{low}'?"));
    }
    Ok(())
}

/// A type of ICMP as the API takes it.
pub fn verify_icmp_type(name: &str) -> Result<(), String> {
    if name.is_empty() || ICMP_TYPES.contains(&name) || ICMPV6_TYPES.contains(&name) {
        return Ok(());
    }
    Err(format!("invalid icmp-type value '{name}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_ranges_and_services_and_at_most_fifteen_numbers() {
        let names = Names::parse("ssh 22/tcp # c\n#x 1/tcp\n", "tcp 6 TCP\n");
        assert_eq!(names.verify_ports("22", false), Ok(false));
        assert_eq!(names.verify_ports("22,80:90,ssh", false), Ok(true));
        assert_eq!(names.verify_ports("0", false), Ok(false));
        assert_eq!(names.verify_ports("22-25", false).unwrap_err(), "invalid port '22-25'");
        assert_eq!(names.verify_ports("70000", false).unwrap_err(), "invalid port '70000'");
        assert!(names.verify_ports("25:22", false).unwrap_err().contains("'22:25'"));
        assert!(names.verify_ports("1:2,3:4,5:6,7:8,9:10,11:12,13:14,15:16", false).is_err());
        assert_eq!(names.verify_ports("echo-request", true), Ok(false));
        assert!(names.verify_protocol("TCP").is_err());
        assert!(names.verify_protocol("6").is_ok());
    }
}
