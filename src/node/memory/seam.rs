//! The seam of the node in memory.

use super::calls::{LOCKS, NO_SPACE, line, lost, refused};
use super::disk::{CLUSTER_DEVICE, DISK_DEVICE, Event};
use super::fault::{Class, Fault};
use super::{Memory, Shell};
use crate::error::{Error, Result};
use crate::node::{Invocation, Kind, Lock, Metadata, Node, Output};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

impl Node for Memory {
    fn lookup(&self, path: &Path) -> Result<Option<Metadata>> {
        self.reading("looking up", path, false)?;
        let disk = self.disk.borrow();
        Ok(disk.tree.find(path, true, false).ok().map(|ino| disk.tree.metadata(ino)))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.reading("reading", path, true)?;
        let ino = self.inode("reading", path, true)?;
        if self.kind(ino) != Kind::File {
            return Err(refused("reading", path, "it is not a regular file"));
        }
        Ok(self.disk.borrow().tree.inode(ino).data.to_vec())
    }

    fn read_seen(&self, path: &Path, _: &Metadata) -> Result<Vec<u8>> {
        self.read(path)
    }

    fn immutable(&self, _: &Path) -> Result<Option<PathBuf>> {
        Ok(None)
    }

    fn create_for(&self, path: &Path, content: &[u8], mode: u32, (uid, gid): (u32, u32)) -> Result<()> {
        self.create(path, content, 0o600)?;
        let ino = self.file("creating", path)?;
        let directory = self.place("creating", path)?.0;
        let text = format!("create {} (owner and mode)", path.display());
        self.disk.borrow_mut().label(ino, directory, text, |label| {
            (label.uid, label.gid, label.mode) = (uid, gid, mode);
        });
        Ok(())
    }

    fn make_directory_for(&self, path: &Path, mode: u32, (uid, gid): (u32, u32)) -> Result<()> {
        if self.lookup(path)?.is_none() {
            self.make_directory(path, 0o700)?;
        }
        let ino = self.inode("making the directory", path, false)?;
        let text = format!("make-directory {} (owner and mode)", path.display());
        self.disk.borrow_mut().label(ino, ino, text, |label| {
            (label.uid, label.gid, label.mode) = (uid, gid, mode);
        });
        Ok(())
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf> {
        self.reading("reading the link", path, false)?;
        let disk = self.disk.borrow();
        let ino = disk.tree.find(path, true, false).map_err(|why| lost("reading the link", path, why))?;
        Ok(disk.tree.target(ino))
    }

    fn list(&self, directory: &Path) -> Result<Vec<OsString>> {
        self.reading("listing", directory, true)?;
        let ino = self.inode("listing", directory, true)?;
        if self.kind(ino) != Kind::Directory {
            return Err(refused("listing", directory, "Not a directory (os error 20)"));
        }
        Ok(self.disk.borrow().tree.inode(ino).entries.keys().cloned().collect())
    }

    fn attributes(&self, path: &Path) -> Result<Vec<(String, Vec<u8>)>> {
        self.reading("reading the attributes of", path, false)?;
        let disk = self.disk.borrow();
        let ino = disk.tree.find(path, true, false).map_err(|why| lost("reading", path, why))?;
        let attributes = &disk.tree.inode(ino).label.attributes;
        Ok(attributes.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    fn create(&self, path: &Path, content: &[u8], mode: u32) -> Result<()> {
        self.writing("create", path, true)?;
        let (directory, name) = self.free_place("creating", path)?;
        let fixed = if path.components().any(|part| part.as_os_str() == "priv") { 0o600 } else { 0o640 };
        if self.device(directory) == CLUSTER_DEVICE && mode != fixed {
            return Err(refused("creating", path, "Operation not permitted (os error 1)"));
        }
        let mut disk = self.disk.borrow_mut();
        let text = line("create", path);
        // pmxcfs knows no other mode, not even for a moment.
        let inside = disk.tree.inode(directory).device == CLUSTER_DEVICE;
        let ino = disk.make(directory, name, Kind::File, if inside { fixed } else { 0o600 }, text.clone());
        if !disk.write(ino, content, format!("{text} (content)")) {
            disk.put_name(directory, name, None, line("remove", path));
            return Err(refused("creating", path, NO_SPACE));
        }
        if mode != 0o600 && !inside {
            disk.label(ino, directory, format!("{text} (mode)"), |label| label.mode = mode);
        }
        Ok(())
    }

    fn append(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.writing("append", path, true)?;
        let ino = self.file("appending to", path)?;
        if let Some(likes) = self.swallow.get()
            && likes(&String::from_utf8_lossy(content))
        {
            return Ok(());
        }
        if self.disk.borrow_mut().write(ino, content, line("append", path)) {
            Ok(())
        } else {
            Err(refused("appending to", path, NO_SPACE))
        }
    }

    fn truncate(&self, path: &Path, size: u64) -> Result<()> {
        self.writing("truncate", path, true)?;
        let ino = self.file("truncating", path)?;
        self.disk.borrow_mut().cut(ino, size as usize, line("truncate", path));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.writing("rename to", to, false)?;
        self.inode("renaming", from, false)?;
        let (old, new) = (self.place("renaming", from)?, self.place("renaming to", to)?);
        if let Ok(there) = self.inode("renaming to", to, false)
            && self.kind(there) == Kind::Directory
        {
            return Err(refused("renaming to", to, "Is a directory (os error 21)"));
        }
        self.disk.borrow_mut().rename(old, new, format!("rename {} {}", from.display(), to.display()));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.writing("remove", path, false)?;
        let ino = self.inode("removing", path, false)?;
        if self.kind(ino) == Kind::Directory {
            return Err(refused("removing", path, "Is a directory (os error 21)"));
        }
        let (directory, name) = self.place("removing", path)?;
        self.disk.borrow_mut().put_name(directory, name, None, line("remove", path));
        Ok(())
    }

    fn make_directory(&self, path: &Path, mode: u32) -> Result<()> {
        self.writing("make-directory", path, true)?;
        let (directory, name) = self.free_place("making the directory", path)?;
        self.disk.borrow_mut().make(directory, name, Kind::Directory, mode, line("make-directory", path));
        Ok(())
    }

    fn remove_directory(&self, path: &Path) -> Result<()> {
        self.writing("remove-directory", path, false)?;
        let ino = self.inode("removing the directory", path, false)?;
        if self.kind(ino) != Kind::Directory {
            return Err(refused("removing the directory", path, "Not a directory (os error 20)"));
        }
        if !self.disk.borrow().tree.inode(ino).entries.is_empty() {
            return Err(refused("removing the directory", path, "Directory not empty (os error 39)"));
        }
        let (directory, name) = self.place("removing the directory", path)?;
        self.disk.borrow_mut().put_name(directory, name, None, line("remove-directory", path));
        Ok(())
    }

    fn make_link(&self, path: &Path, target: &Path) -> Result<()> {
        self.writing("make-link", path, false)?;
        let (directory, name) = self.free_place("making the link", path)?;
        Shell::new(&mut self.disk.borrow_mut()).link_at(directory, name, target.as_os_str().as_bytes());
        Ok(())
    }

    fn make_name(&self, path: &Path, existing: &Path) -> Result<()> {
        self.writing("make-name", path, false)?;
        let ino = self.inode("making another name", existing, false)?;
        let (directory, name) = self.free_place("making another name", path)?;
        self.disk.borrow_mut().put_name(directory, name, Some(ino), line("make-name", path));
        Ok(())
    }

    fn set_owner(&self, path: &Path, uid: u32, gid: u32) -> Result<()> {
        self.label("set-owner", path, |label| (label.uid, label.gid) = (uid, gid))
    }

    fn set_mode(&self, path: &Path, mode: u32) -> Result<()> {
        self.label("set-mode", path, |label| label.mode = mode)
    }

    fn set_attribute(&self, path: &Path, name: &str, value: Option<&[u8]>) -> Result<()> {
        self.label("set-attribute", path, |label| {
            match value {
                Some(value) => label.attributes.insert(name.to_owned(), value.to_owned()),
                None => label.attributes.remove(name),
            };
        })
    }

    fn set_times_to_zero(&self, path: &Path) -> Result<()> {
        let verb = "changing the times of";
        let ino = self.inode(verb, path, false)?;
        if self.device(ino) == CLUSTER_DEVICE && path.starts_with(LOCKS) {
            self.writing(verb, path, false)?;
            let (directory, name) = self.place(verb, path)?;
            self.disk.borrow_mut().ask_for_lock(directory, name, ino);
            return Ok(());
        }
        self.label(verb, path, |label| label.modified = (0, 0))
    }

    fn set_modified(&self, path: &Path, modified: (i64, u32)) -> Result<()> {
        self.label("set-modified", path, |label| label.modified = modified)
    }

    fn sync_file(&self, path: &Path) -> Result<()> {
        let what = self.syncing("sync-file", path)?;
        let ino = self.file("making durable", path)?;
        self.disk.borrow_mut().note(Event::Sync(ino, what));
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> Result<()> {
        let what = self.syncing("sync-directory", path)?;
        let ino = self.inode("making durable", path, false)?;
        if self.kind(ino) != Kind::Directory {
            return Err(refused("making durable", path, "Not a directory (os error 20)"));
        }
        self.disk.borrow_mut().note(Event::Sync(ino, what));
        Ok(())
    }

    fn sync_all(&self, path: &Path) -> Result<()> {
        let what = self.syncing("sync-all", path)?;
        let ino = self.inode("making durable the file system of", path, false)?;
        if self.device(ino) == DISK_DEVICE {
            self.disk.borrow_mut().note(Event::SyncAll(what));
        }
        Ok(())
    }

    fn run(&self, invocation: &Invocation) -> Result<Output> {
        let what = format!("running {}", invocation.line());
        self.ran.borrow_mut().push(invocation.line());
        let mut disk = self.disk.borrow_mut();
        disk.note(Event::Call(what.clone()));
        let number = self.fault.call(Class::Run, &what)?;
        self.fault.call(Class::Open, &what)?;
        let fault = self.fault.fault();
        if let Fault::Killed(at, changes) | Fault::Hangs(at, changes) = fault
            && at == number
        {
            self.fault.happens();
            disk.tool_limit = Some(changes);
            (self.tools)(&mut Shell::new(&mut disk), invocation);
            disk.tool_limit = None;
            if matches!(fault, Fault::Killed(..)) {
                return Ok(Output { status: 137, stdout: String::new(), stderr: String::new() });
            }
            disk.pass(u64::try_from(invocation.limit.as_millis()).unwrap());
            let because = format!("not done after {} ms, stopped", invocation.limit.as_millis());
            return Err(Error::new(what, because));
        }
        Ok((self.tools)(&mut Shell::new(&mut disk), invocation))
    }

    fn random(&self, length: usize) -> Result<Vec<u8>> {
        // The same ones in every run, so that runs can be compared.
        Ok((0..length).map(|number| (number * 37 + 11) as u8).collect())
    }

    fn now(&self) -> u64 {
        self.disk.borrow().clock
    }

    fn boottime(&self) -> u64 {
        self.disk.borrow().up
    }

    fn stop_process(&self, _: u32, _: bool) -> Result<()> {
        Ok(())
    }

    fn sleep(&self, duration: Duration) {
        self.disk.borrow_mut().pass(u64::try_from(duration.as_millis()).unwrap());
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>> {
        if self.disk.borrow().read_only {
            return Err(refused("locking", path, "Read-only file system (os error 30)"));
        }
        Ok(Some(Box::new(Held)))
    }
}

struct Held;

impl Lock for Held {}
