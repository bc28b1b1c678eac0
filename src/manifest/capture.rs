//! Looking at the node: from scopes to a manifest.

use super::{Entry, Ground, Manifest, State};
use crate::error::Result;
use crate::node::{Kind, Metadata, Node};
use crate::objects::{Batch, ObjectId};
use std::collections::BTreeMap;
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
}

/// The state of everything in `scopes`, without the subtrees in `skip`. Contents go into `store` if there is one.
/// Hard links are seen between the captured paths only.
pub fn capture(
    node: &dyn Node,
    scopes: &[Scope],
    skip: &[PathBuf],
    store: Option<&mut Batch<'_>>,
) -> Result<Manifest> {
    let mut walk = Walk { node, skip, store, manifest: Manifest::default(), files: BTreeMap::new() };
    let mut ground = Ground::default();
    for scope in scopes {
        // What lies behind a link is not ours to read, write or put back.
        if let Some(parent) = scope.path().parent()
            && !ground.carries(node, parent)?
        {
            walk.manifest.entries.entry(scope.path().to_owned()).or_insert_with(|| Box::new(Entry::absent()));
            continue;
        }
        let (path, depth) = match scope {
            Scope::Entry(path) => (path, 0),
            Scope::Children(path) => (path, 1),
            Scope::Tree(path) => (path, usize::MAX),
        };
        walk.visit(path.clone(), depth, true)?;
    }
    walk.forget_single_names();
    Ok(walk.manifest)
}

struct Walk<'a, 'b> {
    node: &'a dyn Node,
    skip: &'a [PathBuf],
    store: Option<&'a mut Batch<'b>>,
    manifest: Manifest,
    /// Files with several names: identity and group number.
    files: BTreeMap<(u64, u64), u32>,
}

/// Directories whose path is as long as this (twice what one system call takes) are not looked into: every level
/// costs as much as all above it.
const DEEPEST: usize = 8 * 1024;
/// How often an entry that changes under our eyes is looked at again.
const TRIES: u32 = 5;

impl Walk<'_, '_> {
    /// Records `path` and what is below it down to `depth`; absence only where somebody asked for this very path.
    /// Without recursion, and only so deep: whoever makes a tree deeper than that wants to trouble us.
    fn visit(&mut self, path: PathBuf, depth: usize, asked: bool) -> Result<()> {
        let mut open = vec![(path, depth, asked)];
        while let Some((path, depth, asked)) = open.pop() {
            if self.skip.contains(&path) {
                continue;
            }
            let Some(entry) = self.look(&path)? else {
                if asked {
                    self.manifest.entries.entry(path).or_insert_with(|| Box::new(Entry::absent()));
                }
                continue;
            };
            if depth > 0 && entry.state == State::Directory && path.as_os_str().len() < DEEPEST {
                match self.node.list(&path) {
                    // The last one first, since the last one put down is the next one taken up.
                    Ok(names) => open.extend(names.iter().rev().map(|name| {
                        // Of exactly the size: `join` doubles it, which is megabytes over a hundred thousand.
                        let mut below = PathBuf::with_capacity(path.as_os_str().len() + 1 + name.len());
                        below.push(&path);
                        below.push(name);
                        (below, depth - 1, false)
                    })),
                    // Removed since we looked at it.
                    Err(_) if !self.is(&path, Kind::Directory)? => {
                        open.push((path, depth, asked));
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            self.manifest.entries.insert(path, Box::new(entry));
        }
        Ok(())
    }

    /// The entry at `path`. What is replaced between two calls is looked at again.
    fn look(&mut self, path: &Path) -> Result<Option<Entry>> {
        let mut tries = 0;
        loop {
            let Some(metadata) = self.node.lookup(path)? else { return Ok(None) };
            match self.describe(path, &metadata) {
                Ok(entry) => return Ok(Some(entry)),
                Err(error) => {
                    tries += 1;
                    let gone = self.node.lookup(path)?.is_none_or(|now| now.identity != metadata.identity);
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

    fn describe(&mut self, path: &Path, metadata: &Metadata) -> Result<Entry> {
        let state = match metadata.kind {
            Kind::Directory => State::Directory,
            Kind::Link => State::Link { target: self.node.read_link(path)? },
            Kind::Other => State::Other,
            Kind::File => {
                // Read once: size and SHA-256 are of the same bytes, whatever a writer does meanwhile.
                let content = self.node.read_seen(path, metadata)?;
                let id = match &mut self.store {
                    Some(store) => store.add(&content)?,
                    None => ObjectId::of(&content),
                };
                State::File { content: id, size: u64::try_from(content.len()).unwrap_or(u64::MAX) }
            }
        };
        let attributes = match metadata.kind {
            Kind::Other => Vec::new(),
            _ => self.node.attributes(path)?,
        };
        Ok(Entry {
            state,
            mode: metadata.mode,
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

    fn group(&mut self, metadata: &Metadata) -> u32 {
        if metadata.kind != Kind::File || metadata.links < 2 {
            return 0;
        }
        let next = u32::try_from(self.files.len()).unwrap_or(u32::MAX).saturating_add(1);
        *self.files.entry(metadata.identity).or_insert(next)
    }

    /// Other names outside the scopes are nothing that a restore could make.
    fn forget_single_names(&mut self) {
        let mut counts = BTreeMap::new();
        for entry in self.manifest.entries.values() {
            *counts.entry(entry.name_group).or_insert(0) += 1;
        }
        for entry in self.manifest.entries.values_mut() {
            if counts.get(&entry.name_group) == Some(&1) {
                entry.name_group = 0;
            }
        }
    }
}
