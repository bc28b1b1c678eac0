//! How networks lie to each other.

use crate::profile::Network;

/// Whether every address of `inner` lies in `outer`.
pub fn covers(outer: &Network, inner: &Network) -> bool {
    inner.prefix() >= outer.prefix() && outer.contains(inner.address())
}

/// Whether the two share an address.
pub fn overlaps(one: &Network, other: &Network) -> bool {
    covers(one, other) || covers(other, one)
}

/// Without a prefix where it says nothing: `10.0.0.9` for a host, as UFW shows it.
pub fn short(network: &Network) -> String {
    let host = if network.address().is_ipv4() { 32 } else { 128 };
    if network.prefix() == host { network.address().to_string() } else { network.to_string() }
}
