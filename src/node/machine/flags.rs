//! Flags of the file system that keep even root from changing something: `chattr +i` and `+a`.

use super::{Machine, PLAIN, place::Links};
use crate::error::{Error, Result};
use crate::node::{Kind, Node};
use rustix::fs::{IFlags, OFlags};
use std::path::{Path, PathBuf};

/// The path or its directory, where one carries such a flag.
pub(super) fn immutable(machine: &Machine, path: &Path) -> Result<Option<PathBuf>> {
    for place in std::iter::once(path).chain(path.parent()) {
        // Opening anything else may do things, and a link has no flags.
        let kind = match machine.lookup(place)?.map(|found| found.kind) {
            Some(Kind::File) => OFlags::empty(),
            Some(Kind::Directory) => OFlags::DIRECTORY,
            _ => continue,
        };
        let opened = machine.open_inside(place, PLAIN | kind, Links::Follow, "reading the flags of")?;
        // A file system without flags has no immutable files.
        let flags = rustix::fs::ioctl_getflags(&opened).unwrap_or(IFlags::empty());
        if flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND) {
            return Ok(Some(place.to_owned()));
        }
    }
    Ok(None)
}

/// Why a change was refused, and what shows and takes the flag away.
#[cold]
pub(super) fn error(verb: &str, path: &Path, by: &Path) -> Error {
    let because = format!("{} is immutable or append-only", by.display());
    let by = by.display();
    Error::new(format!("{verb} {}", path.display()), because)
        .hint(format!("lsattr -d {by} shows it; chattr -i -a {by} allows the change"))
}
