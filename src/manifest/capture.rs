//! Looking at the node: from scopes to a manifest.

use super::entries::Like;
use super::restore::CLUSTER;
use super::text::Writer;
use super::{Entry, Ground, Manifest, State};
use crate::error::Result;
use crate::node::{Kind, Metadata, Node, Sighting};
use crate::objects::{Batch, ObjectId};
use crate::sorted::{Map, Set};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What to look at.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Scope {
    /// This path alone; that nothing is there is recorded too.
    Entry(PathBuf),
    /// This directory and what is directly in it.
    Children(PathBuf),
    /// This path and everything below it.
    Tree(PathBuf),
}

impl Scope {
    /// Where it begins.
    pub fn path(&self) -> &Path {
        match self {
            Self::Entry(path) | Self::Children(path) | Self::Tree(path) => path,
        }
    }

    /// Whether there is a path that both look at.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.holds(other.path()) || other.holds(self.path())
    }

    fn holds(&self, path: &Path) -> bool {
        match self {
            Self::Entry(own) => path == own,
            Self::Children(own) => path == own || path.parent() == Some(own),
            Self::Tree(own) => path.starts_with(own),
        }
    }
}

/// The state of everything in `scopes`, without the subtrees in `skip`. Contents go into `store` if there is one.
/// Hard links are seen between the captured paths only.
pub fn capture(
    node: &dyn Node,
    scopes: &[Scope],
    skip: &[PathBuf],
    store: Option<&mut Batch<'_>>,
) -> Result<Manifest> {
    capture_sharing(node, scopes, skip, store, &[])
}

/// The same without contents, in the memory of the first of `versions` as far as nothing differs from it. A file that
/// has the size of none of them is not read: it is another one, and has no content in the outcome.
pub fn capture_like(
    node: &dyn Node,
    scopes: &[Scope],
    skip: &[PathBuf],
    versions: &[&Manifest],
) -> Result<Manifest> {
    capture_sharing(node, scopes, skip, None, versions)
}

fn capture_sharing(
    node: &dyn Node,
    scopes: &[Scope],
    skip: &[PathBuf],
    store: Option<&mut Batch<'_>>,
    versions: &[&Manifest],
) -> Result<Manifest> {
    let (mut manifest, mut absent) = (Manifest::default(), Vec::new());
    let mut like = Like::new(versions.first().copied());
    let (ground, files) = (Ground::default(), Map::default());
    let mut walk = Walk { node, skip, store, contents: &|_| true, versions, ground, files };
    for scope in scopes {
        walk.visit(scope, &mut |path, entry| {
            match entry.state {
                State::Absent => absent.push(path.to_owned()),
                _ => like.push(&mut manifest.entries, path.to_owned(), entry),
            }
            Ok(())
        })?;
    }
    manifest.entries.sort();
    for path in absent {
        if !manifest.entries.contains_key(&path) {
            manifest.entries.insert(path, Entry::absent());
        }
    }
    manifest.forget_single_names();
    Ok(manifest)
}

/// The same as text, given to `write` in pieces as it is found, so that no tree is too large; what was read before
/// is remembered, and the contents that `contents` likes go into `batch`. Says how many entries there are.
pub fn record(
    node: &dyn Node,
    scopes: &[Scope],
    skip: &[PathBuf],
    (batch, contents): (&mut Batch<'_>, Wants<'_>),
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<usize> {
    let mut text = Writer::new(write);
    let mut count = 0;
    let (store, ground, files) = (Some(batch), Ground::default(), Map::default());
    let mut walk = Walk { node, skip, store, contents, versions: &[], ground, files };
    let mut trees: Vec<&Scope> = scopes.iter().filter(|scope| matches!(scope, Scope::Tree(_))).collect();
    trees.sort_unstable_by_key(|scope| scope.path());
    let mut done: Vec<&Path> = Vec::new();
    let below = |path: &Path, done: &[&Path]| {
        let left_out = |tree: &Path| skip.iter().any(|skip| skip.starts_with(tree) && path.starts_with(skip));
        done.iter().any(|tree| path.starts_with(tree) && !left_out(tree))
    };
    for scope in trees {
        if !below(scope.path(), &done) {
            walk.visit(scope, &mut |path, entry| {
                count += 1;
                text.entry(path, &entry)
            })?;
            done.push(scope.path());
        }
    }
    // Every path once: what is asked for alone may be asked for twice, or be part of a tree, which tells of
    // everything in it but that something is not there.
    let mut alone = Set::default();
    for scope in scopes.iter().filter(|scope| !matches!(scope, Scope::Tree(_))) {
        walk.visit(scope, &mut |path, entry| {
            let told = entry.state != State::Absent && below(path, &done);
            if told || !alone.insert(path.to_owned()) {
                return Ok(());
            }
            count += 1;
            text.entry(path, &entry)
        })?;
    }
    text.finish()?;
    Ok(count)
}

/// Whose contents are stored, by path.
pub type Wants<'a> = &'a dyn Fn(&Path) -> bool;

struct Walk<'a, 'b> {
    node: &'a dyn Node,
    skip: &'a [PathBuf],
    store: Option<&'a mut Batch<'b>>,
    /// Whose contents are stored; the others are named alone.
    contents: Wants<'a>,
    /// Where there are any, a file is read if it may be the one of one of them.
    versions: &'a [&'a Manifest],
    /// Which directories are reached without a link on the way.
    ground: Ground,
    /// Files with several names: identity and group number.
    files: Map<(u64, u64), u32>,
}

/// Who is told of every entry.
type Found<'f> = &'f mut dyn FnMut(&Path, Entry) -> Result<()>;

/// A directory that is being gone through.
struct Open {
    path: PathBuf,
    rest: std::vec::IntoIter<Sighting>,
    depth: usize,
}

/// Directories whose path is as long as this (twice what one system call takes) are not looked into: every level
/// costs as much as all above it.
const DEEPEST: usize = 8 * 1024;
/// How often an entry that changes under our eyes is looked at again.
const TRIES: u32 = 5;

impl Walk<'_, '_> {
    /// Tells of the scope's path and of what is below it, parents first, in the order of paths; of absence only where
    /// somebody asked for this very path.
    fn visit(&mut self, scope: &Scope, found: Found<'_>) -> Result<()> {
        let (path, depth) = match scope {
            Scope::Entry(path) => (path, 0),
            Scope::Children(path) => (path, 1),
            Scope::Tree(path) => (path, usize::MAX),
        };
        // What lies behind a link is not ours to read, write or put back.
        if let Some(parent) = path.parent()
            && !self.ground.carries(self.node, parent)?
        {
            return found(path, Entry::absent());
        }
        let mut open = Vec::new();
        if !self.enter(path, None, depth, &mut open, found)? && !self.skip.contains(path) {
            found(path, Entry::absent())?;
        }
        while let Some(directory) = open.last_mut() {
            let Some(seen) = directory.rest.next() else {
                open.pop();
                continue;
            };
            // Of exactly the size: `join` doubles it, which is megabytes over a hundred thousand.
            let mut path = PathBuf::with_capacity(directory.path.as_os_str().len() + 1 + seen.name.len());
            path.push(&directory.path);
            path.push(&seen.name);
            let depth = directory.depth - 1;
            self.enter(&path, Some(seen), depth, &mut open, found)?;
        }
        Ok(())
    }

    /// Tells of one path, and opens it if there is more below; `false` if nothing is there.
    fn enter(
        &mut self,
        path: &Path,
        seen: Option<Sighting>,
        depth: usize,
        open: &mut Vec<Open>,
        found: Found<'_>,
    ) -> Result<bool> {
        if self.skip.iter().any(|skip| skip == path) {
            return Ok(false);
        }
        let mut seen = seen;
        loop {
            let Some(entry) = self.look(path, seen.take())? else { return Ok(false) };
            if depth > 0 && entry.state == State::Directory && path.as_os_str().len() < DEEPEST {
                match self.node.scan(path) {
                    Ok(inside) => {
                        open.push(Open { path: path.to_owned(), rest: inside.into_iter(), depth });
                    }
                    // Removed since we looked at it.
                    Err(_) if !self.is(path, Kind::Directory)? => continue,
                    Err(error) => return Err(error),
                }
            }
            found(path, entry)?;
            return Ok(true);
        }
    }

    /// The entry at `path`, which may have been seen already. What is replaced between two calls is looked at again.
    fn look(&mut self, path: &Path, mut seen: Option<Sighting>) -> Result<Option<Entry>> {
        let mut tries = 0;
        loop {
            let sighting = match seen.take() {
                Some(sighting) => sighting,
                None => {
                    let Some(metadata) = self.node.lookup(path)? else { return Ok(None) };
                    Sighting { name: OsString::new(), metadata, changed: None }
                }
            };
            match self.describe(path, &sighting) {
                Ok(entry) => return Ok(Some(entry)),
                Err(error) => {
                    tries += 1;
                    let gone =
                        self.node.lookup(path)?.is_none_or(|now| now.identity != sighting.metadata.identity);
                    if !gone || tries == TRIES {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn is(&self, path: &Path, kind: Kind) -> Result<bool> {
        Ok(self.node.lookup(path)?.is_some_and(|metadata| metadata.kind == kind))
    }

    fn describe(&mut self, path: &Path, seen: &Sighting) -> Result<Entry> {
        let metadata = &seen.metadata;
        let recalled = self.recall(path, seen);
        let state = match (metadata.kind, recalled) {
            (Kind::Directory, _) => State::Directory,
            (Kind::Link, _) => State::Link { target: self.node.read_link(path)? },
            (Kind::Other, _) => State::Other,
            (Kind::File, Some(content)) => State::File { content, size: metadata.size },
            (Kind::File, None) if self.is_another(path, metadata) => {
                State::File { content: ObjectId::UNREAD, size: metadata.size }
            }
            (Kind::File, None) => self.read(path, metadata)?,
        };
        let attributes = match metadata.kind {
            _ if recalled.is_some() => Vec::new(),
            Kind::Other => Vec::new(),
            _ => self.node.attributes(path)?,
        };
        if recalled.is_none() && attributes.is_empty() {
            self.remember(seen, &state);
        }
        Ok(Entry {
            state,
            // Without quorum pmxcfs takes this bit from everything, and gives it back: nobody has changed anything.
            mode: metadata.mode | if path.starts_with(CLUSTER) { 0o200 } else { 0 },
            uid: metadata.uid,
            gid: metadata.gid,
            name_group: self.group(metadata),
            modified: metadata.modified,
            attributes: attributes
                .into_iter()
                .map(|(name, value)| (name.into_boxed_str(), value.into_boxed_slice()))
                .collect(),
        })
    }

    /// Whether the file is none of the versions, as its size tells.
    fn is_another(&self, path: &Path, found: &Metadata) -> bool {
        let fits = |version: &&Manifest| match version.get(path).map(|entry| &entry.state) {
            Some(State::File { size, .. }) => *size == found.size,
            _ => false,
        };
        !self.versions.is_empty() && !self.versions.iter().any(fits)
    }

    /// Reads once: size and SHA-256 are of the same bytes, whatever a writer does meanwhile.
    fn read(&mut self, path: &Path, seen: &Metadata) -> Result<State> {
        if let Some(store) = &mut self.store
            && (self.contents)(path)
        {
            let content = self.node.read_seen(path, seen)?;
            let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
            return Ok(State::File { content: store.add(&content)?, size });
        }
        let (mut sum, mut size) = (Sha256::new(), 0);
        self.node.read_pieces(path, seen, &mut |piece| {
            sum.update(piece);
            size += piece.len() as u64;
        })?;
        Ok(State::File { content: sum.into(), size })
    }

    /// A content that is wanted in the store counts as read only if it is there.
    fn recall(&self, path: &Path, seen: &Sighting) -> Option<ObjectId> {
        let store = self.store.as_ref()?;
        let content = store.recall(seen)?;
        let wanted = seen.metadata.kind == Kind::File && (self.contents)(path);
        (!wanted || store.holds(&content)).then_some(content)
    }

    fn remember(&self, seen: &Sighting, state: &State) {
        let Some(store) = &self.store else { return };
        match state {
            // One that grew or shrank while it was read is neither what was seen nor what it is now.
            State::File { content, size } if *size == seen.metadata.size => store.remember(seen, *content),
            State::Directory | State::Link { .. } => store.remember(seen, ObjectId::of(b"")),
            _ => {}
        }
    }

    fn group(&mut self, metadata: &Metadata) -> u32 {
        if metadata.kind != Kind::File || metadata.links < 2 {
            return 0;
        }
        let next = u32::try_from(self.files.len()).unwrap_or(u32::MAX).saturating_add(1);
        if let Some(group) = self.files.get(&metadata.identity) {
            return *group;
        }
        self.files.insert(metadata.identity, next);
        next
    }
}

impl Manifest {
    /// Other names outside the scopes are nothing that a restore could make.
    pub(super) fn forget_single_names(&mut self) {
        let (mut seen, mut shared) = (Set::default(), Set::default());
        for entry in self.entries.values().filter(|entry| entry.name_group != 0) {
            if !seen.insert(entry.name_group) {
                shared.insert(entry.name_group);
            }
        }
        let alone = |entry: &Entry| entry.name_group != 0 && !shared.contains(&entry.name_group);
        self.entries.change(&alone, &mut |entry| entry.name_group = 0);
    }
}
