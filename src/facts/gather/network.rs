//! Addresses, gateways, forwarding and live SSH peers. The formats of `/proc/net` are those of proc_net(5).

use super::{output, text};
use crate::facts::{Facts, Socket};
use crate::json::Value;
use crate::node::Node;
use crate::profile::Network;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const IP_PROGRAM: &str = "/usr/sbin/ip";
const ROUTE4_PATH: &str = "/proc/net/route";
const ROUTE6_PATH: &str = "/proc/net/ipv6_route";
const TCP4_PATH: &str = "/proc/net/tcp";
const TCP6_PATH: &str = "/proc/net/tcp6";
const FORWARD_PATHS: [&str; 2] = ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"];
const SSH_PORT: u16 = 22;
/// `TCP_ESTABLISHED` of the kernel's `include/net/tcp_states.h`.
const ESTABLISHED: &str = "01";
/// `TCP_LISTEN`, there too.
const LISTENING: &str = "0A";
/// `RTF_GATEWAY` of the kernel's `linux/route.h`.
const GATEWAY_FLAG: u32 = 2;

pub(super) fn gather(node: &dyn Node, facts: &mut Facts) {
    facts.addresses = addresses(&output(node, IP_PROGRAM, &["-j", "address"]));
    facts.gateways = gateways4(&text(node, ROUTE4_PATH));
    facts.gateways.extend(gateways6(&text(node, ROUTE6_PATH)));
    facts.forwards = FORWARD_PATHS.iter().any(|path| text(node, path).trim() == "1");
    let mut ports: Vec<u16> = facts.sshd_values("port").iter().filter_map(|port| port.parse().ok()).collect();
    if ports.is_empty() {
        ports.push(SSH_PORT);
    }
    let mut peers = peers(&sockets(node), &ports);
    peers.retain(|peer| !facts.addresses.iter().any(|(own, _)| own == peer));
    peers.sort_unstable();
    peers.dedup();
    facts.ssh_peers = peers;
}

/// `ip -j address`: addresses of global scope; loopback and link-local are left out by their numbers.
fn addresses(json: &str) -> Vec<(IpAddr, Network)> {
    let Some(links) = Value::read(json) else { return Vec::new() };
    let mut found = Vec::new();
    for link in links.list() {
        for entry in link.get("addr_info").map(Value::list).unwrap_or_default() {
            let address = entry.get("local").and_then(|local| local.text()?.parse::<IpAddr>().ok());
            let prefix = entry.get("prefixlen").and_then(|prefix| u8::try_from(prefix.number()?).ok());
            if let (Some(address), Some(prefix)) = (address, prefix)
                && reaches_beyond_the_link(address)
            {
                found.push((address, Network::containing(address, prefix)));
            }
        }
    }
    found
}

fn reaches_beyond_the_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

fn gateways4(routes: &str) -> Vec<IpAddr> {
    let mut gateways = Vec::new();
    for line in routes.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[_, target, gateway, flags, _, _, _, mask, ..] = fields.as_slice() else { continue };
        let flags = u32::from_str_radix(flags, 16).unwrap_or(0);
        if target == "00000000" && mask == "00000000" && flags & GATEWAY_FLAG != 0 {
            gateways.extend(hex_address(gateway));
        }
    }
    gateways
}

fn gateways6(routes: &str) -> Vec<IpAddr> {
    let mut gateways = Vec::new();
    for line in routes.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[target, prefix, _, _, gateway, ..] = fields.as_slice() else { continue };
        if prefix == "00" && is_zero(target) && !is_zero(gateway) {
            // Unlike the socket table, this one writes the address in network order.
            gateways.extend(u128::from_str_radix(gateway, 16).map(|bits| IpAddr::V6(Ipv6Addr::from(bits))));
        }
    }
    gateways
}

fn is_zero(hex: &str) -> bool {
    hex.bytes().all(|digit| digit == b'0')
}

/// Every TCP socket of the node.
pub(crate) fn sockets(node: &dyn Node) -> Vec<Socket> {
    let mut sockets = parse(&text(node, TCP4_PATH));
    sockets.extend(parse(&text(node, TCP6_PATH)));
    sockets
}

fn parse(table: &str) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[_, local, remote, state, ..] = fields.as_slice() else { continue };
        if let (Some(local), Some(remote)) = (end(local), end(remote)) {
            sockets.push(Socket { local, remote, listens: state == LISTENING, live: state == ESTABLISHED });
        }
    }
    sockets
}

fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    Some((hex_address(address)?, u16::from_str_radix(port, 16).ok()?))
}

/// Remote ends of established connections to one of `ports`.
fn peers(sockets: &[Socket], ports: &[u16]) -> Vec<IpAddr> {
    let to_us =
        |socket: &&Socket| socket.live && ports.contains(&socket.local.1) && !socket.remote.0.is_loopback();
    sockets.iter().filter(to_us).map(|socket| socket.remote.0).collect()
}

/// The kernel prints each 32-bit word of an address in host order, which is little endian on amd64 and arm64.
fn hex_address(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for place in (0..hex.len()).step_by(8) {
        let word = u32::from_str_radix(hex.get(place..place + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?))),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_loopback_addresses_are_left_out() {
        let json = r#"[{"ifname":"lo","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]},
            {"ifname":"vmbr0","addr_info":[{"family":"inet","local":"10.0.20.5","prefixlen":24,"scope":"global"},
            {"family":"inet6","local":"fe80::1","prefixlen":64},{"local":"fd00::5","prefixlen":64}]}]"#;
        let found: Vec<String> = addresses(json).iter().map(|(own, net)| format!("{own} in {net}")).collect();
        assert_eq!(found, ["10.0.20.5 in 10.0.20.0/24", "fd00::5 in fd00::/64"]);
        assert!(addresses("").is_empty());
    }

    #[test]
    fn gateways_are_those_of_default_routes() {
        let routes = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            vmbr0\t00000000\t0114000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            vmbr0\t0014000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(gateways4(routes), ["10.0.20.1".parse::<IpAddr>().unwrap()]);
        let routes6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
            fe800000000000000000000000000001 00000400 00000001 00000000 00000003 vmbr0\n\
            00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
            00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo\n";
        assert_eq!(gateways6(routes6), ["fe80::1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn live_peers_are_established_connections_to_sshd_only() {
        let table = "  sl  local_address rem_address   st\n\
            0: 0514000A:0016 4D14000A:C001 01 0:0 00:0 0 0 0 1\n\
            1: 00000000:0016 00000000:0000 0A 0:0 00:0 0 0 0 1\n\
            2: 0514000A:C002 0900000A:0016 01 0:0 00:0 0 0 0 1\n\
            3: 0100007F:0016 0100007F:C001 01 0:0 00:0 0 0 0 1\n";
        assert_eq!(peers(&parse(table), &[22]), ["10.0.20.77".parse::<IpAddr>().unwrap()]);
        let mapped =
            "h\n0: 0000000000000000FFFF00000514000A:0016 0000000000000000FFFF00004D14000A:C001 01 0:0\n";
        assert_eq!(peers(&parse(mapped), &[22]), ["10.0.20.77".parse::<IpAddr>().unwrap()]);
    }
}
