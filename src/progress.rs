//! Who is told while a run works: a terminal, plain lines, or the journal.

mod bar;
mod lines;
mod unit;

pub use bar::Bar;
pub use lines::Lines;
pub use unit::{Unit, is_journal, prefixed};

use std::io::IsTerminal;

/// The right one for where this process writes: the journal, a terminal that can redraw a line, or anything else.
pub fn choose() -> Box<dyn Watch> {
    if is_journal() {
        return Box::new(Unit);
    }
    let dumb = std::env::var_os("TERM").is_none_or(|value| value == "dumb");
    if std::io::stderr().is_terminal() && !dumb {
        return Box::new(Bar::new());
    }
    Box::new(Lines::default())
}

/// Told what happens while it happens.
pub trait Watch {
    /// Step `number` of `total` (from 1) begins.
    fn begin(&mut self, number: usize, total: usize, title: &str);
    /// The step that began last ended.
    fn end(&mut self, ending: Ending, milliseconds: u64);
    /// A sentence beside the steps.
    fn say(&mut self, importance: Importance, text: &str);
}

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Done.
    Done,
    /// Failed; the run is put back.
    Failed,
    /// Taken back.
    Reverted,
}

/// How loudly a sentence is said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// For the curious.
    Info,
    /// Needs attention.
    Warning,
    /// Something failed.
    Error,
}

/// Says nothing.
pub struct Silent;

impl Watch for Silent {
    fn begin(&mut self, _number: usize, _total: usize, _title: &str) {}
    fn end(&mut self, _ending: Ending, _milliseconds: u64) {}
    fn say(&mut self, _importance: Importance, _text: &str) {}
}
