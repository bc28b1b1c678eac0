//! What was read before in this boot: a file that is still the same one is not read again.
//!
//! A record says that the inode had this content and no extended attributes. It counts while device, inode, size,
//! modification time and change time are the same to the nanosecond. No program can set a change time; what is left
//! is a change within the tick of the clock, or under a clock that was set back:
//!
//! * what changed less than two seconds before it was looked at gets no record (the coarsest file systems of Linux
//!   keep whole seconds), nor does what claims to have changed in the future;
//! * all records go when the wall clock has moved against the time since boot;
//! * they lie in `/run` and name their boot: after a power cut, contents and times need not fit each other.
//!
//! Losing them costs time alone. Recovery and rollback never ask them.

use super::ObjectId;
use crate::error::Result;
use crate::node::{Kind, Node, Sighting, boot_id, exists};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

const FIRST: &[u8] = b"firstlight index 1\n";
/// A change that is younger than this may be followed by one with the same time.
const MARGIN_MILLISECONDS: u64 = 2000;
/// How far the clock may move against the time since boot: what reading both one after the other takes.
const STEP_MILLISECONDS: u64 = 500;
const KEY: usize = 16;
const ID: usize = 32;

struct Record {
    key: [u8; KEY],
    content: ObjectId,
    /// Asked for, or made, by this process: the others are of files that are no more.
    used: bool,
}

/// Records of files that were read.
#[derive(Default)]
pub(super) struct Index {
    /// Where they are kept; `None` remembers nothing.
    path: Option<PathBuf>,
    /// The boot's id, once it was asked for; without one nothing can be told from another boot.
    boot: Option<String>,
    /// Sorted by key.
    records: Vec<Record>,
    fresh: Vec<Record>,
    /// There are records that the file has not.
    grown: bool,
    /// What changed after this, in milliseconds, gets no record; `None` remembers nothing.
    settled: Option<u64>,
    /// Wall clock less time since boot.
    booted: u64,
}

impl Index {
    pub(super) fn at(path: &Path) -> Self {
        Self { path: Some(path.to_owned()), ..Self::default() }
    }

    /// To be called before anything is looked at.
    pub(super) fn begin(&mut self, node: &dyn Node) {
        let Some(path) = self.path.clone() else { return };
        let now = node.now();
        let since = now.checked_sub(node.boottime());
        let booted = since.unwrap_or_default();
        if self.boot.is_none() {
            let boot = boot_id(node);
            // Whatever is wrong with it, the files are there to be read.
            if let Some((then, records)) = read(node, &path, &boot) {
                (self.booted, self.records) = (then, records);
            } else {
                self.booted = booted;
            }
            self.boot = Some(boot);
        }
        let known = self.boot.as_ref().is_some_and(|boot| !boot.is_empty());
        self.settled = since.filter(|_| known).map(|_| now.saturating_sub(MARGIN_MILLISECONDS));
        self.records.append(&mut self.fresh);
        self.records.sort_unstable_by_key(|record| record.key);
        if self.booted.abs_diff(booted) > STEP_MILLISECONDS {
            self.records.clear();
            self.booted = booted;
        }
    }

    /// The content of what was seen, if it is remembered; for a directory or link the content means nothing, and
    /// the record that it has no attributes.
    pub(super) fn recall(&mut self, seen: &Sighting) -> Option<ObjectId> {
        self.settled?;
        let key = key(seen)?;
        let at = self.records.binary_search_by_key(&key, |record| record.key).ok()?;
        let record = self.records.get_mut(at)?;
        record.used = true;
        Some(record.content)
    }

    /// Remembers what was seen, if its time can tell it from what it may become.
    pub(super) fn remember(&mut self, seen: &Sighting, content: ObjectId) {
        let (Some(settled), Some((seconds, nanoseconds))) = (self.settled, seen.changed) else { return };
        let changed = u64::try_from(seconds).unwrap_or(u64::MAX).saturating_mul(1000);
        if changed.saturating_add(u64::from(nanoseconds / 1_000_000)) < settled
            && let Some(key) = key(seen)
        {
            self.grown = true;
            self.fresh.push(Record { key, content, used: true });
        }
    }

    /// Keeps the records for the next process of this boot. Not durable: a boot forgets them anyway.
    pub(super) fn save(&mut self, node: &dyn Node) -> Result<()> {
        let (Some(path), Some(boot), Some(_)) = (&self.path, &self.boot, self.settled) else { return Ok(()) };
        if !self.grown && self.records.iter().all(|record| record.used) {
            return Ok(());
        }
        self.records.append(&mut self.fresh);
        self.records.retain(|record| record.used);
        self.records.sort_unstable_by_key(|record| record.key);
        let mut bytes = head(boot, self.booted);
        bytes.reserve_exact(self.records.len() * (KEY + ID) + ID);
        for record in &self.records {
            bytes.extend_from_slice(&record.key);
            bytes.extend_from_slice(&record.content.0);
        }
        let sum = ObjectId::of(&bytes);
        bytes.extend_from_slice(&sum.0);
        if let Some(parent) = path.parent()
            && !exists(node, parent)?
        {
            node.make_directory(parent, 0o700)?;
        }
        let waiting = path.with_extension("new");
        if exists(node, &waiting)? {
            node.remove_file(&waiting)?;
        }
        node.create(&waiting, &bytes, 0o600)?;
        node.rename(&waiting, path)
    }
}

/// First line, boot, and when that was by the wall clock.
fn head(boot: &str, booted: u64) -> Vec<u8> {
    let mut bytes = FIRST.to_vec();
    bytes.extend_from_slice(format!("{boot}\n").as_bytes());
    bytes.extend_from_slice(&booted.to_be_bytes());
    bytes
}

/// The records of this boot, and when it was by the clock that they trust.
fn read(node: &dyn Node, path: &Path, boot: &str) -> Option<(u64, Vec<Record>)> {
    exists(node, path).ok().filter(|there| *there)?;
    let bytes = node.read(path).ok()?;
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(ID)?)?;
    if ObjectId::of(body).0 != sum {
        return None;
    }
    let length = head(boot, 0).len();
    let (found, rest) = body.split_at_checked(length)?;
    let booted = u64::from_be_bytes(found.get(length.checked_sub(8)?..)?.try_into().ok()?);
    if found != head(boot, booted) || rest.len() % (KEY + ID) != 0 {
        return None;
    }
    let mut records = Vec::with_capacity(rest.len() / (KEY + ID));
    for record in rest.chunks_exact(KEY + ID) {
        let (key, content) = record.split_first_chunk::<KEY>()?;
        records.push(Record { key: *key, content: ObjectId(content.try_into().ok()?), used: false });
    }
    Some((booted, records))
}

/// Everything that tells a file from what it was before.
fn key(seen: &Sighting) -> Option<[u8; KEY]> {
    let (found, changed) = (&seen.metadata, seen.changed?);
    let kind = match found.kind {
        Kind::File => 0,
        Kind::Directory => 1,
        Kind::Link => 2,
        Kind::Other => return None,
    };
    let mut sum = Sha256::new();
    for number in [found.identity.0, found.identity.1, found.size] {
        sum.update(number.to_ne_bytes());
    }
    for (seconds, nanoseconds) in [found.modified, changed] {
        sum.update(seconds.to_ne_bytes());
        sum.update(nanoseconds.to_ne_bytes());
    }
    sum.update([kind]);
    ObjectId::from(sum).0.first_chunk().copied()
}
