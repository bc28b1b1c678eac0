//! `firstlight rollback`: takes a committed transaction back on request.

use super::{Ended, Stop, engine, failed, lock, recover_first, write_status};
use crate::node::Node;
use crate::progress::{self, Watch};
use crate::report::terminal::{Paint, print};
use crate::report::{Occasion, Report};
use crate::status;
use crate::transaction::Outcome;
use crate::transaction::state::{self, TransactionId};

/// Rolls back and reports.
pub fn run(node: &dyn Node, id: Option<TransactionId>, force: bool) -> Ended {
    let _lock = lock(node)?;
    let mut watch = progress::choose();
    if let Some(waiting) = engine::waiting(node)? {
        return withdraw(node, waiting, id, force, watch);
    }
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

/// Takes back what nobody has confirmed yet.
fn withdraw(
    node: &dyn Node,
    waiting: TransactionId,
    id: Option<TransactionId>,
    force: bool,
    mut watch: Box<dyn Watch>,
) -> Ended {
    if let Some(id) = id.filter(|id| *id != waiting) {
        let text = format!("rolling back {id}: {waiting} waits for confirmation; take that back first");
        return Err(Stop::refusal(text));
    }
    let ended = engine::withdraw(node, force, &mut *watch);
    write_status(node, &mut *watch);
    drop(watch);
    let outcome = ended.map_err(|error| failed(node, &error))?.unwrap_or(Outcome::Unchanged);
    let report = Report { occasion: Occasion::Rollback, outcome: &outcome, warnings: &[], login: None };
    print(&report.render(Paint::of_output()));
    Ok(report.exit_code())
}

fn still_stand(node: &dyn Node, before: &[TransactionId]) -> bool {
    state::standing(node).is_ok_and(|now| now == before)
        && status::read(node).is_ok_and(|status| !status.is_open())
}
