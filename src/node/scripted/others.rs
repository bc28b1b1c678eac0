//! What a scripted node has beside its files and commands: clocks, boots, and other processes.

use super::{Files, Scripted};
use std::path::Path;
use std::rc::Rc;

impl Scripted {
    /// The wall clock shows something else from now on; the time since the boot does not care.
    pub fn set_clock(&self, milliseconds: u64) {
        self.clock.set(milliseconds);
    }

    /// Another boot of the same node.
    pub fn boot_again(&self, id: &str) {
        self.up.set(20_000);
        self.files.put("/proc/sys/kernel/random/boot_id", format!("{id}\n"));
    }

    /// Happens at every wait, with the time since the boot.
    pub fn meanwhile(&self, act: impl Fn(&Files, u64) + 'static) {
        *self.meanwhile.borrow_mut() = Some(Rc::new(act));
    }

    /// Processes that were stopped (false) or killed (true).
    pub fn stopped(&self) -> Vec<(u32, bool)> {
        self.stopped.borrow().clone()
    }

    /// `/proc` is that of this machine from now on, waiting takes time, and a stopped process gets the signal.
    pub fn with_real_processes(&self) {
        self.real_processes.set(true);
    }

    /// The real counterpart of a path of `/proc`, where a test asked for it.
    pub(super) fn real(&self, path: &Path) -> bool {
        self.real_processes.get() && path.starts_with("/proc") && !path.starts_with("/proc/sys")
    }
}
