//! The one `unsafe` of this program (docs/security.md): what a child does between its fork and its program.
#![allow(unsafe_code)]

use super::signals::mask;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The child starts as if nothing were deferred. A child has the mask of the thread that starts it; to open that one for the
/// moment, as `std` alone would have it, would let a request to stop that comes right then kill us in the middle of a run.
pub(super) fn with_open_mask(command: &mut Command) {
    // SAFETY: in a child of a process with several threads only what POSIX calls async-signal-safe may be called
    // (signal-safety(7)): `sigemptyset`, `sigaddset` and `pthread_sigmask` are, and nothing here allocates or can panic.
    unsafe {
        command.pre_exec(|| mask().thread_unblock().map_err(io::Error::from));
    }
}
