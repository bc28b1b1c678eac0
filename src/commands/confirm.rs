//! `firstlight confirm`, and the keeper of the deadline: the two ends of a transaction that waits.

use super::{Ended, engine, failed, lock, write_status};
use crate::node::{Node, exists};
use crate::progress;
use crate::report::terminal::{Paint, print};
use crate::report::{Occasion, Report, tell};
use crate::transaction::Outcome;
use crate::transaction::state::STATE_DIR;
use std::path::Path;

/// Commits what waits for confirmation.
pub fn run(node: &dyn Node) -> Ended {
    let nothing = "nothing waits for confirmation\n";
    if !exists(node, Path::new(STATE_DIR))? {
        print(nothing);
        return Ok(0);
    }
    // Somebody at work is named here; the commit takes the lock again for itself.
    drop(lock(node)?);
    match engine::confirm(node)? {
        Some(Outcome::Committed(id)) => {
            committed(node)?;
            print(&format!("transaction {id} is confirmed and committed\n"));
        }
        _ => print(nothing),
    }
    Ok(0)
}

/// Keeps the deadline of the open transaction: for the unit alone.
pub fn keep_deadline(node: &dyn Node) -> Ended {
    let mut watch = progress::choose();
    let ended = engine::keep_deadline(node, &mut *watch);
    let Some(outcome) = ended.map_err(|error| failed(node, &error))? else { return Ok(0) };
    match outcome {
        Outcome::Committed(_) => committed(node)?,
        _ => engine::say_unconfirmed(node)?,
    }
    write_status(node, &mut *watch);
    drop(watch);
    let report = Report { occasion: Occasion::Recover, outcome: &outcome, warnings: &[], login: None };
    tell(report.importance(), &report.render(Paint::of_output()));
    // What the run has come to is told by `status`; this unit has failed only where the node could not be put back.
    Ok(if report.exit_code() == 5 { 5 } else { 0 })
}

fn committed(node: &dyn Node) -> Result<(), super::Stop> {
    engine::clear_notes(node)?;
    write_status(node, &mut progress::Silent);
    Ok(())
}
