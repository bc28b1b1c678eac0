//! Reachability, proved with new connections before the commit (design 4, "The probe").
//!
//! A throw-away network namespace is joined to the node by a routed pair of veth devices. It gets an address inside
//! the management networks, which must log in by SSH and reach the web interface, and one outside, which must not.
//! Its packets arrive like anybody's and pass the node's whole INPUT chain: our rules never match an interface. The
//! answers are steered back by a policy rule for the probe's own ports alone, so that a live session is not
//! disturbed, not even one from the very address that is lent.
//!
//! The login is a real one, with a throw-away key: a connection that does not authenticate would count against its
//! address (`PerSourcePenalties`, fail2ban), and would prove less.

mod address;
mod key;
mod knock;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

use crate::error::{Error, Result};
use crate::facts;
use crate::manifest::Scope;
use crate::node::{Invocation, Node, exists};
use crate::profile::Network;
use std::net::IpAddr;
use std::path::Path;

pub use key::forget;

const TOOLS: [&str; 5] =
    [wire::IP_PROGRAM, wire::SYSCTL_PROGRAM, knock::SSH_PROGRAM, key::KEYGEN_PROGRAM, knock::BASH_PROGRAM];

/// Who must be able to open new connections before a commit, and who must not.
#[derive(Clone)]
pub struct Reach {
    /// Who logs in.
    pub user: String,
    /// Where sshd listens.
    pub ssh: u16,
    /// More TCP ports, tried while something listens there.
    pub ports: Vec<u16>,
    /// The management networks; empty for everybody.
    pub management: Vec<Network>,
    /// Every network that may be let in beside them; `None` when nobody is shut out.
    pub open: Option<Vec<Network>>,
    /// Addresses of the node with their networks.
    pub own: Vec<(IpAddr, Network)>,
    /// Those of them where sshd listens.
    pub listens: Vec<IpAddr>,
    /// Default gateways.
    pub gateways: Vec<IpAddr>,
}

/// One address that connects to one of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Trial {
    from: IpAddr,
    to: IpAddr,
    inside: bool,
}

/// What is tried, decided before anything is touched.
pub struct Course {
    user: String,
    ssh: u16,
    /// Where something listens on the other ports.
    services: Vec<(IpAddr, u16)>,
    /// Other ports where nothing listens.
    silent: Vec<u16>,
    /// First of the source ports of the probe.
    source: u16,
    trials: Vec<Trial>,
    /// Management networks that no trial comes from.
    untried: Vec<Network>,
    keys: key::Keys,
}

/// What one connection brought.
#[cfg_attr(test, derive(Debug))]
pub struct Finding {
    /// `reach.ssh.from.10.0.20.254`.
    pub id: String,
    /// Whether it is as wanted.
    pub holds: bool,
    /// Otherwise: a sentence.
    pub message: String,
}

impl Course {
    /// Decides what to try; an error says why nothing can be proved on this node. Changes nothing.
    pub fn plot(node: &dyn Node, reach: &Reach) -> Result<Self> {
        for tool in TOOLS {
            if !exists(node, Path::new(tool))? {
                return Err(Error::new("proving reachability", format!("{tool} is missing")));
            }
        }
        let sockets = facts::sockets(node);
        let taken = address::Taken {
            peers: sockets.iter().map(|socket| socket.remote.0).collect(),
            neighbours: neighbours(node)?,
        };
        let trials = address::trials(reach, &taken);
        let Some(first) = trials.iter().find(|trial| trial.inside) else {
            let because = "no address of the management networks can be lent";
            return Err(Error::new("proving reachability", because));
        };
        let inside: Vec<IpAddr> =
            trials.iter().filter(|trial| trial.inside).map(|trial| trial.from).collect();
        let keys = key::Keys::find(node, &reach.user, reach.ssh, (first.from, first.to), &inside)?;
        let source = wire::free_ports(&sockets);
        let listening = sockets.iter().filter(|socket| socket.listens).map(|socket| socket.local);
        let services: Vec<(IpAddr, u16)> = listening.filter(|(_, port)| reach.ports.contains(port)).collect();
        let is_silent = |port: &u16| !services.iter().any(|(_, known)| known == port);
        let silent = reach.ports.iter().copied().filter(is_silent).collect();
        let untried = address::untried(reach, &trials);
        let user = reach.user.clone();
        Ok(Self { user, ssh: reach.ssh, services, silent, source, trials, untried, keys })
    }

    /// What the operator has to know of what is not proved; `None` where every management network is tried.
    pub fn gap(&self) -> Option<String> {
        let names: Vec<String> = self.untried.iter().map(Network::to_string).collect();
        (!names.is_empty()).then(|| format!("no new connection was tried from {}", names.join(", ")))
    }

    /// The file that gets the line of the throw-away key.
    pub fn keys_path(&self) -> &Path {
        &self.keys.path
    }

    /// Every path that the probe touches outside of `/run`.
    pub fn scopes(&self) -> Vec<Scope> {
        self.keys.scopes()
    }

    /// Makes the key, its line, and the wires.
    pub fn begin(&self, node: &dyn Node) -> Result<()> {
        wire::clear(node)?;
        key::make(node, &self.keys)?;
        wire::lay(node, self)
    }

    /// Tries everything, stops at the first that is not as wanted; an error says that it could not be tried.
    pub fn run(&self, node: &dyn Node) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for trial in &self.trials {
            wire::speak_as(node, trial)?;
            if trial.inside {
                findings.push(knock::login(node, self, trial)?);
            }
            if findings.iter().all(|finding| finding.holds) {
                findings.extend(knock::ports(node, self, trial)?);
            }
            if findings.iter().any(|finding| !finding.holds) {
                break;
            }
        }
        Ok(findings)
    }

    /// The ports beside SSH that answer where this trial goes. `[::]` takes both families.
    fn ports(&self, to: IpAddr) -> Vec<u16> {
        let everybody = |at: &IpAddr| at.is_unspecified() && (at.is_ipv6() || to.is_ipv4());
        let here = self.services.iter().filter(|(at, _)| *at == to || everybody(at));
        let mut ports: Vec<u16> = here.map(|(_, port)| *port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// What was proved, when every finding holds, as one sentence for people.
    pub fn summary(&self) -> String {
        let names = |inside: bool| {
            let from = self.trials.iter().filter(|trial| trial.inside == inside);
            from.map(|trial| trial.from.to_string()).collect::<Vec<_>>().join(", ")
        };
        let mut text =
            format!("reached with new connections: {} logs in by SSH from {}", self.user, names(true));
        let mut ports: Vec<u16> = self.trials.iter().flat_map(|trial| self.ports(trial.to)).collect();
        ports.sort_unstable();
        ports.dedup();
        for port in ports {
            text.push_str(&format!(", port {port} answers there too"));
        }
        for port in &self.silent {
            text.push_str(&format!(", nothing listens on port {port}"));
        }
        let outside = names(false);
        if !outside.is_empty() {
            text.push_str(&format!("; nothing is reached from {outside}"));
        }
        text
    }
}

/// Takes the wires and the key pair away. Safe to repeat; the line of the key is a matter of its file.
pub fn clear(node: &dyn Node) -> Result<()> {
    key::discard(node)?;
    wire::clear(node)
}

/// Addresses of the networks around, as far as the node has spoken with them.
fn neighbours(node: &dyn Node) -> Result<Vec<IpAddr>> {
    let output = node.run(&Invocation::new(wire::IP_PROGRAM, &["neigh", "show"]))?;
    Ok(output.stdout.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect())
}
