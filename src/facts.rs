//! What the node is, read once before anything is planned. Plain data: tests build it by hand.

pub mod accounts;
pub mod apparmor;
pub mod apt;
pub mod cluster_firewall;
mod fingerprint;
mod gather;
mod identity;
pub mod networks;
pub mod packages;
pub mod pmxcfs;
pub mod postfix;
pub mod pve;
pub mod storage;
pub mod ufw;

use crate::profile::Network;
use std::net::IpAddr;

pub use fingerprint::{authorized_blob, fingerprint};
pub use gather::{RSA_HOST_KEY_PATH, gather, host_keys, own_host_name as host_name};
pub(crate) use gather::{sockets, sshd_options, udp_sockets};
pub use identity::identity;

/// What the node is.
#[derive(Clone, Default)]
pub struct Facts {
    /// Short host name.
    pub host_name: String,
    /// `VERSION_ID` of os-release: `13`.
    pub debian_version: String,
    /// `VERSION_CODENAME` of os-release: `trixie`.
    pub debian_codename: String,
    /// Version of pve-manager, if this is a PVE node.
    pub pve_version: Option<String>,
    /// Whether what is told of `/etc/pve` is true, and whether it can be written.
    pub pmxcfs: pmxcfs::State,
    /// The node's own name in PVE; empty while it is unknown.
    pub node_name: String,
    /// Whether the node is a member of a PVE cluster (`/etc/pve/corosync.conf`).
    pub cluster_member: bool,
    /// `cluster_name` of corosync, on a member.
    pub cluster_name: Option<String>,
    /// Text of `/etc/pve/firewall/cluster.fw`, if there is one.
    pub cluster_firewall: Option<String>,
    /// Text of this node's `host.fw`, if there is one.
    pub host_firewall: Option<String>,
    /// PVE's users, what they may, and their second factors.
    pub access: pve::Access,
    /// Nodes whose `host.fw` chooses PVE's other firewall (`nftables: 1`), by name.
    pub nftables_nodes: Vec<String>,
    /// Addresses of all nodes of the cluster, on a member.
    pub member_addresses: Vec<IpAddr>,
    /// Addresses of the node with their networks; loopback and link-local left out.
    pub addresses: Vec<(IpAddr, Network)>,
    /// Default gateways.
    pub gateways: Vec<IpAddr>,
    /// Remote ends of live SSH connections.
    pub ssh_peers: Vec<IpAddr>,
    /// Whether the node forwards IPv4 or IPv6: it has routed or NATed guests.
    pub forwards: bool,
    /// Files that apt reads its sources from.
    pub apt_sources: Vec<apt::SourceFile>,
    /// Whether the node has a subscription key of PVE.
    pub subscription_key: bool,
    /// Installed packages, sorted, with version.
    pub packages: Vec<(String, String)>,
    /// Users that can log in: name, uid, home, shell, whether a password is set, and their groups.
    pub users: Vec<User>,
    /// Version of the OpenSSH server: `10.0`, `9.2`; empty when unknown.
    pub openssh: String,
    /// Whether the drop-in directory of sshd is included by the main file.
    pub sshd_includes_drop_ins: bool,
    /// Whether it names host keys itself: such lines add up.
    pub sshd_names_host_keys: bool,
    /// What `sshd -T` says now: lower-case key and value, in its order.
    pub sshd: Vec<(String, String)>,
    /// Key exchanges the installed OpenSSH knows (`ssh -Q kex`); empty when unknown.
    pub ssh_key_exchanges: Vec<String>,
    /// Whether `ssh.socket` listens in sshd's place.
    pub ssh_socket: bool,
    /// Host keys: algorithm and `SHA256:…`, for the report (row A6).
    pub host_keys: Vec<(String, String)>,
    /// Bits of the RSA host key, if there is one.
    pub rsa_host_key_bits: Option<u32>,
    /// Names of all groups.
    pub groups: Vec<String>,
    /// Login shells of `/etc/shells`; empty when unknown.
    pub shells: Vec<String>,
    /// Whether `/etc/sudoers.d/firstlight` stands from an earlier run.
    pub sudoers_drop_in: bool,
    /// PVE's first NFS storage that may speak version 3; empty for none.
    pub nfs_storage: String,
    /// Text of Postfix's `main.cf`; empty when there is none.
    pub postfix: String,
    /// AppArmor's profiles on the disk.
    pub apparmor: Vec<apparmor::Defined>,
    /// Those in the kernel, as [`apparmor::mode`] reads them; `None` while AppArmor is off.
    pub apparmor_loaded: Option<String>,
    /// UFW's rules as it keeps them: `allow tcp 22 0.0.0.0/0 any 10.0.20.0/24 in comment=…`, IPv4 first.
    pub ufw_rules: Vec<String>,
    /// Whether UFW is told to leave IPv6 alone (`IPV6=no`).
    pub ufw_without_ipv6: bool,
}

/// A TCP or UDP socket of the node.
pub(crate) struct Socket {
    /// Our end.
    pub(crate) local: (IpAddr, u16),
    /// The other end; all zero while there is none.
    pub(crate) remote: (IpAddr, u16),
    /// Waits for connections.
    pub(crate) listens: bool,
    /// Is one.
    pub(crate) live: bool,
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
    /// Whether `~/.ssh/authorized_keys` holds at least one key; unknown counts as no.
    pub has_keys: bool,
    /// Text of `~/.ssh/authorized_keys`; read for accounts with a login shell only, and never through a link.
    pub authorized_keys: String,
    /// Whether `~/.ssh/authorized_keys` is a link, lies behind one, or is no file: what it holds is unknown.
    pub authorized_keys_linked: bool,
}

impl User {
    /// Whether the shell lets somebody in. An empty shell is `/bin/sh` (passwd(5)).
    pub fn has_login_shell(&self) -> bool {
        let name = self.shell.rsplit('/').next().unwrap_or_default();
        !matches!(name, "nologin" | "false" | "sync" | "halt" | "shutdown" | "true")
    }
}

impl Facts {
    /// The account of that name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// The values of an option of `sshd -T`, in its order.
    pub fn sshd_values<'a>(&'a self, key: &str) -> Vec<&'a str> {
        self.sshd.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect()
    }

    /// Whether the OpenSSH server is at least `major.minor`; unknown counts as old.
    pub fn openssh_at_least(&self, major: u32, minor: u32) -> bool {
        let mut parts = self.openssh.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
    }

    /// Whether the package is installed.
    pub fn has_package(&self, name: &str) -> bool {
        self.packages.iter().any(|(package, _)| package == name)
    }
}
