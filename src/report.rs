//! The end of a run, for a person: what happened, how to log in, what to do next.
//!
//! Only text is made here; what is true was decided by `transaction`. No secret comes near.

mod break_glass;
pub mod json;
pub mod terminal;

pub use break_glass::break_glass;

use crate::progress::{Importance, is_journal, prefixed};
use crate::status::time;
use crate::transaction::state::TransactionId;
use crate::transaction::{Failure, Outcome};
use std::net::IpAddr;
use std::path::PathBuf;
use terminal::{Colour, Paint, indented, visible, wrapped};

const WIDTH: usize = 80;

/// What was being done when the run ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// An answer was applied.
    Apply,
    /// A transaction was taken back on request.
    Rollback,
    /// An unfinished transaction was dealt with.
    Recover,
}

/// How the admin gets in.
pub struct Login {
    /// Login name.
    pub admin: String,
    /// Port of sshd.
    pub port: u16,
    /// Addresses of the node.
    pub addresses: Vec<IpAddr>,
    /// Host keys: algorithm and fingerprint.
    pub host_keys: Vec<(String, String)>,
}

/// The end of a run.
pub struct Report<'a> {
    /// What was being done.
    pub occasion: Occasion,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// What the operator should know.
    pub warnings: &'a [String],
    /// How to log in now, where that is known.
    pub login: Option<&'a Login>,
}

impl Report<'_> {
    /// The exit code of design 9.
    pub fn exit_code(&self) -> u8 {
        let attention = !self.warnings.is_empty();
        match (self.outcome, self.occasion) {
            (Outcome::Stuck(..), _) => 5,
            (Outcome::Waiting(..), _) => 4,
            // What a plan warns of every time must not keep a converged node from 0.
            (Outcome::Unchanged, _) => 0,
            (Outcome::Committed(_), _) => attention_code(attention),
            (Outcome::Untouched(..) | Outcome::Reverted(..), Occasion::Apply) => 1,
            (Outcome::Untouched(..), _) => 0,
            (Outcome::Reverted(_, _, kept), _) => attention_code(attention || !kept.is_empty()),
        }
    }

    /// How loudly it is said.
    pub fn importance(&self) -> Importance {
        match self.exit_code() {
            0 => Importance::Info,
            3 | 4 => Importance::Warning,
            _ => Importance::Error,
        }
    }

    /// The text.
    pub fn render(&self, paint: Paint) -> String {
        let mut text = self.happened(paint);
        if !self.warnings.is_empty() {
            text.push_str(&heading("Warnings", paint));
        }
        for warning in self.warnings {
            text.push_str(&wrapped(warning, "  ", WIDTH));
        }
        if let (Outcome::Committed(_) | Outcome::Unchanged | Outcome::Waiting(..), Some(login)) =
            (self.outcome, self.login)
        {
            text.push_str(&login.render(paint));
        }
        if let (Outcome::Committed(id), Occasion::Apply) = (self.outcome, self.occasion) {
            text.push_str(&undo(*id, paint));
        }
        text
    }

    fn happened(&self, paint: Paint) -> String {
        match (self.outcome, self.occasion) {
            (Outcome::Unchanged, Occasion::Rollback) => {
                good("nothing to take back", "No committed transaction stands.", paint)
            }
            (Outcome::Unchanged, _) => {
                good("nothing to do", "The node was as the answer wants it; nothing was changed.", paint)
            }
            (Outcome::Committed(id), _) => {
                good("done", &format!("Transaction {id} is committed; every probe holds."), paint)
            }
            (Outcome::Waiting(id, minutes), _) => {
                let name = paint.paint(Colour::Bold, "firstlight:");
                let title = paint.paint(Colour::Yellow, "applied, waiting for confirmation");
                let text = format!(
                    "Transaction {id} is put back in {}, unless you log in anew, over SSH or at PVE \
                     with a TOTP code, or run `firstlight confirm`. Keep this session open; it does not count.",
                    time::minutes(*minutes)
                );
                format!("{name} {title}\n{}", wrapped(&text, "  ", WIDTH))
            }
            (Outcome::Untouched(id, failure), Occasion::Apply) => {
                let next = "Nothing was touched. Mend the cause and run it again.";
                bad(&format!("refused before the first change (transaction {id})"), failure, next, paint)
            }
            (Outcome::Untouched(id, _), _) => good(
                "nothing was touched",
                &format!("Transaction {id} ended before its first change."),
                paint,
            ),
            (Outcome::Reverted(id, failure, kept), Occasion::Apply) => {
                let next = format!(
                    "The node was put back and is as it was before{}. `firstlight status` tells every step; mend the \
                     cause and run it again.",
                    but_for(kept)
                );
                bad(&format!("failed and put back (transaction {id})"), failure, &next, paint)
                    + &list(kept, paint)
            }
            (Outcome::Reverted(id, _, kept), _) => {
                let text = format!(
                    "Transaction {id} was taken back; the node is as it was before it{}.",
                    but_for(kept)
                );
                good("put back", &text, paint) + &list(kept, paint)
            }
            (Outcome::Stuck(id, failure, left), _) => {
                let title = format!("failed, and could not be put back (transaction {id})");
                bad(&title, failure, "", paint) + &break_glass(Some(*id), left, paint)
            }
        }
    }
}

impl Login {
    /// How to log in, and which host keys to expect.
    pub fn render(&self, paint: Paint) -> String {
        let mut text = heading("Log in", paint);
        let port = if self.port == 22 { String::new() } else { format!("-p {} ", self.port) };
        for address in &self.addresses {
            text.push_str(&format!("  ssh {port}{}@{address}\n", visible(&self.admin)));
        }
        if !self.host_keys.is_empty() {
            text.push_str(&heading("Host keys", paint));
        }
        for (algorithm, fingerprint) in &self.host_keys {
            text.push_str(&format!("  {:<20}{}\n", visible(algorithm), visible(fingerprint)));
        }
        text
    }
}

/// Says a text of several lines where people of this process read: in a unit with its priority.
pub fn tell(importance: Importance, text: &str) {
    if is_journal() {
        terminal::print(&prefixed(importance, text));
    } else {
        terminal::print(text);
    }
}

fn attention_code(attention: bool) -> u8 {
    if attention { 3 } else { 0 }
}

fn good(title: &str, text: &str, paint: Paint) -> String {
    let name = paint.paint(Colour::Bold, "firstlight:");
    format!("{name} {}\n{}", paint.paint(Colour::Green, title), wrapped(text, "  ", WIDTH))
}

fn bad(title: &str, failure: &Failure, next: &str, paint: Paint) -> String {
    let name = paint.paint(Colour::Bold, "firstlight:");
    let mut text = format!("{name} {}\n", paint.paint(Colour::Red, title));
    text.push_str(&format!("  {}\n", visible(&failure.what)));
    text.push_str(&indented(&failure.message, "    "));
    text.push_str(&wrapped(next, "  ", WIDTH));
    text
}

fn but_for(kept: &[PathBuf]) -> &'static str {
    if kept.is_empty() { "" } else { ", but for what is kept" }
}

fn list(kept: &[PathBuf], paint: Paint) -> String {
    if kept.is_empty() {
        return String::new();
    }
    let mut text = heading("Kept: somebody else changed these since", paint);
    for path in kept {
        text.push_str(&format!("  {}\n", visible(&path.to_string_lossy())));
    }
    text
}

fn undo(id: TransactionId, paint: Paint) -> String {
    let mut text = heading("Undo", paint);
    text.push_str(&format!("  firstlight rollback {id}        puts the node back\n"));
    text.push_str(&format!("  firstlight snapshots diff {id}  what changed since\n"));
    text
}

fn heading(title: &str, paint: Paint) -> String {
    format!("\n{}\n", paint.paint(Colour::Bold, title))
}

#[cfg(test)]
#[path = "report/tests.rs"]
mod tests;
