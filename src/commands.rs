//! The commands: each reads what it needs, calls the engine, prints, and gives the exit code of design 9.
//!
//! [`run`] is the one place where an error is printed. Calls into the engine go through [`engine`].

mod apply;
mod audit;
mod bake;
mod bundle;
mod check;
mod confirm;
mod engine;
mod entry;
mod hook;
mod maintain;
mod plan;
mod rollback;
mod screen;
mod snapshots;
mod status;
#[cfg(test)]
mod tests;
mod totp;
mod wizard;

use crate::cli::{self, Command, PROGRAM};
use crate::error::Error;
use crate::node::{Lock, Node, read_text};
use crate::notify;
use crate::progress::{Importance, Watch, is_journal, prefixed};
use crate::report::terminal::{self, Colour, Paint, indented};
use crate::report::{Occasion, Report, break_glass};
use crate::transaction::state::{self, LOCK_PATH};
use crate::transaction::{Outcome, Phase, Stage, Story, waits};
use std::ffi::OsString;
use std::path::Path;

/// Runs the program; the exit code.
pub fn run(arguments: Vec<OsString>) -> u8 {
    let first = arguments.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let ended = match cli::parse(arguments) {
        Ok(command) => dispatch(command),
        Err(usage) => Err(Stop::refusal(format!("{}\n  hint: {}", usage.0, cli::where_to_look(&first)))),
    };
    ended.unwrap_or_else(|stop| {
        complain(&stop.text);
        stop.code
    })
}

/// Why a command ended early: its exit code and what to print.
struct Stop {
    code: u8,
    text: String,
}

impl Stop {
    /// Nothing was touched.
    fn refusal(text: impl Into<String>) -> Self {
        Self { code: 2, text: text.into() }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::refusal(error.to_string())
    }
}

/// A command's exit code, or why it ended early.
type Ended = Result<u8, Stop>;

fn dispatch(command: Command) -> Ended {
    let text = match command {
        Command::Help(text) => text,
        Command::Version => concat!("firstlight ", env!("CARGO_PKG_VERSION")),
        Command::Check { answer, node } => {
            return check::run(&*engine::node()?, &answer, node.as_deref());
        }
        Command::Bake { answer, out, executable, node } => {
            return bake::run(&*engine::node()?, &answer, &out, executable.as_deref(), node.as_deref());
        }
        command => return as_root(command),
    };
    terminal::print(&[text, "\n"].concat());
    Ok(0)
}

/// Everything else reads or changes what belongs to root.
fn as_root(command: Command) -> Ended {
    if !engine::is_root() {
        return Err(Stop::refusal(
            "this command needs root\n  hint: log in as root, or put `sudo` before it",
        ));
    }
    let node = &*engine::node()?;
    match command {
        Command::Hook(word) => hook::run(node, &word),
        Command::Plan { answer, json } => plan::run(node, answer.as_deref(), json),
        Command::Apply { answer, plan, confirm } => {
            apply::run(node, answer.as_deref(), plan.as_deref(), confirm)
        }
        Command::Wizard { save } => wizard::run(node, save.as_deref()),
        Command::Audit { answer, form } => audit::run(node, answer.as_deref(), form),
        Command::Confirm => confirm::run(node),
        Command::Deadline => confirm::keep_deadline(node),
        Command::Status { wait, json } => status::run(node, wait, json),
        Command::Rollback(what) => rollback::run(node, &what),
        Command::Snapshots(what) => snapshots::run(node, &what),
        Command::Totp(what, user) => totp::run(node, what, &user),
        Command::Bundle { file } => bundle::run(node, &file),
        Command::Install => maintain::install(node),
        Command::Uninstall => maintain::uninstall(node),
        Command::Recover { early } => maintain::recover(node, early),
        Command::Help(_) | Command::Version | Command::Check { .. } | Command::Bake { .. } => Ok(0),
    }
}

/// Prints an error: in a unit with its priority, on a terminal in colour.
fn complain(text: &str) {
    if is_journal() {
        terminal::print(&prefixed(Importance::Error, text));
        return;
    }
    let mark = Paint::of_errors().paint(Colour::Red, "error:");
    terminal::complain(&format!("{mark} {}", indented(text, "")));
}

/// The lock, or who holds it.
fn lock(node: &dyn Node) -> Result<Box<dyn Lock>, Stop> {
    let locked = state::prepare(node).and_then(|()| node.lock(Path::new(LOCK_PATH)));
    // What cannot be locked is not touched; what was cut off before that is neither old nor new all the same.
    if let Some(lock) = locked.map_err(|error| failed_or(node, &error, 2))? {
        return Ok(lock);
    }
    let process = read_text(node, Path::new(LOCK_PATH))?.unwrap_or_default();
    let holder = match process.trim() {
        "" => "another firstlight".to_owned(),
        process => format!("another firstlight (process {process})"),
    };
    Err(Stop::refusal(format!("{holder} is at work\n  hint: {PROGRAM} status --wait")))
}

/// Deals with a run that was cut off; what cannot be put back ends the command.
fn recover_first(node: &dyn Node, watch: &mut dyn Watch) -> Result<(), Stop> {
    match engine::recover(node, Stage::Late, watch) {
        Ok(Some(outcome @ Outcome::Stuck(..))) => {
            write_status(node, watch);
            let report =
                Report { occasion: Occasion::Recover, outcome: &outcome, warnings: &[], login: None };
            Err(Stop { code: 5, text: report.render(Paint::PLAIN) })
        }
        Ok(Some(Outcome::Waiting(id, minutes))) => {
            let hint = format!("{PROGRAM} confirm commits it, {PROGRAM} rollback takes it back");
            let text = format!("transaction {id} waits for confirmation, {minutes} minutes yet");
            Err(Stop::refusal(format!("{text}\n  hint: {hint}")))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(failed(node, &error)),
    }
}

/// An error out of the middle of a transaction: the journals know what it means.
fn failed(node: &dyn Node, error: &Error) -> Stop {
    failed_or(node, error, 1)
}

/// The same, with the code where nothing is open.
fn failed_or(node: &dyn Node, error: &Error, code: u8) -> Stop {
    for id in state::transactions(node).unwrap_or_default().into_iter().rev() {
        let story = state::records(node, id).map(|records| Story::of(&records));
        if story.as_ref().is_ok_and(|story| waits(node, story)) {
            let text = format!("{error}\n  transaction {id} still waits for confirmation");
            return Stop { code: 4, text };
        }
        // One that cannot be read may have begun to change something.
        if story.is_ok_and(|story| story.phase() != Phase::Unfinished || story.made.is_empty()) {
            continue;
        }
        let help = break_glass(Some(id), "", Paint::PLAIN);
        let text = format!("{error}\n  the node is neither the old one nor the new one\n{help}");
        return Stop { code: 5, text };
    }
    Stop { code, text: error.to_string() }
}

/// What is done: an error after it is said, and changes nothing about that.
fn afterwards(done: Result<(), Error>) {
    if let Err(error) = done {
        complain(&error.to_string());
    }
}

/// What the run that ended last warned of: what its plan knew, and what came up on the way.
fn warnings_of_run(node: &dyn Node) -> Vec<String> {
    crate::status::read(node)
        .ok()
        .and_then(|status| status.story().map(|story| story.warnings.clone()))
        .unwrap_or_default()
}

/// `status.json` is a copy for other programs, and whoever else is told: a failure is said, and changes nothing.
fn write_status(node: &dyn Node, watch: &mut dyn Watch) {
    if let Err(error) = crate::status::write_file(node).and_then(|status| notify::tell(node, &status)) {
        watch.say(Importance::Warning, &error.to_string());
    }
}
