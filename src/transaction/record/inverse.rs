//! What takes a step back, and its words in the journal.

use super::fields::{Fields, flag};
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
    /// Bring these kernel settings back: names and values before.
    Kernel(Vec<(String, String)>),
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
    /// Whether restoring the paths is all there is to do, after a boot.
    pub fn is_paths_alone(&self) -> bool {
        matches!(self, Self::Paths | Self::Reach(_))
    }

    /// Adds what [`parse`](Self::parse) needs.
    pub(super) fn push(&self, fields: &mut Vec<(&'static str, String)>) {
        match self {
            Self::Paths => fields.push(("inverse", "paths".to_owned())),
            Self::Packages(names) => {
                fields.push(("inverse", "packages".to_owned()));
                fields.extend(names.iter().map(|name| ("name", name.clone())));
            }
            Self::Account { name, created } => {
                fields.push(("inverse", "account".to_owned()));
                fields.push(("name", name.clone()));
                fields.push(("created", flag(*created)));
            }
            Self::Unit { name, active } => {
                fields.push(("inverse", "unit".to_owned()));
                fields.push(("name", name.clone()));
                fields.push(("active", flag(*active)));
            }
            Self::Reload(name) => {
                fields.push(("inverse", "reload".to_owned()));
                fields.push(("name", name.clone()));
            }
            Self::Kernel(settings) => {
                fields.push(("inverse", "kernel".to_owned()));
                push_pairs(fields, settings);
            }
            Self::HostKey => fields.push(("inverse", "host-key".to_owned())),
            Self::Ufw { active, settings } => {
                fields.push(("inverse", "ufw".to_owned()));
                fields.push(("active", flag(*active)));
                push_pairs(fields, settings);
            }
            Self::Pve(pve) => {
                fields.push(("inverse", "pve".to_owned()));
                let values = [("kind", &pve.kind), ("title", &pve.title), ("user", &pve.user)];
                fields.extend(values.map(|(key, value)| (key, value.clone())));
                fields.extend([("name", pve.name.clone()), ("path", pve.path.clone())]);
                fields.extend(pve.was.iter().map(|was| ("was", was.clone())));
            }
            Self::PveFirewall(settings) => {
                fields.push(("inverse", "pve-firewall".to_owned()));
                push_pairs(fields, settings);
            }
            Self::AppArmor { file, loaded } => {
                fields.push(("inverse", "apparmor".to_owned()));
                fields.push(("name", file.clone()));
                fields.push(("active", flag(*loaded)));
            }
            Self::Reach(keys) => {
                fields.push(("inverse", "reach".to_owned()));
                fields.push(("keys", keys.to_string_lossy().into_owned()));
            }
        }
    }

    /// Reads it back.
    pub(super) fn parse(fields: &Fields<'_>) -> Option<Self> {
        Some(match fields.text("inverse")?.as_str() {
            "paths" => Self::Paths,
            "packages" => Self::Packages(fields.all("name")),
            "account" => Self::Account { name: fields.text("name")?, created: fields.flag("created")? },
            "unit" => Self::Unit { name: fields.text("name")?, active: fields.flag("active")? },
            "reload" => Self::Reload(fields.text("name")?),
            "kernel" => Self::Kernel(match fields.text("name") {
                // As it stood before there were several.
                Some(name) => vec![(name, fields.text("value")?)],
                None => pairs(&fields.all("setting"))?,
            }),
            "host-key" => Self::HostKey,
            "ufw" => Self::Ufw { active: fields.flag("active")?, settings: pairs(&fields.all("setting"))? },
            "pve" => Self::Pve(PveInverse {
                kind: fields.text("kind")?,
                title: fields.text("title")?,
                user: fields.text("user")?,
                name: fields.text("name")?,
                path: fields.text("path")?,
                was: fields.all("was"),
            }),
            "pve-firewall" => Self::PveFirewall(pairs(&fields.all("setting"))?),
            "apparmor" => Self::AppArmor { file: fields.text("name")?, loaded: fields.flag("active")? },
            "reach" => Self::Reach(fields.text("keys")?.into()),
            _ => return None,
        })
    }
}

fn push_pairs(fields: &mut Vec<(&'static str, String)>, settings: &[(String, String)]) {
    fields.extend(settings.iter().map(|(name, value)| ("setting", format!("{name}={value}"))));
}

/// `NAME=VALUE` each.
fn pairs(texts: &[String]) -> Option<Vec<(String, String)>> {
    let pair = |text: &String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    texts.iter().map(pair).collect()
}
