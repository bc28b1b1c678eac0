//! What takes a step back, and its words in the journal.

use super::fields::{Fields, Line};
use std::path::PathBuf;

/// What takes a step back, beside restoring the paths of its scope.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub enum Inverse {
    /// The paths are all.
    Paths,
    /// Purge these packages: they were not there before.
    Packages(Vec<String>),
    /// The account was made (true) or changed (false).
    Account {
        /// Login name.
        name: String,
        /// Whether it is new.
        created: bool,
    },
    /// Bring the unit's run-time state back.
    Unit {
        /// Full name.
        name: String,
        /// Whether it ran before.
        active: bool,
    },
    /// Reload the unit again once the files are back.
    Reload(String),
    /// Bring kernel settings back.
    Kernel {
        /// Names, and values before.
        before: Vec<(String, String)>,
        /// The value that the step gave each of them, in the same order.
        made: Vec<String>,
    },
    /// Publish the SSH host keys again once the files are back.
    HostKey,
    /// Bring UFW's run-time state back.
    Ufw {
        /// Whether it filtered before.
        active: bool,
        /// Kernel settings that starting it changes: name and value before.
        settings: Vec<(String, String)>,
    },
    /// Wait for PVE's firewall once its files are back, then bring these kernel settings back.
    PveFirewall(Vec<(String, String)>),
    /// Take away what the probe of reachability made: its wires, its key, and its line in this file.
    Reach(PathBuf),
    /// Take out of PVE what was not there before.
    Pve(PveInverse),
    /// Take a private key out of the hand-over, where it has this heading.
    KeyPair(String),
    /// Have the kernel read a file of AppArmor's profiles again, or forget them.
    AppArmor {
        /// In AppArmor's directory.
        file: String,
        /// Whether it had them before.
        loaded: bool,
    },
}

/// What was there of something in PVE before a step made it.
#[derive(Clone, Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct PveInverse {
    /// `user`, `role`, `token`, `totp`, `recovery` or `realm`.
    pub kind: String,
    /// For people; also the heading of its hand-over.
    pub title: String,
    /// Whose.
    pub user: String,
    /// Its name: role, token, realm, description.
    pub name: String,
    /// Path of a role.
    pub path: String,
    /// What was there: ids, or what the property was.
    pub was: Vec<String>,
}

impl Inverse {
    /// Whether it decides if UFW filters, now or after a boot, or what comes by its rules.
    pub fn is_ufw(&self) -> bool {
        match self {
            Self::Ufw { .. } => true,
            Self::Unit { name, .. } => matches!(name.as_str(), "ufw.service" | "pve-firewall.service"),
            Self::Kernel { before, .. } => before.iter().any(|(name, _)| name.starts_with("net.bridge.")),
            Self::Packages(names) => names.iter().any(|name| name == "ufw"),
            _ => false,
        }
    }

    /// Kernel settings that it brings back: name and value before.
    pub fn settings(&self) -> &[(String, String)] {
        match self {
            Self::Kernel { before: settings, .. }
            | Self::Ufw { settings, .. }
            | Self::PveFirewall(settings) => settings,
            _ => &[],
        }
    }

    /// Whether restoring the paths is all there is to do, after a boot.
    pub fn is_paths_alone(&self) -> bool {
        matches!(self, Self::Paths | Self::Reach(_) | Self::KeyPair(_))
    }

    /// Adds what [`parse`](Self::parse) needs.
    pub(super) fn write(&self, line: &mut Line) {
        let word = match self {
            Self::Paths => "paths",
            Self::Packages(_) => "packages",
            Self::Account { .. } => "account",
            Self::Unit { .. } => "unit",
            Self::Reload(_) => "reload",
            Self::Kernel { .. } => "kernel",
            Self::AppArmor { .. } => "apparmor",
            Self::HostKey => "host-key",
            Self::Ufw { .. } => "ufw",
            Self::Pve(_) => "pve",
            Self::PveFirewall(_) => "pve-firewall",
            Self::Reach(_) => "reach",
            Self::KeyPair(_) => "key-pair",
        };
        line.text("inverse", word);
        match self {
            Self::Paths | Self::HostKey => line,
            Self::Packages(names) => line.texts("name", names),
            Self::Account { name, created } => line.text("name", name).flag("created", *created),
            Self::Unit { name, active } => line.text("name", name).flag("active", *active),
            Self::Reload(name) => line.text("name", name),
            Self::Kernel { before, made } => line.pairs("setting", before).texts("made", made),
            Self::AppArmor { file, loaded } => line.text("name", file).flag("active", *loaded),
            Self::Ufw { active, settings } => line.flag("active", *active).pairs("setting", settings),
            Self::Pve(pve) => {
                line.text("kind", &pve.kind).text("title", &pve.title).text("user", &pve.user);
                line.text("name", &pve.name).text("path", &pve.path).texts("was", &pve.was)
            }
            Self::KeyPair(title) => line.text("title", title),
            Self::PveFirewall(settings) => line.pairs("setting", settings),
            Self::Reach(keys) => line.path("keys", keys),
        };
    }

    /// Reads it back.
    pub(super) fn parse(fields: &Fields<'_>) -> Option<Self> {
        Some(match fields.text("inverse").as_str() {
            "paths" => Self::Paths,
            "packages" => Self::Packages(fields.texts("name")),
            "account" => Self::Account { name: fields.text("name"), created: fields.flag("created") },
            "unit" => Self::Unit { name: fields.text("name"), active: fields.flag("active") },
            "reload" => Self::Reload(fields.text("name")),
            "kernel" => Self::Kernel { before: fields.pairs("setting"), made: fields.texts("made") },
            "apparmor" => Self::AppArmor { file: fields.text("name"), loaded: fields.flag("active") },
            "host-key" => Self::HostKey,
            "ufw" => Self::Ufw { active: fields.flag("active"), settings: fields.pairs("setting") },
            "pve" => Self::Pve(PveInverse {
                kind: fields.text("kind"),
                title: fields.text("title"),
                user: fields.text("user"),
                name: fields.text("name"),
                path: fields.text("path"),
                was: fields.texts("was"),
            }),
            "key-pair" => Self::KeyPair(fields.text("title")),
            "pve-firewall" => Self::PveFirewall(fields.pairs("setting")),
            "reach" => Self::Reach(fields.text("keys").into()),
            _ => return None,
        })
    }
}
