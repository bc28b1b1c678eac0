//! Files below `/etc/pve`: pmxcfs decides about modes, durability and locks (pve-contract 4).

use crate::error::{Error, Result};
use crate::facts::pmxcfs::PROGRAM_PATH;
use crate::manifest;
use crate::node::{Node, exists};
use std::path::{Path, PathBuf};
use std::time::Duration;

const CLUSTER_DIR: &str = "/etc/pve";
const LOCKS_DIR: &str = "/etc/pve/priv/lock";
/// pmxcfs keeps `/etc/pve` here; the write-ahead log first.
const DATABASE: [&str; 2] = ["/var/lib/pve-cluster/config.db-wal", "/var/lib/pve-cluster/config.db"];
/// PVE itself waits so long for a lock.
pub const PATIENCE_SECONDS: u32 = 10;
/// Longer than the two minutes that pmxcfs keeps the lock of somebody who died: ourselves, it may be.
pub const PATIENCE_BACK_SECONDS: u32 = 150;

/// Whether modes and owners are pmxcfs's own (pve-observed 3.8).
pub fn fixed_by_place(path: &Path) -> bool {
    path.starts_with(CLUSTER_DIR)
}

/// An error on a node of PVE while pmxcfs is not there: what would be seen is not the cluster's, and what would be written
/// keeps it from mounting.
pub fn mounted(node: &dyn Node, what: &str) -> Result<()> {
    if manifest::cluster_mounted(node)? || !exists(node, Path::new(PROGRAM_PATH))? {
        return Ok(());
    }
    let because = "pmxcfs is not mounted on /etc/pve: what is written there now would keep it from mounting";
    Err(Error::new(what, because).hint("systemctl start pve-cluster"))
}

/// fsync below `/etc/pve` does nothing: what makes its content durable is its database.
pub fn sync(node: &dyn Node) -> Result<()> {
    for path in DATABASE.map(Path::new) {
        if node.lookup(path)?.is_some() {
            node.sync_file(path)?;
        }
    }
    Ok(())
}

/// The directory that PVE's own tools make while they change this file, on any node of the cluster.
fn lock_path(path: &Path) -> PathBuf {
    let inside = path.strip_prefix(CLUSTER_DIR).unwrap_or(path).to_string_lossy().into_owned();
    let words: Vec<&str> = inside.split('/').collect();
    let name = match words.as_slice() {
        ["firewall", "cluster.fw"] => "firewall-cluster".to_owned(),
        ["nodes", node, "host.fw"] => format!("firewall-host-{node}"),
        _ => format!("file-{}", inside.replace(['.', '/'], "_")),
    };
    Path::new(LOCKS_DIR).join(name)
}

/// Does the work while nobody else on the cluster changes `path`. One that dies meanwhile leaves a lock that pmxcfs
/// lets go after two minutes; a lock is waited for as long as `patience` says, in seconds.
pub fn locked(
    node: &dyn Node,
    path: &Path,
    patience: u32,
    work: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    mounted(node, "changing /etc/pve")?;
    if !manifest::cluster_mounted(node)? {
        return work();
    }
    let lock = lock_path(path);
    // Whoever is the first to need a lock on a fresh node makes this one, PVE's own tools too, and it stays.
    let _ = node.make_directory(Path::new(LOCKS_DIR), 0o700);
    let mut waited = 0;
    while let Err(error) = node.make_directory(&lock, 0o700) {
        if !exists(node, &lock)? {
            return Err(error.hint("pvecm status; without quorum /etc/pve can only be read"));
        }
        if waited >= patience {
            let because = format!("{} is held by another node or a PVE service", lock.display());
            return Err(Error::new(format!("changing {}", path.display()), because)
                .hint("try again; PVE lets a lock that was left behind go after two minutes"));
        }
        // Times of 0 ask pmxcfs to let go of one whose holder is dead; what it answers does not matter.
        let _ = node.set_times_to_zero(&lock);
        node.sleep(Duration::from_secs(1));
        waited += 1;
    }
    let done = work();
    let released = if exists(node, &lock)? { node.remove_directory(&lock) } else { Ok(()) };
    done.and(released)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Change, Switch};
    use crate::node::Output;
    use crate::node::memory::{CLUSTER_DEVICE, DISK_DEVICE, Memory, Tree};
    use crate::node::scripted::Scripted;

    const FILE: &str = "/etc/pve/firewall/cluster.fw";
    const LOCK: &str = "/etc/pve/priv/lock/firewall-cluster";
    const ON: &str = "[OPTIONS]\nenable: 1\n[RULES]\n";

    fn node() -> Scripted {
        let node = Scripted::new();
        node.mount_cluster();
        node.files.directory("/etc/pve/priv/lock");
        node.files.put(FILE, ON);
        node
    }

    #[test]
    fn e1_locks_have_the_names_that_pve_gives_them() {
        let name = |path: &str| lock_path(Path::new(path)).file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(name(FILE), "firewall-cluster");
        assert_eq!(name("/etc/pve/nodes/pve1/host.fw"), "firewall-host-pve1");
        assert_eq!(name("/etc/pve/user.cfg"), "file-user_cfg");
        assert_eq!(name("/etc/pve/priv/tfa.cfg"), "file-priv_tfa_cfg");
    }

    #[test]
    fn e1_the_cluster_firewall_is_written_under_its_lock_and_from_what_stands_there_then() {
        let node = node();
        assert!(Change::PveFirewall(Switch::Off).need(&node).unwrap().is_some());
        // Somebody adds a rule between plan and effect.
        node.files.put(FILE, format!("{ON}IN Ping(ACCEPT)\n"));
        Change::PveFirewall(Switch::Off).effect(&node).unwrap();
        assert_eq!(node.files.text(FILE), "[OPTIONS]\nenable: 0\n[RULES]\nIN Ping(ACCEPT)\n");
        assert!(!node.files.has(LOCK), "let go");
        let trace = node.trace();
        let at = |what: &str| trace.iter().position(|step| step.starts_with(what)).unwrap();
        assert!(at("make-directory") < at("create") && at("rename") < at("remove-directory"), "{trace:?}");
        assert!(Change::PveFirewall(Switch::Off).need(&node).unwrap().is_none());
    }

    #[test]
    fn e1_a_lock_that_is_held_is_waited_for_and_not_for_ever() {
        let node = node();
        node.files.directory(LOCK);
        let before = node.now();
        let error = Change::PveFirewall(Switch::Off).effect(&node).unwrap_err().to_string();
        assert!(error.contains("is held by another node or a PVE service"), "{error}");
        assert_eq!(node.now() - before, 10_000);
        assert_eq!(node.files.text(FILE), ON);
        assert!(node.files.has(LOCK), "not ours to take away");
    }

    #[test]
    fn e1_the_way_back_outlives_the_lock_of_a_run_that_died() {
        let tree = Tree::new(DISK_DEVICE);
        let node =
            Memory::new(tree, |_, _| Output { status: 127, stdout: String::new(), stderr: String::new() });
        node.shell(|shell| {
            shell.put("/proc/self/mounts", "/dev/fuse /etc/pve fuse rw 0 0\n");
            shell.mount("/etc/pve", CLUSTER_DEVICE);
            shell.directory(LOCK);
        });
        let mut worked = 0;
        let mut work = || {
            worked += 1;
            Ok(())
        };
        assert!(locked(&node, Path::new(FILE), PATIENCE_SECONDS, &mut work).is_err());
        locked(&node, Path::new(FILE), PATIENCE_BACK_SECONDS, &mut work).unwrap();
        assert_eq!(worked, 1);
        assert!(!exists(&node, Path::new(LOCK)).unwrap());
    }

    #[test]
    fn j1_nothing_is_made_in_the_plain_directory_while_pmxcfs_is_down() {
        let node = Scripted::new();
        node.files.put(PROGRAM_PATH, "ELF");
        node.files.directory("/etc/pve");
        let mut worked = false;
        let mut work = || {
            worked = true;
            Ok(())
        };
        let error = locked(&node, Path::new(FILE), 0, &mut work).unwrap_err().to_string();
        assert!(error.contains("pmxcfs is not mounted") && error.contains("pve-cluster"), "{error}");
        assert!(!worked && !node.files.has("/etc/pve/priv"));
    }

    #[test]
    fn e1_a_failure_under_the_lock_lets_go_of_it() {
        let node = node();
        let failing = &mut || Err(Error::new("working", "no"));
        assert!(
            locked(&node, Path::new(FILE), PATIENCE_SECONDS, failing)
                .unwrap_err()
                .to_string()
                .contains("working: no")
        );
        assert!(!node.files.has(LOCK));
    }
}
