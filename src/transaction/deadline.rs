//! The dead-man timer: whoever changes the node may die or hang, and the node is put back all the same.
//!
//! `firstlight-deadline.service` runs from before the first effect until the transaction is over, and its timer starts
//! it again should it be killed. Neither knows the deadline: that stands in the journal, as boot id and time since the
//! boot, so that neither a jump of the clock, nor a `daemon-reload`, nor a timer that fires early or late decides
//! anything. A commit record that is there once we hold the lock wins.

use super::journal::Journal;
use super::record::{Armed, Closing, Event};
use super::state::{self, LOCK_PATH, TransactionId};
use super::story::{Phase, Story};
use super::{Outcome, Stage, confirm, process, recover};
use crate::error::{Error, Result};
use crate::node::{Invocation, Lock, Node, boot_id, read_text, run_checked};
use crate::progress::{Importance, Watch};
use std::path::Path;
use std::time::Duration;

const SYSTEMCTL: &str = "/usr/bin/systemctl";
const TIMER: &str = "firstlight-deadline.timer";
const SERVICE: &str = "firstlight-deadline.service";
const MINUTE: u64 = 60_000;
/// How often somebody looks.
const PAUSE: Duration = Duration::from_secs(2);
/// A process that is asked to stop puts the node back itself if it can; one that has begun to gets more time.
const GRACE_SECONDS: u64 = 60;
const WAY_BACK_SECONDS: u64 = 900;
/// What a way back may take that was not armed on the way forward.
const WAY_BACK_MINUTES: u32 = 60;
/// What children of a killed run may take to end by themselves (dpkg), and of a run that hung.
const CHILDREN_SECONDS: u64 = 300;
const HUNG_CHILDREN_SECONDS: u64 = 10;
const KILLED_SECONDS: u64 = 10;

/// Arms the timer: from here on the node is put back if this process does not end the transaction in time.
pub fn arm(node: &dyn Node, journal: &Journal<'_>, minutes: u32) -> Result<()> {
    journal.write(Event::Armed(armed(node, minutes)?))?;
    systemctl(node, "restart").map_err(|error| error.hint(format!("systemctl status {SERVICE}")))
}

/// Arms the timer for a way back that has begun, unless this process armed it on the way forward: should it die or
/// hang, the keeper goes on with it. A way back goes on without a timer, too: it is the better half of the two.
pub fn arm_way_back(node: &dyn Node, journal: &Journal<'_>, story: &Story, watch: &mut dyn Watch) {
    let arm = || {
        let armed = armed(node, WAY_BACK_MINUTES)?;
        let mine = |by: &Armed| (&by.boot, by.process, by.began) == (&armed.boot, armed.process, armed.began);
        if story.phase() == Phase::Unfinished && story.armed.as_ref().is_some_and(mine) {
            return Ok(());
        }
        journal.write(Event::Armed(armed))?;
        keep_on(node)
    };
    if let Err(error) = arm() {
        watch.say(Importance::Warning, &format!("the way back has no dead-man timer: {error}"));
    }
}

/// Sees to it that somebody keeps the deadline: nobody does after `systemctl soft-reboot`, which goes on in the same
/// boot. One that is at work is left alone.
pub fn keep_on(node: &dyn Node) -> Result<()> {
    systemctl(node, "start")
}

/// This process, in this boot, with so many minutes from now.
fn armed(node: &dyn Node, minutes: u32) -> Result<Armed> {
    let process =
        read_text(node, Path::new(LOCK_PATH))?.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let until = node.boottime().saturating_add(u64::from(minutes) * MINUTE);
    Ok(Armed { boot: boot_id(node), until, process, began: process::began(node, process) })
}

fn systemctl(node: &dyn Node, verb: &str) -> Result<()> {
    run_checked(node, &Invocation::new(SYSTEMCTL, &[verb, TIMER, SERVICE])).map(drop)
}

/// When the open transaction's time is up, in seconds since 1970 by the clock as it is now.
pub fn seconds(node: &dyn Node) -> Result<u64> {
    let open = find(node)?.ok_or_else(|| Error::new("asking for the deadline", "no transaction is open"))?;
    Ok((node.now() + open.armed.until.saturating_sub(node.boottime())) / 1000)
}

/// A transaction of this boot that nobody has ended.
struct Open {
    id: TransactionId,
    armed: Armed,
    story: Story,
}

/// Keeps the deadline of the open transaction: returns once there is none, how it ended if that was our doing.
pub fn keep(node: &dyn Node, watch: &mut dyn Watch) -> Result<Option<Outcome>> {
    let mut cursor = None;
    while let Some(open) = find(node)? {
        // One that goes back waits for nobody any more.
        let outcome = match open.story.waiting.as_ref().filter(|_| open.story.revert.is_none()) {
            None => watch_run(node, &open, watch)?,
            Some(waiting) if confirm::minutes_left(node, &open.story).is_some() => {
                match confirm::seen(node, waiting, &mut cursor) {
                    Some(login) => confirm::confirm(node, &login)?,
                    None => None,
                }
            }
            Some(_) => put_back(node, &open, watch)?,
        };
        if outcome.is_some() {
            disarm(node)?;
            return Ok(outcome);
        }
        node.sleep(PAUSE);
    }
    disarm(node)?;
    Ok(None)
}

/// The timer alone: this process ends by itself.
fn disarm(node: &dyn Node) -> Result<()> {
    run_checked(node, &Invocation::new(SYSTEMCTL, &["stop", TIMER])).map(drop)
}

/// The transaction that was armed in this boot and is not over. One that is stuck waits for a person.
fn find(node: &dyn Node) -> Result<Option<Open>> {
    let boot = boot_id(node);
    for id in state::transactions(node)?.into_iter().rev() {
        let story = Story::of(&state::records(node, id)?);
        if story.phase() != Phase::Unfinished || story.closed == Some(Closing::Stuck) {
            continue;
        }
        if let Some(armed) = story.armed.clone()
            && armed.boot == boot
        {
            return Ok(Some(Open { id, armed, story }));
        }
    }
    Ok(None)
}

/// A run that is at work: put back at once when it has died, and when its time is up.
fn watch_run(node: &dyn Node, open: &Open, watch: &mut dyn Watch) -> Result<Option<Outcome>> {
    if let Some(lock) = node.lock(Path::new(LOCK_PATH))? {
        return put_back_locked(node, open, lock, watch);
    }
    if node.boottime() >= open.armed.until && is_holder(node, &open.armed)? {
        let text = format!("transaction {} is past its deadline: process {}", open.id, open.armed.process);
        watch.say(Importance::Error, &format!("{text} is asked to stop"));
        stop(node, open, watch)?;
    }
    Ok(None)
}

fn put_back(node: &dyn Node, open: &Open, watch: &mut dyn Watch) -> Result<Option<Outcome>> {
    match node.lock(Path::new(LOCK_PATH))? {
        Some(lock) => put_back_locked(node, open, lock, watch),
        None => Ok(None),
    }
}

/// What was true before we had the lock may not be so any more: a commit that came in between wins.
fn put_back_locked(
    node: &dyn Node,
    seen: &Open,
    _lock: Box<dyn Lock>,
    watch: &mut dyn Watch,
) -> Result<Option<Outcome>> {
    let Some(open) = find(node)?.filter(|open| open.id == seen.id) else { return Ok(None) };
    if confirm::minutes_left(node, &open.story).is_some() {
        return Ok(None);
    }
    // What the dead process wrote last may be in memory alone, and is what decides.
    node.sync_file(&open.id.journal())?;
    recover(node, Stage::Late, watch)
}

/// Whether the process that armed the timer still is that process, and still holds the lock.
fn is_holder(node: &dyn Node, armed: &Armed) -> Result<bool> {
    let same = armed.began != 0 && process::began(node, armed.process) == armed.began;
    Ok(same && process::holds(node, armed.process)?)
}

/// Asks the holder to stop, then kills it. One in uninterruptible sleep stays, and is tried again.
fn stop(node: &dyn Node, open: &Open, watch: &mut dyn Watch) -> Result<()> {
    node.stop_process(open.armed.process, false)?;
    let mut waited = 0;
    while is_holder(node, &open.armed)? {
        let going_back = Story::of(&state::records(node, open.id)?).revert.is_some();
        if waited >= if going_back { WAY_BACK_SECONDS } else { GRACE_SECONDS } {
            watch.say(Importance::Error, &format!("process {} does not stop: killed", open.armed.process));
            node.stop_process(open.armed.process, true)?;
            node.sleep(PAUSE);
            return Ok(());
        }
        node.sleep(Duration::from_secs(1));
        waited += 1;
    }
    Ok(())
}

/// A killed run's tools live on: two that change the node at once are worse than none.
pub(super) fn end_children(node: &dyn Node, armed: &Armed, watch: &mut dyn Watch) -> Result<()> {
    let hung = node.boottime() >= armed.until;
    let patience = if hung { HUNG_CHILDREN_SECONDS } else { CHILDREN_SECONDS };
    let mut waited = 0;
    loop {
        let left = process::left_behind(node, armed.process);
        if armed.process == 0 || left.is_empty() {
            return Ok(());
        }
        if waited == 0 {
            watch.say(Importance::Info, &format!("waiting for {} processes that the run left", left.len()));
        }
        if waited >= patience + 2 * KILLED_SECONDS {
            return Err(Error::new(format!("ending what process {} left", armed.process), "it does not die"));
        }
        if waited >= patience {
            for process in left {
                node.stop_process(process, waited >= patience + KILLED_SECONDS)?;
            }
        }
        node.sleep(Duration::from_secs(1));
        waited += 1;
    }
}
