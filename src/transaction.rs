//! One transaction: snapshot, gates, steps, probes, commit; or the way back, newest first.
//!
//! *After recovery the node is wholly the old one or wholly the new one.* An intent with the observed prior state
//! is durable before its effect; recovery believes what it observes, never "done" alone; taking back is idempotent.

pub mod journal;
pub mod preview;
pub mod record;
pub mod state;

mod confirm;
mod deadline;
mod judge;
mod process;
mod prune;
mod recovery;
mod revert;
mod run;
mod story;
#[cfg(test)]
pub mod tests;

use state::TransactionId;
use std::path::PathBuf;

pub use confirm::{Confirmation, Limits, confirm, confirm_locked, waiting, waits};
pub use deadline::{keep as keep_deadline, seconds as deadline_seconds};
pub use process::{descends_from, holder};
pub use prune::{KEPT, prune};
pub use recovery::{chain, recover, rollback, withdraw};
pub use run::{apply, skipped};
pub use story::{Phase, Story};

/// How a run ended.
#[cfg_attr(test, derive(Debug))]
pub enum Outcome {
    /// The plan was empty.
    Unchanged,
    /// The new node is the node.
    Committed(TransactionId),
    /// Applied, and put back unless somebody confirms it within these minutes.
    Waiting(TransactionId, u64),
    /// A gate refused before the first effect.
    Untouched(TransactionId, Failure),
    /// Put back; these paths belong to somebody else by now and were kept.
    Reverted(TransactionId, Failure, Vec<PathBuf>),
    /// Could not be put back: the second text says what is left.
    Stuck(TransactionId, Failure, String),
}

/// What failed, and why.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct Failure {
    /// A step's title, a gate, a control.
    pub what: String,
    /// The reason, in the tool's words where there is a tool.
    pub message: String,
}

/// Who started a run, and with what.
pub struct Order<'a> {
    /// `hook`, `wizard` or `command`.
    pub door: &'static str,
    /// Where the answer came from.
    pub source: &'a str,
    /// The profile of record, without secrets.
    pub record: &'a str,
    /// By when, and confirmed by whom.
    pub limits: &'a Limits,
}

/// How far recovery may go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before the network: files only; starts and stops nothing, no packages.
    Early,
    /// Everything that is left.
    Late,
}
