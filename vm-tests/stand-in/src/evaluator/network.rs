//! Networks and sets of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Version of the internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Four bytes.
    V4,
    /// Sixteen bytes.
    V6,
}

/// An address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    length: u32,
    family: Family,
}

fn bits(address: IpAddr) -> (u128, Family) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, Family::V4),
        IpAddr::V6(v6) => (u128::from(v6), Family::V6),
    }
}

impl Network {
    /// Reads `ADDRESS` or `ADDRESS/LENGTH`; host bits do not matter.
    pub fn read(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address = match address.parse::<Ipv4Addr>() {
            Ok(v4) => IpAddr::V4(v4),
            Err(_) => IpAddr::V6(address.parse::<Ipv6Addr>().ok()?),
        };
        let (bits, family) = bits(address);
        let whole = if family == Family::V4 { 32 } else { 128 };
        let length = length.unwrap_or(whole);
        (length <= whole).then_some(Self { bits, length, family })
    }

    /// Its family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Whether bits behind the length are set.
    pub fn has_host_bits(&self) -> bool {
        self.bits.checked_shl(self.length).unwrap_or(0) != 0
    }

    /// Whether the address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (other, family) = bits(address);
        let differing = (self.bits ^ other).leading_zeros();
        family == self.family && differing >= self.length
    }
}

/// A set: the longest network that holds an address decides.
#[derive(Clone, Debug, Default)]
pub struct Set {
    members: Vec<(Network, bool)>,
}

impl Set {
    /// A further member; `false` for those the set is not to match.
    pub fn add(&mut self, network: Network, matches: bool) {
        self.members.push((network, matches));
    }

    /// Whether the set matches.
    pub fn contains(&self, address: IpAddr) -> bool {
        let holding = self.members.iter().filter(|(network, _)| network.contains(address));
        holding.max_by_key(|(network, _)| network.length).is_some_and(|(_, matches)| *matches)
    }
}
