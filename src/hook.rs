//! PVE's first-boot hook: exactly once, although PVE runs us again at every boot until we succeed.
//!
//! A committed run ends with success whenever it is asked again. A failed one is put back and counted: three tries
//! in all, each a boot, a power cut counts. Then, or at once for bad input, it gives up loudly and clears PVE's
//! flag itself. What is said here about the flag and the unit is in PVE's `proxmox-first-boot` package.

mod source;

use crate::answer::Answer;
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::install;
use crate::node::{Node, boot_id, exists};
use crate::payload;
use crate::profile::Confirm;
use crate::progress::{Importance, Watch};
use crate::provision::{self, Planned};
use crate::status::PENDING_PATH;
use crate::transaction::journal::{Journal, read_records};
use crate::transaction::record::{Event, Record};
use crate::transaction::state::{self, HOOK_PATH};
use crate::transaction::{Outcome, Stage, Story, recover};
use source::Found;
use std::path::{Path, PathBuf};

/// Tries in all.
pub const TRIES: u32 = 3;
const MOTD_DIR: &str = "/etc/motd.d";
const ISSUE_DIR: &str = "/etc/issue.d";
const NOTE_NAME: &str = "firstlight";
/// The hook's word for a run that it left to whoever confirms it.
const WAITING: &str = "waiting";
const NOT_HARDENED: &str = "firstlight did not harden this node. See: firstlight status\n";
const UNCONFIRMED: &str = "the run was applied, and put back because nobody confirmed it";

/// How the hook ended.
pub enum End {
    /// An earlier run was committed.
    AlreadyCommitted,
    /// No answer anywhere: installed, and a line for the login screen.
    NoAnswer,
    /// The answer, or this node, does not allow a run: never again.
    BadInput(String),
    /// Three tries failed: never again.
    GaveUp(String),
    /// A run ended; facts for its report where there was a plan.
    Ran(Outcome, Option<Box<Facts>>),
}

/// Runs as the hook. The caller is root and holds the lock.
pub fn run(node: &dyn Node, executable: &Path, watch: &mut dyn Watch) -> Result<End> {
    state::prepare(node)?;
    let story = match records(node) {
        Ok(story) => story,
        Err(_) if committed_once(node)? => Vec::new(),
        Err(error) => return unknown(node, executable, error),
    };
    if let Some(end) = final_end(&story) {
        retire(node, executable)?;
        return Ok(end);
    }
    if committed_once(node)? {
        // PVE's unit removes its flag itself after success, and fails when it is gone by then.
        scrub(node, executable)?;
        clear_notes(node)?;
        return Ok(match recover(node, Stage::Late, watch)? {
            Some(outcome @ Outcome::Stuck(..)) => End::Ran(outcome, None),
            _ => End::AlreadyCommitted,
        });
    }
    if left_to_confirm(&story) {
        return unconfirmed(node, executable, watch);
    }
    let tries = tries(&story);
    // Counted before anything that can fail or be cut off, recovery included: PVE repeats without limit.
    if tries < TRIES {
        note(node, Event::Try { number: tries + 1, boot: boot_id(node) })?;
    }
    let tried = match recover(node, Stage::Late, watch) {
        Ok(Some(outcome @ Outcome::Stuck(..))) => return last_try(node, executable, tries, outcome),
        Ok(_) if tries >= TRIES => {
            return give_up(node, executable, "three tries were made, the last one was interrupted");
        }
        Ok(_) => attempt(node, executable, tries + 1, watch),
        Err(error) => Err(error),
    };
    match tried {
        Err(error) if tries + 1 >= TRIES => {
            end(node, executable, "gave-up", &error.to_string())?;
            Err(error)
        }
        tried => tried,
    }
}

fn left_to_confirm(records: &[Record]) -> bool {
    records.iter().any(|record| matches!(&record.event, Event::Ended { outcome, .. } if outcome == WAITING))
}

/// Nobody has confirmed yet, or nobody did: no try, but the end.
fn unconfirmed(node: &dyn Node, executable: &Path, watch: &mut dyn Watch) -> Result<End> {
    match recover(node, Stage::Late, watch)? {
        Some(outcome @ (Outcome::Waiting(..) | Outcome::Stuck(..))) => Ok(End::Ran(outcome, None)),
        _ => give_up(node, executable, UNCONFIRMED),
    }
}

/// Says at every login that the run of the first boot was not confirmed, if it is that one that was put back.
pub fn say_unconfirmed(node: &dyn Node) -> Result<()> {
    let story = records(node)?;
    if left_to_confirm(&story) && final_end(&story).is_none() && !committed_once(node)? {
        note(node, Event::Ended { outcome: "gave-up".to_owned(), message: UNCONFIRMED.to_owned() })?;
        leave_note(node, MOTD_DIR, NOTE_NAME, NOT_HARDENED)?;
    }
    Ok(())
}

/// Nobody knows how many tries there were: no more of them. A file that cannot be read now may be read at the next
/// boot; one that is damaged stays so.
fn unknown(node: &dyn Node, executable: &Path, error: Error) -> Result<End> {
    if node.read(Path::new(HOOK_PATH)).is_ok() {
        leave_note(node, MOTD_DIR, NOTE_NAME, NOT_HARDENED)?;
        retire(node, executable)?;
    }
    Err(error)
}

/// A node that could not be put back keeps its exit code 5, on the last try too.
fn last_try(node: &dyn Node, executable: &Path, tries: u32, outcome: Outcome) -> Result<End> {
    if let (true, Outcome::Stuck(_, failure, left)) = (tries + 1 >= TRIES, &outcome) {
        end(node, executable, "gave-up", &format!("{}: {}; {left}", failure.what, failure.message))?;
    }
    Ok(End::Ran(outcome, None))
}

fn attempt(node: &dyn Node, executable: &Path, number: u32, watch: &mut dyn Watch) -> Result<End> {
    install::install(node, executable)?;
    match source::find(node, executable)? {
        Found::Nothing => no_answer(node),
        Found::Wrong(message) => bad_input(node, executable, message),
        Found::Answer(answer) => provision(node, executable, &answer, number, watch),
    }
}

/// The first boot was ordered otherwise than an answer of ours orders it: never right, at no boot.
pub fn refuse_word(node: &dyn Node, executable: &Path, word: &str) -> Result<End> {
    state::prepare(node)?;
    let message = format!(
        "the first boot must be ordered fully-up, not {word}; `firstlight bake` writes an answer.toml that does"
    );
    bad_input(node, executable, message)
}

fn provision(
    node: &dyn Node,
    executable: &Path,
    answer: &Answer,
    number: u32,
    watch: &mut dyn Watch,
) -> Result<End> {
    watch.say(Importance::Info, &format!("try {number} of {TRIES}, {}", answer.profile.source));
    let (facts, plan) = match provision::plan_patiently(node, answer, watch)? {
        Planned::Plan(facts, plan) => (facts, plan),
        Planned::Refused(problems) => return bad_input(node, executable, problems.to_string()),
    };
    let confirm = answer.profile.confirm.unwrap_or(Confirm::None);
    let limits = provision::limits(&answer.profile, &facts, confirm);
    let outcome = provision::apply(node, &plan, answer, "hook", &limits, watch)?;
    match &outcome {
        Outcome::Unchanged | Outcome::Committed(_) => {
            if matches!(outcome, Outcome::Unchanged) {
                note(node, Event::Ended { outcome: "unchanged".to_owned(), message: String::new() })?;
            }
            scrub(node, executable)?;
            clear_notes(node)?;
        }
        Outcome::Waiting(..) => {
            // Whatever comes of it is final: from here on nobody needs the answer.
            note(node, Event::Ended { outcome: WAITING.to_owned(), message: String::new() })?;
            scrub(node, executable)?;
        }
        Outcome::Untouched(_, failure) | Outcome::Reverted(_, failure, _) if number >= TRIES => {
            return give_up(node, executable, &format!("{}: {}", failure.what, failure.message));
        }
        Outcome::Stuck(..) => return last_try(node, executable, number - 1, outcome),
        _ => {}
    }
    Ok(End::Ran(outcome, Some(facts)))
}

/// The hook's own records, oldest first.
pub fn records(node: &dyn Node) -> Result<Vec<Record>> {
    let path = Path::new(HOOK_PATH);
    if exists(node, path)? { read_records(node, path) } else { Ok(Vec::new()) }
}

fn note(node: &dyn Node, event: Event) -> Result<()> {
    if exists(node, Path::new(HOOK_PATH))? {
        Journal::open(node, HOOK_PATH.into())?.0.write(event)
    } else {
        Journal::start(node, HOOK_PATH.into(), event).map(drop)
    }
}

/// Tries made so far.
pub fn tries(records: &[Record]) -> u32 {
    records
        .iter()
        .filter_map(|record| if let Event::Try { number, .. } = record.event { Some(number) } else { None })
        .max()
        .unwrap_or(0)
}

fn final_end(records: &[Record]) -> Option<End> {
    records.iter().find_map(|record| match &record.event {
        Event::Ended { outcome, message } if outcome == "bad-input" => Some(End::BadInput(message.clone())),
        Event::Ended { outcome, message } if outcome == "gave-up" => Some(End::GaveUp(message.clone())),
        _ => None,
    })
}

/// Whether any run was ever committed: a rollback since then is the operator's will, not a reason to run again.
fn committed_once(node: &dyn Node) -> Result<bool> {
    for id in state::transactions(node)? {
        // One that cannot be read is for recovery to complain about, once the try is counted.
        if state::records(node, id).is_ok_and(|records| Story::of(&records).committed) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn no_answer(node: &dyn Node) -> Result<End> {
    let text = "firstlight is installed and has no answer: log in as root and run `firstlight wizard`\n";
    leave_note(node, ISSUE_DIR, &format!("{NOTE_NAME}.issue"), text)?;
    note(node, Event::Ended { outcome: "no-answer".to_owned(), message: text.trim().to_owned() })?;
    Ok(End::NoAnswer)
}

fn bad_input(node: &dyn Node, executable: &Path, message: String) -> Result<End> {
    end(node, executable, "bad-input", &message)?;
    Ok(End::BadInput(message))
}

fn give_up(node: &dyn Node, executable: &Path, message: &str) -> Result<End> {
    end(node, executable, "gave-up", message)?;
    Ok(End::GaveUp(message.to_owned()))
}

fn end(node: &dyn Node, executable: &Path, outcome: &str, message: &str) -> Result<()> {
    note(node, Event::Ended { outcome: outcome.to_owned(), message: message.to_owned() })?;
    leave_note(node, MOTD_DIR, NOTE_NAME, NOT_HARDENED)?;
    retire(node, executable)
}

/// Clears PVE's flag and the answer in the executable: the hook has nothing left to do on this node.
fn retire(node: &dyn Node, executable: &Path) -> Result<()> {
    scrub(node, executable)?;
    let flag = Path::new(PENDING_PATH);
    if exists(node, flag)? {
        node.remove_file(flag)?;
        flag.parent().map_or(Ok(()), |parent| node.sync_directory(parent))?;
    }
    Ok(())
}

/// Replaces the executable that the installer left behind by one without the answer. The installed copy never
/// had it.
fn scrub(node: &dyn Node, executable: &Path) -> Result<()> {
    let Some(found) = node.lookup(executable)? else { return Ok(()) };
    let image = node.read(executable)?;
    let bare = payload::executable(&image);
    if bare.len() == image.len() {
        return Ok(());
    }
    let waiting = executable.with_extension("scrubbed");
    if exists(node, &waiting)? {
        node.remove_file(&waiting)?;
    }
    node.create(&waiting, bare, found.mode)?;
    node.sync_file(&waiting)?;
    node.rename(&waiting, executable)?;
    executable.parent().map_or(Ok(()), |parent| node.sync_directory(parent))
}

fn leave_note(node: &dyn Node, directory: &str, name: &str, text: &str) -> Result<()> {
    let directory = Path::new(directory);
    if !exists(node, directory)? {
        node.make_directory(directory, 0o755)?;
    }
    let path = directory.join(name);
    if exists(node, &path)? {
        node.remove_file(&path)?;
    }
    node.create(&path, text.as_bytes(), 0o644)?;
    node.sync_file(&path)?;
    node.sync_directory(directory)
}

/// Takes the notes on the login screen and in the message of the day away: the node is hardened now.
pub fn clear_notes(node: &dyn Node) -> Result<()> {
    let notes = [(MOTD_DIR, NOTE_NAME.to_owned()), (ISSUE_DIR, format!("{NOTE_NAME}.issue"))];
    for path in notes.map(|(directory, name)| PathBuf::from(directory).join(name)) {
        if exists(node, &path)? {
            node.remove_file(&path)?;
        }
    }
    Ok(())
}

/// The hook's failure in a sentence, for the journal.
pub fn complaint(end: &End) -> Option<Error> {
    match end {
        End::BadInput(message) => Some(Error::new("reading the answer", message)),
        End::GaveUp(message) => Some(Error::new("provisioning, three tries", message)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
