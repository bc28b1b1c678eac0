//! Requests to stop, answered between steps: a run that dies in the middle leaves its tools running and the node
//! half done, while one that hears of it puts the node back.
//!
//! Ctrl-C, SIGTERM and a dropped line are blocked and read from a descriptor. A dropped line is no request: the run
//! goes on without its reader.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::cell::{Cell, RefCell};

/// Signals of this process since they were first deferred.
#[derive(Default)]
pub struct Signals {
    descriptor: RefCell<Option<SignalFd>>,
    asked: Cell<bool>,
}

impl Signals {
    /// From now on signals wait. Where that cannot be had they do what they always did.
    pub fn defer(&self) {
        let mask = mask();
        if self.descriptor.borrow().is_none() && mask.thread_block().is_ok() {
            let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
            *self.descriptor.borrow_mut() = SignalFd::with_flags(&mask, flags).ok();
        }
    }

    /// Whether somebody asked to stop.
    pub fn asked(&self) -> bool {
        if let Some(descriptor) = self.descriptor.borrow().as_ref() {
            while let Ok(Some(signal)) = descriptor.read_signal() {
                let hangup = i32::try_from(signal.ssi_signo) == Ok(Signal::SIGHUP as i32);
                self.asked.set(self.asked.get() || !hangup);
            }
        }
        self.asked.get()
    }
}

/// The signals by which somebody asks a process to stop.
pub fn mask() -> SigSet {
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        mask.add(signal);
    }
    mask
}
