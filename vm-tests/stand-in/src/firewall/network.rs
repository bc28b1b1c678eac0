//! What the firewall knows of the node's own network: name, address, the network around it, the cluster's links.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::{Family, masked, strict};
use super::compile::{Corosync, Link};
use crate::context::Context;

/// The address PVE takes for the node: that of `.members`, else the first one its name stands for that is no loopback.
pub fn node_address(context: &Context) -> Option<IpAddr> {
    let node = context.node();
    let members = fs::read_to_string(context.path("/etc/pve/.members")).unwrap_or_default();
    let known = serde_json::from_str::<serde_json::Value>(&members)
        .ok()
        .and_then(|members| members.get("nodelist")?.get(node)?.get("ip")?.as_str().and_then(strict));
    known.or_else(|| {
        let hosts = fs::read_to_string(context.path("/etc/hosts")).unwrap_or_default();
        hosts
            .lines()
            .filter_map(|line| {
                let line = line.split('#').next().unwrap_or_default();
                let mut words = line.split_whitespace();
                let address = strict(words.next()?)?;
                words.any(|name| name == node).then_some(address)
            })
            .find(|address| !address.is_loopback())
    })
}

/// The network of the kernel's routes that the node's address lies in.
pub fn local_network(context: &Context) -> Option<String> {
    match node_address(context)? {
        IpAddr::V4(address) => {
            let routes = fs::read_to_string(context.path("/proc/net/route")).unwrap_or_default();
            routes.lines().skip(1).find_map(|line| route_v4(line, address))
        }
        IpAddr::V6(address) => {
            let routes = fs::read_to_string(context.path("/proc/net/ipv6_route")).unwrap_or_default();
            routes.lines().find_map(|line| route_v6(line, address))
        }
    }
}

fn route_v4(line: &str, address: Ipv4Addr) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |index: usize| u32::from_str_radix(words.get(index)?, 16).ok().map(u32::from_be);
    let (network, mask) = (number(1)?, number(7)?);
    let prefix = mask.leading_ones();
    let inside = mask != 0 && u32::from(address) & mask == network;
    inside.then(|| format!("{}/{prefix}", Ipv4Addr::from(network)))
}

fn route_v6(line: &str, address: Ipv6Addr) -> Option<String> {
    let mut words = line.split_whitespace();
    let network = Ipv6Addr::from(u128::from_str_radix(words.next()?, 16).ok()?);
    let prefix = u32::from_str_radix(words.next()?, 16).ok().filter(|prefix| *prefix > 0)?;
    let inside = masked(IpAddr::V6(address), prefix) == IpAddr::V6(network);
    inside.then(|| format!("{network}/{prefix}"))
}

/// The links of the cluster, if the node is in one.
pub fn corosync(context: &Context) -> Option<Corosync> {
    let text = fs::read_to_string(context.path("/etc/pve/corosync.conf")).ok()?;
    Some(parse_corosync(&text))
}

fn parse_corosync(text: &str) -> Corosync {
    let mut corosync = Corosync::default();
    let mut links: Vec<(String, String)> = Vec::new();
    let mut name = String::new();
    let mut in_node = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_suffix('{') {
            in_node = section.trim() == "node";
            continue;
        }
        if line == "}" {
            for (key, address) in links.drain(..) {
                let Some(parsed) = strict(&address) else { continue };
                let family = if parsed.is_ipv4() { Family::V4 } else { Family::V6 };
                corosync.links.push(Link { node: name.clone(), key, address, family });
            }
            in_node = false;
            continue;
        }
        let Some((key, value)) = line.split_once(':') else { continue };
        let (key, value) = (key.trim(), value.trim());
        match key {
            "transport" => corosync.multicast = value == "udp",
            "name" if in_node => value.clone_into(&mut name),
            _ if in_node && key.ends_with("_addr") => links.push((key.to_owned(), value.to_owned())),
            _ => {}
        }
    }
    corosync
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_route_around_the_address_is_the_local_network() {
        let line = "vmbr0\t000AA8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
        assert_eq!(route_v4(line, Ipv4Addr::new(192, 168, 10, 5)).as_deref(), Some("192.168.10.0/24"));
        assert_eq!(route_v4(line, Ipv4Addr::new(192, 168, 11, 5)), None);
        let default = "vmbr0\t00000000\t010AA8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0";
        assert_eq!(route_v4(default, Ipv4Addr::new(192, 168, 10, 5)), None);
    }

    #[test]
    fn the_links_of_a_cluster_are_read_from_corosync() {
        let text = "nodelist {\n  node {\n    name: a\n    ring0_addr: 10.0.0.1\n  }\n  node {\n    name: b\n    \
                    ring0_addr: 10.0.0.2\n  }\n}\ntotem {\n  transport: knet\n}\n";
        let corosync = parse_corosync(text);
        assert_eq!(corosync.links.len(), 2);
        assert!(!corosync.multicast);
    }
}
