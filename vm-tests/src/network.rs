//! Three network namespaces: the node's wires, a management host and an outsider.
//!
//! The host's own network is not touched: every link is made inside a namespace.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use crate::command::{command, output};

/// Prefix of our namespaces; the number of the process that owns them follows.
const PREFIX: &str = "firstlight-";
/// A dropped packet gets no answer; emulated guests are slow to give the answers they do give.
const SILENCE: Duration = Duration::from_secs(4);

/// Who knocks at the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The management host, 10.0.20.5, in the node's management network.
    Management,
    /// The outsider, 203.0.113.5, in the other network.
    Outsider,
}

impl Side {
    /// The node's address on this side.
    pub fn node_address(self) -> &'static str {
        match self {
            Self::Management => "10.0.20.10",
            Self::Outsider => "203.0.113.10",
        }
    }

    fn host_address(self) -> &'static str {
        match self {
            Self::Management => "10.0.20.5/24",
            Self::Outsider => "203.0.113.5/24",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Management => "management",
            Self::Outsider => "outsider",
        }
    }

    /// The tap device QEMU uses for the node's card on this side.
    pub fn tap(self) -> &'static str {
        match self {
            Self::Management => "tap0",
            Self::Outsider => "tap1",
        }
    }

    fn bridge(self) -> &'static str {
        match self {
            Self::Management => "br0",
            Self::Outsider => "br1",
        }
    }

    fn mac(self) -> &'static str {
        match self {
            Self::Management => "02:00:0a:00:14:05",
            Self::Outsider => "02:00:cb:00:71:05",
        }
    }
}

/// What a knock at a port brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A connection.
    Open,
    /// A refusal: the packet came through, nobody listens, or a rule rejects.
    Refused,
    /// Nothing.
    Silent,
}

/// The wires of one node; its namespaces vanish with it.
pub struct Network {
    prefix: String,
}

impl Network {
    /// Makes the namespaces; the label is the node's alone in this process.
    pub fn create(label: &str) -> Result<Self> {
        let network = Self { prefix: format!("{PREFIX}{}-{label}", std::process::id()) };
        network.build().context("making the network namespaces")?;
        Ok(network)
    }

    fn build(&self) -> Result<()> {
        let node = self.node_namespace();
        ip(&["netns", "add", &node])?;
        for side in [Side::Management, Side::Outsider] {
            let peer = self.namespace(side);
            let (bridge, tap, inner) = (side.bridge(), side.tap(), format!("veth{}", side.bridge()));
            ip(&["netns", "add", &peer])?;
            ip(&["-n", &peer, "link", "set", "lo", "up"])?;
            ip(&[
                "-n",
                &node,
                "link",
                "add",
                bridge,
                "type",
                "bridge",
                "forward_delay",
                "0",
                "stp_state",
                "0",
            ])?;
            ip(&[
                "-n", &node, "link", "add", &inner, "type", "veth", "peer", "name", "eth0", "netns", &peer,
            ])?;
            ip(&["-n", &node, "tuntap", "add", "dev", tap, "mode", "tap"])?;
            for port in [inner.as_str(), tap] {
                ip(&["-n", &node, "link", "set", port, "master", bridge, "up"])?;
            }
            ip(&["-n", &node, "link", "set", bridge, "up"])?;
            ip(&["-n", &peer, "link", "set", "eth0", "address", side.mac(), "up"])?;
            ip(&["-n", &peer, "address", "add", side.host_address(), "dev", "eth0"])?;
        }
        Ok(())
    }

    /// The namespace QEMU runs in.
    pub fn node_namespace(&self) -> String {
        format!("{}-node", self.prefix)
    }

    /// The namespace of a host that knocks.
    pub fn namespace(&self, side: Side) -> String {
        format!("{}-{}", self.prefix, side.name())
    }

    /// A program of the host, run on that side.
    pub fn command(&self, side: Side, program: &str) -> Command {
        command("ip", ["netns", "exec", &self.namespace(side), program])
    }

    /// Knocks at a port of the node.
    pub fn probe(&self, side: Side, port: u16) -> Result<Reach> {
        self.knock(&[(side, side.node_address(), port)])?.first().copied().context("nobody knocked")
    }

    /// Knocks at many ports at once, each from a side and at an address.
    pub fn knock(&self, knocks: &[(Side, &str, u16)]) -> Result<Vec<Reach>> {
        let mut threads = Vec::new();
        for (side, address, port) in knocks {
            let namespace = Path::new("/run/netns").join(self.namespace(*side));
            let address: SocketAddr = (address.parse::<IpAddr>()?, *port).into();
            // A thread of its own: entering a namespace is for the rest of a thread's life.
            threads.push(std::thread::spawn(move || knock(&namespace, &address)));
        }
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("the probing thread died"))?)
            .collect()
    }

    /// Gives the host of a side one more address.
    pub fn add_address(&self, side: Side, address: &str) -> Result<()> {
        ip(&["-n", &self.namespace(side), "address", "replace", address, "dev", "eth0", "nodad"])
    }
}

fn knock(namespace: &Path, address: &SocketAddr) -> Result<Reach> {
    let file = fs::File::open(namespace).context("opening a network namespace")?;
    setns(file, CloneFlags::CLONE_NEWNET).context("entering a network namespace")?;
    match TcpStream::connect_timeout(address, SILENCE) {
        Ok(_) => Ok(Reach::Open),
        Err(error) => match error.kind() {
            ErrorKind::ConnectionRefused => Ok(Reach::Refused),
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Ok(Reach::Silent),
            // The outcome of an ICMP rejection, or of a node that is not there at all.
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Ok(Reach::Silent),
            _ => Err(error).with_context(|| format!("knocking at {address}")),
        },
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in [self.node_namespace(), self.namespace(Side::Management), self.namespace(Side::Outsider)]
        {
            // Nothing useful can be done about a failure here; the next start sweeps.
            let _ = ip(&["netns", "delete", &name]);
        }
    }
}

/// Removes every namespace of this process: for the end by a signal, which runs no `drop`.
pub fn remove_own() {
    let own = format!("{PREFIX}{}-", std::process::id());
    for name in names().unwrap_or_default() {
        if name.starts_with(&own) {
            let _ = ip(&["netns", "delete", &name]);
        }
    }
}

/// Removes the namespaces of dead processes.
pub fn sweep() -> Result<()> {
    for name in names()? {
        let owner = owner(&name);
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            // Another run may be sweeping, too: what matters is that it is gone.
            let removed = ip(&["netns", "delete", &name]);
            if names()?.contains(&name) {
                removed?;
            }
        }
    }
    Ok(())
}

fn names() -> Result<Vec<String>> {
    match fs::read_dir("/run/netns") {
        Ok(entries) => Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).context("reading /run/netns"),
    }
}

/// The process that made a namespace of ours.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

fn ip(arguments: &[&str]) -> Result<()> {
    output(&mut command("ip", arguments)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_namespaces_have_an_owner() {
        assert_eq!(owner("firstlight-4711-idle-node"), Some(4711));
        assert_eq!(owner("firstlight-x-node"), None);
        assert_eq!(owner("cni-4711"), None);
    }
}
