//! From a path on the node to an open directory and a name in it.

use super::Machine;
use crate::error::{Error, Result};
use crate::node::{Kind, Node};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What happens at a symbolic link in a parent directory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// It is followed, inside the root.
    Follow,
    /// The call fails: whoever made the link would choose what we write.
    Refuse,
}

/// An entry of an open directory; or the whole path, where the kernel's own way to it is right.
pub(super) struct Place<'a> {
    parent: Option<OwnedFd>,
    pub(super) name: &'a OsStr,
}

impl Place<'_> {
    /// Where `name` is.
    pub(super) fn parent(&self) -> BorrowedFd<'_> {
        self.parent.as_ref().map_or(rustix::fs::CWD, AsFd::as_fd)
    }

    /// The entry as a path for calls that know no directory descriptors: extended attributes.
    pub(super) fn through_proc(&self) -> Vec<u8> {
        let mut path = Vec::new();
        if let Some(parent) = &self.parent {
            path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
        }
        path.extend_from_slice(self.name.as_bytes());
        path
    }
}

impl Machine {
    /// The place of `path`, whose parent must be there.
    pub(super) fn place<'a>(&self, path: &'a Path, links: Links, verb: &str) -> Result<Place<'a>> {
        let (parent, name) = split(path, verb)?;
        if links == Links::Follow && self.whole {
            return Ok(Place { parent: None, name: path.as_os_str() });
        }
        let opened = self.resolve(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, links);
        Ok(Place { parent: Some(self.explain(opened, links, path, verb)?), name })
    }

    /// The place of `path`, or `None` where its parent is no directory.
    pub(super) fn find<'a>(&self, path: &'a Path, verb: &str) -> Result<Option<Place<'a>>> {
        let (parent, name) = split(path, verb)?;
        if self.whole {
            return Ok(Some(Place { parent: None, name: path.as_os_str() }));
        }
        match self.resolve(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Links::Follow) {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            opened => Ok(Some(Place { parent: Some(done(opened, verb, path)?), name })),
        }
    }

    /// Opens what is at `path`.
    pub(super) fn open_inside(
        &self,
        path: &Path,
        flags: OFlags,
        links: Links,
        verb: &str,
    ) -> Result<OwnedFd> {
        split(path, verb)?;
        self.explain(self.resolve(path, flags, links), links, path, verb)
    }

    fn explain(
        &self,
        opened: rustix::io::Result<OwnedFd>,
        links: Links,
        path: &Path,
        verb: &str,
    ) -> Result<OwnedFd> {
        match opened {
            Err(errno) if links == Links::Refuse => Err(self.refused(path, errno, verb)),
            other => done(other, verb, path),
        }
    }

    fn resolve(&self, path: &Path, flags: OFlags, links: Links) -> rustix::io::Result<OwnedFd> {
        let mut how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        if links == Links::Refuse {
            how |= ResolveFlags::NO_SYMLINKS;
        }
        let mut tries = 0;
        loop {
            match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), how) {
                Err(Errno::INTR) => {}
                // The kernel cannot prove that a `..` of a link stayed inside while something was renamed.
                Err(Errno::AGAIN) if tries < 64 => tries += 1,
                other => return other,
            }
        }
    }

    /// The error of a write; a link in the way is named.
    #[cold]
    pub(super) fn refused(&self, path: &Path, errno: Errno, verb: &str) -> Error {
        // The last component, opened as a directory, is "not a directory" when it is a link.
        if matches!(errno, Errno::LOOP | Errno::NOTDIR) {
            let mut above: Vec<&Path> = path.ancestors().collect();
            above.reverse();
            for step in above {
                if let Ok(Some(found)) = self.lookup(step)
                    && found.kind == Kind::Link
                {
                    let because = format!(
                        "{} is a symbolic link; firstlight does not write through links",
                        step.display()
                    );
                    return Error::new(format!("{verb} {}", path.display()), because);
                }
            }
        }
        Error::new(format!("{verb} {}", path.display()), std::io::Error::from(errno))
    }
}

/// Parent and last component of an absolute path without `..`; the root is `.` in itself.
fn split<'a>(path: &'a Path, verb: &str) -> Result<(&'a Path, &'a OsStr)> {
    let upwards = |part: &[u8]| part == b"..";
    if !path.has_root() || path.as_os_str().as_bytes().split(|byte| *byte == b'/').any(upwards) {
        let because = "not an absolute path without \"..\"";
        return Err(Error::new(format!("{verb} {}", path.display()), because));
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Ok((path, OsStr::new("."))),
    }
}

/// Names what was being done when a system call failed.
pub(super) fn done<T>(result: rustix::io::Result<T>, verb: &str, path: &Path) -> Result<T> {
    result.map_err(|errno| Error::new(format!("{verb} {}", path.display()), std::io::Error::from(errno)))
}
