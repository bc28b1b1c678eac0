//! The tree pmxcfs keeps in memory: entries by inode, and the rules of changing them.
//!
//! Every change leaves records for the database behind. The two are written apart, as in the real pmxcfs, and one
//! failing change shows it: a directory that another one could not be renamed onto is gone here and stays there.

mod start;

use std::collections::BTreeMap;

use nix::errno::Errno;

use crate::pmxcfs::database::{Record, Row, Rows};
use crate::pmxcfs::guests::{self, Guests};
use crate::pmxcfs::locks::Locks;

/// Number of an entry: the version of the tree that made it.
pub type Inode = u64;

/// The top directory.
pub const ROOT: Inode = 0;
/// The largest file, in bytes.
pub const LARGEST: u64 = 1024 * 1024;

/// What an entry holds.
pub enum Content {
    /// Names and inodes of a directory.
    Directory(BTreeMap<Vec<u8>, Inode>),
    /// The bytes of a file.
    File(Vec<u8>),
}

/// A file or a directory.
pub struct Entry {
    /// Its name; empty for the top.
    pub name: Vec<u8>,
    /// The directory it lies in.
    pub parent: Inode,
    /// The version of the tree that changed it last.
    pub version: u64,
    /// Seconds since 1970.
    pub mtime: u32,
    /// What it holds.
    pub content: Content,
}

impl Entry {
    /// True for directories.
    pub fn is_directory(&self) -> bool {
        matches!(self.content, Content::Directory(_))
    }

    /// Bytes of a file; 0 for directories.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Directory(_) => 0,
            Content::File(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }
}

/// All entries.
pub struct Tree {
    entries: BTreeMap<Inode, Entry>,
    version: u64,
    records: Vec<Record>,
    changed: Vec<String>,
    /// Locks somebody has asked for.
    pub locks: Locks,
    /// Virtual machines and containers.
    pub guests: Guests,
}

impl Tree {
    /// The tree a database holds, at a start at this time.
    pub fn new(rows: Rows, now: u32) -> Self {
        let root = Entry {
            name: Vec::new(),
            parent: ROOT,
            version: 0,
            mtime: 0,
            content: Content::Directory(BTreeMap::new()),
        };
        let mut tree = Self {
            entries: BTreeMap::from([(ROOT, root)]),
            version: rows.values().map(|row| row.version).max().unwrap_or(0),
            records: Vec::new(),
            changed: Vec::new(),
            locks: Locks::default(),
            guests: Guests::default(),
        };
        let places: Vec<_> = rows.iter().map(|(inode, row)| (*inode, row.parent, row.name.clone())).collect();
        for (inode, row) in rows {
            tree.entries.insert(inode, entry(row));
        }
        for (inode, parent, name) in places {
            if let Some(Content::Directory(names)) = tree.content_mut(parent) {
                names.insert(name, inode);
            }
        }
        tree.count_guests();
        tree.begin_locks(now);
        tree
    }

    /// Records since the last call: one transaction of the database.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Paths that changed since the last call.
    pub fn take_changed(&mut self) -> Vec<String> {
        std::mem::take(&mut self.changed)
    }

    /// An entry.
    pub fn get(&self, inode: Inode) -> Option<&Entry> {
        self.entries.get(&inode)
    }

    /// How many entries there are, and how many bytes in all files.
    pub fn totals(&self) -> (u64, u64) {
        let count = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        (count, self.entries.values().map(Entry::size).sum())
    }

    /// The entry of this name.
    pub fn child(&self, parent: Inode, name: &[u8]) -> Option<Inode> {
        match &self.entries.get(&parent)?.content {
            Content::Directory(names) => names.get(name).copied(),
            Content::File(_) => None,
        }
    }

    /// The path of an entry below the top, without a slash in front.
    pub fn path(&self, inode: Inode) -> String {
        let mut names = Vec::new();
        let mut current = inode;
        while current != ROOT {
            let Some(entry) = self.entries.get(&current) else { break };
            names.push(String::from_utf8_lossy(&entry.name).into_owned());
            current = entry.parent;
        }
        names.reverse();
        names.join("/")
    }

    /// The path a name in a directory has or would have.
    pub fn path_of(&self, parent: Inode, name: &[u8]) -> String {
        let name = String::from_utf8_lossy(name);
        match self.path(parent) {
            directory if directory.is_empty() => name.into_owned(),
            directory => format!("{directory}/{name}"),
        }
    }

    /// The entry a path leads to.
    pub fn find(&self, path: &str) -> Option<Inode> {
        path.split('/')
            .filter(|name| !name.is_empty())
            .try_fold(ROOT, |parent, name| self.child(parent, name.as_bytes()))
    }

    /// Makes an empty file.
    pub fn create(&mut self, parent: Inode, name: &[u8], now: u32) -> Result<Inode, Errno> {
        let path = self.path_of(parent, name);
        self.refuse_other_guest(&path, None)?;
        let inode = self.add(parent, name, now, Content::File(Vec::new()))?;
        self.changed.push(path.clone());
        self.guests.register(&path);
        Ok(inode)
    }

    /// Makes a directory. A lock begins its life here.
    pub fn mkdir(&mut self, parent: Inode, name: &[u8], now: u32) -> Result<Inode, Errno> {
        let inode = self.add(parent, name, now, Content::Directory(BTreeMap::new()))?;
        let path = self.path(inode);
        if Locks::is_lock(&path) {
            self.locks.begin(&path, (inode, self.version), now);
        }
        Ok(inode)
    }

    fn add(&mut self, parent: Inode, name: &[u8], now: u32, content: Content) -> Result<Inode, Errno> {
        match self.entries.get(&parent).map(|entry| &entry.content) {
            None => return Err(Errno::ENOENT),
            Some(Content::File(_)) => return Err(Errno::ENOTDIR),
            Some(Content::Directory(names)) if names.contains_key(name) => return Err(Errno::EEXIST),
            Some(Content::Directory(_)) => {}
        }
        if name.is_empty() || name == b"." || name == b".." {
            return Err(Errno::EACCES);
        }
        self.version += 1;
        let inode = self.version;
        let entry = Entry { name: name.to_vec(), parent, version: inode, mtime: now, content };
        self.records.push(put(inode, &entry));
        self.entries.insert(inode, entry);
        self.link(parent, name, inode);
        Ok(inode)
    }

    /// Writes into a file.
    pub fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8], now: u32) -> Result<(), Errno> {
        let end = offset.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.change_content(inode, end, now, |content, end| {
            if content.len() < end {
                content.resize(end, 0);
            }
            let start = end - bytes.len();
            if let Some(place) = content.get_mut(start..end) {
                place.copy_from_slice(bytes);
            }
        })?;
        let size = self.get(inode).map_or(0, Entry::size);
        self.records.push(Record::Content { inode, size, offset, bytes: bytes.to_vec() });
        Ok(())
    }

    /// Sets the length of a file.
    pub fn truncate(&mut self, inode: Inode, size: u64, now: u32) -> Result<(), Errno> {
        self.change_content(inode, size, now, |content, end| content.resize(end, 0))?;
        self.records.push(Record::Content { inode, size, offset: 0, bytes: Vec::new() });
        Ok(())
    }

    fn change_content(
        &mut self,
        inode: Inode,
        end: u64,
        now: u32,
        change: impl FnOnce(&mut Vec<u8>, usize),
    ) -> Result<(), Errno> {
        if end > LARGEST {
            return Err(Errno::EFBIG);
        }
        let path = self.path(inode);
        self.refuse_other_guest(&path, None)?;
        let version = self.version + 1;
        let entry = self.entries.get_mut(&inode).ok_or(Errno::ENOENT)?;
        let Content::File(content) = &mut entry.content else { return Err(Errno::ENOTDIR) };
        change(content, usize::try_from(end).unwrap_or(usize::MAX));
        entry.version = version;
        entry.mtime = now;
        let record = put(inode, entry);
        self.version = version;
        self.records.push(record);
        self.changed.push(path.clone());
        self.guests.register(&path);
        Ok(())
    }

    /// Removes a file or an empty directory; gives what was there.
    pub fn remove(&mut self, parent: Inode, name: &[u8]) -> Result<(Inode, Entry), Errno> {
        let inode = self.child(parent, name).ok_or(Errno::ENOENT)?;
        let path = self.path(inode);
        let entry = self.unlink(inode)?;
        if entry.is_directory() {
            self.locks.forget(&path);
        }
        self.changed.push(path.clone());
        self.version += 1;
        self.records.push(Record::Delete { inode });
        self.guests.forget(&path);
        Ok((inode, entry))
    }

    /// Renames; gives the file that was in the way, if there was one.
    ///
    /// An empty directory in the way is taken from memory before anything is sure. If the renamed one then proves not
    /// to be empty, the call fails and the empty one is gone until the next start (transcripts 12 and 13).
    pub fn rename(
        &mut self,
        from: (Inode, &[u8]),
        to: (Inode, &[u8]),
        now: u32,
    ) -> Result<Option<(Inode, Entry)>, Errno> {
        let inode = self.child(from.0, from.1).ok_or(Errno::ENOENT)?;
        let (old, new) = (self.path(inode), self.path_of(to.0, to.1));
        let directory = self.get(inode).is_some_and(Entry::is_directory);
        if !directory {
            self.refuse_other_guest(&new, Some(&old))?;
        } else if Locks::is_lock(&old) {
            return Err(Errno::EACCES);
        }
        let replaced = match self.child(to.0, to.1) {
            Some(target) => Some((target, self.unlink(target)?)),
            None => {
                let place = self.get(to.0).ok_or(Errno::ENOENT)?;
                if !place.is_directory() {
                    return Err(Errno::ENOTDIR);
                }
                None
            }
        };
        self.changed.extend([old.clone(), new.clone()]);
        let mut entry = self.unlink(inode)?;
        self.version += 1;
        entry.name = to.1.to_vec();
        entry.parent = to.0;
        entry.version = self.version;
        entry.mtime = now;
        self.records.extend(replaced.iter().map(|(target, _)| Record::Delete { inode: *target }));
        self.records.push(put(inode, &entry));
        self.entries.insert(inode, entry);
        self.link(to.0, to.1, inode);
        if !directory {
            self.guests.forget(&old);
            self.guests.register(&new);
        }
        Ok(replaced)
    }

    /// Sets the time of an entry. On a lock, the time 0 asks for its end, and an older time is refused.
    pub fn set_time(&mut self, inode: Inode, mtime: u32, now: u32) -> Result<(), Errno> {
        let path = self.path(inode);
        let entry = self.entries.get_mut(&inode).filter(|_| inode != ROOT).ok_or(Errno::EACCES)?;
        let lock = entry.is_directory() && Locks::is_lock(&path);
        if lock && mtime == 0 && self.locks.has_expired(&path, (inode, entry.version), now) {
            let (parent, name) = (entry.parent, entry.name.clone());
            return self.remove(parent, &name).map(drop);
        }
        if lock && mtime < entry.mtime {
            return Err(Errno::EACCES);
        }
        self.version += 1;
        entry.version = self.version;
        entry.mtime = mtime;
        self.records.push(put(inode, entry));
        if lock {
            self.locks.begin(&path, (inode, self.version), now);
        }
        self.changed.push(path);
        Ok(())
    }

    /// Takes an entry out of memory; a directory must be empty.
    fn unlink(&mut self, inode: Inode) -> Result<Entry, Errno> {
        let entry = self.entries.get(&inode).filter(|_| inode != ROOT).ok_or(Errno::EACCES)?;
        if matches!(&entry.content, Content::Directory(names) if !names.is_empty()) {
            return Err(Errno::ENOTEMPTY);
        }
        let (parent, name) = (entry.parent, entry.name.clone());
        if let Some(Content::Directory(names)) = self.content_mut(parent) {
            names.remove(&name);
        }
        self.entries.remove(&inode).ok_or(Errno::EIO)
    }

    fn link(&mut self, parent: Inode, name: &[u8], inode: Inode) {
        if let Some(Content::Directory(names)) = self.content_mut(parent) {
            names.insert(name.to_vec(), inode);
        }
    }

    fn content_mut(&mut self, inode: Inode) -> Option<&mut Content> {
        self.entries.get_mut(&inode).map(|entry| &mut entry.content)
    }

    /// The number of a guest belongs to one configuration in the whole cluster.
    fn refuse_other_guest(&self, path: &str, from: Option<&str>) -> Result<(), Errno> {
        let same = |old: &str| guests::number(old).is_some() && guests::number(old) == guests::number(path);
        if self.guests.is_elsewhere(path) && !from.is_some_and(same) {
            return Err(Errno::EEXIST);
        }
        Ok(())
    }
}

fn entry(row: Row) -> Entry {
    let content = match row.content {
        Some(bytes) => Content::File(bytes),
        None => Content::Directory(BTreeMap::new()),
    };
    Entry { name: row.name, parent: row.parent, version: row.version, mtime: row.mtime, content }
}

fn put(inode: Inode, entry: &Entry) -> Record {
    Record::Put {
        inode,
        parent: entry.parent,
        version: entry.version,
        mtime: entry.mtime,
        name: entry.name.clone(),
        directory: entry.is_directory(),
    }
}
