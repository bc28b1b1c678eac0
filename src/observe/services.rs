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
        let clients = self.text(CLIENT_PORTS_PATH)?.trim().replace(['\t', ' '], ":");
        let allowed = [allowed, " udp/", &clients].concat();
        let mut found = String::new();
        for (protocol, table) in [("tcp", sockets(self.node)), ("udp", udp_sockets(self.node))] {
            for socket in table.iter().filter(|socket| is_open(socket)) {
                let name = [protocol, "/", &socket.local.1.to_string(), ", "].concat();
                if !allowed.split(' ').any(|ports| has(ports, protocol, socket.local.1))
                    && !found.contains(&name)
                {
                    found.push_str(&name);
                }
            }
        }
        Ok(Verdict::of(found.is_empty(), || {
            found + "which nobody named, listens (`ss -lntup` says who that is)"
        }))
    }
}

/// `tcp/22`, `tcp/8006,5900:5999`.
fn has(ports: &str, protocol: &str, port: u16) -> bool {
    let Some(ports) = ports.strip_prefix(protocol) else { return false };
    ports.trim_start_matches('/').split(',').any(|range| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        let number = |text: &str| text.parse().unwrap_or(0);
        (number(first)..=number(last)).contains(&port)
    })
}

fn is_open(socket: &Socket) -> bool {
    socket.listens && !socket.local.0.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests;
