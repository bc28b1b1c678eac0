//! `firstlight totp show|verify|reset USER`: the second factor of one user, after the run.

use super::{Ended, Stop, engine, lock, recover_first, screen};
use crate::cli::Factor;
use crate::factor::{self, Verified};
use crate::node::Node;
use crate::progress;
use crate::report::terminal::{complain, print};
use std::io::IsTerminal;

/// Longest line that is read: a code has six digits.
const LINE: u64 = 64;

/// Does what the word says.
pub fn run(node: &dyn Node, what: Factor, user: &str) -> Ended {
    if what != Factor::Verify {
        screen::needs_terminal()?;
    }
    let held = lock(node)?;
    recover_first(node, &mut *progress::choose())?;
    match what {
        Factor::Show => {
            let shown = factor::show(node, user)?;
            // Whoever scans may take their time.
            drop(held);
            screen::show(node, &shown);
        }
        Factor::Reset => {
            factor::reset(node, user)?;
            drop(held);
            show_what_is_new(node, user)?;
        }
        Factor::Verify => return verify(node, user),
    }
    Ok(0)
}

/// The user's own: what else waits for somebody to see it is not asked for here.
fn show_what_is_new(node: &dyn Node, user: &str) -> Result<(), Stop> {
    let mut new = factor::pending(node)?;
    new.retain(|shown| shown.title.ends_with(&format!(" of {user}")));
    screen::show(node, &new);
    Ok(())
}

fn verify(node: &dyn Node, user: &str) -> Ended {
    if std::io::stdin().is_terminal() {
        complain(&format!("code of {user}: "));
    }
    // From standard input, and not from the command line, which others can read.
    let code = engine::read_line(LINE)?;
    let verified = factor::verify(node, user, &code)?;
    if !matches!(verified, Verified::Wrong) && factor::pending(node)?.is_empty() {
        screen::all_seen(node);
    }
    match verified {
        Verified::Right => print(&format!("the code is right: {user} has a second factor that works\n")),
        Verified::Enrolled => {
            print(&format!("the code is right: {user} needs one at every login to PVE from now on\n"));
            if std::io::stdout().is_terminal() {
                show_what_is_new(node, user)?;
            }
        }
        Verified::Wrong => {
            let hint = "compare the time of the device with `timedatectl`; `firstlight totp show` shows the secret again";
            return Err(Stop { code: 1, text: format!("the code is not one of {user}'s\n  hint: {hint}") });
        }
    }
    Ok(0)
}
