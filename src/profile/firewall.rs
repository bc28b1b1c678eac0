//! `[firstlight.firewall]` with its sets, rules and groups.

use super::{Network, Port};

/// `[firstlight.firewall]`: rows D1 to D9 and E1 to E4.
#[derive(Clone)]
pub struct Firewall {
    /// Whether the area plans and audits at all.
    pub enabled: bool,
    /// Which one filters; `None` when the answer is silent (PVE's on PVE, an error elsewhere).
    pub mode: Option<FirewallMode>,
    /// Who reaches SSH and 8006.
    pub management: Management,
    /// On a cluster member: whether the datacenter's firewall may change.
    pub datacenter: bool,
    /// Allows a list with neither the gateway's network nor a live peer.
    pub management_only_remote: bool,
    /// PVE: no management access for the LAN beyond `management`.
    pub narrow_local_network: bool,
    /// Whether outgoing traffic is dropped by default.
    pub outgoing: Outgoing,
    /// Who may ping.
    pub ping: Ping,
    /// Row D4's port sets.
    pub services: Vec<Service>,
    /// Networks of `services`; empty means management.
    pub services_from: Vec<Network>,
    /// Log level of dropped packets, as PVE spells it.
    pub log_level: String,
    /// Log rate, as PVE spells it.
    pub log_rate: String,
    /// More address sets.
    pub sets: Vec<AddressSet>,
    /// More rules.
    pub rules: Vec<Rule>,
    /// Security groups (PVE only).
    pub groups: Vec<Group>,
}

/// Which firewall filters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FirewallMode {
    /// PVE's own.
    Pve,
    /// UFW.
    Ufw,
}

/// Who reaches SSH and 8006.
#[derive(Clone, PartialEq, Eq)]
pub enum Management {
    /// The answer is silent: the node's private networks and live SSH peers.
    Default,
    /// Everybody.
    Any,
    /// These networks.
    Networks(Vec<Network>),
}

/// Default for outgoing traffic.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outgoing {
    /// Everything may leave.
    Accept,
    /// DNS, NTP, HTTP(S) and SMTP submission may leave.
    Drop,
}

/// Who may ping the node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ping {
    /// The management networks.
    Management,
    /// Everybody.
    Any,
    /// Nobody.
    None,
}

/// Row D4's port sets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// corosync: 5405-5412/udp.
    Cluster,
    /// 60000-60050/tcp.
    Migration,
    /// Ceph: 6789, 3300, 6800-7300/tcp.
    Ceph,
    /// 111 and 2049.
    Nfs,
    /// 445/tcp.
    Cifs,
    /// PBS: 8007/tcp.
    BackupServer,
    /// 3128/tcp.
    Spice,
    /// 5900-5999/tcp.
    Vnc,
}

/// `[[firstlight.firewall.set]]`.
#[derive(Clone)]
pub struct AddressSet {
    /// Lower-case name.
    pub name: String,
    /// Its networks.
    pub networks: Vec<Network>,
    /// Shown beside it.
    pub comment: String,
}

/// `[[firstlight.firewall.rule]]`.
#[derive(Clone)]
pub struct Rule {
    /// Name of an address set, or `management`.
    pub from: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// First and last port of each range.
    pub ports: Vec<(Port, Port)>,
    /// `accept`, `drop` or `reject`.
    pub action: String,
    /// Shown beside it.
    pub comment: String,
    /// Whether it is live or only staged.
    pub enabled: bool,
    /// `datacenter` or `node`.
    pub scope: String,
}

/// `[[firstlight.firewall.group]]`.
#[derive(Clone)]
pub struct Group {
    /// At most 18 characters.
    pub name: String,
    /// Its rules.
    pub rules: Vec<Rule>,
}
