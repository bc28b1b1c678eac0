//! `firstlight apply`: recover, plan, install, one transaction, report.

use super::{
    Ended, Stop, afterwards, engine, failed, lock, recover_first, screen, warnings_of_run, write_status,
};
use crate::answer::Answer;
use crate::factor;
use crate::node::Node;
use crate::plan::Plan;
use crate::profile::Confirm;
use crate::progress;
use crate::report::terminal::{Paint, print};
use crate::report::{Occasion, Report};
use crate::transaction::Outcome;
use std::path::Path;

/// Makes the node as the answer wants it.
pub fn run(node: &dyn Node, file: Option<&Path>, hash: Option<&str>, confirm: Option<Confirm>) -> Ended {
    let answer = engine::answer_or_record(node, file)?;
    let (outcome, code) = execute(node, &answer, "command", hash, confirm)?;
    hand_over(node, &outcome);
    Ok(code)
}

/// The same for every door where somebody looks: one transaction and its report.
pub fn execute(
    node: &dyn Node,
    answer: &Answer,
    door: &'static str,
    hash: Option<&str>,
    confirm: Option<Confirm>,
) -> Result<(Outcome, u8), Stop> {
    let _held = lock(node)?;
    let mut watch = progress::choose();
    recover_first(node, &mut *watch)?;
    // Before the installation, although design 3 names it first: whoever is refused finds nothing new on the node.
    let (facts, plan) = engine::plan(node, answer)?;
    same(&plan, hash)?;
    engine::install(node)?;
    let limits = engine::limits(node, answer, &facts, confirm);
    let ended = engine::apply(node, &plan, answer, door, &limits, &mut *watch);
    write_status(node, &mut *watch);
    // The terminal is the report's from here on.
    drop(watch);
    let outcome = ended.map_err(|error| failed(node, &error))?;
    if let Outcome::Committed(_) = outcome {
        afterwards(engine::clear_notes(node));
    }
    let login = engine::login(node, answer, &facts);
    let warnings = match outcome {
        Outcome::Unchanged => plan.warnings,
        _ => warnings_of_run(node),
    };
    let report =
        Report { occasion: Occasion::Apply, outcome: &outcome, warnings: &warnings, login: Some(&login) };
    print(&report.render(Paint::of_output()));
    let code = report.exit_code();
    Ok((outcome, code))
}

/// Shows what a run has made once: here, where somebody looks, else on the consoles.
pub fn hand_over(node: &dyn Node, outcome: &Outcome) {
    if !matches!(outcome, Outcome::Committed(_) | Outcome::Waiting(..)) {
        return;
    }
    // What cannot be shown now is shown by `totp show`.
    let Ok(shown) = factor::pending(node) else { return };
    if shown.is_empty() {
        return;
    }
    if screen::needs_terminal().is_ok() {
        screen::show(node, &shown);
    } else {
        screen::show_on_consoles(node, &shown);
    }
}

/// What was reviewed is what is applied.
fn same(plan: &Plan, hash: Option<&str>) -> Result<(), Stop> {
    match hash {
        Some(hash) if hash != plan.hash => Err(Stop::refusal(format!(
            "the plan is another one by now: {}\n  hint: firstlight plan shows it",
            plan.hash
        ))),
        _ => Ok(()),
    }
}
