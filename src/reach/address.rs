//! Which addresses the probe lends: inside the management networks one that nobody uses, outside one that nobody has.

use super::{Reach, Trial};
use crate::facts::networks::overlaps;
use crate::profile::Network;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses for documentation (RFC 5737, RFC 3849, RFC 9637): they belong to nobody.
const OUTSIDE4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(198, 51, 100, 77), Ipv4Addr::new(192, 0, 2, 77), Ipv4Addr::new(203, 0, 113, 77)];
const OUTSIDE6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77), Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0x77)];
/// How many addresses at either end of a network are looked at.
const REACH: u128 = 512;
/// More networks than these are not all tried: each costs a login.
const MOST: usize = 8;

/// Addresses that somebody uses.
pub(super) struct Taken {
    /// Remote ends of live connections.
    pub(super) peers: Vec<IpAddr>,
    /// What the node has spoken with on its own networks.
    pub(super) neighbours: Vec<IpAddr>,
}

/// Every connection to try, the outsiders of a family after its insiders: that those get in shows that the wires work.
pub(super) fn trials(reach: &Reach, taken: &Taken) -> Vec<Trial> {
    let mut trials = Vec::new();
    for network in inside(reach).into_iter().take(MOST) {
        let Some(from) = lend(&network, reach, taken) else { continue };
        if let Some(to) = ours(reach, from, true)
            && !trials.iter().any(|trial: &Trial| trial.from == from)
        {
            trials.push(Trial { from, to, inside: true });
        }
    }
    if let Some(open) = &reach.open {
        let outside4 = OUTSIDE4.iter().copied().map(IpAddr::V4).find(|from| is_outside(reach, open, *from));
        let outside6 = OUTSIDE6.iter().copied().map(IpAddr::V6).find(|from| is_outside(reach, open, *from));
        for from in outside4.into_iter().chain(outside6) {
            trials.extend(ours(reach, from, false).map(|to| Trial { from, to, inside: false }));
        }
    }
    trials
}

/// The management networks that none of the trials comes from, though the node has addresses of their family: more than
/// are tried, without an address to lend, or without a sshd that listens for them.
pub(super) fn untried(reach: &Reach, trials: &[Trial]) -> Vec<Network> {
    let family =
        |network: &Network| reach.own.iter().any(|(own, _)| own.is_ipv4() == network.address().is_ipv4());
    let tried = |network: &Network| trials.iter().any(|trial| trial.inside && network.contains(trial.from));
    reach.management.iter().filter(|network| family(network) && !tried(network)).copied().collect()
}

/// The management networks that can reach us at all; without any, the node's own network of each family.
fn inside(reach: &Reach) -> Vec<Network> {
    if !reach.management.is_empty() {
        return reach.management.clone();
    }
    let mut networks: Vec<Network> = Vec::new();
    for four in [true, false] {
        let near = reach.own.iter().filter(|(own, _)| own.is_ipv4() == four);
        networks.extend(
            near.min_by_key(|(_, network)| !has_gateway(reach, network)).map(|(_, network)| *network),
        );
    }
    networks
}

fn has_gateway(reach: &Reach, network: &Network) -> bool {
    reach.gateways.iter().any(|gateway| network.contains(*gateway))
}

/// The address of ours that `from` would speak to: on its own network, else on that of the gateway. With `ssh` it
/// must be one where sshd listens.
fn ours(reach: &Reach, from: IpAddr, ssh: bool) -> Option<IpAddr> {
    let fits = |own: &IpAddr| own.is_ipv4() == from.is_ipv4() && (!ssh || reach.listens.contains(own));
    let family = reach.own.iter().filter(|(own, _)| fits(own));
    let distance =
        |(_, network): &&(IpAddr, Network)| (!network.contains(from), !has_gateway(reach, network));
    family.min_by_key(distance).map(|(own, _)| *own)
}

fn is_outside(reach: &Reach, open: &[Network], from: IpAddr) -> bool {
    let own = reach.own.iter().map(|(_, network)| network);
    !open.iter().chain(&reach.management).chain(own).any(|network| network.contains(from))
}

/// An address of `network` that nobody uses; else that of a live peer, a neighbour, a gateway: its own packets take
/// their own way all the same. Never ours.
fn lend(network: &Network, reach: &Reach, taken: &Taken) -> Option<IpAddr> {
    let network = near(network, reach);
    let is_ours = |address: &IpAddr| reach.own.iter().any(|(own, _)| own == address);
    let used = |address: &IpAddr| {
        [&reach.gateways, &taken.peers, &taken.neighbours].iter().any(|known| known.contains(address))
    };
    let free = candidates(&network).find(|address| usable(*address) && !is_ours(address) && !used(address));
    let known = taken.peers.iter().chain(&taken.neighbours).chain(&reach.gateways);
    free.or_else(|| known.copied().find(|known| network.contains(*known) && !is_ours(known)))
}

/// The part of it that is on one of our own links, if there is one: there everything has a route.
fn near(network: &Network, reach: &Reach) -> Network {
    let own = reach.own.iter().map(|(_, own)| *own).filter(|own| overlaps(own, network));
    let narrower = own.map(|own| if own.prefix() > network.prefix() { own } else { *network });
    // A single address of ours has no neighbours.
    let single = |network: &Network| network.prefix() == if network.address().is_ipv4() { 32 } else { 128 };
    narrower
        .min_by_key(|near| (single(near), !has_gateway(reach, near)))
        .filter(|near| !single(near))
        .unwrap_or(*network)
}

/// From the last address down, then from the first one up; network and broadcast address left out.
fn candidates(network: &Network) -> impl Iterator<Item = IpAddr> + use<> {
    let (first, width) = match network.address() {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    let four = width == 32;
    let bits = width - u32::from(network.prefix());
    let last = first | 1_u128.checked_shl(bits).map_or(u128::MAX, |size| size - 1);
    let edge = u128::from(bits > 1);
    let (low, high) = (first + edge, last - edge);
    let count = (high - low).min(REACH);
    let down = (0..=count).map(move |step| high - step);
    let up = (0..=count).map(move |step| low + step);
    down.chain(up).map(move |bits| match u32::try_from(bits) {
        Ok(bits) if four => Ipv4Addr::from(bits).into(),
        _ => Ipv6Addr::from(bits).into(),
    })
}

/// Whether the kernel takes packets from there at all.
fn usable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !matches!(v4.octets(), [0 | 127 | 224.., ..] | [169, 254, ..]),
        IpAddr::V6(v6) => {
            !v6.is_loopback() && !v6.is_unspecified() && !v6.is_multicast() && !v6.is_unicast_link_local()
        }
    }
}
