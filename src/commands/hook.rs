//! The first-boot hook as a program: its word, its report for the journal, its exit code.

use super::apply::hand_over;
use super::{Ended, Stop, engine, failed, lock, warnings_of_run, write_status};
use crate::hook::{End, complaint};
use crate::node::Node;
use crate::progress::{self, Importance};
use crate::report::terminal::Paint;
use crate::report::{Login, Occasion, Report, tell};
use crate::transaction::Outcome;

/// Runs as PVE's first-boot executable. Only the last of PVE's three moments has a whole node to work on.
pub fn run(node: &dyn Node, word: &str) -> Ended {
    let _lock = lock(node)?;
    let mut watch = progress::choose();
    let ended = engine::hook(node, word, &mut *watch);
    write_status(node, &mut *watch);
    drop(watch);
    let end = ended.map_err(|error| failed(node, &error))?;
    if let Some(error) = complaint(&end) {
        let code = if matches!(end, End::BadInput(_)) { 2 } else { 1 };
        return Err(Stop { code, text: error.to_string() });
    }
    match end {
        End::Ran(outcome, facts) => {
            let login = facts.and_then(|facts| engine::login_of_record(node, &facts));
            let code = told(node, &outcome, login.as_ref());
            hand_over(node, &outcome);
            Ok(code)
        }
        End::NoAnswer => {
            tell(Importance::Info, "firstlight: no answer found; installed, nothing else was changed\n");
            Ok(0)
        }
        _ => {
            tell(Importance::Info, "firstlight: an earlier run was committed; nothing to do\n");
            Ok(0)
        }
    }
}

/// Tells the end. For PVE success is success: 3 would make it run us again at every boot.
fn told(node: &dyn Node, outcome: &Outcome, login: Option<&Login>) -> u8 {
    let warnings = warnings_of_run(node);
    let report = Report { occasion: Occasion::Apply, outcome, warnings: &warnings, login };
    tell(report.importance(), &report.render(Paint::of_output()));
    if let Some(milliseconds) = engine::own_milliseconds() {
        tell(
            Importance::Info,
            &format!("firstlight: {milliseconds} ms of processor time beside its tools\n"),
        );
    }
    match report.exit_code() {
        3 | 4 => 0,
        code => code,
    }
}
