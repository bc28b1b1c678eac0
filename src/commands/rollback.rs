//! `firstlight rollback`: takes a committed transaction back on request.

use super::{Ended, engine, failed, lock, recover_first, write_status};
use crate::node::Node;
use crate::progress;
use crate::report::terminal::{Paint, print};
use crate::report::{Occasion, Report};
use crate::status;
use crate::transaction::state::{self, TransactionId};

/// Rolls back and reports.
pub fn run(node: &dyn Node, id: Option<TransactionId>, force: bool) -> Ended {
    let _lock = lock(node)?;
    let mut watch = progress::choose();
    recover_first(node, &mut *watch)?;
    let standing = state::standing(node)?;
    let ended = engine::rollback(node, id, force, &mut *watch);
    write_status(node, &mut *watch);
    drop(watch);
    let outcome = match ended {
        Ok(outcome) => outcome,
        // Refused before the first effect: everything that stood still stands.
        Err(error) if still_stand(node, &standing) => return Err(error.into()),
        Err(error) => return Err(failed(node, &error)),
    };
    let report = Report { occasion: Occasion::Rollback, outcome: &outcome, warnings: &[], login: None };
    print(&report.render(Paint::of_output()));
    Ok(report.exit_code())
}

fn still_stand(node: &dyn Node, before: &[TransactionId]) -> bool {
    state::standing(node).is_ok_and(|now| now == before)
        && status::read(node).is_ok_and(|status| !status.is_open())
}
