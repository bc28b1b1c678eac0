//! PVE's own firewall on a node of PVE (rows D1 to D9, J4): its rules, its trial, what is refused, one firewall after the
//! other, and pmxcfs when it is not there.

mod guarded;
mod kernel;
mod pmxcfs;
mod refused;
mod switched;

use anyhow::{Result, ensure};

use crate::agent::Output;
use crate::bench::{BINARY_PATH, Bench};
use crate::node::Node;

pub use guarded::{guarded, kept, killed};
pub use pmxcfs::{broken, waited};
pub use refused::{allowed, refused};
pub use switched::{once, stale, twice};

/// Where the answer of the moment lies.
const ANSWER_PATH: &str = "/root/vm-tests/answer.toml";
/// The datacenter's file.
const CLUSTER: &str = "/etc/pve/firewall/cluster.fw";
/// This node's.
const HOST: &str = "/etc/pve/nodes/pve1/host.fw";
/// `cluster.fw` holds a time in the place of `enable: 1`.
const ON_TRIAL: &str = "grep -q '^enable: [0-9]\\{6,\\}$' /etc/pve/firewall/cluster.fw";
/// Seconds a run may take natively.
const RUN: u64 = 300;

/// An answer that is about the firewall alone: no package but UFW where that is wanted, no second factor.
const ANSWER: &str = include_str!("firewall/answer.toml");
/// What it makes of `cluster.fw` and `host.fw`.
const CLUSTER_TEXT: &str = include_str!("firewall/cluster.fw");
const HOST_TEXT: &str = include_str!("firewall/host.fw");

/// The management networks of [`ANSWER`], as it has them.
const MANAGEMENT: &str = "management = [\"10.0.20.0/24\", \"172.16.5.0/24\", \"fd00:20::/64\"]";

/// The answer with the admin's key, and with pieces of it replaced.
fn answer(bench: &mut Bench, changes: &[(&str, &str)]) -> Result<String> {
    let key = &bench.payload()?.admin_key.public;
    let mut text = ANSWER.replace("@KEY@", key);
    for (from, to) in changes {
        ensure!(text.contains(from), "the answer has no `{from}`");
        text = text.replace(from, to);
    }
    Ok(text)
}

/// A node of PVE with an address of IPv6 in the management network.
fn node(bench: &mut Bench) -> Result<&mut Node> {
    let node = bench.pve()?;
    // Connection tracking is there on every node of PVE; its limits are compared.
    node.ok("modprobe nf_conntrack && ip address add fd00:20::10/64 dev vmbr0 nodad")?;
    Ok(node)
}

/// Applies an answer by the binary that lies in the guest.
fn apply(node: &mut Node, answer: &str) -> Result<Output> {
    node.put(ANSWER_PATH, answer.as_bytes(), 0o600)?;
    node.run_within(&format!("{BINARY_PATH} apply --confirm none {ANSWER_PATH}"), RUN)
}

/// The same, which must commit.
fn commit(node: &mut Node, answer: &str) -> Result<Output> {
    let done = apply(node, answer)?;
    ensure!(matches!(done.status, 0 | 3), "apply ended with {}: {}{}", done.status, done.stdout, done.stderr);
    super::hook::expect_outcome(node, "committed")?;
    Ok(done)
}
