//! PVE's cluster and its file system. While pmxcfs is not mounted, everything below `/etc/pve` seems to be absent:
//! what is read here then says nothing, and whoever asks must wait first (pve-contract 4.1, 7.1).

use super::text;
use crate::error::Result;
use crate::facts::{Facts, cluster_firewall};
use crate::node::{Kind, Node, exists, read_text};
use std::path::Path;

const MOUNTS_PATH: &str = "/proc/self/mounts";
const MOUNT_POINT: &str = "/etc/pve";
const LOCAL_PATH: &str = "/etc/pve/local";
const COROSYNC_PATH: &str = "/etc/pve/corosync.conf";

pub(super) fn gather(node: &dyn Node, facts: &mut Facts) -> Result<()> {
    facts.cluster_filesystem_ready = facts.pve_version.is_none() || is_ready(node)?;
    facts.cluster_member = exists(node, Path::new(COROSYNC_PATH))?;
    facts.cluster_name = name(node);
    facts.cluster_firewall = read_text(node, Path::new(cluster_firewall::PATH))?;
    Ok(())
}

/// Whether pmxcfs is up. A directory of that name stands below the mount, too: only the mount and PVE's own link
/// say that it is there.
pub fn is_ready(node: &dyn Node) -> Result<bool> {
    let local = node.lookup(Path::new(LOCAL_PATH))?;
    Ok(is_fuse(&text(node, MOUNTS_PATH)) && local.is_some_and(|found| found.kind == Kind::Link))
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

/// Name of the node's cluster; `None` when standalone.
pub fn name(node: &dyn Node) -> Option<String> {
    cluster_name(&text(node, COROSYNC_PATH))
}

/// `cluster_name:` directly in a `totem` section of corosync.conf(5).
fn cluster_name(corosync: &str) -> Option<String> {
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
    use crate::node::scripted::Scripted;
    use std::os::unix::fs::symlink;

    const MOUNTED: &str = "proc /proc proc rw 0 0\n/dev/fuse /etc/pve fuse rw,nosuid,nodev,relatime 0 0\n";
    // As `pvecm create` writes it.
    const COROSYNC: &str = "logging {\n  debug: off\n  to_syslog: yes\n}\n\nnodelist {\n  node {\n    name: pve1\n\
        \x20   ring0_addr: 10.0.20.5\n  }\n}\n\nquorum {\n  provider: corosync_votequorum\n}\n\ntotem {\n\
        \x20 interface {\n    linknumber: 0\n    cluster_name: inner\n  }\n  cluster_name: house\n  version: 2\n}\n";

    fn gathered(node: &Scripted) -> Facts {
        crate::facts::gather(node).unwrap()
    }

    #[test]
    fn b2_b6_j4_on_pve_the_cluster_file_system_must_be_mounted_and_know_this_node() {
        let node = Scripted::new();
        assert!(gathered(&node).cluster_filesystem_ready, "nobody waits for it without PVE");
        node.files.put(
            "/var/lib/dpkg/status",
            "Package: pve-manager\nStatus: install ok installed\nVersion: 9.0.3\n",
        );
        node.files.directory("/etc/pve/nodes/pve1");
        assert!(!gathered(&node).cluster_filesystem_ready);
        node.files.put("/proc/self/mounts", MOUNTED);
        assert!(!gathered(&node).cluster_filesystem_ready, "mounted, and not yet its own");
        symlink("nodes/pve1", node.files.host("/etc/pve/local")).unwrap();
        assert!(gathered(&node).cluster_filesystem_ready);
        node.files.put("/proc/self/mounts", "/dev/sda1 / ext4 rw 0 0\n/dev/fuse /etc/pve2 fuse rw 0 0\n");
        assert!(!gathered(&node).cluster_filesystem_ready, "a link alone is no mount");
        node.files.put("/proc/self/mounts", format!("{MOUNTED}tmpfs /etc/pve tmpfs rw 0 0\n"));
        assert!(!gathered(&node).cluster_filesystem_ready, "something else is mounted over it");
    }

    #[test]
    fn the_name_of_the_cluster_is_that_of_corosyncs_totem_section() {
        let node = Scripted::new();
        assert_eq!(gathered(&node).cluster_name, None);
        node.files.put("/etc/pve/corosync.conf", COROSYNC);
        let facts = gathered(&node);
        assert!(facts.cluster_member);
        assert_eq!(facts.cluster_name.as_deref(), Some("house"));
        assert_eq!(cluster_name("#totem {\ncluster_name: x\n"), None);
    }
}
