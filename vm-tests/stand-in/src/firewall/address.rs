//! Addresses as the firewall's configuration writes them: what counts as one, with the messages of the Perl modules
//! PVE reads them with (transcripts 31, 32, 33, 34).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The message for a text that is neither an address nor a network.
pub const NOT_AN_ADDRESS: &str = "value does not look like a valid IP address or CIDR network";

/// The version of the internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The number PVE prints for it.
    pub fn number(self) -> u8 {
        match self {
            Family::V4 => 4,
            Family::V6 => 6,
        }
    }

    fn bits(self) -> u32 {
        match self {
            Family::V4 => 32,
            Family::V6 => 128,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// An address in the strict spelling PVE's patterns ask for: four numbers without leading zeros, or IPv6.
pub fn strict(text: &str) -> Option<IpAddr> {
    text.parse::<Ipv4Addr>().map(IpAddr::V4).or_else(|_| text.parse::<Ipv6Addr>().map(IpAddr::V6)).ok()
}

/// Address and digits of the prefix of a text that looks like an address or a network. The prefix may be too long:
/// the pattern does not look at its value.
fn literal(text: &str) -> Option<(IpAddr, Option<&str>)> {
    match text.split_once('/') {
        None => Some((strict(text)?, None)),
        Some((address, prefix)) => {
            let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
            digits.then_some((strict(address)?, Some(prefix)))
        }
    }
}

/// An address or network as a configuration file gives it, without the prefix of a single address. `10.0.0.0/33`
/// passes: a trap of the real thing (pve-observed 3.7).
pub fn parse_network(text: &str) -> Result<(String, Family), &'static str> {
    let (address, _) = literal(text).ok_or(NOT_AN_ADDRESS)?;
    let family = family_of(address);
    let single = match family {
        Family::V4 => "/32",
        Family::V6 => "/128",
    };
    Ok((text.strip_suffix(single).unwrap_or(text).to_owned(), family))
}

/// A parameter of the API that must be an address or network; host bits are allowed.
pub fn verify_network(text: &str) -> Result<(), String> {
    literal(text).ok_or_else(|| NOT_AN_ADDRESS.to_owned())?;
    net_ip(&without_host_bits(text)).map(drop)
}

/// The network with its host bits cleared; a text without prefix, or with the prefix 0, as it is.
pub fn without_host_bits(text: &str) -> String {
    let Some((address, Some(digits))) = literal(text) else {
        return text.to_owned();
    };
    let Ok(length) = digits.parse::<u32>() else {
        return text.to_owned();
    };
    if length == 0 {
        return text.to_owned();
    }
    format!("{}/{digits}", masked(address, length))
}

/// The address with everything behind `length` bits cleared.
pub fn masked(address: IpAddr, length: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from(
            u32::from(v4) & u32::MAX.checked_shl(32_u32.saturating_sub(length)).unwrap_or(0),
        )),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(
            u128::from(v6) & u128::MAX.checked_shl(128_u32.saturating_sub(length)).unwrap_or(0),
        )),
    }
}

/// An IPv6 network in the shortest spelling, an IPv4 one without `/32`: how a set's members are compared and written.
pub fn compressed(network: &str) -> String {
    let (text, prefix) = match network.split_once('/') {
        Some((text, prefix)) => (text, Some(prefix)),
        None => (network, None),
    };
    let address = strict(text).map_or_else(|| text.to_owned(), |address| address.to_string());
    match prefix {
        None => address,
        Some("32") if !address.contains(':') => address,
        Some("128") if address.contains(':') => address,
        Some(prefix) => format!("{address}/{prefix}"),
    }
}

/// One address, network or range as PVE's rules read it (Perl's Net::IP): its family, or that module's message.
pub fn net_ip(text: &str) -> Result<Family, String> {
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (first.trim(), last.trim());
        let (low, high) = (lenient(first)?, lenient(last)?);
        if family_of(low) != family_of(high) {
            return Err(format!("IP addresses of different type: {first} - {last}"));
        }
        if low > high {
            return Err(format!("Begin address is greater than End address {first} - {last}"));
        }
        return Ok(family_of(low));
    }
    let Some((address, digits)) = text.split_once('/') else {
        return Ok(family_of(lenient(text)?));
    };
    let address = lenient(address)?;
    let family = family_of(address);
    let Ok(length) = digits.parse::<u32>() else {
        return Err(format!("Invalid prefix length /{digits}"));
    };
    if length > family.bits() {
        return Err(format!("Prefix length {length} is longer than IP address ({})", family.bits()));
    }
    if masked(address, length) != address {
        return Err(format!("Invalid prefix {}/{length}", binary(address)));
    }
    Ok(family)
}

fn binary(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("{:032b}", u32::from(v4)),
        IpAddr::V6(v6) => format!("{:0128b}", u128::from(v6)),
    }
}

/// An address where IPv4 may be shortened (`10.0`), with the messages for what is not one.
fn lenient(text: &str) -> Result<IpAddr, String> {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| format!("Invalid IP address {text}"));
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(format!("Invalid chars in IP {text}"));
    }
    if text.starts_with('.') {
        return Err(format!("Invalid IP {text} - starts with a dot"));
    }
    if text.ends_with('.') {
        return Err(format!("Invalid IP {text} - ends with a dot"));
    }
    if text.contains("..") {
        return Err(format!("Empty quad in IP address {text}"));
    }
    let mut octets = [0_u8; 4];
    let mut quads = text.split('.');
    for octet in &mut octets {
        let Some(quad) = quads.next() else { break };
        *octet = quad.parse().map_err(|_| format!("Invalid quad in IP address {text} - {quad}"))?;
    }
    if quads.next().is_some() {
        return Err(format!("Invalid IP address {text}"));
    }
    Ok(IpAddr::V4(Ipv4Addr::from(octets)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_a_file_lose_the_prefix_of_a_single_address_and_may_be_impossible() {
        assert_eq!(parse_network("10.2.2.2/32"), Ok(("10.2.2.2".to_owned(), Family::V4)));
        assert_eq!(parse_network("fd00::1/128"), Ok(("fd00::1".to_owned(), Family::V6)));
        assert_eq!(parse_network("10.0.0.0/33"), Ok(("10.0.0.0/33".to_owned(), Family::V4)));
        for text in
            ["10.0.0.300", "192.168.010.1", "10.0.0.1-10.0.0.9", " 10.1.1.1", "", "10.0.0.0/255.0.0.0"]
        {
            assert_eq!(parse_network(text), Err(NOT_AN_ADDRESS), "{text}");
        }
    }

    #[test]
    fn the_api_masks_host_bits_but_rules_refuse_them() {
        assert_eq!(without_host_bits("192.168.10.7/24"), "192.168.10.0/24");
        assert_eq!(without_host_bits("fd00:10::5/64"), "fd00:10::/64");
        assert_eq!(without_host_bits("0.0.0.0/0"), "0.0.0.0/0");
        assert!(verify_network("10.0.0.0/33").unwrap_err().starts_with("Prefix length 33"));
        assert_eq!(net_ip("10.0.0.5/24").unwrap_err(), "Invalid prefix 00001010000000000000000000000101/24");
        assert_eq!(net_ip("10.0.0.1-10.0.0.9"), Ok(Family::V4));
        assert!(net_ip("10.0.0.9-10.0.0.1").is_err());
        assert_eq!(net_ip("+ok").unwrap_err(), "Invalid chars in IP +ok");
    }
}
