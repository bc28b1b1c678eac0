//! File contents by their SHA-256, each stored once across all snapshots: `/var/lib/firstlight/objects/`.
//!
//! An object under its final name is whole and durable before anything refers to it: a batch writes under
//! temporary names, makes them all durable at once, and renames. Whoever uses the store holds the node's lock.

mod index;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::node::{Node, Sighting, exists};
use crate::sabotage;
use crate::sorted::Set;
use index::Index;
use sha2::{Digest, Sha256};
use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// SHA-256 of a content; shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(test, derive(Debug))]
pub struct ObjectId([u8; 32]);

impl ObjectId {
    /// In the place of a content that nobody has read.
    pub const UNREAD: Self = Self([0; 32]);

    /// The name of this content.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// Reads what `Display` wrote: 64 lower-case hexadecimal digits.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            for &digit in digits {
                let value = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
                *byte = *byte << 4 | value;
            }
        }
        Some(Self(bytes))
    }
}

impl From<Sha256> for ObjectId {
    fn from(sum: Sha256) -> Self {
        Self(sum.finalize().into())
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
        let text: String = self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        formatter.write_str(&text)
    }
}

/// The store.
pub struct Objects<'a> {
    node: &'a dyn Node,
    directory: PathBuf,
    /// What is stored, sorted; `None` until a batch asks. The lock keeps it true.
    known: RefCell<Option<Vec<ObjectId>>>,
    /// The names of all that is known are durable.
    durable: Cell<bool>,
    index: RefCell<Index>,
}

/// Ending of an object that is not whole yet.
const NEW: &str = ".new";

impl<'a> Objects<'a> {
    /// The store in `directory`, which need not be there yet; its parent must be when a batch begins.
    pub fn new(node: &'a dyn Node, directory: &Path) -> Self {
        Self {
            node,
            directory: directory.to_owned(),
            known: RefCell::default(),
            durable: Cell::new(false),
            index: RefCell::default(),
        }
    }

    /// The same, with a memory at `index` of what was read before: for the way forward. Whoever looks in order to
    /// put something back looks for himself.
    pub fn remembering(node: &'a dyn Node, directory: &Path, index: &Path) -> Self {
        Self { index: RefCell::new(Index::at(index)), ..Self::new(node, directory) }
    }

    /// Keeps the memory for the next process.
    pub fn save_index(&self) -> Result<()> {
        self.index.borrow_mut().save(self.node)
    }

    /// Whether the object is stored.
    pub fn has(&self, id: &ObjectId) -> Result<bool> {
        exists(self.node, &self.path(id))
    }

    /// The content, checked against its name.
    pub fn read(&self, id: &ObjectId) -> Result<Vec<u8>> {
        let path = self.path(id);
        let content = self.node.read(&path)?;
        if ObjectId::of(&content) == *id {
            return Ok(content);
        }
        let doing = format!("reading the object {}", path.display());
        Err(Error::new(doing, "damaged: the content does not have the SHA-256 it is named by"))
    }

    /// Begins to add contents; what a crash left half-written goes away.
    pub fn batch(&self) -> Result<Batch<'_>> {
        if !exists(self.node, &self.directory)? {
            self.node.make_directory(&self.directory, 0o700)?;
            if let Some(parent) = self.directory.parent() {
                self.node.sync_directory(parent)?;
            }
        }
        if self.known.borrow().is_none() {
            // Sorted, because the names are.
            *self.known.borrow_mut() = Some(self.stored()?);
        }
        self.index.borrow_mut().begin(self.node);
        Ok(Batch { objects: self, fresh: Set::default(), stored: 0 })
    }

    fn knows(&self, id: &ObjectId) -> bool {
        self.known.borrow().as_ref().is_some_and(|known| known.binary_search(id).is_ok())
    }

    /// Removes every object that is not in `keep`, which is sorted; says how many.
    pub fn sweep(&self, keep: &[ObjectId]) -> Result<usize> {
        *self.known.borrow_mut() = None;
        let mut removed = 0;
        if exists(self.node, &self.directory)? {
            for id in self.stored()? {
                if keep.binary_search(&id).is_err() {
                    self.node.remove_file(&self.path(&id))?;
                    removed += 1;
                }
            }
            self.node.sync_directory(&self.directory)?;
        }
        Ok(removed)
    }

    /// All objects, in order; half-written ones are removed on the way.
    fn stored(&self) -> Result<Vec<ObjectId>> {
        let mut stored = Vec::new();
        for name in self.node.list(&self.directory)? {
            if let Some(id) = ObjectId::parse(name.as_encoded_bytes()) {
                stored.push(id);
            } else if half_written(&name) {
                self.node.remove_file(&self.directory.join(&name))?;
            }
        }
        Ok(stored)
    }

    /// Where a content grows that comes in pieces; what a crash leaves of it is half-written like any other.
    pub fn growing(&self) -> PathBuf {
        self.new_path(&ObjectId::UNREAD)
    }

    fn path(&self, id: &ObjectId) -> PathBuf {
        self.directory.join(id.to_string())
    }

    fn new_path(&self, id: &ObjectId) -> PathBuf {
        self.directory.join(format!("{id}{NEW}"))
    }
}

fn half_written(name: &OsStr) -> bool {
    let id = name.as_encoded_bytes().strip_suffix(NEW.as_bytes());
    id.is_some_and(|id| ObjectId::parse(id).is_some())
}

/// Contents on their way into the store; nothing is there until `commit`.
#[must_use]
pub struct Batch<'a> {
    objects: &'a Objects<'a>,
    fresh: Set<ObjectId>,
    stored: usize,
}

/// After so many the store takes them over: a hundred thousand would be megabytes of names to remember.
const MANY: usize = 4096;
/// Up to so many are made durable one by one: a call for the whole file system also waits for what others wrote.
const FEW: usize = 4;

impl Batch<'_> {
    /// Adds a content unless it is stored already, and names it.
    pub fn add(&mut self, content: &[u8]) -> Result<ObjectId> {
        let id = ObjectId::of(content);
        if !self.holds(&id) {
            self.objects.node.create(&self.objects.new_path(&id), content, 0o600)?;
            self.fresh.insert(id);
            if self.fresh.len() >= MANY {
                self.flush(None)?;
            }
        }
        Ok(id)
    }

    /// The same for a content of which nobody holds the whole: it lies at [`Objects::growing`].
    pub fn add_grown(&mut self, id: ObjectId) -> Result<()> {
        let objects = self.objects;
        if self.holds(&id) {
            return objects.node.remove_file(&objects.growing());
        }
        objects.node.rename(&objects.growing(), &objects.new_path(&id))?;
        self.fresh.insert(id);
        Ok(())
    }

    /// Whether the content is stored, or will be with this batch.
    pub fn holds(&self, id: &ObjectId) -> bool {
        self.objects.knows(id) || self.fresh.contains(id)
    }

    /// The content of something that is as it was when it was read before, and that it has no attributes.
    pub fn recall(&self, seen: &Sighting) -> Option<ObjectId> {
        self.objects.index.borrow_mut().recall(seen)
    }

    /// Remembers the content of something without attributes.
    pub fn remember(&self, seen: &Sighting, content: ObjectId) {
        self.objects.index.borrow_mut().remember(seen, content);
    }

    /// Makes everything that was added durable, then gives it its name; says how many objects are new.
    pub fn commit(self) -> Result<usize> {
        self.commit_with(None)
    }

    /// The same, and a file beside the store, that refers to the objects, becomes durable with them.
    pub fn commit_with(mut self, file: Option<&Path>) -> Result<usize> {
        self.flush(file)?;
        let Objects { node, directory, durable, .. } = self.objects;
        // Once even without new ones: an earlier batch may have died between its renames and this line.
        let due = self.stored > 0 || !durable.get();
        if due && !sabotage::leaves_out("store-directory-fsync") {
            node.sync_directory(directory)?;
            durable.set(true);
        }
        Ok(self.stored)
    }

    fn flush(&mut self, file: Option<&Path>) -> Result<()> {
        let objects = self.objects;
        let node = objects.node;
        if self.fresh.len() > FEW {
            node.sync_all(&objects.directory)?;
        } else {
            for id in self.fresh.iter() {
                node.sync_file(&objects.new_path(id))?;
            }
            if let Some(file) = file {
                node.sync_file(file)?;
            }
        }
        if self.fresh.is_empty() {
            return Ok(());
        }
        objects.durable.set(false);
        let fresh = std::mem::take(&mut self.fresh);
        for id in fresh.iter() {
            node.rename(&objects.new_path(id), &objects.path(id))?;
        }
        self.stored += fresh.len();
        let mut known = objects.known.borrow_mut();
        let known = known.get_or_insert_default();
        known.extend(fresh.iter());
        known.sort_unstable();
        Ok(())
    }
}
