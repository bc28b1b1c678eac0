//! `firstlight install`, `uninstall` and `recover`: what keeps a node able to put itself back.

use super::{Ended, Stop, afterwards, engine, failed, lock, recover_first, write_status};
use crate::cli::PROGRAM;
use crate::install::BINARY_PATH;
use crate::node::{Node, exists};
use crate::progress;
use crate::report::terminal::{Paint, print};
use crate::report::{Occasion, Report, break_glass, tell};
use crate::transaction::state::STATE_DIR;
use crate::transaction::{Outcome, Stage};
use std::path::Path;

/// Puts the program and its units in place.
pub fn install(node: &dyn Node) -> Ended {
    let _lock = lock(node)?;
    engine::install(node)?;
    print(&format!("{BINARY_PATH} and its recovery units are in place\n"));
    Ok(0)
}

/// Takes them away, once there is nothing left that only they could put back.
pub fn uninstall(node: &dyn Node) -> Ended {
    let _lock = lock(node)?;
    let mut watch = progress::choose();
    recover_first(node, &mut *watch)?;
    engine::uninstall(node)?;
    drop(watch);
    print(&format!("removed; what was hardened stays, and so does {STATE_DIR}\n"));
    Ok(0)
}

/// Our state is gone, and we were there: what a run that was cut off had changed, nobody knows any more.
fn lost() -> Stop {
    let text = format!(
        "{STATE_DIR} is missing: whether a run was cut off, and what it had changed, cannot be told\n  \
         hint: put {STATE_DIR} back from a backup, then `{PROGRAM} recover`; or make the node whole with \
         `{PROGRAM} apply ANSWER`; if nothing was cut off, `{PROGRAM} install`\n{}",
        break_glass(None, "", Paint::PLAIN)
    );
    Stop { code: 5, text }
}

/// Deals with a run that was cut off.
pub fn recover(node: &dyn Node, early: bool) -> Ended {
    if !exists(node, Path::new(STATE_DIR))? {
        // A node on which nothing ever ran stays without a trace of us.
        return if exists(node, Path::new(BINARY_PATH))? { Err(lost()) } else { Ok(0) };
    }
    let _lock = lock(node)?;
    let mut watch = progress::choose();
    let stage = if early { Stage::Early } else { Stage::Late };
    let ended = engine::recover(node, stage, &mut *watch);
    if early {
        // Nobody can be told before there is a network.
        afterwards(crate::status::write_file(node).map(drop));
    } else {
        write_status(node, &mut *watch);
    }
    drop(watch);
    match ended.map_err(|error| failed(node, &error))? {
        None => Ok(0),
        // The early stage leaves the rest to the late one: that is no failure.
        Some(Outcome::Stuck(..)) if early => Ok(0),
        Some(outcome) => {
            if let Outcome::Reverted(..) = outcome {
                afterwards(engine::say_unconfirmed(node));
            }
            let report =
                Report { occasion: Occasion::Recover, outcome: &outcome, warnings: &[], login: None };
            tell(report.importance(), &report.render(Paint::of_output()));
            Ok(report.exit_code())
        }
    }
}
