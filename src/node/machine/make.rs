//! New files with their owner from the start, and why a change was refused.

use super::place::{Links, done};
use super::{Machine, PLAIN, content, flags};
use crate::error::Result;
use rustix::fs::{AtFlags, Mode, OFlags};
use std::os::fd::OwnedFd;
use std::path::Path;

impl Machine {
    pub(super) fn create_as(
        &self,
        path: &Path,
        content: &[u8],
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<()> {
        let verb = "creating";
        let place = self.place(path, Links::Refuse, verb)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | PLAIN;
        // Private until it is whole.
        let opened = rustix::fs::openat(place.parent(), place.name(), flags, Mode::RUSR | Mode::WUSR);
        let file = self.changed(opened, verb, path)?;
        let written = owner
            .map_or(Ok(()), |owner| {
                rustix::fs::fstat(&file).and_then(|is| give(&file, (is.st_uid, is.st_gid), owner))
            })
            .and_then(|()| content::write_sparse(&file, content))
            .and_then(|()| exact_mode(&file, mode));
        if written.is_err() {
            // The write has failed already, and that is what the caller hears; half a file helps nobody.
            let _ = rustix::fs::unlinkat(place.parent(), place.name(), AtFlags::empty());
        }
        done(written, verb, path)
    }

    /// The result of a change; where a flag of the file system forbids it, the error says which and what to do.
    pub(super) fn changed<T>(&self, result: rustix::io::Result<T>, verb: &str, path: &Path) -> Result<T> {
        if let Err(rustix::io::Errno::PERM) = result
            && let Ok(Some(by)) = flags::immutable(self, path)
        {
            return Err(flags::error(verb, path, &by));
        }
        done(result, verb, path)
    }
}

/// Changes the owner where it differs: a new one takes set-id bits away.
pub(super) fn give(file: &OwnedFd, has: (u32, u32), owner: (u32, u32)) -> rustix::io::Result<()> {
    if has == owner {
        return Ok(());
    }
    let (uid, gid) = (rustix::fs::Uid::from_raw(owner.0), rustix::fs::Gid::from_raw(owner.1));
    rustix::fs::fchown(file, Some(uid), Some(gid))
}

/// Sets the mode where it differs: pmxcfs refuses even the try, and has given the right one.
pub(super) fn exact_mode(file: &OwnedFd, mode: u32) -> rustix::io::Result<()> {
    if rustix::fs::fstat(file)?.st_mode & 0o7777 == mode {
        return Ok(());
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))
}
