//! Where the state lies: `/var/lib/firstlight/`, 0700 root.

use super::record::Record;
use super::story::{Phase, Story};
use crate::change::waiting_path;
use crate::error::Result;
use crate::node::{Kind, Node, exists};
use std::path::{Path, PathBuf};

/// Everything that has to survive a reboot.
pub const STATE_DIR: &str = "/var/lib/firstlight";
/// One run at a time.
pub const LOCK_PATH: &str = "/var/lib/firstlight/lock";
/// Contents by SHA-256, shared by all snapshots.
pub const OBJECTS_DIR: &str = "/var/lib/firstlight/objects";
/// What was read before in this boot.
pub const INDEX_PATH: &str = "/run/firstlight/index";
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

/// The committed transactions that have not been rolled back, oldest first.
pub fn standing(node: &dyn Node) -> Result<Vec<TransactionId>> {
    let mut standing = Vec::new();
    for id in transactions(node)? {
        if Story::of(&records(node, id)?).phase() == Phase::Committed {
            standing.push(id);
        }
    }
    Ok(standing)
}

/// Where a transaction keeps its profile of record until it is committed.
pub fn record_path(id: TransactionId) -> PathBuf {
    id.directory().join("profile.toml")
}

/// Brings the profile of record in line with the last transaction that stands. Safe to repeat: whatever command
/// comes first after a crash between commit and this does it.
pub fn finish_commit(node: &dyn Node) -> Result<()> {
    let path = Path::new(PROFILE_PATH);
    let current = if exists(node, path)? { Some(node.read(path)?) } else { None };
    let wanted = match standing(node)?.last() {
        Some(id) if exists(node, &record_path(*id))? => Some(node.read(&record_path(*id))?),
        _ => None,
    };
    match wanted {
        Some(wanted) if current.as_ref() != Some(&wanted) => write_atomically(node, path, &wanted),
        None if current.is_some() => {
            node.remove_file(path)?;
            node.sync_directory(Path::new(STATE_DIR))
        }
        _ => Ok(()),
    }
}

/// Makes the state directories, 0700.
pub fn prepare(node: &dyn Node) -> Result<()> {
    for directory in [STATE_DIR, OBJECTS_DIR, TRANSACTIONS_DIR] {
        make_directories(node, Path::new(directory))?;
    }
    Ok(())
}

/// Makes a directory and its missing parents, 0700, and makes them durable.
pub fn make_directories(node: &dyn Node, directory: &Path) -> Result<()> {
    if exists(node, directory)? {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        make_directories(node, parent)?;
        node.make_directory(directory, 0o700)?;
        node.sync_directory(parent)?;
    }
    Ok(())
}

/// Removes a directory with everything in it; links are removed, not followed.
pub fn remove_tree(node: &dyn Node, path: &Path) -> Result<()> {
    match node.lookup(path)? {
        None => Ok(()),
        Some(found) if found.kind == Kind::Directory => {
            for name in node.list(path)? {
                remove_tree(node, &path.join(name))?;
            }
            node.remove_directory(path)
        }
        Some(_) => node.remove_file(path),
    }
}

/// Replaces a file, 0600: durable when it returns, and never half there.
pub fn write_atomically(node: &dyn Node, path: &Path, content: &[u8]) -> Result<()> {
    let waiting = waiting_path(path);
    if exists(node, &waiting)? {
        node.remove_file(&waiting)?;
    }
    node.create(&waiting, content, 0o600)?;
    node.sync_file(&waiting)?;
    node.rename(&waiting, path)?;
    path.parent().map_or(Ok(()), |parent| node.sync_directory(parent))
}

/// Space set aside for the records of the way back.
pub fn ballast_path(id: TransactionId) -> PathBuf {
    id.directory().join("ballast")
}

/// Gives that space back.
pub fn free_ballast(node: &dyn Node, id: TransactionId) -> Result<()> {
    let ballast = ballast_path(id);
    if exists(node, &ballast)? { node.remove_file(&ballast) } else { Ok(()) }
}
