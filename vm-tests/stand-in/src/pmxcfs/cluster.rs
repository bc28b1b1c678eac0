//! The cluster as pmxcfs knows it: `corosync.conf`, and the switches of a test in place of corosync itself.

use std::path::Path;

use crate::context::{SWITCHES, SWITCHES_OF_THIS_BOOT};

/// What corosync tells, if it runs.
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(any(test, debug_assertions), derive(Debug))]
pub struct Cluster {
    /// Name of the cluster.
    pub name: String,
    /// Version of its configuration.
    pub version: u32,
    /// `secauth`.
    pub secure: bool,
    /// Its nodes by their ids.
    pub nodes: Vec<Node>,
}

/// A node of the cluster.
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(any(test, debug_assertions), derive(Debug))]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: u32,
    /// Its votes.
    pub votes: u32,
    /// Its address on the first link.
    pub address: String,
}

impl Cluster {
    /// Reads `corosync.conf`: `key: value` lines in sections, which may begin on a line with their first key.
    pub fn parse(text: &str) -> Self {
        let mut cluster = Self::default();
        let mut sections: Vec<String> = Vec::new();
        for word in text.replace('{', "{\n").replace('}', "\n}\n").lines().map(str::trim) {
            if let Some(name) = word.strip_suffix('{') {
                sections.push(name.trim().to_owned());
                if sections.last().is_some_and(|name| name == "node") {
                    cluster.nodes.push(Node { votes: 1, ..Node::default() });
                }
            } else if word == "}" {
                sections.pop();
            } else if let Some((key, value)) = word.split_once(':') {
                cluster.set(sections.last().map_or("", String::as_str), key.trim(), value.trim());
            }
        }
        cluster.nodes.sort_by_key(|node| node.id);
        cluster
    }

    fn set(&mut self, section: &str, key: &str, value: &str) {
        match (section, key) {
            ("totem", "cluster_name") => value.clone_into(&mut self.name),
            ("totem", "config_version") => self.version = value.parse().unwrap_or_default(),
            ("totem", "secauth") => self.secure = value == "on",
            ("node", key) => {
                let Some(node) = self.nodes.last_mut() else { return };
                match key {
                    "name" => value.clone_into(&mut node.name),
                    "nodeid" => node.id = value.parse().unwrap_or_default(),
                    "quorum_votes" => node.votes = value.parse().unwrap_or_default(),
                    "ring0_addr" => value.clone_into(&mut node.address),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// `.members` of a node in this cluster; None stands for a corosync that does not run or for no cluster at all.
    pub fn members(cluster: Option<&Self>, node: &str, quorate: bool, version: u32) -> String {
        let Some(cluster) = cluster.filter(|cluster| !cluster.nodes.is_empty()) else {
            return format!("{{\n\"nodename\": \"{node}\",\n\"version\": {version}\n}}\n");
        };
        let list: Vec<String> = cluster
            .nodes
            .iter()
            .map(|other| {
                // Without quorum the others are those that are out of sight.
                let online = u8::from(quorate || other.name == node);
                format!(
                    "  \"{}\": {{ \"id\": {}, \"online\": {online}, \"ip\": \"{}\"}}",
                    other.name, other.id, other.address
                )
            })
            .collect();
        format!(
            "{{\n\"nodename\": \"{node}\",\n\"version\": {version},\n\"cluster\": {{ \"name\": \"{}\", \"version\": {}, \
             \"nodes\": {}, \"quorate\": {} }},\n\"nodelist\": {{\n{}\n  }}\n}}\n",
            cluster.name,
            cluster.version,
            cluster.nodes.len(),
            u8::from(quorate),
            list.join(",\n")
        )
    }
}

/// The switches of a test, outside the mount.
pub struct Switches {
    /// Where the files lie that are the switches.
    directory: std::path::PathBuf,
    /// The same for those that do not outlive the boot.
    of_this_boot: std::path::PathBuf,
}

impl Switches {
    /// The switches below this root.
    pub fn below(root: &Path) -> Self {
        let below = |directory: &str| root.join(directory.trim_start_matches('/'));
        Self { directory: below(SWITCHES), of_this_boot: below(SWITCHES_OF_THIS_BOOT) }
    }

    /// `no-quorum`: the cluster has lost its quorum, whatever it consists of.
    pub fn no_quorum(&self) -> bool {
        self.directory.join("no-quorum").exists()
    }

    /// `corosync`: corosync runs. Without it a member of a cluster has no quorum and knows nobody (transcript 25).
    pub fn corosync(&self) -> bool {
        self.directory.join("corosync").exists()
    }

    /// `unwritten`: transactions stay in memory, where everybody sees them, until the power goes: a disk that says it has
    /// flushed what it has not, or a database that came back older than it was.
    pub fn unwritten(&self) -> bool {
        self.of_this_boot.join("unwritten").exists()
    }

    /// `late`: seconds by which the start is delayed.
    pub fn delay(&self) -> u64 {
        let text = std::fs::read_to_string(self.directory.join("late")).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    }
}
