//! What every call of the seam begins with: it is noted, a fault may happen, and the place is looked up.

use super::Memory;
use super::disk::{CLUSTER_DEVICE, DISK_DEVICE, Event};
use super::fault::{Class, Fault};
use super::tree::{Ino, Lost};
use crate::error::{Error, Result};
use crate::node::Kind;
use std::ffi::OsStr;
use std::path::Path;

pub(super) fn line(verb: &str, path: &Path) -> String {
    format!("{verb} {}", path.display())
}

pub(super) fn refused(verb: &str, path: &Path, because: impl std::fmt::Display) -> Error {
    Error::new(line(verb, path), because)
}

pub(super) fn lost(verb: &str, path: &Path, lost: Lost) -> Error {
    let because = match lost {
        Lost::Missing => "No such file or directory (os error 2)",
        Lost::NotADirectory => "Not a directory (os error 20)",
        Lost::Link => "a symbolic link is in the way",
    };
    refused(verb, path, because)
}

pub(super) const NO_SPACE: &str = "No space left on device (os error 28)";
const READ_ONLY: &str = "Read-only file system (os error 30)";

/// Directories here are locks of the whole cluster.
pub(super) const LOCKS: &str = "/etc/pve/priv/lock";

impl Memory {
    pub(super) fn reading(&self, verb: &str, path: &Path, opens: bool) -> Result<()> {
        let what = line(verb, path);
        self.fault.call(Class::Read, &what)?;
        if opens { self.fault.call(Class::Open, &what).map(drop) } else { Ok(()) }
    }

    /// A changing call begins.
    pub(super) fn writing(&self, verb: &str, path: &Path, opens: bool) -> Result<()> {
        let what = line(verb, path);
        let mut disk = self.disk.borrow_mut();
        disk.note(Event::Call(what.clone()));
        let number = self.fault.call(Class::Write, &what)?;
        if opens {
            self.fault.call(Class::Open, &what)?;
        }
        match self.fault.fault() {
            Fault::Full(at) if at == number => {
                disk.free = Some(0);
                self.fault.happens();
            }
            Fault::ReadOnly(at) if at == number => {
                disk.read_only = true;
                self.fault.happens();
            }
            Fault::Clock(at, by) if at == number => {
                disk.clock = disk.clock.saturating_add_signed(by);
                self.fault.happens();
            }
            _ => {}
        }
        if disk.read_only {
            let above = path.ancestors().find_map(|above| disk.tree.find(above, false, false).ok());
            if above.is_some_and(|ino| disk.tree.inode(ino).device == DISK_DEVICE) {
                return Err(Error::new(what, READ_ONLY));
            }
        }
        Ok(())
    }

    pub(super) fn syncing(&self, verb: &str, path: &Path) -> Result<String> {
        let what = line(verb, path);
        let mut disk = self.disk.borrow_mut();
        disk.note(Event::Call(what.clone()));
        disk.read_only |=
            matches!(self.fault.fault(), Fault::Dies(at) if at <= self.fault.count(Class::Sync));
        self.fault.call(Class::Sync, &what)?;
        self.fault.call(Class::Open, &what)?;
        Ok(what)
    }

    pub(super) fn inode(&self, verb: &str, path: &Path, follow: bool) -> Result<Ino> {
        self.disk.borrow().tree.find(path, follow, follow).map_err(|why| lost(verb, path, why))
    }

    pub(super) fn place<'a>(&self, verb: &str, path: &'a Path) -> Result<(Ino, &'a OsStr)> {
        self.disk.borrow().tree.place(path, false).map_err(|why| lost(verb, path, why))
    }

    /// A place with nothing in it.
    pub(super) fn free_place<'a>(&self, verb: &str, path: &'a Path) -> Result<(Ino, &'a OsStr)> {
        let place = self.place(verb, path)?;
        if self.disk.borrow().tree.inode(place.0).entries.contains_key(place.1) {
            return Err(refused(verb, path, "File exists (os error 17)"));
        }
        Ok(place)
    }

    pub(super) fn kind(&self, ino: Ino) -> Kind {
        self.disk.borrow().tree.inode(ino).kind
    }

    pub(super) fn file(&self, verb: &str, path: &Path) -> Result<Ino> {
        let ino = self.inode(verb, path, false)?;
        if self.kind(ino) == Kind::File {
            Ok(ino)
        } else {
            Err(refused(verb, path, "it is not a regular file"))
        }
    }

    pub(super) fn device(&self, ino: Ino) -> u64 {
        self.disk.borrow().tree.inode(ino).device
    }

    pub(super) fn label(
        &self,
        verb: &str,
        path: &Path,
        change: impl FnOnce(&mut super::Label),
    ) -> Result<()> {
        self.writing(verb, path, false)?;
        let ino = self.inode(verb, path, false)?;
        if self.device(ino) == CLUSTER_DEVICE {
            return Err(refused(verb, path, "Operation not permitted (os error 1)"));
        }
        let parent = self.place(verb, path).map_or(ino, |place| place.0);
        self.disk.borrow_mut().label(ino, parent, line(verb, path), change);
        Ok(())
    }
}
