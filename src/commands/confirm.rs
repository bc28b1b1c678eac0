//! `firstlight confirm`, and the keeper of the deadline: the two ends of a transaction that waits.

use super::{Ended, Stop, afterwards, engine, failed, lock, write_status};
use crate::node::{Node, exists};
use crate::progress::{self, Importance};
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
    // Somebody at work is named here.
    let _lock = lock(node)?;
    match engine::confirm(node).map_err(|error| failed(node, &error))? {
        Some(Outcome::Committed(id)) => {
            committed(node);
            print(&format!("transaction {id} is confirmed and committed\n"));
            Ok(0)
        }
        Some(outcome) => {
            let report =
                Report { occasion: Occasion::Recover, outcome: &outcome, warnings: &[], login: None };
            Err(Stop { code: report.exit_code(), text: report.render(Paint::PLAIN) })
        }
        None => {
            print(nothing);
            Ok(0)
        }
    }
}

/// Keeps the deadline of the open transaction: for the unit alone.
pub fn keep_deadline(node: &dyn Node) -> Ended {
    let mut watch = progress::choose();
    let outcome = match engine::keep_deadline(node, &mut *watch).map_err(|error| failed(node, &error)) {
        Ok(Some(outcome)) => outcome,
        Ok(None) => return Ok(0),
        // PVE's lock was held, say: the timer starts us again, and the login that confirms is seen again.
        Err(stop) if stop.code == 4 => {
            watch.say(Importance::Warning, &stop.text);
            return Ok(0);
        }
        Err(stop) => return Err(stop),
    };
    match outcome {
        Outcome::Committed(_) => committed(node),
        _ => afterwards(engine::say_unconfirmed(node)),
    }
    write_status(node, &mut *watch);
    drop(watch);
    let report = Report { occasion: Occasion::Recover, outcome: &outcome, warnings: &[], login: None };
    tell(report.importance(), &report.render(Paint::of_output()));
    // What the run has come to is told by `status`; this unit has failed only where the node could not be put back.
    Ok(if report.exit_code() == 5 { 5 } else { 0 })
}

fn committed(node: &dyn Node) {
    afterwards(engine::clear_notes(node));
    write_status(node, &mut progress::Silent);
}
