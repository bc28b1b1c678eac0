//! A terminal that is as it was when its owner is asked to stop: a prompt reads single keys, or hides what is typed, and
//! a process that dies there would leave a shell that shows nothing.

use super::Standing;
use crate::report::terminal::complain;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{PipeReader, PipeWriter};
use std::thread::JoinHandle;

/// While it lives, Ctrl-C from elsewhere, SIGTERM and a dropped line put the terminal back and end the program.
pub struct Guard {
    original: Option<Termios>,
    /// Closed to let the watcher go.
    stop: Option<PipeWriter>,
    watcher: Option<JoinHandle<()>>,
    /// The signals were not blocked before.
    open: bool,
}

impl Guard {
    /// Takes these modes off the terminal and watches. What cannot be had is done without.
    pub fn new(off: LocalModes, standing: Standing) -> Self {
        let mask = mask();
        let open = SigSet::thread_get_mask().is_ok_and(|now| !now.contains(Signal::SIGTERM));
        let original = tcgetattr(std::io::stdin()).ok();
        let mut guard = Self { original, stop: None, watcher: None, open };
        let (Ok(()), Ok((reader, writer))) = (mask.thread_block(), std::io::pipe()) else { return guard };
        let before = guard.original.clone();
        guard.watcher =
            std::thread::Builder::new().spawn(move || watch(&reader, before.as_ref(), standing)).ok();
        guard.stop = Some(writer);
        if let Some(mut modes) = guard.original.clone() {
            modes.local_modes.remove(off);
            set(&modes);
        }
        guard
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(original) = &self.original {
            set(original);
        }
        drop(self.stop.take());
        if let Some(watcher) = self.watcher.take() {
            // It has nothing to say.
            let _ = watcher.join();
        }
        if self.open {
            // dialoguer answers Ctrl-C by sending it again, to this thread: it has been heard.
            if let Ok(signals) = SignalFd::with_flags(&mask(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            {
                while let Ok(Some(_)) = signals.read_signal() {}
            }
            // As before; where that fails, the next run defers them anyway.
            let _ = mask().thread_unblock();
        }
    }
}

/// Until a signal comes, or nobody is asked any more.
fn watch(stop: &PipeReader, original: Option<&Termios>, standing: Standing) {
    let Ok(signals) = SignalFd::with_flags(&mask(), SfdFlags::SFD_CLOEXEC) else { return };
    let mut ends = [PollFd::new(&signals, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
    while poll(&mut ends, None).is_err() {}
    let [signalled, _] = &ends;
    if signalled.revents().is_empty() {
        return;
    }
    if let Some(original) = original {
        set(original);
    }
    complain(&format!("\n{}\n", standing.text));
    std::process::exit(i32::from(standing.code));
}

/// A terminal that is gone needs nothing.
fn set(modes: &Termios) {
    let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, modes);
}

fn mask() -> SigSet {
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        mask.add(signal);
    }
    mask
}
