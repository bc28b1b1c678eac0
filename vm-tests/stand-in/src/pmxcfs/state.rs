//! Everything a mounted pmxcfs has in hand: the tree, its database, the virtual files, open files.

use std::collections::BTreeMap;

use nix::errno::Errno;

use crate::pmxcfs::cluster::{Cluster, Switches};
use crate::pmxcfs::database::Database;
use crate::pmxcfs::tree::{Content, Entry, Inode, ROOT, Tree};
use crate::pmxcfs::virtual_files::{Status, Virtual};

/// What a number in a request of the kernel stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A file or directory of the tree.
    Entry(Inode),
    /// A virtual file or link of the top.
    Virtual(Virtual),
}

/// What `stat` tells of a thing.
pub struct Attributes {
    /// The thing.
    pub thing: Thing,
    /// File, directory or link.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u16,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: u32,
}

/// Kinds of things.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A link.
    Link,
}

/// The state behind the mount.
pub struct State {
    tree: Tree,
    database: Option<Database>,
    status: Status,
    switches: Switches,
    /// `pmxcfs -l`: quorum whatever corosync says.
    local: bool,
    /// How often each file is open.
    opened: BTreeMap<Inode, u32>,
    /// Removed files that are still open.
    orphans: BTreeMap<Inode, Entry>,
}

/// True below a directory that root alone may read.
pub fn is_private(path: &str) -> bool {
    let below = |path: &str| path == "priv" || path.starts_with("priv/");
    let of_node = || path.strip_prefix("nodes/").and_then(|rest| rest.split_once('/'));
    below(path) || of_node().is_some_and(|(_, rest)| below(rest))
}

impl State {
    /// The state at a start at this time.
    pub fn new(database: Database, node: &str, switches: Switches, local: bool, now: u32) -> Self {
        Self {
            tree: Tree::new(database.rows(), now),
            database: Some(database),
            status: Status::new(node, now),
            switches,
            local,
            opened: BTreeMap::new(),
            orphans: BTreeMap::new(),
        }
    }

    /// The tree, for those who look only.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Ends in order.
    pub fn close(&mut self) -> std::io::Result<()> {
        self.database.take().map_or(Ok(()), Database::close)
    }

    /// The cluster, if this node is in one and corosync runs.
    pub fn cluster(&self) -> Option<Cluster> {
        if self.local || !self.switches.corosync() {
            return None;
        }
        self.configuration()
    }

    /// What `corosync.conf` says, if there is one.
    fn configuration(&self) -> Option<Cluster> {
        self.configuration_file().map(|bytes| Cluster::parse(&String::from_utf8_lossy(bytes)))
    }

    /// The bytes of `corosync.conf`, if there is one.
    pub fn configuration_file(&self) -> Option<&[u8]> {
        match &self.tree.get(self.tree.find("corosync.conf")?)?.content {
            Content::File(bytes) => Some(bytes),
            Content::Directory(_) => None,
        }
    }

    /// Whether anything may be written.
    pub fn is_quorate(&self) -> bool {
        if self.local {
            return true;
        }
        !self.switches.no_quorum() && (self.switches.corosync() || self.tree.find("corosync.conf").is_none())
    }

    fn writable(&self) -> Result<(), Errno> {
        if self.is_quorate() { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// The thing of this name in a directory.
    pub fn lookup(&mut self, parent: Thing, name: &[u8]) -> Result<Attributes, Errno> {
        let Thing::Entry(directory) = parent else { return Err(Errno::ENOTDIR) };
        let thing = match Virtual::named(name).filter(|_| directory == ROOT) {
            Some(entry) => Thing::Virtual(entry),
            None => Thing::Entry(self.tree.child(directory, name).ok_or(Errno::ENOENT)?),
        };
        self.attributes(thing)
    }

    /// What `stat` tells.
    pub fn attributes(&mut self, thing: Thing) -> Result<Attributes, Errno> {
        let quorate = self.is_quorate();
        match thing {
            Thing::Virtual(entry) => match entry.target(self.status.node()) {
                Some(target) => Ok(Attributes {
                    thing,
                    kind: Kind::Link,
                    mode: if quorate { 0o755 } else { 0o555 },
                    size: u64::try_from(target.len()).unwrap_or_default(),
                    mtime: 0,
                }),
                None => {
                    let cluster = self.cluster();
                    let size = self.status.refresh(entry, &self.tree.guests, cluster.as_ref(), quorate);
                    let mode = if entry.is_writable() { 0o640 } else { 0o440 };
                    Ok(Attributes { thing, kind: Kind::File, mode, size, mtime: 0 })
                }
            },
            Thing::Entry(inode) => {
                let entry = self.entry(inode)?;
                let (kind, full) = match (entry.is_directory(), quorate || inode == ROOT) {
                    (true, true) => (Kind::Directory, 0o777),
                    (true, false) => (Kind::Directory, 0o555),
                    (false, true) => (Kind::File, 0o666),
                    (false, false) => (Kind::File, 0o444),
                };
                let mask = match (is_private(&self.tree.path(inode)), kind) {
                    (true, _) => 0o700,
                    (false, Kind::File) => 0o750,
                    (false, _) => 0o755,
                };
                Ok(Attributes { thing, kind, mode: full & mask, size: entry.size(), mtime: entry.mtime })
            }
        }
    }

    fn entry(&self, inode: Inode) -> Result<&Entry, Errno> {
        self.tree.get(inode).or_else(|| self.orphans.get(&inode)).ok_or(Errno::ENOENT)
    }

    /// Names in a directory. One that vanished under its reader has none.
    pub fn names(&self, thing: Thing) -> Vec<(Thing, Kind, Vec<u8>)> {
        let Thing::Entry(directory) = thing else { return Vec::new() };
        let mut names = vec![
            (thing, Kind::Directory, b".".to_vec()),
            (Thing::Entry(ROOT), Kind::Directory, b"..".to_vec()),
        ];
        if directory == ROOT {
            names.extend(Virtual::all().map(|entry| {
                let kind = if entry.target("").is_some() { Kind::Link } else { Kind::File };
                (Thing::Virtual(entry), kind, entry.name().as_bytes().to_vec())
            }));
        }
        let Some(Content::Directory(entries)) = self.tree.get(directory).map(|entry| &entry.content) else {
            return names;
        };
        for (name, inode) in entries {
            if directory == ROOT && Virtual::named(name).is_some() {
                continue;
            }
            let directory = self.tree.get(*inode).is_some_and(Entry::is_directory);
            let kind = if directory { Kind::Directory } else { Kind::File };
            names.push((Thing::Entry(*inode), kind, name.clone()));
        }
        names
    }

    /// Where a link leads.
    pub fn target(&self, thing: Thing) -> Result<String, Errno> {
        match thing {
            Thing::Virtual(entry) => entry.target(self.status.node()).ok_or(Errno::EACCES),
            Thing::Entry(_) => Err(Errno::EACCES),
        }
    }

    /// Makes a file or a directory.
    pub fn make(&mut self, parent: Thing, name: &[u8], kind: Kind, now: u32) -> Result<Attributes, Errno> {
        let directory = self.place(parent, name)?;
        self.writable()?;
        let made = match kind {
            Kind::Directory => self.tree.mkdir(directory, name, now),
            _ => self.tree.create(directory, name, now),
        };
        let inode = self.committed(made)?;
        self.attributes(Thing::Entry(inode))
    }

    /// A directory in which this name is no virtual one.
    fn place(&self, parent: Thing, name: &[u8]) -> Result<Inode, Errno> {
        match parent {
            Thing::Entry(ROOT) if Virtual::named(name).is_some() => Err(Errno::EACCES),
            Thing::Entry(inode) => Ok(inode),
            Thing::Virtual(_) => Err(Errno::ENOTDIR),
        }
    }

    /// Somebody opened a file.
    pub fn open(&mut self, thing: Thing) -> Result<(), Errno> {
        if let Thing::Entry(inode) = thing {
            self.entry(inode)?;
            *self.opened.entry(inode).or_default() += 1;
        }
        Ok(())
    }

    /// Somebody closed a file: a removed one goes with its last reader.
    pub fn release(&mut self, thing: Thing) {
        let Thing::Entry(inode) = thing else { return };
        if let Some(count) = self.opened.get_mut(&inode) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.opened.remove(&inode);
                self.orphans.remove(&inode);
            }
        }
    }

    /// Reads.
    pub fn read(&self, thing: Thing, offset: u64, length: u32) -> Result<&[u8], Errno> {
        let bytes = match thing {
            Thing::Virtual(entry) => self.status.snapshot(entry).as_bytes(),
            Thing::Entry(inode) => match &self.entry(inode)?.content {
                Content::File(bytes) => bytes.as_slice(),
                Content::Directory(_) => return Err(Errno::ENOENT),
            },
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)).min(bytes.len());
        Ok(bytes.get(start..end).unwrap_or_default())
    }

    /// Writes.
    pub fn write(&mut self, thing: Thing, offset: u64, bytes: &[u8], now: u32) -> Result<u32, Errno> {
        let inode = match thing {
            Thing::Virtual(entry) => return self.status.write(entry, offset, bytes),
            Thing::Entry(inode) => inode,
        };
        self.writable()?;
        if let Some(orphan) = self.orphans.get_mut(&inode) {
            write_orphan(orphan, offset, bytes)?;
        } else {
            let written = self.tree.write(inode, offset, bytes, now);
            self.committed(written)?;
        }
        u32::try_from(bytes.len()).map_err(|_| Errno::EFBIG)
    }

    /// Sets the length.
    pub fn truncate(&mut self, thing: Thing, size: u64, now: u32) -> Result<(), Errno> {
        let inode = match thing {
            Thing::Virtual(entry) if entry.is_writable() => return Ok(()),
            Thing::Virtual(_) => return Err(Errno::EIO),
            Thing::Entry(inode) => inode,
        };
        self.writable()?;
        if let Some(Entry { content: Content::File(content), .. }) = self.orphans.get_mut(&inode) {
            content.resize(usize::try_from(size).unwrap_or_default(), 0);
            return Ok(());
        }
        let done = self.tree.truncate(inode, size, now);
        self.committed(done)
    }

    /// Sets the time.
    pub fn set_time(&mut self, thing: Thing, mtime: u32, now: u32) -> Result<(), Errno> {
        let Thing::Entry(inode) = thing else { return Err(Errno::EACCES) };
        if self.orphans.contains_key(&inode) {
            return Ok(());
        }
        self.writable()?;
        let done = self.tree.set_time(inode, mtime, now);
        self.committed(done)
    }

    /// Only the mode a path has anyway may be set. The real one takes nothing for directories, not even theirs.
    pub fn check_mode(&self, thing: Thing, mode: u32) -> Result<(), Errno> {
        let private = matches!(thing, Thing::Entry(inode) if is_private(&self.tree.path(inode)));
        let allowed = if private { 0o600 } else { 0o640 };
        if mode & 0o7777 == allowed { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// Removes a file or a directory.
    pub fn remove(&mut self, parent: Thing, name: &[u8]) -> Result<(), Errno> {
        let directory = self.place(parent, name)?;
        self.writable()?;
        let removed = self.tree.remove(directory, name);
        let (inode, entry) = self.committed(removed)?;
        self.keep_if_open(inode, entry);
        Ok(())
    }

    /// Renames.
    pub fn rename(&mut self, from: (Thing, &[u8]), to: (Thing, &[u8]), now: u32) -> Result<(), Errno> {
        let old = self.place(from.0, from.1)?;
        let new = self.place(to.0, to.1)?;
        self.writable()?;
        let renamed = self.tree.rename((old, from.1), (new, to.1), now);
        if let Some((inode, entry)) = self.committed(renamed)? {
            self.keep_if_open(inode, entry);
        }
        Ok(())
    }

    fn keep_if_open(&mut self, inode: Inode, entry: Entry) {
        if self.opened.contains_key(&inode) {
            self.orphans.insert(inode, entry);
        }
    }

    /// Writes what a change left behind to the database; an error of the disk is one of the call.
    fn committed<T>(&mut self, outcome: Result<T, Errno>) -> Result<T, Errno> {
        for path in self.tree.take_changed() {
            self.status.count(&path);
        }
        let records = self.tree.take_records();
        if let Some(database) = self.database.as_mut().filter(|_| !self.switches.unwritten()) {
            database.commit(records).map_err(|_| Errno::EIO)?;
        }
        outcome
    }
}

/// Writes into a removed file that is still open.
fn write_orphan(orphan: &mut Entry, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
    let Content::File(content) = &mut orphan.content else { return Err(Errno::ENOENT) };
    let start = usize::try_from(offset).map_err(|_| Errno::EFBIG)?;
    let end = start.checked_add(bytes.len()).ok_or(Errno::EFBIG)?;
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(start..end) {
        place.copy_from_slice(bytes);
    }
    Ok(())
}
