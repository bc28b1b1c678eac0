//! What a power cut takes away: every change carries how to undo it, until a sync makes it durable.

use super::Files;
use crate::node::{Kind, Metadata, Node};
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

/// How bad the power cut is; file systems may do either.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lose {
    /// Everything that was not made durable.
    Everything,
    /// Contents alone: names are there, files are empty or short.
    Contents,
}

/// What makes a change durable.
#[derive(Clone, PartialEq, Eq)]
enum Until {
    /// A sync of this file.
    File(PathBuf),
    /// A sync of this directory.
    Directory(PathBuf),
}

/// How a change is undone.
enum Undo {
    /// The file gets its former content, or length, again.
    Content(Vec<u8>),
    Length(u64),
    /// The entry goes away.
    Remove(PathBuf),
    /// The entry goes back, and what it replaced comes back.
    Rename(PathBuf, PathBuf, Option<PathBuf>),
    /// The removed entry comes back.
    Restore(PathBuf, Option<PathBuf>),
    /// The removed directory comes back.
    MakeDirectory(PathBuf, Option<Metadata>),
    /// Owner, mode, time and attributes are the old ones again.
    Metadata(PathBuf, Metadata, Vec<(String, Vec<u8>)>),
}

/// Changes that are not durable yet, oldest first.
#[derive(Default)]
pub(super) struct Power {
    changes: RefCell<Vec<(Until, Undo)>>,
    stashed: Cell<usize>,
    /// Nobody will cut the power: what is removed is gone, and its room is free.
    keeps_nothing: Cell<bool>,
}

/// Where replaced and removed files wait: outside of what tests look at.
const STASH: &str = "/.stash";

fn parent(path: &Path) -> Until {
    Until::Directory(path.parent().unwrap().to_owned())
}

impl Power {
    fn push(&self, until: Until, undo: Undo) {
        self.changes.borrow_mut().push((until, undo));
    }

    pub(super) fn keep_nothing(&self) {
        self.keeps_nothing.set(true);
    }

    /// Keeps what stands at `path` for the undoing.
    pub(super) fn stash(&self, files: &Files, path: &Path) -> Option<PathBuf> {
        if self.keeps_nothing.get() {
            return None;
        }
        let host = files.host(path.to_str()?);
        let metadata = host.symlink_metadata().ok()?;
        if metadata.is_dir() {
            return None;
        }
        files.directory(STASH);
        let number = self.stashed.replace(self.stashed.get() + 1);
        let stash = files.host(&format!("{STASH}/{number}"));
        std::fs::hard_link(&host, &stash).unwrap();
        Some(stash)
    }

    pub(super) fn created(&self, path: &Path) {
        self.push(parent(path), Undo::Remove(path.to_owned()));
        self.push(Until::File(path.to_owned()), Undo::Length(0));
    }

    pub(super) fn appended(&self, path: &Path, before: u64) {
        self.push(Until::File(path.to_owned()), Undo::Length(before));
    }

    pub(super) fn truncated(&self, path: &Path, before: Vec<u8>) {
        self.push(Until::File(path.to_owned()), Undo::Content(before));
    }

    pub(super) fn renamed(&self, from: &Path, to: &Path, replaced: Option<PathBuf>) {
        for (until, undo) in self.changes.borrow_mut().iter_mut() {
            if *until == Until::File(from.to_owned()) {
                *until = Until::File(to.to_owned());
                if let Undo::Metadata(path, ..) = undo {
                    *path = to.to_owned();
                }
            }
        }
        self.push(parent(to), Undo::Rename(from.to_owned(), to.to_owned(), replaced));
    }

    pub(super) fn removed(&self, path: &Path, removed: Option<PathBuf>) {
        self.changes.borrow_mut().retain(|(until, _)| *until != Until::File(path.to_owned()));
        self.push(parent(path), Undo::Restore(path.to_owned(), removed));
    }

    pub(super) fn made_directory(&self, path: &Path) {
        self.push(parent(path), Undo::Remove(path.to_owned()));
    }

    pub(super) fn removed_directory(&self, path: &Path, before: Option<Metadata>) {
        self.push(parent(path), Undo::MakeDirectory(path.to_owned(), before));
    }

    pub(super) fn made_entry(&self, path: &Path) {
        self.push(parent(path), Undo::Remove(path.to_owned()));
    }

    /// To be called before metadata changes.
    pub(super) fn changing(&self, files: &Files, path: &Path) {
        let Ok(Some(before)) = files.machine.lookup(path) else { return };
        let until = match before.kind {
            Kind::Directory => Until::Directory(path.to_owned()),
            Kind::File => Until::File(path.to_owned()),
            // Nobody can sync a link; its directory stands for it.
            _ => parent(path),
        };
        let attributes = files.machine.attributes(path).unwrap();
        self.push(until, Undo::Metadata(path.to_owned(), before, attributes));
    }

    pub(super) fn synced_file(&self, path: &Path) {
        self.changes.borrow_mut().retain(|(until, _)| *until != Until::File(path.to_owned()));
    }

    pub(super) fn synced_directory(&self, path: &Path) {
        self.changes.borrow_mut().retain(|(until, _)| *until != Until::Directory(path.to_owned()));
    }

    pub(super) fn synced_all(&self) {
        self.changes.borrow_mut().clear();
    }

    pub(super) fn pending(&self) -> Vec<String> {
        let name = |until: &Until| match until {
            Until::File(path) => format!("file {}", path.display()),
            Until::Directory(path) => format!("directory {}", path.display()),
        };
        let mut names: Vec<String> = self.changes.borrow().iter().map(|(until, _)| name(until)).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Undoes, newest first; what cannot be undone any more has been overtaken by a later change.
    pub(super) fn cut(&self, files: &Files, lose: Lose) {
        let mut lost: Vec<(Until, Undo)> = self.changes.borrow_mut().drain(..).rev().collect();
        if lose == Lose::Contents {
            lost.retain(|(_, undo)| matches!(undo, Undo::Content(_) | Undo::Length(_)));
        }
        // Contents first, while files still have the names that the changes know them by.
        lost.sort_by_key(|(_, undo)| {
            !matches!(undo, Undo::Content(_) | Undo::Length(_) | Undo::Metadata(..))
        });
        for (until, undo) in lost {
            let (Until::File(path) | Until::Directory(path)) = until;
            undo.apply(files, &path);
        }
    }
}

impl Undo {
    fn apply(self, files: &Files, changed: &Path) {
        let host = |path: &Path| files.host(path.to_str().unwrap());
        match self {
            Self::Content(content) => {
                let _ = std::fs::write(host(changed), content);
            }
            Self::Length(length) => {
                let _ = files.machine.truncate(changed, length);
            }
            Self::Remove(path) => {
                let _ = files.machine.remove_file(&path).or_else(|_| files.machine.remove_directory(&path));
            }
            Self::Rename(from, to, replaced) => {
                let _ = std::fs::rename(host(&to), host(&from));
                if let Some(stash) = replaced {
                    std::fs::rename(stash, host(&to)).unwrap();
                }
            }
            Self::Restore(path, Some(stash)) => {
                let _ = std::fs::rename(stash, host(&path));
            }
            Self::Restore(_, None) => {}
            Self::MakeDirectory(path, before) => {
                if std::fs::create_dir(host(&path)).is_ok()
                    && let Some(before) = before
                {
                    put_back(files, &path, &before, &[]);
                }
            }
            Self::Metadata(path, before, attributes) => put_back(files, &path, &before, &attributes),
        }
    }
}

fn put_back(files: &Files, path: &Path, before: &Metadata, attributes: &[(String, Vec<u8>)]) {
    let machine = &files.machine;
    // The path may be gone; then nothing of it can be lost.
    let _ = machine.set_owner(path, before.uid, before.gid);
    for (name, _) in machine.attributes(path).unwrap_or_default() {
        if !attributes.iter().any(|(old, _)| *old == name) {
            let _ = machine.set_attribute(path, &name, None);
        }
    }
    for (name, value) in attributes {
        let _ = machine.set_attribute(path, name, Some(value));
    }
    let _ = machine.set_mode(path, before.mode);
    let _ = machine.set_modified(path, before.modified);
}
