//! How the models of tools change files: not through the seam, and durable only where they say so.

use super::disk::{Disk, Event};
use super::tree::Ino;
use crate::node::Kind;
use std::ffi::OsStr;
use std::path::Path;

/// A tool at work.
pub struct Shell<'a> {
    disk: &'a mut Disk,
    /// Something could not be written: no room, or a read-only file system.
    pub failed: bool,
}

impl<'a> Shell<'a> {
    pub fn new(disk: &'a mut Disk) -> Self {
        Self { disk, failed: false }
    }

    fn find(&self, path: &str) -> Option<Ino> {
        self.disk.tree.find(Path::new(path), true, true).ok()
    }

    /// Whether another change can be made.
    fn alive(&mut self, path: &str) -> bool {
        let on_disk = !path.starts_with("/run") && !path.starts_with("/proc");
        if self.disk.read_only && on_disk {
            self.failed = true;
        }
        if let Some(left) = &mut self.disk.tool_limit {
            if *left == 0 {
                self.failed = true;
                return false;
            }
            *left -= 1;
        }
        !self.failed
    }

    pub fn has(&self, path: &str) -> bool {
        self.disk.tree.find(Path::new(path), true, false).is_ok()
    }

    /// The content as text; empty when there is no such file.
    pub fn text(&self, path: &str) -> String {
        let data = self.find(path).map(|ino| self.disk.tree.inode(ino).data.to_vec());
        String::from_utf8(data.unwrap_or_default()).unwrap_or_default()
    }

    pub fn names(&self, path: &str) -> Vec<String> {
        let names = self.find(path).map(|ino| self.disk.tree.inode(ino).entries.keys());
        names.map(|names| names.map(|name| name.to_string_lossy().into_owned()).collect()).unwrap_or_default()
    }

    /// Makes a directory with its parents.
    pub fn directory(&mut self, path: &str) {
        if self.has(path) {
            return;
        }
        let (parent, name) = path.rsplit_once('/').unwrap();
        if !parent.is_empty() {
            self.directory(parent);
        }
        if self.alive(path) {
            let parent = self.find(parent).unwrap_or(super::tree::ROOT);
            self.disk.make(parent, OsStr::new(name), Kind::Directory, 0o755, format!("tool makes {path}"));
        }
    }

    /// A new file under a temporary name, renamed over the old one; synced before only when `sync`.
    pub fn put_as(&mut self, path: &str, content: &str, owner: (u32, u32), sync: bool) {
        self.put_via(path, "tool-new", content, owner, sync);
    }

    /// The same, with this behind the temporary name's dot.
    pub fn put_via(&mut self, path: &str, way: &str, content: &str, (mode, uid): (u32, u32), sync: bool) {
        let (parent, name) = path.rsplit_once('/').unwrap();
        self.directory(if parent.is_empty() { "/" } else { parent });
        if !self.alive(path) {
            return;
        }
        let directory = self.find(parent).unwrap_or(super::tree::ROOT);
        let waiting = format!("{name}.{way}");
        let text = format!("tool writes {path}");
        let ino = self.disk.make(directory, OsStr::new(&waiting), Kind::File, mode, format!("{text} (name)"));
        if uid != 0 {
            self.disk.label(ino, directory, text.clone(), |label| (label.uid, label.gid) = (uid, uid));
        }
        if !self.disk.write(ino, content.as_bytes(), format!("{text} (content)")) {
            self.failed = true;
            self.disk.put_name(directory, OsStr::new(&waiting), None, text);
            return;
        }
        if sync {
            self.disk.note(Event::Sync(ino, String::new()));
        }
        self.disk.rename(
            (directory, OsStr::new(&waiting)),
            (directory, OsStr::new(name)),
            format!("{text} (rename)"),
        );
    }

    /// The same, root's and readable for everybody, and as careless as most tools.
    pub fn put(&mut self, path: &str, content: &str) {
        let mode = self.find(path).map_or(0o644, |ino| self.disk.tree.inode(ino).label.mode);
        self.put_as(path, content, (mode, 0), false);
    }

    /// Shows another content at once, as the kernel does in `/proc`.
    pub fn show(&mut self, path: &str, content: &str) {
        let (parent, name) = path.rsplit_once('/').unwrap();
        self.directory(parent);
        if self.alive(path) {
            let (directory, time) = (self.find(parent).unwrap(), self.disk.time());
            let mut inode =
                super::Inode::new(Kind::File, self.disk.tree.inode(directory).device, 0o644, time);
            inode.data = std::sync::Arc::new(content.as_bytes().to_vec());
            self.disk.born(directory, OsStr::new(name), inode);
        }
    }

    pub fn link(&mut self, path: &str, target: &str) {
        let (parent, name) = path.rsplit_once('/').unwrap();
        self.directory(parent);
        if self.has(path) || !self.alive(path) {
            return;
        }
        let directory = self.find(parent).unwrap();
        self.link_at(directory, OsStr::new(name), target.as_bytes());
    }

    pub(super) fn link_at(&mut self, directory: Ino, name: &OsStr, target: &[u8]) {
        // A link is made with its target.
        let time = self.disk.time();
        let device = self.disk.tree.inode(directory).device;
        let mut inode = super::Inode::new(Kind::Link, device, 0o777, time);
        inode.data = std::sync::Arc::new(target.to_vec());
        self.disk.born(directory, name, inode);
    }

    /// Removes a file, a link, or a whole directory.
    pub fn remove(&mut self, path: &str) {
        for name in self.names(path) {
            self.remove(&format!("{path}/{name}"));
        }
        if self.has(path) && self.alive(path) {
            let (directory, name) = self.disk.tree.place(Path::new(path), true).unwrap();
            self.disk.put_name(directory, name, None, format!("tool removes {path}"));
        }
    }

    /// The wall clock.
    pub fn clock(&self) -> u64 {
        self.disk.clock
    }

    /// Takes a lock of the cluster as PVE's tools do: one try a second, ten in all; each asks pmxcfs to let go of one
    /// whose holder is dead.
    pub fn lock_cluster(&mut self, path: &str) -> bool {
        for _ in 0..10 {
            if !self.has(path) {
                self.directory(path);
                return !self.failed;
            }
            let (directory, name) = self.disk.tree.place(Path::new(path), true).unwrap();
            let ino = self.find(path).unwrap();
            self.disk.ask_for_lock(directory, name, ino);
            self.disk.pass(1000);
        }
        false
    }

    /// Removes a directory that is empty.
    pub fn remove_if_empty(&mut self, path: &str) {
        if self.has(path) && self.names(path).is_empty() {
            self.remove(path);
        }
    }

    /// Changes mode and owner.
    pub fn own(&mut self, path: &str, mode: u32, uid: u32) {
        if !self.alive(path) {
            return;
        }
        let ino = self.find(path).unwrap();
        self.disk.label(ino, ino, format!("tool owns {path}"), |label| {
            (label.mode, label.uid, label.gid) = (mode, uid, uid);
        });
    }

    /// Takes the right to write from PVE's link, as pmxcfs does while the cluster has no quorum.
    pub fn lose_quorum(&mut self, path: &str) {
        let (directory, name) = self.disk.tree.place(Path::new(path), true).unwrap();
        let ino = self.disk.tree.inode(directory).entries[name];
        self.disk.label(ino, directory, "quorum is lost".to_owned(), |label| label.mode = 0o555);
    }

    /// Gives it back.
    pub fn regain_quorum(&mut self, path: &str) {
        let (directory, name) = self.disk.tree.place(Path::new(path), true).unwrap();
        let ino = self.disk.tree.inode(directory).entries[name];
        self.disk.label(ino, directory, "quorum is back".to_owned(), |label| label.mode = 0o777);
    }

    /// Whether a link says that what is behind it can be written.
    pub fn has_quorum(&self, path: &str) -> bool {
        self.disk.tree.place(Path::new(path), true).is_ok_and(|(directory, name)| {
            let entries = &self.disk.tree.inode(directory).entries;
            entries.get(name).is_some_and(|ino| self.disk.tree.inode(*ino).label.mode & 0o200 != 0)
        })
    }

    /// What is mounted at this path comes or goes: another directory of the same name, and no change of any disk.
    pub fn mount_over(&mut self, path: &str, ino: Ino) -> Ino {
        let (directory, name) = self.disk.tree.place(Path::new(path), true).unwrap();
        let name = name.to_owned();
        self.disk.tree.change(directory).entries.insert(name, ino).unwrap()
    }

    /// Gives a file an extended attribute.
    pub fn mark(&mut self, path: &str, name: &str, value: &[u8]) {
        let ino = self.find(path).unwrap();
        let text = format!("tool marks {path}");
        self.disk.label(ino, ino, text, |label| {
            label.attributes.insert(name.to_owned(), value.to_vec());
        });
    }

    /// Makes `path` another name of `existing`.
    pub fn name(&mut self, path: &str, existing: &str) {
        let ino = self.find(existing);
        let (directory, name) = self.disk.tree.place(Path::new(path), true).unwrap();
        self.disk.put_name(directory, name, ino, format!("tool names {path}"));
    }

    /// Makes a directory of its own file system.
    pub fn mount(&mut self, path: &str, device: u64) {
        self.directory(path);
        let ino = self.find(path).unwrap();
        self.disk.tree.change(ino).device = device;
    }

    /// Everything is durable: what dpkg makes sure of before it says so.
    pub fn sync(&mut self) {
        self.disk.note(Event::SyncAll(String::new()));
    }
}
