//! The files and links of the top directory that no database holds.

use nix::errno::Errno;

use crate::pmxcfs::cluster::Cluster;
use crate::pmxcfs::guests::Guests;

/// Files whose changes `.version` counts, in its order (recorded in transcript 10).
const COUNTED: &[&str] = &[
    "corosync.conf",
    "corosync.conf.new",
    "storage.cfg",
    "user.cfg",
    "domains.cfg",
    "notifications.cfg",
    "priv/notifications.cfg",
    "priv/shadow.cfg",
    "priv/acme/plugins.cfg",
    "priv/tfa.cfg",
    "priv/token.cfg",
    "priv/wg-keys.cfg",
    "datacenter.cfg",
    "vzdump.cron",
    "vzdump.conf",
    "jobs.cfg",
    "ha/crm_commands",
    "ha/manager_status",
    "ha/resources.cfg",
    "ha/rules.cfg",
    "ha/groups.cfg",
    "ha/fence.cfg",
    "status.cfg",
    "replication.cfg",
    "ceph.conf",
    "sdn/vnets.cfg",
    "sdn/zones.cfg",
    "sdn/controllers.cfg",
    "sdn/subnets.cfg",
    "sdn/ipams.cfg",
    "sdn/mac-cache.json",
    "sdn/pve-ipam-state.json",
    "sdn/dns.cfg",
    "sdn/fabrics.cfg",
    "sdn/route-maps.cfg",
    "sdn/prefix-lists.cfg",
    "sdn/.running-config",
    "virtual-guest/cpu-models.conf",
    "virtual-guest/profiles.cfg",
    "firewall/cluster.fw",
    "mapping/directory.cfg",
    "mapping/pci.cfg",
    "mapping/usb.cfg",
];

/// Names of the links, and what their target has behind `nodes/NAME`.
const LINKS: &[(&str, &str)] =
    &[("local", ""), ("qemu-server", "/qemu-server"), ("openvz", "/openvz"), ("lxc", "/lxc")];

/// Names of the files.
const FILES: &[&str] = &[".version", ".members", ".vmlist", ".rrd", ".clusterlog", ".debug"];

/// One of the virtual entries: its place in `names`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Virtual(usize);

impl Virtual {
    /// The entry of this name.
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::all().find(|entry| entry.name().as_bytes() == name)
    }

    /// The entry of this number.
    pub fn numbered(number: u64) -> Option<Self> {
        Self::all().find(|entry| entry.number() == number)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..FILES.len() + LINKS.len()).map(Self)
    }

    /// Its number, from 0.
    pub fn number(self) -> u64 {
        u64::try_from(self.0).unwrap_or_default()
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let link =
            || self.0.checked_sub(FILES.len()).and_then(|index| LINKS.get(index)).map(|(name, _)| *name);
        FILES.get(self.0).copied().or_else(link).unwrap_or_default()
    }

    /// Where a link of this node leads; None for files.
    pub fn target(self, node: &str) -> Option<String> {
        let (_, behind) = LINKS.get(self.0.checked_sub(FILES.len())?)?;
        Some(format!("nodes/{node}{behind}"))
    }

    /// True for the one file that takes anything.
    pub fn is_writable(self) -> bool {
        self.name() == ".debug"
    }
}

/// What the virtual files tell, apart from what the tree knows.
pub struct Status {
    node: String,
    start: u32,
    versions: Vec<u32>,
    debug: bool,
    snapshots: Vec<String>,
}

impl Status {
    /// The state of a pmxcfs that has just started on this node.
    pub fn new(node: &str, start: u32) -> Self {
        Self {
            node: node.to_owned(),
            start,
            versions: vec![1; COUNTED.len()],
            debug: false,
            snapshots: vec![String::new(); FILES.len()],
        }
    }

    /// Name of the node.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// A path below the top has changed.
    pub fn count(&mut self, path: &str) {
        let index = COUNTED.iter().position(|counted| *counted == path);
        if let Some(version) = index.and_then(|index| self.versions.get_mut(index)) {
            *version += 1;
        }
    }

    /// Makes the text of a file anew and gives its size. Reading gives what the last look at its size made, as the
    /// real one does: its text comes from there.
    pub fn refresh(
        &mut self,
        entry: Virtual,
        guests: &Guests,
        cluster: Option<&Cluster>,
        quorate: bool,
    ) -> u64 {
        let text = self.text(entry.name(), guests, cluster, quorate);
        let size = u64::try_from(text.len()).unwrap_or_default();
        if let Some(snapshot) = self.snapshots.get_mut(entry.0) {
            *snapshot = text;
        }
        size
    }

    /// The text made last.
    pub fn snapshot(&self, entry: Virtual) -> &str {
        self.snapshots.get(entry.0).map_or("", String::as_str)
    }

    /// A write to a virtual file.
    pub fn write(&mut self, entry: Virtual, offset: u64, bytes: &[u8]) -> Result<u32, Errno> {
        if !entry.is_writable() || offset != 0 {
            return Err(Errno::EIO);
        }
        self.debug = match bytes.get(..2) {
            Some(b"0\n") => false,
            Some(b"1\n") => true,
            _ => return Err(Errno::EIO),
        };
        Ok(2)
    }

    fn text(&self, name: &str, guests: &Guests, cluster: Option<&Cluster>, quorate: bool) -> String {
        match name {
            ".version" => self.version(guests, cluster),
            ".members" => Cluster::members(cluster, &self.node, quorate, cluster.map_or(0, |_| 3)),
            ".vmlist" => guests.text(),
            ".clusterlog" => format!(
                "{{\n\"data\": [\n{{\"uid\": 1, \"time\": {}, \"pri\": 6, \"tag\": \"cluster\", \"pid\": {}, \
                 \"node\": \"{}\", \"user\": \"root\", \"msg\": \"starting cluster log\"}}\n]\n}}\n",
                self.start,
                std::process::id(),
                self.node
            ),
            ".debug" => format!("{}\n", u8::from(self.debug)),
            _ => String::new(),
        }
    }

    fn version(&self, guests: &Guests, cluster: Option<&Cluster>) -> String {
        let counted: String = COUNTED
            .iter()
            .zip(&self.versions)
            .map(|(path, count)| format!("\"{path}\": {count},\n"))
            .collect();
        let others: String = cluster
            .into_iter()
            .flat_map(|cluster| &cluster.nodes)
            .filter(|other| other.name != self.node)
            .map(|other| format!(",\n\"{}\": {{\n}}\n", other.name))
            .collect();
        format!(
            "{{\n\"starttime\": {},\n\"clinfo\": {},\n\"vmlist\": {},\n{counted}\"kvstore\": {{\n\"{}\": {{\n}}\n{others}}}\n}}\n",
            self.start,
            cluster.map_or(0, |_| 3),
            guests.version(),
            self.node
        )
    }
}
