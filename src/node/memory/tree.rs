//! Files in memory: cheap to copy, so that thousands of disks can be looked at, each of them for itself.

use super::disk::CLUSTER_DEVICE;
use crate::node::{Kind, Metadata};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Number of an inode.
pub type Ino = usize;

/// The inode of `/`.
pub const ROOT: Ino = 1;

/// Owner, mode, time and attributes.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Label {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub modified: (i64, u32),
    pub attributes: BTreeMap<String, Vec<u8>>,
}

/// One file, directory or link.
#[derive(Clone, Debug)]
pub struct Inode {
    pub kind: Kind,
    pub device: u64,
    pub label: Label,
    /// Content of a file, target of a link.
    pub data: Arc<Vec<u8>>,
    /// Names in a directory.
    pub entries: BTreeMap<OsString, Ino>,
    /// How many names it has.
    pub names: u64,
}

impl Inode {
    pub fn new(kind: Kind, device: u64, mode: u32, time: (i64, u32)) -> Self {
        let label = Label { mode, uid: 0, gid: 0, modified: time, attributes: BTreeMap::new() };
        Self { kind, device, label, data: Arc::default(), entries: BTreeMap::new(), names: 0 }
    }
}

/// One change of a file system, as far as a disk can do it or leave it undone.
#[derive(Debug)]
pub enum Op {
    /// These names get new meanings, all at once: a rename is two of them.
    Entries(Vec<(Ino, OsString, Option<Ino>)>, (i64, u32)),
    /// Bytes from `at` on.
    Write { ino: Ino, at: usize, bytes: Arc<Vec<u8>>, time: (i64, u32) },
    /// The file ends here.
    Cut { ino: Ino, size: usize, time: (i64, u32) },
    /// Owner, mode, time, attributes.
    Label { ino: Ino, label: Box<Label> },
}

/// How much of an operation has reached the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Part {
    Whole,
    /// The first half of what was written.
    Half,
    /// The file has its length; the bytes are zeros.
    Zeros,
}

/// All files of a node.
#[derive(Clone, Debug)]
pub struct Tree {
    pub inodes: Vec<Option<Arc<Inode>>>,
}

/// Why a path leads nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    Missing,
    NotADirectory,
    Link,
}

impl Tree {
    pub fn new(device: u64) -> Self {
        let root = Inode { names: 1, ..Inode::new(Kind::Directory, device, 0o755, (0, 0)) };
        Self { inodes: vec![None, Some(Arc::new(root))] }
    }

    pub fn inode(&self, ino: Ino) -> &Inode {
        self.inodes[ino].as_ref().unwrap()
    }

    pub fn change(&mut self, ino: Ino) -> &mut Inode {
        Arc::make_mut(self.inodes[ino].as_mut().unwrap())
    }

    /// Makes an inode that has no name yet.
    pub fn bear(&mut self, inode: Arc<Inode>) -> Ino {
        self.inodes.push(Some(inode));
        self.inodes.len() - 1
    }

    /// Where `path` leads; links on the way are followed when `follow`, the last one when `follow_last`.
    pub fn find(&self, path: &Path, follow: bool, follow_last: bool) -> Result<Ino, Lost> {
        self.walk(path, follow, follow_last, 0)
    }

    fn walk(&self, path: &Path, follow: bool, follow_last: bool, depth: usize) -> Result<Ino, Lost> {
        let mut at = ROOT;
        let mut so_far = PathBuf::from("/");
        let parts: Vec<&OsStr> = path
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => Some(name),
                _ => None,
            })
            .collect();
        for (number, name) in parts.iter().enumerate() {
            let last = number + 1 == parts.len();
            let directory = self.inode(at);
            if directory.kind != Kind::Directory {
                return Err(Lost::NotADirectory);
            }
            let next = *directory.entries.get(*name).ok_or(Lost::Missing)?;
            let found = self.inode(next);
            if found.kind == Kind::Link && (!last || follow_last) {
                if !follow || depth > 8 {
                    return Err(Lost::Link);
                }
                let target = so_far.join(OsStr::from_bytes(&found.data));
                at = self.walk(&plain(&target), true, true, depth + 1)?;
            } else {
                at = next;
            }
            so_far.push(name);
        }
        Ok(at)
    }

    /// The directory of a path, and the last name.
    pub fn place<'a>(&self, path: &'a Path, follow: bool) -> Result<(Ino, &'a OsStr), Lost> {
        let parent = path.parent().ok_or(Lost::Missing)?;
        let directory = self.find(parent, follow, follow)?;
        if self.inode(directory).kind != Kind::Directory {
            return Err(Lost::NotADirectory);
        }
        Ok((directory, path.file_name().ok_or(Lost::Missing)?))
    }

    pub fn metadata(&self, ino: Ino) -> Metadata {
        let Inode { kind, device, label, data, names, .. } = self.inode(ino);
        Metadata {
            kind: *kind,
            mode: if *kind == Kind::Link && *device != CLUSTER_DEVICE { 0o777 } else { label.mode },
            uid: label.uid,
            gid: label.gid,
            size: data.len() as u64,
            modified: label.modified,
            identity: (*device, ino as u64),
            links: *names,
        }
    }

    /// Does an operation, or a part of it.
    pub fn apply(&mut self, op: &Op, part: Part) {
        match op {
            Op::Entries(changes, time) => {
                for (directory, name, ino) in changes {
                    let inode = self.change(*directory);
                    inode.label.modified = *time;
                    let before = match ino {
                        Some(ino) => inode.entries.insert(name.clone(), *ino),
                        None => inode.entries.remove(name),
                    };
                    if let Some(before) = before {
                        self.change(before).names -= 1;
                    }
                    if let Some(ino) = ino {
                        self.change(*ino).names += 1;
                    }
                }
            }
            Op::Write { ino, at, bytes, time } => {
                let inode = self.change(*ino);
                inode.label.modified = *time;
                let data = Arc::make_mut(&mut inode.data);
                let length = if part == Part::Half { bytes.len() / 2 } else { bytes.len() };
                if data.len() < at + length {
                    data.resize(at + length, 0);
                }
                if part == Part::Zeros {
                    data[*at..at + length].fill(0);
                } else {
                    data[*at..at + length].copy_from_slice(&bytes[..length]);
                }
            }
            Op::Cut { ino, size, time } => {
                let inode = self.change(*ino);
                inode.label.modified = *time;
                Arc::make_mut(&mut inode.data).resize(*size, 0);
            }
            Op::Label { ino, label } => self.change(*ino).label = (**label).clone(),
        }
    }

    /// Every path with its inode, in order of paths, as far as `enter` lets.
    pub fn visit(&self, enter: &dyn Fn(&Path) -> bool) -> BTreeMap<PathBuf, Ino> {
        let mut found = BTreeMap::new();
        let mut open = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, ino)) = open.pop() {
            for (name, below) in &self.inode(ino).entries {
                let path = path.join(name);
                if enter(&path) {
                    if self.inode(*below).kind == Kind::Directory {
                        open.push((path.clone(), *below));
                    }
                    found.insert(path, *below);
                }
            }
        }
        found
    }

    /// The target of a link.
    pub fn target(&self, ino: Ino) -> PathBuf {
        OsString::from_vec(self.inode(ino).data.to_vec()).into()
    }
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut parts: Vec<&OsStr> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => {
                parts.pop();
            }
            _ => {}
        }
    }
    Path::new("/").join(parts.iter().collect::<PathBuf>())
}
