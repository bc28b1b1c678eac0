//! What the node is, read once before anything is planned. Plain data: tests build it by hand.

use crate::profile::Network;
use std::net::IpAddr;

/// What the node is.
#[derive(Clone, Default)]
pub struct Facts {
    /// Short host name.
    pub host_name: String,
    /// `VERSION_ID` of os-release: `13`.
    pub debian_version: String,
    /// Version of pve-manager, if this is a PVE node.
    pub pve_version: Option<String>,
    /// Whether the node is a member of a PVE cluster (`/etc/pve/corosync.conf`).
    pub cluster_member: bool,
    /// Text of `/etc/pve/firewall/cluster.fw`, if there is one.
    pub cluster_firewall: Option<String>,
    /// Addresses of the node with their networks; loopback and link-local left out.
    pub addresses: Vec<(IpAddr, Network)>,
    /// Default gateways.
    pub gateways: Vec<IpAddr>,
    /// Remote ends of live SSH connections.
    pub ssh_peers: Vec<IpAddr>,
    /// Whether the node forwards IPv4 or IPv6: it has routed or NATed guests.
    pub forwards: bool,
    /// Installed packages, sorted, with version.
    pub packages: Vec<(String, String)>,
    /// Users that can log in: name, uid, home, shell, whether a password is set, and their groups.
    pub users: Vec<User>,
    /// Version of the OpenSSH server: `10.0`, `9.2`; empty when unknown.
    pub openssh: String,
    /// Whether the drop-in directory of sshd is included by the main file.
    pub sshd_includes_drop_ins: bool,
    /// What `sshd -T` says now: lower-case key and value, in its order.
    pub sshd: Vec<(String, String)>,
}

/// A user of the system.
#[derive(Clone, Default)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Numeric id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// GECOS.
    pub comment: String,
    /// Whether a usable password hash is set.
    pub has_password: bool,
    /// Supplementary groups by name.
    pub groups: Vec<String>,
    /// Whether `~/.ssh/authorized_keys` holds at least one key.
    pub has_keys: bool,
}

impl Facts {
    /// The account of that name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// Whether the package is installed.
    pub fn has_package(&self, name: &str) -> bool {
        self.packages.iter().any(|(package, _)| package == name)
    }
}
