//! A node that is nothing but memory: thousands of whole recoveries in a second.

use firstlight::error::{Error, Result};
use firstlight::node::{Invocation, Kind, Lock, Metadata, Node, Output};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One entry of the tree.
#[derive(Clone, PartialEq, Eq)]
pub struct Item {
    kind: Kind,
    content: Vec<u8>,
    mode: u32,
    owner: (u32, u32),
    modified: (i64, u32),
    attributes: BTreeMap<String, Vec<u8>>,
    inode: u64,
}

/// The node. A clone is another node. Two names of one file do not share later writes, which nothing here relies on.
#[derive(Clone)]
pub struct Memory {
    items: RefCell<BTreeMap<PathBuf, Item>>,
    /// What commands say: by the beginning of their line, the longest that fits.
    said: RefCell<Vec<(String, Output)>>,
    clock: Cell<u64>,
    inodes: Cell<u64>,
}

impl Default for Memory {
    fn default() -> Self {
        let memory = Self {
            items: RefCell::default(),
            said: RefCell::default(),
            clock: Cell::new(1_767_225_600_000),
            inodes: Cell::new(0),
        };
        memory.directory("/etc");
        memory.directory("/var/lib");
        memory
    }
}

impl Memory {
    /// A file with this content, and its directories.
    pub fn put(&self, path: impl AsRef<Path>, content: &[u8]) {
        let path = path.as_ref();
        if let Some(parent) = path.parent() {
            self.directory(parent);
        }
        let item = self.item(Kind::File, content, 0o644);
        self.items.borrow_mut().insert(path.to_owned(), item);
    }

    /// A directory and those above it.
    pub fn directory(&self, path: impl AsRef<Path>) {
        for level in path.as_ref().ancestors() {
            if self.items.borrow().contains_key(level) {
                // And with it those above.
                break;
            }
            let item = self.item(Kind::Directory, b"", 0o755);
            self.items.borrow_mut().insert(level.to_owned(), item);
        }
    }

    /// A link.
    pub fn link(&self, path: impl AsRef<Path>, target: &str) {
        let item = self.item(Kind::Link, target.as_bytes(), 0o777);
        self.items.borrow_mut().insert(path.as_ref().to_owned(), item);
    }

    /// What every command that begins so prints.
    pub fn says(&self, line: &str, status: i32, stdout: &[u8]) {
        let stdout = String::from_utf8_lossy(stdout).into_owned();
        let output = Output { status, stderr: stdout.clone(), stdout };
        self.said.borrow_mut().push((line.to_owned(), output));
    }

    /// The content of a file, if it is there.
    pub fn content(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.items.borrow().get(path.as_ref()).map(|item| item.content.clone())
    }

    /// Everything below `/etc`.
    pub fn etc(&self) -> BTreeMap<PathBuf, Item> {
        let items = self.items.borrow();
        items
            .iter()
            .filter(|(path, _)| path.starts_with("/etc"))
            .map(|(p, i)| (p.clone(), i.clone()))
            .collect()
    }

    fn item(&self, kind: Kind, content: &[u8], mode: u32) -> Item {
        self.inodes.set(self.inodes.get() + 1);
        Item {
            kind,
            content: content.to_vec(),
            mode,
            owner: (0, 0),
            modified: (1_700_000_000, 0),
            attributes: BTreeMap::new(),
            inode: self.inodes.get(),
        }
    }

    fn make(&self, path: &Path, kind: Kind, content: &[u8], mode: u32) -> Result<()> {
        let parent = path.parent().and_then(|parent| self.items.borrow().get(parent).map(|item| item.kind));
        if parent != Some(Kind::Directory) {
            return refuse("making", path, "No such file or directory");
        }
        if self.items.borrow().contains_key(path) {
            return refuse("making", path, "File exists");
        }
        let item = self.item(kind, content, mode);
        self.items.borrow_mut().insert(path.to_owned(), item);
        Ok(())
    }

    fn change(&self, path: &Path, act: impl FnOnce(&mut Item)) -> Result<()> {
        match self.items.borrow_mut().get_mut(path) {
            Some(item) => {
                act(item);
                Ok(())
            }
            None => refuse("changing", path, "No such file or directory"),
        }
    }
}

fn refuse<T>(verb: &str, path: &Path, because: &str) -> Result<T> {
    Err(Error::new(format!("{verb} {}", path.display()), because))
}

struct Held;
impl Lock for Held {}

impl Node for Memory {
    fn lookup(&self, path: &Path) -> Result<Option<Metadata>> {
        Ok(self.items.borrow().get(path).map(|item| Metadata {
            kind: item.kind,
            mode: item.mode,
            uid: item.owner.0,
            gid: item.owner.1,
            size: item.content.len() as u64,
            modified: item.modified,
            identity: (1, item.inode),
            links: 1,
        }))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        match self.items.borrow().get(path) {
            Some(item) if item.kind == Kind::File => Ok(item.content.clone()),
            Some(_) => refuse("reading", path, "not a regular file"),
            None => refuse("reading", path, "No such file or directory"),
        }
    }

    fn read_seen(&self, path: &Path, seen: &Metadata) -> Result<Vec<u8>> {
        match self.lookup(path)? {
            Some(now) if now.identity == seen.identity => self.read(path),
            _ => refuse("reading", path, "it was replaced meanwhile"),
        }
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf> {
        use std::os::unix::ffi::OsStringExt;
        match self.items.borrow().get(path) {
            Some(item) if item.kind == Kind::Link => Ok(OsString::from_vec(item.content.clone()).into()),
            _ => refuse("reading", path, "Invalid argument"),
        }
    }

    fn list(&self, directory: &Path) -> Result<Vec<OsString>> {
        let items = self.items.borrow();
        match items.get(directory) {
            Some(item) if item.kind == Kind::Directory => {}
            Some(_) => return refuse("listing", directory, "Not a directory"),
            None => return refuse("listing", directory, "No such file or directory"),
        }
        let below =
            items.range::<Path, _>((std::ops::Bound::Excluded(directory), std::ops::Bound::Unbounded));
        Ok(below
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(directory))
            .filter(|path| path.parent() == Some(directory))
            .filter_map(|path| path.file_name().map(OsString::from))
            .collect())
    }

    fn attributes(&self, path: &Path) -> Result<Vec<(String, Vec<u8>)>> {
        let items = self.items.borrow();
        Ok(items.get(path).map(|item| item.attributes.clone().into_iter().collect()).unwrap_or_default())
    }

    fn immutable(&self, _path: &Path) -> Result<Option<PathBuf>> {
        Ok(None)
    }

    fn create_for(&self, path: &Path, content: &[u8], mode: u32, owner: (u32, u32)) -> Result<()> {
        self.create(path, content, mode)?;
        self.set_owner(path, owner.0, owner.1)
    }

    fn make_directory_for(&self, path: &Path, mode: u32, owner: (u32, u32)) -> Result<()> {
        if self.lookup(path)?.is_none() {
            self.make_directory(path, mode)?;
        }
        self.set_mode(path, mode)?;
        self.set_owner(path, owner.0, owner.1)
    }

    fn create(&self, path: &Path, content: &[u8], mode: u32) -> Result<()> {
        self.make(path, Kind::File, content, mode)
    }

    fn append(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.change(path, |item| item.content.extend_from_slice(content))
    }

    fn truncate(&self, path: &Path, size: u64) -> Result<()> {
        self.change(path, |item| item.content.resize(usize::try_from(size).unwrap_or(0), 0))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut items = self.items.borrow_mut();
        if items.get(to).is_some_and(|item| item.kind == Kind::Directory) {
            return refuse("renaming to", to, "Is a directory");
        }
        let Some(item) = items.remove(from) else {
            return refuse("renaming", from, "No such file or directory");
        };
        items.insert(to.to_owned(), item);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        let mut items = self.items.borrow_mut();
        match items.get(path) {
            Some(item) if item.kind != Kind::Directory => {
                items.remove(path);
                Ok(())
            }
            _ => refuse("removing", path, "No such file or directory"),
        }
    }

    fn make_directory(&self, path: &Path, mode: u32) -> Result<()> {
        self.make(path, Kind::Directory, b"", mode)
    }

    fn remove_directory(&self, path: &Path) -> Result<()> {
        if !self.list(path)?.is_empty() {
            return refuse("removing", path, "Directory not empty");
        }
        self.items.borrow_mut().remove(path);
        Ok(())
    }

    fn make_link(&self, path: &Path, target: &Path) -> Result<()> {
        use std::os::unix::ffi::OsStrExt;
        self.make(path, Kind::Link, target.as_os_str().as_bytes(), 0o777)
    }

    fn make_name(&self, path: &Path, existing: &Path) -> Result<()> {
        let Some(item) = self.items.borrow().get(existing).cloned() else {
            return refuse("naming", existing, "No such file or directory");
        };
        self.make(path, item.kind, b"", item.mode)?;
        self.items.borrow_mut().insert(path.to_owned(), item);
        Ok(())
    }

    fn set_owner(&self, path: &Path, uid: u32, gid: u32) -> Result<()> {
        self.change(path, |item| item.owner = (uid, gid))
    }

    fn set_mode(&self, path: &Path, mode: u32) -> Result<()> {
        self.change(path, |item| item.mode = mode)
    }

    fn set_attribute(&self, path: &Path, name: &str, value: Option<&[u8]>) -> Result<()> {
        self.change(path, |item| {
            match value {
                Some(value) => item.attributes.insert(name.to_owned(), value.to_vec()),
                None => item.attributes.remove(name),
            };
        })
    }

    fn set_modified(&self, path: &Path, modified: (i64, u32)) -> Result<()> {
        self.change(path, |item| item.modified = modified)
    }

    fn set_times_to_zero(&self, path: &Path) -> Result<()> {
        self.set_modified(path, (0, 0))
    }

    fn sync_file(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn sync_directory(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn sync_all(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn run(&self, invocation: &Invocation) -> Result<Output> {
        let line = invocation.line();
        let said = self.said.borrow();
        let fitting = said.iter().filter(|(start, _)| line.starts_with(start.as_str()));
        match fitting.max_by_key(|(start, _)| start.len()) {
            Some((_, output)) => Ok(output.clone()),
            None => Err(Error::new(format!("running {line}"), "No such file or directory")),
        }
    }

    fn random(&self, length: usize) -> Result<Vec<u8>> {
        Ok(vec![0x5a; length])
    }

    fn now(&self) -> u64 {
        self.clock.get()
    }

    fn boottime(&self) -> u64 {
        self.clock.get()
    }

    fn stop_process(&self, _process: u32, _kill: bool) -> Result<()> {
        Ok(())
    }

    fn sleep(&self, duration: Duration) {
        let passed = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.clock.set(self.clock.get().saturating_add(passed));
    }

    fn lock(&self, _path: &Path) -> Result<Option<Box<dyn Lock>>> {
        Ok(Some(Box::new(Held)))
    }
}
