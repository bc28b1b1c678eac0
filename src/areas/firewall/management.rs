//! Who reaches SSH and 8006.

use crate::areas::refusal;
use crate::control::Refusal;
use crate::facts::Facts;
use crate::facts::networks::overlaps;
use crate::profile::{Management, Network, Profile};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const KEY: &str = "firstlight.firewall.management";
/// Where a connection comes from when nothing is known about the network (RFC 5737).
const SOMEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

/// The management networks; empty for everybody.
pub(super) fn networks(profile: &Profile, facts: &Facts) -> Result<Vec<Network>, Refusal> {
    match &profile.firewall.management {
        Management::Any => Ok(Vec::new()),
        Management::Networks(networks) if networks.is_empty() => {
            Err(refusal(KEY, "must hold a network, or be [\"any\"]".to_owned()))
        }
        Management::Networks(networks) => Ok(networks.clone()),
        Management::Default => default(facts),
    }
}

/// The networks of the node's private addresses, and the live SSH peers outside them.
fn default(facts: &Facts) -> Result<Vec<Network>, Refusal> {
    if let Some((address, _)) = facts.addresses.iter().find(|(address, _)| is_global(*address)) {
        return Err(refusal(
            KEY,
            format!(
                "is required on a node with the public address {address}: the networks that may reach SSH and 8006, \
                 or [\"any\"]"
            ),
        ));
    }
    let mut networks: Vec<Network> = Vec::new();
    for (_, network) in facts.addresses.iter().filter(|(address, _)| is_private(*address)) {
        if !networks.contains(network) {
            networks.push(*network);
        }
    }
    add_peers(&mut networks, facts);
    if networks.is_empty() {
        return Err(refusal(KEY, "is required: this node has no private address to take it from".to_owned()));
    }
    Ok(networks)
}

/// Live SSH peers that are in none of them.
fn add_peers(networks: &mut Vec<Network>, facts: &Facts) {
    for peer in &facts.ssh_peers {
        let width = if peer.is_ipv4() { 32 } else { 128 };
        if !peer_is_link_local(*peer) && !networks.iter().any(|network| network.contains(*peer)) {
            networks.push(Network::containing(*peer, width));
        }
    }
}

/// What the wizard offers: what a silent answer means, or, where it must not be silent, those who are connected.
pub fn offered(facts: &Facts) -> Vec<Network> {
    default(facts).unwrap_or_else(|_| {
        let mut networks = Vec::new();
        add_peers(&mut networks, facts);
        networks
    })
}

/// A list that would shut out whoever is connected, or could only be reached from elsewhere (design 4).
pub(super) fn refused(profile: &Profile, facts: &Facts) -> Option<Refusal> {
    let Management::Networks(networks) = &profile.firewall.management else { return None };
    let has_peer = facts.ssh_peers.iter().any(|peer| networks.iter().any(|network| network.contains(*peer)));
    let near = gateway_networks(facts);
    let has_near = near.iter().any(|own| networks.iter().any(|network| overlaps(own, network)));
    if has_peer || has_near || profile.firewall.management_only_remote || networks.is_empty() {
        return None;
    }
    Some(refusal(
        KEY,
        "must hold the network of the node's gateway or a live SSH client; if the admins really are elsewhere only, \
         set management-only-remote = true"
            .to_owned(),
    ))
}

/// Networks that a gateway stands in; a node without any is reached from its own networks alone.
fn gateway_networks(facts: &Facts) -> Vec<Network> {
    let own = facts.addresses.iter().map(|(_, network)| *network);
    if facts.gateways.is_empty() {
        return own.collect();
    }
    let inside = |network: &Network| facts.gateways.iter().any(|gateway| network.contains(*gateway));
    let mut networks: Vec<Network> = own.filter(inside).collect();
    // A gateway beyond the node's own networks (hosters route a single address like that).
    for gateway in facts.gateways.iter().filter(|gateway| !peer_is_link_local(**gateway)) {
        networks.push(Network::containing(*gateway, if gateway.is_ipv4() { 32 } else { 128 }));
    }
    networks
}

/// An address that a management connection can come from: a live peer, a gateway, else any of the networks.
pub(crate) fn address(profile: &Profile, facts: &Facts) -> IpAddr {
    let networks = networks(profile, facts).unwrap_or_default();
    let allowed =
        |address: &&IpAddr| networks.is_empty() || networks.iter().any(|network| network.contains(**address));
    if let Some(known) = facts.ssh_peers.iter().chain(&facts.gateways).find(allowed) {
        return *known;
    }
    networks.first().map_or(SOMEWHERE, first_host)
}

fn first_host(network: &Network) -> IpAddr {
    match network.address() {
        IpAddr::V4(v4) if network.prefix() < 31 => Ipv4Addr::from(u32::from(v4).saturating_add(1)).into(),
        IpAddr::V6(v6) if network.prefix() < 127 => Ipv6Addr::from(u128::from(v6).saturating_add(1)).into(),
        single => single,
    }
}

/// RFC 1918 and unique local addresses (RFC 4193).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// Everything that is not known to be local counts as global; 100.64.0.0/10 (RFC 6598) is a carrier's or a VPN's.
fn is_global(address: IpAddr) -> bool {
    let shared = |v4: Ipv4Addr| matches!(v4.octets(), [100, second, _, _] if second & 0xc0 == 64);
    let local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_loopback() || shared(v4),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_loopback(),
    };
    !local && !is_private(address)
}

fn peer_is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}
