//! Who is told while a run works: a terminal, plain lines, or the journal.

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
