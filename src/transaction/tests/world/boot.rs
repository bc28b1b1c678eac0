//! What a boot does with the files it finds, as far as a recovery meets it.

use super::{CLUSTER_DEVICE, firewall, hardening, pve, ssh, units, wires};
use crate::node::Kind;
use crate::node::memory::{DISK_DEVICE, Ino, Inode, Memory, Shell, Tree};
use std::ffi::OsStr;
use std::path::Path;

/// The directory below the mount point of pmxcfs: made with the node, and without a name while it is covered.
pub const COVERED: Ino = 2;

/// Makes a tree with that directory.
pub fn ground() -> Tree {
    let mut tree = Tree::new(DISK_DEVICE);
    assert_eq!(tree.bear(Inode::new(Kind::Directory, DISK_DEVICE, 0o755, (0, 0)).into()), COVERED);
    tree
}

/// The kernel's defaults and an empty `/run`.
fn kernel(shell: &mut Shell<'_>, boot: &str) {
    for name in shell.names("/run") {
        shell.remove(&format!("/run/{name}"));
    }
    shell.directory("/run/active");
    shell.directory("/run/sshd");
    shell.put("/proc/sys/kernel/random/boot_id", boot);
    shell.put("/proc/sys/net/ipv4/ip_forward", "0\n");
    shell.put("/proc/sys/net/ipv4/conf/all/accept_redirects", "1\n");
    for name in ["iptables", "ip6tables", "arptables"] {
        shell.put(&format!("/proc/sys/net/bridge/bridge-nf-call-{name}"), "0\n");
    }
    shell.directory("/proc/sys/net/ipv6");
    hardening::boot(shell);
    let mounts = "/dev/mapper/pve-root / ext4 rw 0 0\n/dev/fuse /etc/pve fuse rw,nosuid,nodev,relatime 0 0\n";
    shell.put("/proc/self/mounts", mounts);
    let routes = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        vmbr0\t00000000\t0114000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
    shell.put("/proc/net/route", routes);
    wires::boot(shell);
}

/// Services of what is enabled are started, once the files are there.
fn services(shell: &mut Shell<'_>) {
    hardening::settings(shell);
    for unit in units::enabled_units(shell) {
        units::start(shell, &unit);
    }
    ssh::load(shell);
    if units::is_enabled(shell, "ufw.service") && shell.has("/usr/sbin/ufw") {
        firewall::load_at_boot(shell);
    }
    pve::start(shell);
}

/// A boot without anything to recover.
pub fn power_up(shell: &mut Shell<'_>) {
    kernel(shell, "b00t-1\n");
    services(shell);
}

/// What the early stage finds: nothing runs, and pmxcfs is not mounted.
pub fn early_ground(node: &Memory) {
    node.shell(|shell| kernel(shell, "b00t-2\n"));
    let mut disk = node.disk.borrow_mut();
    let etc = disk.tree.find(Path::new("/etc"), false, false).unwrap();
    let name = OsStr::new("pve");
    // Mounted over: the same name, another directory, and no change of any disk.
    disk.tree.change(etc).entries.insert(name.to_owned(), COVERED);
}

/// What the late stage finds: pmxcfs is mounted, and what is enabled has been started.
pub fn late_ground(node: &Memory) {
    {
        let mut disk = node.disk.borrow_mut();
        let cluster = disk.tree.inodes.iter().position(|inode| {
            inode.as_ref().is_some_and(|inode| {
                inode.device == CLUSTER_DEVICE && inode.entries.contains_key(OsStr::new("local"))
            })
        });
        let etc = disk.tree.find(Path::new("/etc"), false, false).unwrap();
        disk.tree.change(etc).entries.insert("pve".into(), cluster.unwrap());
    }
    node.shell(services);
}
