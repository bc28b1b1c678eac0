//! What the kernel says a path is.

use super::named;
use super::place::done;
use crate::error::Result;
use crate::node::{Kind, Metadata};
use rustix::fs::FileType;
use std::os::fd::OwnedFd;
use std::path::Path;

/// `None` for what is not there, or stands below something that is no directory.
pub(super) fn present(
    found: rustix::io::Result<rustix::fs::Stat>,
    verb: &str,
    path: &Path,
) -> Result<Option<rustix::fs::Stat>> {
    match found {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
        other => done(other.map(Some), verb, path),
    }
}

pub(super) fn metadata(stat: &rustix::fs::Stat) -> Metadata {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    };
    Metadata {
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        modified: (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or_default()),
        identity: (stat.st_dev, stat.st_ino),
        links: wide(stat.st_nlink),
    }
}

/// As many bits on every processor: aarch64 counts links with 32.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

/// The size of an open regular file; anything else is refused, since reading or writing it does things.
pub(super) fn require_file(file: &OwnedFd, path: &Path, verb: &str) -> Result<usize> {
    let stat = metadata(&done(rustix::fs::fstat(file), verb, path)?);
    match stat.kind {
        Kind::File => Ok(usize::try_from(stat.size).unwrap_or(usize::MAX)),
        Kind::Directory => Err(named(verb, path, "it is a directory")),
        Kind::Link | Kind::Other => Err(named(verb, path, "it is not a regular file")),
    }
}
