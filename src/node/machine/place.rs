//! From a path on the node to an open directory and a name in it.

use super::Machine;
use crate::error::{Error, Result};
use crate::node::{Kind, Node, goes_upwards};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString, OsStr};
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
pub(super) struct Place {
    parent: Option<OwnedFd>,
    name: CString,
}

impl Place {
    /// Where `name` is.
    pub(super) fn parent(&self) -> BorrowedFd<'_> {
        self.parent.as_ref().map_or(rustix::fs::CWD, AsFd::as_fd)
    }

    /// The entry in it.
    pub(super) fn name(&self) -> &CStr {
        &self.name
    }

    /// The entry as a path for calls that know no directory descriptors: extended attributes.
    pub(super) fn through_proc(&self) -> rustix::io::Result<CString> {
        let mut path = Vec::new();
        if let Some(parent) = &self.parent {
            path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
        }
        path.extend_from_slice(self.name.to_bytes());
        terminated(&path)
    }
}

/// The kernel takes no longer path in one call, its end included (`PATH_MAX`).
const LONGEST: usize = 4095;

/// Whether one call takes the path.
fn is_short(path: &Path) -> bool {
    path.as_os_str().len() <= LONGEST
}

impl Machine {
    /// The place of `path`, whose parent must be there.
    pub(super) fn place(&self, path: &Path, links: Links, verb: &str) -> Result<Place> {
        let (parent, name) = split(path, verb)?;
        if links == Links::Follow && self.whole && is_short(path) {
            return Ok(Place { parent: None, name: named(path.as_os_str(), verb, path)? });
        }
        let name = named(name, verb, path)?;
        let opened = self.resolve(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, links);
        Ok(Place { parent: Some(self.explain(opened, links, path, verb)?), name })
    }

    /// The place of `path`, or `None` where its parent is no directory.
    pub(super) fn find(&self, path: &Path, verb: &str) -> Result<Option<Place>> {
        let (parent, name) = split(path, verb)?;
        if self.whole && is_short(path) {
            return Ok(Some(Place { parent: None, name: named(path.as_os_str(), verb, path)? }));
        }
        let name = named(name, verb, path)?;
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
        if is_short(path) {
            return resolve_from(self.root.as_fd(), path, flags, links);
        }
        // Piece by piece. A link in a later piece would begin at the wrong root, so there is none.
        let bytes = path.as_os_str().as_bytes();
        let cut = |from: usize| {
            let end = bytes.len().min(from + LONGEST);
            let slash = bytes.get(from..end).and_then(|piece| piece.iter().rposition(|byte| *byte == b'/'));
            if end == bytes.len() { Some(end) } else { slash.filter(|at| *at > 0).map(|at| from + at) }
        };
        let mut reached: Option<OwnedFd> = None;
        let mut from = 0;
        loop {
            let to = cut(from).ok_or(Errno::NAMETOOLONG)?;
            let piece = Path::new(OsStr::from_bytes(bytes.get(from..to).unwrap_or_default()));
            let (flags, links) = match (to == bytes.len(), &reached) {
                (true, _) => (flags, Links::Refuse),
                (false, None) => (OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, links),
                (false, Some(_)) => (OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Links::Refuse),
            };
            let start = reached.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
            let opened = resolve_from(start, piece, flags, links)?;
            if to == bytes.len() {
                return Ok(opened);
            }
            reached = Some(opened);
            from = to;
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

fn resolve_from(
    start: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    links: Links,
) -> rustix::io::Result<OwnedFd> {
    let mut how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    if links == Links::Refuse {
        how |= ResolveFlags::NO_SYMLINKS;
    }
    let path = terminated(path.as_os_str().as_bytes())?;
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(start, &*path, flags, Mode::empty(), how) {
            Err(Errno::INTR) => {}
            // The kernel cannot prove that a `..` of a link stayed inside while something was renamed.
            Err(Errno::AGAIN) if tries < 64 => tries += 1,
            other => return other,
        }
    }
}

/// Parent and last component of an absolute path without `..`; the root is `.` in itself.
fn split<'a>(path: &'a Path, verb: &str) -> Result<(&'a Path, &'a OsStr)> {
    if !path.has_root() || goes_upwards(path) {
        let because = "not an absolute path without \"..\"";
        return Err(Error::new(format!("{verb} {}", path.display()), because));
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Ok((path, OsStr::new("."))),
    }
}

/// A path as the kernel takes it. Handed over like this, no call brings its own code for putting the zero behind it.
pub(super) fn terminated(path: &[u8]) -> rustix::io::Result<CString> {
    CString::new(path).map_err(|_| Errno::INVAL)
}

fn named(name: &OsStr, verb: &str, path: &Path) -> Result<CString> {
    done(terminated(name.as_bytes()), verb, path)
}

/// Names what was being done when a system call failed.
pub(super) fn done<T>(result: rustix::io::Result<T>, verb: &str, path: &Path) -> Result<T> {
    result.map_err(|errno| Error::new(format!("{verb} {}", path.display()), std::io::Error::from(errno)))
}
