//! Unfinished transactions, dealt with before anything else; and rollback on request.

use super::journal::Journal;
use super::record::{Closing, Event};
use super::revert::Way;
use super::state::{self, OBJECTS_DIR, TransactionId};
use super::story::{Phase, Story};
use super::{Failure, Outcome, Stage, confirm, deadline, prune};
use crate::error::{Error, Result};
use crate::node::{Node, boot_id};
use crate::objects::Objects;
use crate::progress::{Importance, Watch};
use std::path::Path;

/// Deals with an unfinished transaction: `None` when there is none. One that waits for confirmation is left alone
/// until its time is up. The caller holds the lock. One that cannot be dealt with, or whose journal cannot be
/// believed, is stuck: the others are put back nevertheless.
pub fn recover(node: &dyn Node, stage: Stage, watch: &mut dyn Watch) -> Result<Option<Outcome>> {
    put_all_back(node, stage, watch, None)
}

/// Like [`recover`], and a transaction that waits for confirmation is put back now: the operator wants that.
pub fn withdraw(node: &dyn Node, force: bool, watch: &mut dyn Watch) -> Result<Option<Outcome>> {
    put_all_back(node, Stage::Late, watch, Some(force))
}

fn put_all_back(
    node: &dyn Node,
    stage: Stage,
    watch: &mut dyn Watch,
    withdrawn: Option<bool>,
) -> Result<Option<Outcome>> {
    let mut outcome = None;
    let mut stuck = None;
    for id in state::transactions(node)?.into_iter().rev() {
        match put_back(node, id, stage, watch, withdrawn) {
            Ok(None) => {}
            Ok(Some(ended @ Outcome::Stuck(..))) => {
                stuck.get_or_insert(ended);
            }
            Ok(ended) => outcome = ended,
            Err(error) => {
                let message = error.to_string();
                watch.say(Importance::Error, &message);
                let failure = Failure { what: "recovery".to_owned(), message: message.clone() };
                stuck.get_or_insert(Outcome::Stuck(id, failure, message));
            }
        }
    }
    if stuck.is_some() {
        return Ok(stuck);
    }
    if stage == Stage::Late {
        // Whatever command comes next finishes what fails here.
        if let Err(error) = state::finish_commit(node) {
            watch.say(Importance::Warning, &error.to_string());
        }
        // Not before all have been looked at: what is forgotten is no longer there.
        if outcome.is_some() {
            prune::tidy_or_say(node, watch);
        }
    }
    Ok(outcome)
}

/// Puts one transaction back, if it is not over.
fn put_back(
    node: &dyn Node,
    id: TransactionId,
    stage: Stage,
    watch: &mut dyn Watch,
    withdrawn: Option<bool>,
) -> Result<Option<Outcome>> {
    let (journal, records) = Journal::open(node, id.journal())?;
    let story = Story::of(&records);
    if story.phase() != Phase::Unfinished {
        return Ok(None);
    }
    if withdrawn.is_none()
        && let Some(minutes) = confirm::minutes_left(node, &story)
    {
        if stage == Stage::Late
            && let Err(error) = deadline::keep_on(node)
        {
            watch.say(Importance::Error, &format!("nobody keeps the deadline of {id}: {error}"));
        }
        return Ok(Some(Outcome::Waiting(id, minutes)));
    }
    let failure = failure_of(node, &story);
    if story.made.is_empty() {
        if stage == Stage::Early {
            return Ok(None);
        }
        journal.write(Event::Closed { outcome: Closing::Untouched, message: String::new() })?;
        return Ok(Some(Outcome::Untouched(id, failure)));
    }
    watch.say(Importance::Warning, &format!("transaction {id} was not finished: putting it back"));
    if let Some(armed) = story.armed.as_ref().filter(|armed| armed.boot == boot_id(node)) {
        deadline::end_children(node, armed, watch)?;
    }
    let objects = Objects::new(node, Path::new(OBJECTS_DIR));
    let reason = match (&story.revert, &story.waiting) {
        (Some(reason), _) => reason.clone(),
        (None, Some(_)) if withdrawn.is_some() => "taken back before it was confirmed".to_owned(),
        (None, Some(_)) => failure.message.clone(),
        (None, None) => failure.what.clone(),
    };
    let force = withdrawn.filter(|_| story.waiting.is_some()).unwrap_or(story.force);
    let way = Way { node, id, journal: &journal, objects: &objects, watch };
    way.back(failure, &reason, stage, force).map(Some)
}

fn failure_of(node: &dyn Node, story: &Story) -> Failure {
    match (&story.failed, &story.waiting) {
        (Some((what, message)), _) => Failure { what: what.clone(), message: message.clone() },
        (None, Some(waiting)) => {
            let message = if waiting.boot == boot_id(node) {
                "nobody confirmed in time that they still get in"
            } else {
                "the node was restarted before anybody confirmed that they still get in"
            };
            Failure { what: "confirmation".to_owned(), message: message.to_owned() }
        }
        (None, None) => Failure {
            what: "interrupted".to_owned(),
            message: match story.made.last() {
                Some(made) => format!("the run ended during or after: {}", story.title(made.step)),
                None => "the run ended before its first effect".to_owned(),
            },
        },
    }
}

/// The transactions to take back so that the node is as it was before `id`, newest first: itself and all that were
/// committed after it. `None` stands for the last one.
pub fn chain(node: &dyn Node, id: Option<TransactionId>) -> Result<Vec<TransactionId>> {
    let standing = state::standing(node)?;
    let last = standing
        .last()
        .copied()
        .ok_or_else(|| Error::new("rolling back", "there is no committed transaction that stands"))?;
    let id = id.unwrap_or(last);
    if !standing.contains(&id) {
        let because = "it is not a committed transaction that stands";
        return Err(Error::new(format!("rolling back {id}"), because).hint("firstlight snapshots list"));
    }
    Ok(standing.into_iter().rev().take_while(|other| *other >= id).collect())
}

/// Takes committed transactions back: `id` (or the last one) and every later one, newest first, each with a way back
/// of its own in its own journal. Paths that somebody changed since are kept unless `force`. One that cannot be put
/// back ends it there; what is older still stands then.
pub fn rollback(
    node: &dyn Node,
    id: Option<TransactionId>,
    force: bool,
    watch: &mut dyn Watch,
) -> Result<Outcome> {
    let chain = chain(node, id)?;
    let names: Vec<String> = chain.iter().map(TransactionId::to_string).collect();
    watch.say(Importance::Info, &format!("taking back {}", names.join(", then ")));
    let mut all = Vec::new();
    let mut ended = Outcome::Unchanged;
    for id in chain {
        let (journal, _) = Journal::open(node, id.journal())?;
        let objects = Objects::new(node, Path::new(OBJECTS_DIR));
        let failure = Failure { what: "rollback".to_owned(), message: "asked for".to_owned() };
        let way = Way { node, id, journal: &journal, objects: &objects, watch };
        let outcome = match way.back(failure.clone(), "rollback asked for", Stage::Late, force) {
            Ok(outcome) => outcome,
            Err(error) if is_begun(node, id) => Outcome::Stuck(id, failure, error.to_string()),
            Err(error) => return Err(error.hint(format!("{id} and what is older still stand"))),
        };
        ended = match outcome {
            Outcome::Reverted(id, failure, mut kept) => {
                all.append(&mut kept);
                all.sort_unstable();
                all.dedup();
                Outcome::Reverted(id, failure, all.clone())
            }
            other => return Ok(other),
        };
    }
    prune::tidy_or_say(node, watch);
    Ok(ended)
}

/// Whether its way back has begun, or nobody can tell.
fn is_begun(node: &dyn Node, id: TransactionId) -> bool {
    state::records(node, id).map_or(true, |records| Story::of(&records).revert.is_some())
}
