//! Things that go wrong at one call, or from one call on.

use crate::error::{Error, Result};
use std::cell::{Cell, RefCell};

/// Kinds of calls through the seam.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Looks at something.
    Read,
    /// Makes or changes something.
    Write,
    /// Makes something durable.
    Sync,
    /// Runs a command.
    Run,
    /// Opens a file or starts a process.
    Open,
}

/// What goes wrong; numbers count calls of a class, from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// One call of this class fails, once.
    Once(Class, usize, &'static str),
    /// Every call of this class fails from this one on.
    Since(Class, usize, &'static str),
    /// From this write on there is no room.
    Full(usize),
    /// From this write on nothing on the disk can be changed: an error made the kernel remount it.
    ReadOnly(usize),
    /// At this sync the disk dies: nothing becomes durable any more, and nothing can be changed.
    Dies(usize),
    /// This command is killed after so many of its changes.
    Killed(usize, usize),
    /// This command does so many of its changes and then hangs until its time is up.
    Hangs(usize, usize),
    /// At this write the clock jumps by so many milliseconds.
    Clock(usize, i64),
}

/// The fault, and how far the calls are.
#[derive(Default)]
pub struct Injected {
    fault: RefCell<Option<Fault>>,
    counts: [Cell<usize>; 5],
    happened: Cell<bool>,
}

impl Injected {
    pub fn set(&self, fault: Fault) {
        *self.fault.borrow_mut() = Some(fault);
        self.counts.iter().for_each(|count| count.set(0));
        self.happened.set(false);
    }

    pub fn happened(&self) -> bool {
        self.happened.get()
    }

    pub fn count(&self, class: Class) -> usize {
        self.counts[class as usize].get()
    }

    pub fn fault(&self) -> Fault {
        self.fault.borrow().unwrap_or(Fault::None)
    }

    /// Counts a call; its number, and whether the fault says that it fails.
    pub fn call(&self, class: Class, what: &str) -> Result<usize> {
        let number = self.counts[class as usize].replace(self.count(class) + 1);
        let because = match self.fault() {
            Fault::Once(of, at, because) if of == class && at == number => because,
            Fault::Since(of, at, because) if of == class && at <= number => because,
            Fault::Dies(at) if class == Class::Sync && at <= number => "Input/output error (os error 5)",
            _ => return Ok(number),
        };
        self.happened.set(true);
        Err(Error::new(what, because))
    }

    pub fn happens(&self) {
        self.happened.set(true);
    }
}
