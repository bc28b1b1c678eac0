//! The disk: files, and the record of everything that happened to them.

use super::tree::{Ino, Inode, Op, Part, Tree};
use crate::node::Kind;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

/// The root file system.
pub const DISK_DEVICE: u64 = 1;
/// `/run`: gone after a boot.
pub const RUN_DEVICE: u64 = 2;
/// `/proc`: the kernel's own.
pub const KERNEL_DEVICE: u64 = 3;
/// `/etc/pve`: pmxcfs, which keeps what it holds in a database on the disk.
pub const CLUSTER_DEVICE: u64 = 4;

/// What makes pmxcfs durable.
const CLUSTER_LOG: &str = "/var/lib/pve-cluster/config.db-wal";

/// One change, and what makes it durable.
#[derive(Debug)]
pub struct Entry {
    pub op: Op,
    /// Inodes made with it; they are nothing without a name.
    pub born: Option<(Ino, Arc<Inode>)>,
    /// A sync of one of these makes it durable.
    pub keys: Vec<Ino>,
    /// Where it is.
    pub device: u64,
    /// For messages.
    pub text: String,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A change.
    Change(Arc<Entry>),
    /// Everything that waits for this inode is durable. The text is the call; empty for a tool's own.
    Sync(Ino, String),
    /// Everything on the disk is durable.
    SyncAll(String),
    /// A call through the seam begins.
    Call(String),
    /// Whoever asked was told so; it holds from here on.
    Promise,
}

impl Event {
    /// Whether both are the same step of the same run; texts that are written may differ.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Change(one), Self::Change(other)) => one.text == other.text && one.keys == other.keys,
            (Self::Sync(one, text), Self::Sync(other, words)) => one == other && text == words,
            (Self::SyncAll(text), Self::SyncAll(words)) | (Self::Call(text), Self::Call(words)) => {
                text == words
            }
            (Self::Promise, Self::Promise) => true,
            _ => false,
        }
    }
}

/// Files, clock and record.
pub struct Disk {
    pub tree: Tree,
    pub log: Vec<Event>,
    pub recording: bool,
    /// Milliseconds since 1970.
    pub clock: u64,
    /// Milliseconds since the boot: no jump of the clock changes them.
    pub up: u64,
    /// Bytes that are left, where that is limited.
    pub free: Option<usize>,
    /// Nothing on the disk can be changed any more.
    pub read_only: bool,
    /// Locks of pmxcfs that somebody has waited for, and since when: what a node knows of them since its start.
    pub locks: BTreeMap<Ino, u64>,
    /// So many changes a tool may still make before it is killed.
    pub tool_limit: Option<usize>,
}

const LOCK_MILLISECONDS: u64 = 120_000;
/// 2026-01-01 00:00:00 UTC, in milliseconds.
const START: u64 = 1_767_225_600_000;

impl Disk {
    pub fn new(tree: Tree) -> Self {
        Self {
            tree,
            log: Vec::new(),
            recording: false,
            clock: START,
            up: 60_000,
            free: None,
            read_only: false,
            locks: BTreeMap::new(),
            tool_limit: None,
        }
    }

    /// Now, as files know it; every change has a time of its own.
    pub fn time(&mut self) -> (i64, u32) {
        self.pass(1);
        ((self.clock / 1000) as i64, (self.clock % 1000) as u32 * 1_000_000)
    }

    /// Time goes by.
    pub fn pass(&mut self, milliseconds: u64) {
        self.clock += milliseconds;
        self.up += milliseconds;
    }

    pub fn note(&mut self, event: Event) {
        if self.recording {
            self.log.push(event);
        }
    }

    fn perform(&mut self, op: Op, born: Option<(Ino, Arc<Inode>)>, on: Ino, text: String) {
        let device = self.tree.inode(on).device;
        let mut keys = match &op {
            Op::Entries(changes, _) => changes.iter().map(|(directory, ..)| *directory).collect(),
            Op::Write { ino, .. } | Op::Cut { ino, .. } => vec![*ino],
            // Nobody can sync a link: its directory stands for it.
            Op::Label { ino, .. } if self.tree.inode(*ino).kind == Kind::Link => vec![on],
            Op::Label { ino, .. } => vec![*ino],
        };
        if device == CLUSTER_DEVICE
            && let Ok(log) = self.tree.find(Path::new(CLUSTER_LOG), false, false)
        {
            keys = vec![log];
        }
        self.tree.apply(&op, Part::Whole);
        self.note(Event::Change(Arc::new(Entry { op, born, keys, device, text })));
    }

    /// Gives a name a meaning, or none.
    pub fn put_name(&mut self, directory: Ino, name: &OsStr, ino: Option<Ino>, text: String) {
        let before = self.tree.inode(directory).entries.get(name).copied();
        let time = self.time();
        self.perform(Op::Entries(vec![(directory, name.to_owned(), ino)], time), None, directory, text);
        self.freed(before);
    }

    /// Makes something new under a name.
    pub fn make(&mut self, directory: Ino, name: &OsStr, kind: Kind, mode: u32, text: String) -> Ino {
        let time = self.time();
        let inode = Arc::new(Inode::new(kind, self.tree.inode(directory).device, mode, time));
        let ino = self.tree.bear(Arc::clone(&inode));
        let op = Op::Entries(vec![(directory, name.to_owned(), Some(ino))], time);
        self.perform(op, Some((ino, inode)), directory, text);
        ino
    }

    /// The same, of an inode that is made already.
    pub fn born(&mut self, directory: Ino, name: &OsStr, inode: Inode) {
        let time = inode.label.modified;
        let inode = Arc::new(inode);
        let ino = self.tree.bear(Arc::clone(&inode));
        let op = Op::Entries(vec![(directory, name.to_owned(), Some(ino))], time);
        self.perform(op, Some((ino, inode)), directory, format!("make {}", name.display()));
    }

    /// Renames, in one go.
    pub fn rename(&mut self, from: (Ino, &OsStr), to: (Ino, &OsStr), text: String) {
        let Some(ino) = self.tree.inode(from.0).entries.get(from.1).copied() else { return };
        let before = self.tree.inode(to.0).entries.get(to.1).copied();
        if before == Some(ino) {
            return;
        }
        let time = self.time();
        let changes = vec![(to.0, to.1.to_owned(), Some(ino)), (from.0, from.1.to_owned(), None)];
        self.perform(Op::Entries(changes, time), None, to.0, text);
        self.freed(before);
    }

    /// Adds to the end, as far as there is room; whether all of it.
    pub fn write(&mut self, ino: Ino, bytes: &[u8], text: String) -> bool {
        let on_disk = self.tree.inode(ino).device == DISK_DEVICE;
        let room = match self.free {
            Some(free) if on_disk => free.min(bytes.len()),
            _ => bytes.len(),
        };
        if on_disk && let Some(free) = &mut self.free {
            *free -= room;
        }
        if room > 0 {
            let at = self.tree.inode(ino).data.len();
            let time = self.time();
            let op = Op::Write { ino, at, bytes: Arc::new(bytes[..room].to_vec()), time };
            self.perform(op, None, ino, text);
        }
        room == bytes.len()
    }

    pub fn cut(&mut self, ino: Ino, size: usize, text: String) {
        let before = self.tree.inode(ino).data.len();
        let time = self.time();
        self.perform(Op::Cut { ino, size, time }, None, ino, text);
        if let Some(free) = &mut self.free {
            *free += before.saturating_sub(size);
        }
    }

    /// Changes owner, mode, time or attributes; `parent` is what makes it durable for a link.
    pub fn label(&mut self, ino: Ino, parent: Ino, text: String, change: impl FnOnce(&mut super::Label)) {
        let mut label = self.tree.inode(ino).label.clone();
        change(&mut label);
        let on = if self.tree.inode(ino).kind == Kind::Link { parent } else { ino };
        self.perform(Op::Label { ino, label: Box::new(label) }, None, on, text);
    }

    /// pmxcfs lets go of a lock that somebody asks for two minutes after it was asked for first.
    pub fn ask_for_lock(&mut self, directory: Ino, name: &OsStr, ino: Ino) {
        let since = *self.locks.entry(ino).or_insert(self.up);
        if self.up - since >= LOCK_MILLISECONDS {
            self.put_name(directory, name, None, format!("expire {}", name.display()));
        }
    }

    fn freed(&mut self, ino: Option<Ino>) {
        if let (Some(ino), Some(free)) = (ino, &mut self.free)
            && self.tree.inode(ino).names == 0
        {
            *free += self.tree.inode(ino).data.len();
        }
    }
}
