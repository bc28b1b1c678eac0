//! pmxcfs, PVE's cluster file system on `/etc/pve`: whether it is there, whether it can be written, and who else is in
//! the cluster (pve-contract 4.1, 4.4, 7.1). While it is not mounted, a plain directory of that name is seen: nothing
//! may be written there, or pmxcfs does not mount any more (pve-observed 3.8).

use crate::error::{Error, Result};
use crate::json::Value;
use crate::node::{Kind, Node, exists, read_text};
use std::net::IpAddr;
use std::path::Path;

/// Where it is mounted.
pub const MOUNT_POINT: &str = "/etc/pve";
/// Only a node of PVE has it.
pub const PROGRAM_PATH: &str = "/usr/bin/pmxcfs";
/// PVE's own link to what belongs to this node.
const LOCAL_PATH: &str = "/etc/pve/local";
const MEMBERS_PATH: &str = "/etc/pve/.members";
const COROSYNC_PATH: &str = "/etc/pve/corosync.conf";
const MOUNTS_PATH: &str = "/proc/self/mounts";
const OWNER_WRITES: u32 = 0o200;

/// What can be done below `/etc/pve`.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(test, derive(Debug))]
pub enum State {
    /// The node has no PVE: there is nothing to wait for.
    #[default]
    Absent,
    /// PVE is there, and pmxcfs is not mounted or does not know the node yet.
    Down,
    /// A member of a cluster without quorum: everything can be read, nothing written.
    ReadOnly,
    /// Everything can be read and written.
    Ready,
}

/// What `/etc/pve` is now. A directory stands below the mount, too: only the mount and PVE's own link say that
/// pmxcfs is there, and the mode of that link says whether there is quorum; root may write everywhere, so asking the
/// kernel for access tells nothing.
pub fn state(node: &dyn Node) -> Result<State> {
    // pmxcfs that was killed answers nothing but an error.
    let local = node.lookup(Path::new(LOCAL_PATH)).ok().flatten();
    let mounts = read_text(node, Path::new(MOUNTS_PATH)).ok().flatten().unwrap_or_default();
    match local.filter(|found| found.kind == Kind::Link && is_fuse(&mounts)) {
        Some(found) if found.mode & OWNER_WRITES != 0 => Ok(State::Ready),
        Some(_) => Ok(State::ReadOnly),
        None if exists(node, Path::new(PROGRAM_PATH))? => Ok(State::Down),
        None => Ok(State::Absent),
    }
}

/// An error unless everything below `/etc/pve` can be written; `what` is what was to be done.
pub fn writable(node: &dyn Node, what: &str) -> Result<()> {
    match state(node)? {
        State::Ready => Ok(()),
        State::ReadOnly => Err(Error::new(what, "the cluster has no quorum: /etc/pve can only be read")
            .hint("pvecm status; start the other nodes, then try again")),
        State::Down | State::Absent => Err(Error::new(what, "pmxcfs is not mounted on /etc/pve")
            .hint("systemctl status pve-cluster; nothing may be written there before it is")),
    }
}

/// `/dev/fuse /etc/pve fuse rw,…` (proc_mounts(5)); the last mount covers those before it.
fn is_fuse(mounts: &str) -> bool {
    let here = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        fields
            .next()
            .filter(|point| *point == MOUNT_POINT)
            .and(fields.next())
            .map(|kind| kind.starts_with("fuse"))
    };
    mounts.lines().filter_map(here).next_back().unwrap_or(false)
}

/// The node's own name in PVE, which names its directory: `pve1` of `nodes/pve1`. Empty while that is unknown.
pub fn node_name(node: &dyn Node) -> String {
    let target = node.read_link(Path::new(LOCAL_PATH)).unwrap_or_default();
    target.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether the node is a member of a cluster.
pub fn is_member(node: &dyn Node) -> Result<bool> {
    exists(node, Path::new(COROSYNC_PATH))
}

/// Name of the node's cluster; `None` when standalone.
pub fn cluster_name(node: &dyn Node) -> Option<String> {
    name_in(&read_text(node, Path::new(COROSYNC_PATH)).ok()??)
}

/// Addresses of all nodes of the cluster, this one included, as PVE uses them among its nodes (`nodelist` of
/// `.members`); empty on a standalone node.
pub fn member_addresses(node: &dyn Node) -> Vec<IpAddr> {
    let text = read_text(node, Path::new(MEMBERS_PATH)).ok().flatten().unwrap_or_default();
    let members = Value::read(&text);
    let nodes = members.as_ref().and_then(|members| members.get("nodelist"));
    let nodes = nodes.map(Value::members).unwrap_or_default();
    nodes.iter().filter_map(|(_, node)| node.get("ip")?.text()?.parse().ok()).collect()
}

/// `cluster_name:` directly in a `totem` section of corosync.conf(5).
fn name_in(corosync: &str) -> Option<String> {
    let mut sections: Vec<&str> = Vec::new();
    for line in corosync.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(section) = line.strip_suffix('{') {
            sections.push(section.trim());
        } else if line == "}" {
            sections.pop();
        } else if let Some(("cluster_name", name)) =
            line.split_once(':').map(|(key, name)| (key.trim(), name.trim()))
            && sections == ["totem"]
        {
            return Some(name.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Facts;
    use crate::node::scripted::Scripted;
    use std::os::unix::fs::symlink;

    const MOUNTED: &str = "proc /proc proc rw 0 0\n/dev/fuse /etc/pve fuse rw,nosuid,nodev,relatime 0 0\n";
    // As `pvecm create` writes it.
    const COROSYNC: &str = "logging {\n  debug: off\n  to_syslog: yes\n}\n\nnodelist {\n  node {\n    name: pve1\n\
        \x20   ring0_addr: 10.0.20.5\n  }\n}\n\nquorum {\n  provider: corosync_votequorum\n}\n\ntotem {\n\
        \x20 interface {\n    linknumber: 0\n    cluster_name: inner\n  }\n  cluster_name: house\n  version: 2\n}\n";
    // As status.c of pve-cluster writes it.
    const MEMBERS: &str = r#"{
"nodename": "pve1",
"version": 4,
"cluster": { "name": "house", "version": 3, "nodes": 3, "quorate": 1 },
"nodelist": {
  "pve1": { "id": 1, "online": 1, "ip": "10.0.20.5"},
  "pve2": { "id": 2, "online": 1, "ip": "10.0.20.6"},
  "pve3": { "id": 3, "online": 0}
  }
}"#;

    fn gathered(node: &Scripted) -> Facts {
        crate::facts::gather(node).unwrap()
    }

    #[test]
    fn b2_b6_j4_on_pve_the_cluster_file_system_must_be_mounted_and_know_this_node() {
        let node = Scripted::new();
        assert_eq!(state(&node).unwrap(), State::Absent, "nobody waits for it without PVE");
        node.files.put(PROGRAM_PATH, "ELF");
        node.files.directory("/etc/pve/nodes/pve1");
        assert_eq!(state(&node).unwrap(), State::Down);
        node.files.put("/proc/self/mounts", MOUNTED);
        assert_eq!(state(&node).unwrap(), State::Down, "mounted, and not yet its own");
        assert!(writable(&node, "writing").unwrap_err().to_string().contains("is not mounted"));
        symlink("nodes/pve1", node.files.host("/etc/pve/local")).unwrap();
        assert_eq!(state(&node).unwrap(), State::Ready);
        assert_eq!(node_name(&node), "pve1");
        writable(&node, "writing").unwrap();
        node.files.put("/proc/self/mounts", "/dev/sda1 / ext4 rw 0 0\n/dev/fuse /etc/pve2 fuse rw 0 0\n");
        assert_eq!(state(&node).unwrap(), State::Down, "a link alone is no mount");
        node.files.put("/proc/self/mounts", format!("{MOUNTED}tmpfs /etc/pve tmpfs rw 0 0\n"));
        assert_eq!(state(&node).unwrap(), State::Down, "something else is mounted over it");
    }

    #[test]
    fn the_name_of_the_cluster_is_that_of_corosyncs_totem_section() {
        let node = Scripted::new();
        assert_eq!(gathered(&node).cluster_name, None);
        node.files.put("/etc/pve/corosync.conf", COROSYNC);
        let facts = gathered(&node);
        assert!(facts.cluster_member);
        assert_eq!(facts.cluster_name.as_deref(), Some("house"));
        assert_eq!(name_in("#totem {\ncluster_name: x\n"), None);
    }

    #[test]
    fn d8_the_addresses_of_the_nodes_are_those_that_pmxcfs_tells() {
        let node = Scripted::new();
        assert!(member_addresses(&node).is_empty());
        node.files.put(MEMBERS_PATH, MEMBERS);
        let found: Vec<String> = member_addresses(&node).iter().map(IpAddr::to_string).collect();
        assert_eq!(found, ["10.0.20.5", "10.0.20.6"]);
        node.files.put(MEMBERS_PATH, "{\n\"nodename\": \"pve1\",\n\"version\": 3\n}\n");
        assert!(member_addresses(&node).is_empty());
    }
}
