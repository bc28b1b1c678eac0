//! One run at a time: a lock that the kernel takes back when its holder dies.

use super::place::{Links, done};
use super::stat::require_file;
use super::{Machine, PLAIN, content, named};
use crate::error::Result;
use crate::node::Lock;
use nix::fcntl::{Flock, FlockArg};
use rustix::fs::{Mode, OFlags};
use std::os::fd::OwnedFd;
use std::path::Path;

/// The lock file, locked as long as it is open.
struct Held {
    _file: Flock<OwnedFd>,
}

impl Lock for Held {}

/// Takes the lock, or finds it taken.
pub(super) fn take(machine: &Machine, path: &Path) -> Result<Option<Box<dyn Lock>>> {
    let verb = "locking";
    let place = machine.place(path, Links::Refuse, verb)?;
    let flags = OFlags::RDWR | OFlags::CREATE | PLAIN;
    let file = rustix::fs::openat(place.parent(), place.name(), flags, Mode::RUSR | Mode::WUSR);
    let file = file.map_err(|errno| machine.refused(path, errno, verb))?;
    require_file(&file, path, verb)?;
    let held = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => held,
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => return Ok(None),
        Err((_, errno)) => return Err(named(verb, path, &std::io::Error::from(errno).to_string())),
    };
    // Who holds it: for the message of a second start, and for the dead-man timer that stops a holder.
    let written = rustix::fs::ftruncate(&*held, 0)
        .and_then(|()| content::write_all(&held, format!("{}\n", std::process::id()).as_bytes()));
    done(written, verb, path)?;
    if machine.whole {
        machine.signals.defer();
    }
    Ok(Some(Box::new(Held { _file: held })))
}
