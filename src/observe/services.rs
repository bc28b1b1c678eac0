//! What listens, from the kernel's own tables of sockets.

use super::{Observer, Verdict};
use crate::error::Result;
use crate::facts::{Socket, postfix, sockets, udp_sockets};

const POSTCONF_PROGRAM: &str = "/usr/sbin/postconf";
const MAIL_PORT: u16 = 25;
/// Where the kernel takes the ports of those who ask others: a UDP socket there is most likely one of them.
const CLIENT_PORTS_PATH: &str = "/proc/sys/net/ipv4/ip_local_port_range";

impl Observer<'_> {
    pub(super) fn mail_on_loopback(&mut self) -> Result<Verdict> {
        // For the next start.
        let value = self.listing(POSTCONF_PROGRAM, &["-h", postfix::PARAMETER])?;
        if !postfix::is_loopback(value.trim()) {
            return Ok(Verdict::Fails(format!("{} is {}", postfix::PARAMETER, value.trim())));
        }
        let open =
            sockets(self.node).into_iter().find(|socket| is_open(socket) && socket.local.1 == MAIL_PORT);
        Ok(open.map_or(Verdict::Holds, |socket| {
            Verdict::Fails(format!("port {MAIL_PORT} is open on {}", socket.local.0.to_canonical()))
        }))
    }

    pub(super) fn listeners(&mut self, allowed: &str) -> Result<Verdict> {
        let range = self.text(CLIENT_PORTS_PATH)?;
        let clients = format!("udp/{}", range.trim().replace(['\t', ' '], ":"));
        let mut found = Vec::new();
        for protocol in ["tcp", "udp"] {
            let table = if protocol == "tcp" { sockets(self.node) } else { udp_sockets(self.node) };
            for port in table.iter().filter(|socket| is_open(socket)).map(|socket| socket.local.1) {
                let mut known = allowed.split(' ').chain([clients.as_str()]);
                let name = format!("{protocol}/{port}");
                if !known.any(|ports| has(ports, protocol, port)) && !found.contains(&name) {
                    found.push(name);
                }
            }
        }
        Ok(Verdict::of(found.is_empty(), || {
            format!("{} listens, too (`ss -lntup` says who that is)", found.join(", "))
        }))
    }
}

/// `tcp/22`, `tcp/5900:5999`.
fn has(ports: &str, protocol: &str, port: u16) -> bool {
    let Some(range) = ports.strip_prefix(protocol).and_then(|ports| ports.strip_prefix('/')) else {
        return false;
    };
    let (first, last) = range.split_once(':').unwrap_or((range, range));
    first.parse().is_ok_and(|first: u16| first <= port) && last.parse().is_ok_and(|last: u16| port <= last)
}

fn is_open(socket: &Socket) -> bool {
    socket.listens && !socket.local.0.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests;
