//! The real node: with `scripted` the only files that touch the file system, processes and the clock.
//!
//! Names are resolved by the kernel below the root (`openat2`), so that no link, `..` or mount trick leads out
//! of it. Methods that act on a directory entry open its parent and then name the last component alone, never
//! following it; those that write refuse links in the parents too.
//!
//! `/etc/pve` (pmxcfs) has rules of its own: modes and owners are fixed by the place of a file, so asking
//! for others fails with "operation not permitted", and it has no links and no extended attributes.

mod attributes;
mod child;
mod command;
mod content;
mod flags;
mod lock;
mod make;
mod place;
pub(crate) mod signals;
mod stat;
#[cfg(test)]
mod tests;

use super::{Invocation, Kind, Lock, Metadata, Node, Output, Sighting};
use crate::error::{Error, Result};
use make::{exact_mode, give};
use place::{Links, done, terminated};
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use stat::{metadata, present, require_file};
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The real node, or a directory that stands for one.
pub struct Machine {
    root: OwnedFd,
    directory: PathBuf,
    /// The root is that of the process: absolute paths mean what they say, and reads need no detour.
    whole: bool,
    signals: signals::Signals,
}

/// Flags of every descriptor we open.
const PLAIN: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

impl Machine {
    /// The node whose root directory is `root`: `/`, or a directory below which files alone are touched.
    pub fn open(root: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = terminated(root.as_os_str().as_bytes())
            .and_then(|root| rustix::fs::open(&*root, flags, Mode::empty()));
        let descriptor = done(descriptor, "opening the root", root)?;
        Ok(Self {
            root: descriptor,
            directory: root.to_owned(),
            whole: root == Path::new("/"),
            signals: signals::Signals::default(),
        })
    }

    /// Opens the very file that was seen; its size by now.
    fn open_seen(&self, path: &Path, seen: &Metadata) -> Result<(OwnedFd, usize)> {
        let verb = "reading";
        let file = self.open_inside(path, PLAIN, Links::Refuse, verb)?;
        let stat = metadata(&done(rustix::fs::fstat(&file), verb, path)?);
        if stat.kind != Kind::File || stat.identity != seen.identity {
            return Err(named(verb, path, "it was replaced by something else at this very moment"));
        }
        Ok((file, usize::try_from(stat.size).unwrap_or(usize::MAX)))
    }

    /// Opens the regular file at `path` itself, to change it.
    fn open_file(&self, path: &Path, flags: OFlags, verb: &str) -> Result<OwnedFd> {
        let place = self.place(path, Links::Refuse, verb)?;
        let file = rustix::fs::openat(place.parent(), place.name(), flags | PLAIN, Mode::empty());
        let file = file.map_err(|errno| self.refused(path, errno, verb))?;
        require_file(&file, path, verb)?;
        Ok(file)
    }

    /// The directory itself, and the names in it, sorted.
    fn open_and_list(&self, directory: &Path) -> Result<(OwnedFd, Vec<OsString>)> {
        let verb = "listing";
        let flags = OFlags::DIRECTORY | PLAIN.difference(OFlags::NOFOLLOW);
        let descriptor = self.open_inside(directory, flags, Links::Follow, verb)?;
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut entries = rustix::fs::RawDir::new(&descriptor, &mut buffer);
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = done(entry, verb, directory)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        names.sort_unstable();
        Ok((descriptor, names))
    }

    fn set_times(&self, path: &Path, last_access: Timespec, last_modification: Timespec) -> Result<()> {
        let verb = "changing the time of";
        let place = self.place(path, Links::Refuse, verb)?;
        let times = Timestamps { last_access, last_modification };
        done(
            rustix::fs::utimensat(place.parent(), place.name(), &times, AtFlags::SYMLINK_NOFOLLOW),
            verb,
            path,
        )
    }
}

impl Node for Machine {
    fn lookup(&self, path: &Path) -> Result<Option<Metadata>> {
        let verb = "looking up";
        let found = self.find(path, verb).and_then(|place| match place {
            Some(place) => present(
                rustix::fs::statat(place.parent(), place.name(), AtFlags::SYMLINK_NOFOLLOW),
                verb,
                path,
            ),
            None => Ok(None),
        })?;
        Ok(found.map(|stat| metadata(&stat)))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let verb = "reading";
        let flags = PLAIN.difference(OFlags::NOFOLLOW);
        let file = self.open_inside(path, flags, Links::Follow, verb)?;
        let size = require_file(&file, path, verb)?;
        done(content::read_all(&file, size), verb, path)
    }

    fn read_seen(&self, path: &Path, seen: &Metadata) -> Result<Vec<u8>> {
        let (file, size) = self.open_seen(path, seen)?;
        done(content::read_all(&file, size), "reading", path)
    }

    fn read_pieces(&self, path: &Path, seen: &Metadata, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        let (file, _) = self.open_seen(path, seen)?;
        done(content::read_pieces(&file, take), "reading", path)
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf> {
        let verb = "reading the link";
        let place = self.place(path, Links::Follow, verb)?;
        let target = done(rustix::fs::readlinkat(place.parent(), place.name(), Vec::new()), verb, path)?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    fn list(&self, directory: &Path) -> Result<Vec<OsString>> {
        Ok(self.open_and_list(directory)?.1)
    }

    fn scan(&self, directory: &Path) -> Result<Vec<Sighting>> {
        let verb = "listing";
        let (descriptor, names) = self.open_and_list(directory)?;
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let stat = terminated(name.as_bytes())
                .and_then(|name| rustix::fs::statat(descriptor.as_fd(), &*name, AtFlags::SYMLINK_NOFOLLOW));
            if let Some(stat) = present(stat, verb, directory)? {
                let changed = Some((stat.st_ctime, u32::try_from(stat.st_ctime_nsec).unwrap_or_default()));
                found.push(Sighting { name, metadata: metadata(&stat), changed });
            }
        }
        Ok(found)
    }

    fn attributes(&self, path: &Path) -> Result<Vec<(String, Vec<u8>)>> {
        let verb = "reading the attributes of";
        let place = self.place(path, Links::Follow, verb)?;
        done(place.through_proc().and_then(|place| attributes::read(&place)), verb, path)
    }

    fn immutable(&self, path: &Path) -> Result<Option<PathBuf>> {
        flags::immutable(self, path)
    }

    fn create(&self, path: &Path, content: &[u8], mode: u32) -> Result<()> {
        self.create_as(path, content, mode, None)
    }

    fn create_for(&self, path: &Path, content: &[u8], mode: u32, owner: (u32, u32)) -> Result<()> {
        self.create_as(path, content, mode, Some(owner))
    }

    fn append(&self, path: &Path, content: &[u8]) -> Result<()> {
        let file = self.open_file(path, OFlags::WRONLY | OFlags::APPEND, "appending to")?;
        done(content::write_all(&file, content), "appending to", path)
    }

    fn truncate(&self, path: &Path, size: u64) -> Result<()> {
        let file = self.open_file(path, OFlags::WRONLY, "truncating")?;
        done(rustix::fs::ftruncate(&file, size), "truncating", path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let verb = "renaming";
        let old = self.place(from, Links::Refuse, verb)?;
        if let (Some(name), true) = (to.file_name(), from.parent() == to.parent()) {
            let renamed = terminated(name.as_bytes())
                .and_then(|name| rustix::fs::renameat(old.parent(), old.name(), old.parent(), &*name));
            return self.changed(renamed, "renaming to", to);
        }
        let new = self.place(to, Links::Refuse, verb)?;
        self.changed(
            rustix::fs::renameat(old.parent(), old.name(), new.parent(), new.name()),
            "renaming to",
            to,
        )
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        let place = self.place(path, Links::Refuse, "removing")?;
        self.changed(rustix::fs::unlinkat(place.parent(), place.name(), AtFlags::empty()), "removing", path)
    }

    fn make_directory(&self, path: &Path, mode: u32) -> Result<()> {
        let verb = "making the directory";
        let place = self.place(path, Links::Refuse, verb)?;
        self.changed(rustix::fs::mkdirat(place.parent(), place.name(), Mode::RWXU), verb, path)?;
        let flags = OFlags::DIRECTORY | PLAIN;
        let directory = rustix::fs::openat(place.parent(), place.name(), flags, Mode::empty());
        done(directory.and_then(|directory| exact_mode(&directory, mode)), verb, path)
    }

    fn make_directory_for(&self, path: &Path, mode: u32, owner: (u32, u32)) -> Result<()> {
        let verb = "making the directory";
        let place = self.place(path, Links::Refuse, verb)?;
        let fresh = match rustix::fs::mkdirat(place.parent(), place.name(), Mode::RWXU) {
            Err(rustix::io::Errno::EXIST) => false,
            made => self.changed(made, verb, path).map(|()| true)?,
        };
        let flags = OFlags::DIRECTORY | PLAIN;
        let directory = rustix::fs::openat(place.parent(), place.name(), flags, Mode::empty());
        let directory = directory.map_err(|errno| self.refused(path, errno, verb))?;
        let found = metadata(&done(rustix::fs::fstat(&directory), verb, path)?);
        // A directory that is private to us cannot be moved here by anybody else.
        if fresh && (found.uid != nix::unistd::geteuid().as_raw() || found.mode & 0o777 != 0o700) {
            return Err(named(verb, path, "it was replaced by something else at this very moment"));
        }
        let given =
            give(&directory, (found.uid, found.gid), owner).and_then(|()| exact_mode(&directory, mode));
        self.changed(given, verb, path)
    }

    fn remove_directory(&self, path: &Path) -> Result<()> {
        let verb = "removing the directory";
        let place = self.place(path, Links::Refuse, verb)?;
        self.changed(rustix::fs::unlinkat(place.parent(), place.name(), AtFlags::REMOVEDIR), verb, path)
    }

    fn make_link(&self, path: &Path, target: &Path) -> Result<()> {
        let verb = "making the link";
        let place = self.place(path, Links::Refuse, verb)?;
        let made = terminated(target.as_os_str().as_bytes())
            .and_then(|target| rustix::fs::symlinkat(&*target, place.parent(), place.name()));
        self.changed(made, verb, path)
    }

    fn make_name(&self, path: &Path, existing: &Path) -> Result<()> {
        let verb = "making another name";
        let old = self.place(existing, Links::Refuse, verb)?;
        let new = self.place(path, Links::Refuse, verb)?;
        let made = rustix::fs::linkat(old.parent(), old.name(), new.parent(), new.name(), AtFlags::empty());
        done(made, verb, path)
    }

    fn set_owner(&self, path: &Path, uid: u32, gid: u32) -> Result<()> {
        let verb = "changing the owner of";
        let place = self.place(path, Links::Refuse, verb)?;
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        self.changed(
            rustix::fs::chownat(place.parent(), place.name(), Some(uid), Some(gid), flags),
            verb,
            path,
        )
    }

    fn set_mode(&self, path: &Path, mode: u32) -> Result<()> {
        let verb = "changing the mode of";
        let place = self.place(path, Links::Refuse, verb)?;
        // fchmodat without following needs Linux 6.6, so the entry is opened; a device never is.
        let stat =
            done(rustix::fs::statat(place.parent(), place.name(), AtFlags::SYMLINK_NOFOLLOW), verb, path)?;
        if metadata(&stat).kind == Kind::Other {
            return Err(named(verb, path, "it is a device, socket or pipe"));
        }
        let file = rustix::fs::openat(place.parent(), place.name(), PLAIN, Mode::empty());
        let file = file.map_err(|errno| self.refused(path, errno, verb))?;
        self.changed(rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)), verb, path)
    }

    fn set_attribute(&self, path: &Path, name: &str, value: Option<&[u8]>) -> Result<()> {
        let verb = "changing an attribute of";
        let place = self.place(path, Links::Refuse, verb)?;
        let written = place.through_proc().and_then(|place| attributes::write(&place, name, value));
        self.changed(written, verb, path)
    }

    fn set_modified(&self, path: &Path, modified: (i64, u32)) -> Result<()> {
        let modified = Timespec { tv_sec: modified.0, tv_nsec: modified.1.into() };
        self.set_times(path, Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT }, modified)
    }

    fn set_times_to_zero(&self, path: &Path) -> Result<()> {
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        self.set_times(path, zero, zero)
    }

    fn sync_file(&self, path: &Path) -> Result<()> {
        let file = self.open_file(path, OFlags::RDONLY, "making durable")?;
        done(rustix::fs::fsync(&file), "making durable", path)
    }

    fn sync_directory(&self, path: &Path) -> Result<()> {
        let directory = self.open_inside(path, OFlags::DIRECTORY | PLAIN, Links::Refuse, "making durable")?;
        done(rustix::fs::fsync(&directory), "making durable", path)
    }

    fn sync_all(&self, path: &Path) -> Result<()> {
        let flags = OFlags::DIRECTORY | PLAIN;
        let directory = self.open_inside(path, flags, Links::Refuse, "making durable the file system of")?;
        done(rustix::fs::syncfs(&directory), "making durable the file system of", path)
    }

    fn run(&self, invocation: &Invocation) -> Result<Output> {
        if !self.whole {
            let because = format!("no commands below {}", self.directory.display());
            return Err(Error::new(format!("running {}", invocation.line()), because));
        }
        command::run(invocation)
    }

    fn interrupted(&self) -> bool {
        self.signals.asked()
    }

    fn random(&self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            // Waits until the kernel has enough of it: at a first boot that may take a while.
            match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(count) => filled += count,
                Err(error) => return Err(Error::new("asking the kernel for random bytes", error)),
            }
        }
        Ok(bytes)
    }

    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn boottime(&self) -> u64 {
        let clock = nix::time::ClockId::CLOCK_BOOTTIME;
        let since = nix::time::clock_gettime(clock).map(Duration::from).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn stop_process(&self, process: u32, kill: bool) -> Result<()> {
        command::stop(process, kill)
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>> {
        lock::take(self, path)
    }
}

#[cold]
fn named(verb: &str, path: &Path, because: &str) -> Error {
    Error::new(format!("{verb} {}", path.display()), because)
}
