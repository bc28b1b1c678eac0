//! A node in memory, for the exploration of crashes: what it was asked to do is recorded, change by change and sync
//! by sync, so that every state that a disk may be in after a power cut can be built from one run.

mod calls;
mod disk;
mod fault;
mod seam;
mod shell;
mod states;
mod tests;
mod tree;

pub use disk::{CLUSTER_DEVICE, DISK_DEVICE, Disk, Event, KERNEL_DEVICE, RUN_DEVICE};
pub use fault::{Class, Fault};
pub use shell::Shell;
pub use states::{Depth, Moment, State, moments};
pub use tree::{Ino, Inode, Label, Tree};

use super::{Invocation, Output};
use std::cell::{Cell, RefCell};

/// What stands for all commands of the node.
pub type Tools = fn(&mut Shell<'_>, &Invocation) -> Output;

/// Whether a text is meant.
type Likes = fn(&str) -> bool;

/// The node.
pub struct Memory {
    /// Its files.
    pub disk: RefCell<Disk>,
    tools: Tools,
    fault: fault::Injected,
    /// Appends whose text this likes are lost, and nobody is told.
    swallow: Cell<Option<Likes>>,
    ran: RefCell<Vec<String>>,
}

impl Memory {
    /// A node with these files.
    pub fn new(tree: Tree, tools: Tools) -> Self {
        Self {
            disk: RefCell::new(Disk::new(tree)),
            tools,
            fault: fault::Injected::default(),
            swallow: Cell::new(None),
            ran: RefCell::default(),
        }
    }

    /// From now on this goes wrong.
    pub fn break_with(&self, fault: Fault) {
        self.fault.set(fault);
    }

    /// Whether the fault has happened.
    pub fn is_broken(&self) -> bool {
        self.fault.happened()
    }

    /// How many calls of this class there were.
    pub fn count(&self, class: Class) -> usize {
        self.fault.count(class)
    }

    /// Loses what is appended where `likes` says so: a journal without some of its records.
    pub fn swallow(&self, likes: Likes) {
        self.swallow.set(Some(likes));
    }

    /// Lines of all commands, oldest first.
    pub fn ran(&self) -> Vec<String> {
        self.ran.borrow().clone()
    }

    /// The files as they are.
    pub fn tree(&self) -> Tree {
        self.disk.borrow().tree.clone()
    }

    /// Starts to record; gives what was recorded so far.
    pub fn record(&self) -> Vec<Event> {
        let mut disk = self.disk.borrow_mut();
        disk.recording = true;
        std::mem::take(&mut disk.log)
    }

    /// Works as the tools do, outside of the seam.
    pub fn shell<T>(&self, work: impl FnOnce(&mut Shell<'_>) -> T) -> T {
        work(&mut Shell::new(&mut self.disk.borrow_mut()))
    }

    /// Marks a promise in the recording: what was said to be done now must stay done.
    pub fn promise(&self) {
        self.disk.borrow_mut().note(Event::Promise);
    }
}
