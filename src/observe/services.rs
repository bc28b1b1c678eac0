//! What listens, from the kernel's own tables of sockets.

use super::{Observer, Verdict};
use crate::control::Ports;
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

    pub(super) fn listeners(&mut self, allowed: &[Ports]) -> Result<Verdict> {
        let range = self.text(CLIENT_PORTS_PATH)?;
        let mut ends = range.split_ascii_whitespace().filter_map(|word| word.parse::<u16>().ok());
        let clients = ends.next().zip(ends.next());
        let mut found = Vec::new();
        for udp in [false, true] {
            let table = if udp { udp_sockets(self.node) } else { sockets(self.node) };
            for port in table.iter().filter(|socket| is_open(socket)).map(|socket| socket.local.1) {
                let is_client = udp && clients.is_some_and(|(first, last)| (first..=last).contains(&port));
                let known = |ports: &Ports| ports.udp == udp && (ports.first..=ports.last).contains(&port);
                if !is_client && !allowed.iter().any(known) {
                    found.push((udp, port));
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        let name = |(udp, port): (bool, u16)| format!("{}/{port}", if udp { "udp" } else { "tcp" });
        let names: Vec<String> = found.into_iter().map(name).collect();
        Ok(Verdict::of(names.is_empty(), || {
            format!("{} listens, too (`ss -lntup` says who that is)", names.join(", "))
        }))
    }
}

fn is_open(socket: &Socket) -> bool {
    socket.listens && !socket.local.0.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests;
