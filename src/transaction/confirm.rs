//! Confirmation: what is applied is committed once somebody has proved that they still get in, by a *new* login.
//!
//! What counts is a login of the admin over SSH with one of their keys, as sshd itself tells the system's journal, after
//! the place that the journal had reached when the apply ended, and from another machine; a login at PVE's API with a
//! code of one of their TOTP entries; or `firstlight confirm`. A session that was there before does none of it.

use super::journal::Journal;
use super::record::{Event, Waiting};
use super::run;
use super::state::{self, LOCK_PATH, TransactionId};
use super::story::{Phase, Story};
use super::{Failure, Outcome};
use crate::error::{Error, Result};
use crate::node::{Invocation, Node, boot_id, run_checked};
use std::net::IpAddr;
use std::path::Path;

mod api;
mod login;

const MINUTE: u64 = 60_000;
const JOURNALCTL: &str = "/usr/bin/journalctl";

/// By when a run must be over, and who confirms it.
pub struct Limits {
    /// Minutes for everything from the snapshot to the last probe.
    pub minutes: u32,
    /// `None`: committed as soon as the probes pass.
    pub confirm: Option<Confirmation>,
}

/// Who confirms, and by when.
pub struct Confirmation {
    /// Minutes, counted from the end of the apply.
    pub minutes: u32,
    /// Login name.
    pub admin: String,
    /// Fingerprints of the admin's keys.
    pub keys: Vec<String>,
    /// Addresses of the node itself: a login from there proves nothing.
    pub not_from: Vec<IpAddr>,
}

impl Limits {
    /// An hour, and nobody has to confirm.
    pub const DEFAULT: Self = Self { minutes: 60, confirm: None };
}

/// The end of the way forward: the commit record, or the minutes that it waits for.
pub fn commit_or_wait(node: &dyn Node, journal: &Journal<'_>, limits: &Limits) -> Result<Option<u64>> {
    let Some(confirmation) = &limits.confirm else {
        journal.write(Event::Commit)?;
        return Ok(None);
    };
    let minutes = u64::from(confirmation.minutes);
    let waiting = Waiting {
        boot: boot_id(node),
        until: node.boottime().saturating_add(minutes * MINUTE),
        admin: confirmation.admin.clone(),
        keys: confirmation.keys.clone(),
        not_from: confirmation.not_from.iter().map(IpAddr::to_string).collect(),
        factors: api::steps(node, &confirmation.admin),
        cursor: match cursor(node) {
            Ok(cursor) => cursor,
            Err(error) => {
                let text = format!("a new login over SSH cannot be seen and does not count: {error}");
                journal.note(Event::Warning { text })?;
                String::new()
            }
        },
    };
    journal.write(Event::Waiting(waiting))?;
    Ok(Some(minutes))
}

/// Looks for a new login of the admin since the last look; who it was, and where.
pub fn seen(node: &dyn Node, waiting: &Waiting, cursor: &mut Option<String>) -> Option<String> {
    login::seen(node, waiting, cursor).or_else(|| api::seen(node, waiting))
}

/// The place that the system's journal has reached: what comes after it is new, whatever the clock says.
fn cursor(node: &dyn Node) -> Result<String> {
    let arguments = ["--quiet", "--no-pager", "--lines=1", "--output=cat", "--show-cursor"];
    let output = run_checked(node, &Invocation::new(JOURNALCTL, &arguments))?;
    let last = output.stdout.lines().last().and_then(|line| line.strip_prefix("-- cursor: "));
    last.map(str::to_owned)
        .ok_or_else(|| Error::new("asking the system's journal for its end", "it has none"))
}

/// Whole minutes, the begun one included, that a transaction still waits for confirmation; `None` when it does not, or
/// not any more.
pub fn minutes_left(node: &dyn Node, story: &Story) -> Option<u64> {
    let waiting = story.waiting.as_ref()?;
    let up = node.boottime();
    let boot = boot_id(node);
    let here = story.waits() && !boot.is_empty() && waiting.boot == boot && up < waiting.until;
    here.then(|| waiting.until.saturating_sub(up).div_ceil(MINUTE))
}

/// The transaction that waits for confirmation now.
pub fn waiting(node: &dyn Node) -> Result<Option<TransactionId>> {
    for id in state::transactions(node)?.into_iter().rev() {
        if waits(node, &Story::of(&state::records(node, id)?)) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Whether the transaction waits for confirmation now.
pub fn waits(node: &dyn Node, story: &Story) -> bool {
    story.phase() == Phase::Unfinished && minutes_left(node, story).is_some()
}

/// What is true where a commit record could neither be made durable nor be taken back; `None` where it was taken back.
pub fn uncertain(node: &dyn Node, id: TransactionId) -> Option<&'static str> {
    let committed = state::records(node, id).map_or(true, |records| Story::of(&records).committed);
    committed.then_some("the new node is whole, but the record of its commit may not be on the disk: if it is not, the next boot puts the old node back")
}

/// Commits the transaction that waits for confirmation; `by` tells who confirmed. `None` when there is none, or when
/// somebody else holds the lock and decides.
pub fn confirm(node: &dyn Node, by: &str) -> Result<Option<Outcome>> {
    let Some(_lock) = node.lock(Path::new(LOCK_PATH))? else { return Ok(None) };
    confirm_locked(node, by)
}

/// The same for a caller that holds the lock.
///
/// # Errors
/// It still waits, or was not looked at.
pub fn confirm_locked(node: &dyn Node, by: &str) -> Result<Option<Outcome>> {
    // Looked for under the lock: the time may be up by now.
    let Some(id) = waiting(node)? else { return Ok(None) };
    let (journal, records) = Journal::open(node, id.journal())?;
    run::confirm_firewall(node, &journal, &Story::of(&records))?;
    journal.note(Event::Note { text: format!("confirmed by {by}") })?;
    if let Err(error) = journal.write(Event::Commit) {
        // What may not be on the disk must not be believed: it waits as before.
        let failure = Failure { what: "confirmation".to_owned(), message: error.to_string() };
        let _ = journal.write(Event::Failed { what: failure.what.clone(), message: failure.message.clone() });
        return match uncertain(node, id) {
            Some(left) => Ok(Some(Outcome::Stuck(id, failure, left.to_owned()))),
            None => Err(error),
        };
    }
    // Committed is committed: the next command finishes what fails here.
    let _ = state::finish_commit(node).and_then(|()| super::prune::tidy(node));
    Ok(Some(Outcome::Committed(id)))
}
