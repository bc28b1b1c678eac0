//! Where the state lies: `/var/lib/firstlight/`, 0700 root.

use super::record::Record;
use crate::error::Result;
use crate::node::{Node, exists};
use std::path::{Path, PathBuf};

/// Everything that has to survive a reboot.
pub const STATE_DIR: &str = "/var/lib/firstlight";
/// One run at a time.
pub const LOCK_PATH: &str = "/var/lib/firstlight/lock";
/// Contents by SHA-256, shared by all snapshots.
pub const OBJECTS_DIR: &str = "/var/lib/firstlight/objects";
/// One directory for each transaction.
pub const TRANSACTIONS_DIR: &str = "/var/lib/firstlight/tx";
/// The last result, for other programs; derived from the journals.
pub const STATUS_PATH: &str = "/var/lib/firstlight/status.json";
/// What the last committed run decided, without secrets.
pub const PROFILE_PATH: &str = "/var/lib/firstlight/profile.toml";
/// The hook's own journal: tries, or why it ended without a transaction.
pub const HOOK_PATH: &str = "/var/lib/firstlight/hook";
/// Staged contents; gone after a boot.
pub const RUN_DIR: &str = "/run/firstlight";

/// Number of a transaction; shown with at least four digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(test, derive(Debug))]
pub struct TransactionId(pub u32);

impl TransactionId {
    /// Reads the number.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// Its directory.
    pub fn directory(self) -> PathBuf {
        Path::new(TRANSACTIONS_DIR).join(self.to_string())
    }

    /// Its journal.
    pub fn journal(self) -> PathBuf {
        self.directory().join("journal")
    }

    /// Its snapshot: the manifest of `/etc` and every touched path before the first effect.
    pub fn snapshot(self) -> PathBuf {
        self.directory().join("snapshot")
    }
}

impl std::fmt::Display for TransactionId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:04}", self.0)
    }
}

/// All transactions that have a journal, oldest first.
pub fn transactions(node: &dyn Node) -> Result<Vec<TransactionId>> {
    let directory = Path::new(TRANSACTIONS_DIR);
    if !exists(node, directory)? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for name in node.list(directory)? {
        let Some(id) = name.to_str().and_then(TransactionId::parse) else { continue };
        if exists(node, &id.journal())? {
            found.push(id);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The records of a transaction.
pub fn records(node: &dyn Node, id: TransactionId) -> Result<Vec<Record>> {
    super::journal::read_records(node, &id.journal())
}
