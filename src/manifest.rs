//! The state of paths: what stood where, with owner, mode, times, attributes, links and hard links.
//!
//! A manifest is captured from the node, written as text beside its snapshot, compared with another, and
//! restored. Contents lie in the [object store](crate::objects). It never holds a content itself.

mod capture;
mod entries;
mod restore;
#[cfg(test)]
mod tests;
mod text;

use crate::objects::ObjectId;
use crate::sorted::{Map, Set};
use std::path::{Path, PathBuf};

pub use capture::{Scope, Wants, capture, capture_like, record};
pub use entries::Entries;
use restore::Ground;
pub use restore::{Unrestored, cluster_mounted, make_directory, make_room, restore, temporary};
pub use text::read_entries;

/// What stood at some paths.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq, Clone))]
pub struct Manifest {
    /// By absolute path. In a captured tree, a path that is not here is absent.
    pub entries: Entries,
}

/// What stood at one path.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Entry {
    /// What it is.
    pub state: State,
    /// Permission bits: `0o7777`; means nothing for a link.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Entries of one manifest that share a number other than 0 are names of one file.
    pub name_group: u32,
    /// Modification time: seconds since 1970 and nanoseconds.
    pub modified: (i64, u32),
    /// Extended attributes by name, POSIX ACLs among them.
    pub attributes: Attributes,
}

/// Extended attributes, sorted by name; as small as can be, because nearly every entry has none.
pub type Attributes = Box<[(Box<str>, Box<[u8]>)]>;

/// Type and content of an entry.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum State {
    /// A regular file.
    File {
        /// Name of the content in the object store.
        content: ObjectId,
        /// Bytes.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Link {
        /// Where it points, as it is written in the link.
        target: PathBuf,
    },
    /// A device, socket or pipe: seen, never touched.
    Other,
    /// Nothing, and somebody asked.
    Absent,
}

impl Entry {
    /// An entry for a path at which nothing stands.
    pub fn absent() -> Self {
        Self {
            state: State::Absent,
            mode: 0,
            uid: 0,
            gid: 0,
            name_group: 0,
            modified: (0, 0),
            attributes: Attributes::default(),
        }
    }

    /// Whether both describe the same state. The time of a directory never counts: it changes with every
    /// temporary file; nor do hard links, which are a matter of several entries.
    pub fn same(&self, other: &Self, with_modified: bool) -> bool {
        if self.state != other.state {
            return false;
        }
        let owner = self.uid == other.uid && self.gid == other.gid && self.attributes == other.attributes;
        let time = !with_modified || self.modified == other.modified;
        match self.state {
            State::Absent | State::Other => true,
            State::Link { .. } => owner && time,
            State::Directory => owner && self.mode == other.mode,
            State::File { .. } => owner && self.mode == other.mode && time,
        }
    }
}

/// A path that is not what it was. `None` stands for nothing there.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug))]
pub struct Difference<'a> {
    /// Where.
    pub path: &'a Path,
    /// What was there.
    pub before: Option<&'a Entry>,
    /// What is there.
    pub after: Option<&'a Entry>,
}

impl Manifest {
    /// What stands at `path`; `None` for nothing, recorded or not.
    pub fn get(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(path).filter(|entry| entry.state != State::Absent)
    }

    /// Every path at which `self` and `after`, captured from the same scopes, are not the same; in order of
    /// paths. Times of files count, times of directories do not.
    pub fn differences<'a>(&'a self, after: &'a Self) -> Vec<Difference<'a>> {
        let (names, after_names) = (self.first_names(), after.first_names());
        let mut found = Vec::new();
        for path in
            self.entries.keys().chain(after.entries.keys().filter(|path| !self.entries.contains_key(path)))
        {
            let difference = Difference { path, before: self.get(path), after: after.get(path) };
            let same = match (difference.before, difference.after) {
                (None, None) => true,
                (Some(old), Some(new)) => {
                    old.same(new, true) && names.get(&old.name_group) == after_names.get(&new.name_group)
                }
                _ => false,
            };
            if !same {
                found.push(difference);
            }
        }
        found.sort_unstable_by_key(|difference| difference.path);
        found
    }

    /// What [`restore`] needs to make `now` into `self`: all differences, the other names of the files among
    /// them, and the directories whose time has changed or will.
    pub fn restoration<'a>(&'a self, now: &'a Self) -> Vec<(&'a Path, Option<&'a Entry>)> {
        let differences = self.differences(now);
        let groups: Set<u32> = differences
            .iter()
            .filter_map(|difference| difference.before)
            .map(|entry| entry.name_group)
            .collect();
        let mut wanted: Vec<(&Path, Option<&Entry>)> =
            differences.iter().map(|difference| (difference.path, difference.before)).collect();
        for (path, entry) in self.entries.iter() {
            let moved = |then: &Entry| then.state == State::Directory && then.modified != entry.modified;
            let directory = entry.state == State::Directory && now.get(path).is_some_and(moved);
            if directory || (entry.name_group != 0 && groups.contains(&entry.name_group)) {
                wanted.push((path, Some(entry)));
            }
        }
        let parents: Set<&Path> = wanted.iter().filter_map(|(path, _)| path.parent()).collect();
        for parent in parents.iter() {
            if let Some((path, entry)) = self.entries.get_key_value(parent) {
                wanted.push((path, Some(entry)));
            }
        }
        // What stands here twice stands here with the same entry.
        wanted.sort_unstable_by_key(|(path, _)| *path);
        wanted.dedup_by_key(|(path, _)| *path);
        wanted
    }

    /// The first path of every group of names: what makes groups of two manifests comparable.
    fn first_names(&self) -> Map<u32, &Path> {
        let mut names = Map::default();
        for (path, entry) in self.entries.iter() {
            if entry.name_group != 0 && !names.contains_key(&entry.name_group) {
                names.insert(entry.name_group, path.as_path());
            }
        }
        names
    }
}
