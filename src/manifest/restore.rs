//! Bringing paths back to their entries. Run again, after a crash or without need, it gives the same result.
//!
//! The way is cleared from the leaves, directories are made from the root, files and links are made under
//! temporary names, become durable together, and are renamed; hard links and the times of directories follow.
//! What is right already is not touched. A path that cannot be brought back does not keep the others from it.
//!
//! Below `/etc/pve`, while pmxcfs is mounted there, content alone is restored: the rest is fixed by the place.

mod clear;
mod metadata;
mod stage;

use super::{Entry, State};
use crate::error::{Error, Result};
use crate::facts::pmxcfs::PROGRAM_PATH;
use crate::node::{Kind, Node, exists};
use crate::objects::{ObjectId, Objects};
use crate::sorted::{Map, Set};
pub(super) use clear::Ground;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A path that was left as it is, because something that is not ours stands there.
#[cfg_attr(test, derive(Debug))]
pub struct Unrestored {
    /// Where.
    pub path: PathBuf,
    /// What stands there.
    pub because: String,
}

/// Brings the paths to their entries, durably; `None` removes. Parents that are not among them must be there.
///
/// An error means that something failed: the rest was done nevertheless, and doing it again is right.
pub fn restore(
    node: &dyn Node,
    objects: &Objects<'_>,
    entries: &[(&Path, Option<&Entry>)],
) -> Result<Vec<Unrestored>> {
    let mut wanted: Vec<Wanted<'_>> = entries
        .iter()
        .map(|(path, entry)| Wanted { path, entry: entry.filter(|entry| entry.state != State::Absent) })
        .collect();
    // Parents come before what is in them.
    wanted.sort_unstable_by_key(|wanted| wanted.path);
    wanted.dedup_by_key(|wanted| wanted.path);
    let mut work = Work {
        node,
        objects,
        cluster: cluster_mounted(node)?,
        touched: Touched::default(),
        kept: Vec::new(),
        failed: None,
        failures: 0,
    };
    work.remove_leftovers(&wanted);
    let wanted = work.clear_the_way(wanted);
    work.make_directories(&wanted);
    work.make_files(&wanted);
    work.set_directory_times(&wanted);
    let touched = std::mem::take(&mut work.touched);
    let durable = touched.make_durable(node);
    work.note(durable);
    work.finish()
}

/// Where pmxcfs is.
pub(super) const CLUSTER: &str = "/etc/pve";
/// From this many on, one call for the file system is cheaper than one for each.
const MANY: usize = 8;

/// A path, and what shall stand there.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    path: &'a Path,
    entry: Option<&'a Entry>,
}

struct Work<'a> {
    node: &'a dyn Node,
    objects: &'a Objects<'a>,
    cluster: bool,
    touched: Touched,
    kept: Vec<Unrestored>,
    failed: Option<Error>,
    failures: usize,
}

impl Work<'_> {
    /// Remembers the first failure, and that there were more.
    fn note(&mut self, result: Result<()>) {
        if let Err(error) = result {
            self.failures += 1;
            self.failed.get_or_insert(error);
        }
    }

    /// Notes a failure at `path`. Whoever made something immutable since wants it as it is: that is kept and told.
    fn fail(&mut self, path: &Path, error: Error) {
        match self.node.immutable(path) {
            Ok(Some(by)) => self.keep(path, format!("{0} is immutable (chattr -i -a {0})", by.display())),
            _ => self.note(Err(error)),
        }
    }

    fn keep(&mut self, path: &Path, because: String) {
        self.kept.push(Unrestored { path: path.to_owned(), because });
    }

    fn finish(mut self) -> Result<Vec<Unrestored>> {
        match self.failed.take() {
            None => Ok(self.kept),
            Some(error) if self.failures == 1 => Err(error),
            Some(error) => Err(error.hint(format!("{} more steps of this failed", self.failures - 1))),
        }
    }

    /// Whether pmxcfs decides about everything at `path` but the content.
    fn fixed(&self, path: &Path) -> bool {
        self.cluster && path.starts_with(CLUSTER)
    }

    /// Removes what a crash left beside the paths, and nothing that is not named exactly so.
    fn remove_leftovers(&mut self, wanted: &[Wanted<'_>]) {
        let parents: Set<&Path> = wanted.iter().filter_map(|wanted| wanted.path.parent()).collect();
        let mut ground = Ground::default();
        for parent in parents.iter() {
            let removed = self.remove_leftovers_in(parent, wanted, &mut ground);
            self.note(removed);
        }
    }

    fn remove_leftovers_in(
        &mut self,
        parent: &Path,
        wanted: &[Wanted<'_>],
        ground: &mut Ground,
    ) -> Result<()> {
        let node = self.node;
        if !ground.carries(node, parent)? {
            return Ok(());
        }
        for name in node.list(parent)? {
            if !is_temporary(parent, &name) {
                continue;
            }
            let leftover = parent.join(&name);
            let directory = node.lookup(&leftover)?.is_some_and(|found| found.kind == Kind::Directory);
            if !directory {
                node.remove_file(&leftover)?;
            } else if wanted.iter().any(|wanted| temporary(wanted.path) == leftover) {
                make_room(node, &leftover)?;
            } else {
                continue;
            }
            self.touched.directory(&leftover);
        }
        Ok(())
    }

    fn make_directories(&mut self, wanted: &[Wanted<'_>]) {
        for wanted in wanted {
            if let Some(entry) = wanted.entry
                && entry.state == State::Directory
                && let Err(error) = self.make_directory(wanted.path, entry)
            {
                self.fail(wanted.path, error);
            }
        }
    }

    fn make_directory(&mut self, path: &Path, entry: &Entry) -> Result<()> {
        if self.node.lookup(path)?.is_none() {
            let mode = if self.fixed(path) { 0o755 } else { 0o700 };
            make_directory(self.node, path, mode)?;
            self.touched.directory(path);
            self.touched.inside(path);
        }
        if !self.fixed(path) && metadata::correct(self.node, path, entry)? {
            self.touched.inside(path);
        }
        Ok(())
    }

    /// Deepest first: whatever happens in a directory changes its time.
    fn set_directory_times(&mut self, wanted: &[Wanted<'_>]) {
        for wanted in wanted.iter().rev() {
            if let Some(entry) = wanted.entry
                && entry.state == State::Directory
                && !self.fixed(wanted.path)
            {
                match metadata::correct_time(self.node, wanted.path, entry) {
                    Ok(changed) => {
                        if changed {
                            self.touched.inside(wanted.path);
                        }
                    }
                    Err(error) => self.fail(wanted.path, error),
                }
            }
        }
    }
}

/// Makes a directory, and none in the plain directory that is seen once pmxcfs is gone: it could not be mounted any more.
pub fn make_directory(node: &dyn Node, path: &Path, mode: u32) -> Result<()> {
    node.make_directory(path, mode)?;
    if path.starts_with(CLUSTER) && exists(node, Path::new(PROGRAM_PATH))? && !cluster_mounted(node)? {
        node.remove_directory(path)?;
        return Err(Error::new("changing /etc/pve", "pmxcfs was stopped"));
    }
    Ok(())
}

/// pmxcfs is mounted when `/etc/pve` is another file system than `/etc`.
pub fn cluster_mounted(node: &dyn Node) -> Result<bool> {
    let cluster = Path::new(CLUSTER);
    // pmxcfs that was killed answers nothing but an error: not mounted, as far as a restore can tell.
    let Ok(Some(inside)) = node.lookup(cluster) else { return Ok(false) };
    let outside = cluster.parent().map_or(Ok(None), |parent| node.lookup(parent))?;
    Ok(outside.is_some_and(|outside| outside.identity.0 != inside.identity.0))
}

/// What has to be made durable: files by path, and directories whose entries have changed.
#[derive(Default)]
struct Touched {
    files: Set<PathBuf>,
    directories: Set<PathBuf>,
}

impl Touched {
    /// The entry at `path` was made, renamed or removed.
    fn directory(&mut self, path: &Path) {
        if let Some(parent) = path.parent() {
            self.directories.insert(parent.to_owned());
        }
    }

    /// The directory `path` itself was changed.
    fn inside(&mut self, path: &Path) {
        self.directories.insert(path.to_owned());
    }

    fn file(&mut self, path: &Path) {
        self.files.insert(path.to_owned());
    }

    fn make_durable(self, node: &dyn Node) -> Result<()> {
        // A removed directory has nothing left to be made durable.
        let mut directories = Map::default();
        for path in self.directories.iter() {
            if let Some(found) = node.lookup(path)?
                && found.kind == Kind::Directory
            {
                directories.insert(path.as_path(), found.identity.0);
            }
        }
        if self.files.len() + directories.len() < MANY {
            for path in self.files.iter() {
                node.sync_file(path)?;
            }
            for path in directories.keys() {
                node.sync_directory(path)?;
            }
            return Ok(());
        }
        for path in self.files.iter() {
            if let Some(parent) = path.parent()
                && !directories.contains_key(parent)
                && let Some(found) = node.lookup(parent)?
            {
                directories.insert(parent, found.identity.0);
            }
        }
        let mut done = Set::default();
        for (path, device) in directories.iter() {
            if done.insert(*device) {
                node.sync_all(path)?;
            }
        }
        Ok(())
    }
}

/// Makes `waiting` free, where something of ours is about to wait. A directory is not ours: whoever made it does not keep
/// us from the path, and finds it under a name that nobody could know before.
pub fn make_room(node: &dyn Node, waiting: &Path) -> Result<()> {
    match node.lookup(waiting)?.map(|found| found.kind) {
        None => Ok(()),
        Some(Kind::Directory) => {
            let mut name = waiting.file_name().unwrap_or_default().to_owned();
            name.push("-");
            for byte in node.random(8)? {
                name.push(format!("{byte:02x}"));
            }
            node.rename(waiting, &waiting.with_file_name(name))
        }
        Some(_) => node.remove_file(waiting),
    }
}

const MARK: &str = ".firstlight-";

/// The name beside `path` under which it is made: always the same, so that it is found again after a crash.
pub fn temporary(path: &Path) -> PathBuf {
    let digits = ObjectId::of(path.as_os_str().as_encoded_bytes()).to_string();
    let mut name = OsString::new();
    let own = path.file_name().unwrap_or_default();
    // File names end at 255 bytes. A long one is left out; the digits still tell it from others.
    if own.len() < 200 {
        name.push(".");
        name.push(own);
    }
    name.push(MARK);
    name.push(digits.get(..16).unwrap_or_default());
    path.with_file_name(name)
}

/// Whether `name` in `parent` is a name that [`temporary`] gives.
fn is_temporary(parent: &Path, name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let Some(at) = bytes.len().checked_sub(MARK.len() + 16) else { return false };
    let Some((own, rest)) = bytes.split_at_checked(at) else { return false };
    let Some(digits) = rest.strip_prefix(MARK.as_bytes()) else { return false };
    match own.strip_prefix(b".") {
        Some(own) => temporary(&parent.join(OsStr::from_bytes(own))).file_name() == Some(name),
        None => own.is_empty() && digits.iter().all(u8::is_ascii_hexdigit),
    }
}
