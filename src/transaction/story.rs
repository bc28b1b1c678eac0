//! What a journal says so far: a fold over its records, for recovery and rollback.

use super::record::{Armed, Closing, Event, Inverse, Record, Waiting};
use crate::manifest::Scope;
use crate::objects::ObjectId;
use std::path::PathBuf;

/// One step that may have happened.
pub struct Made {
    /// Place in the plan.
    pub step: usize,
    /// What takes it back beside the paths.
    pub inverse: Inverse,
    /// The paths it may have touched.
    pub scopes: Vec<Scope>,
    /// Manifest of its paths before it.
    pub before: ObjectId,
    /// Manifest of its paths after it, once seen.
    pub after: Option<ObjectId>,
    /// Its way back began: the paths of this manifest are not ours to touch.
    pub reverting: Option<ObjectId>,
    /// Its way back is over, and these of its paths were kept.
    pub reverted: Option<Vec<PathBuf>>,
}

/// What a journal says so far.
#[derive(Default)]
pub struct Story {
    /// Titles of the plan's steps.
    pub titles: Vec<String>,
    /// Steps that may have happened, oldest first.
    pub made: Vec<Made>,
    /// What failed first.
    pub failed: Option<(String, String)>,
    /// Who must be done by when.
    pub armed: Option<Armed>,
    /// Whose login the commit waits for, and until when.
    pub waiting: Option<Waiting>,
    /// The commit record is there.
    pub committed: bool,
    /// The way back began, and why.
    pub revert: Option<String>,
    /// The way back takes along what somebody else changed since.
    pub force: bool,
    /// The way back leaves UFW as it is.
    pub ufw_stays: bool,
    /// Name of the cluster when it began; empty when standalone.
    pub cluster: String,
    /// The way back is over.
    pub closed: Option<Closing>,
}

/// Where a transaction stands.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Phase {
    /// Neither committed nor put back: recovery has work.
    Unfinished,
    /// Committed, and it stands.
    Committed,
    /// Put back, rolled back, or never begun.
    Over,
}

impl Story {
    /// Folds the records.
    pub fn of(records: &[Record]) -> Self {
        let mut story = Self::default();
        for record in records {
            story.take(&record.event);
        }
        story
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Begin { cluster, .. } => self.cluster.clone_from(cluster),
            Event::Step { title, .. } => self.titles.push(title.clone()),
            Event::Intent { step, inverse, scopes, before } => self.made.push(Made {
                step: *step,
                inverse: inverse.clone(),
                scopes: scopes.clone(),
                before: *before,
                after: None,
                reverting: None,
                reverted: None,
            }),
            Event::Observed { step, after } => self.with(*step, |made| made.after = Some(*after)),
            Event::Reverting { step, foreign } => self.with(*step, |made| made.reverting = Some(*foreign)),
            Event::Reverted { step, kept } => self.with(*step, |made| made.reverted = Some(kept.clone())),
            Event::Failed { what, message } => {
                // A commit record that could not be made durable: the node was put back.
                self.committed = false;
                self.failed.get_or_insert_with(|| (what.clone(), message.clone()));
            }
            Event::Armed(armed) => self.armed = Some(armed.clone()),
            Event::Waiting(waiting) => self.waiting = Some(waiting.clone()),
            Event::Commit => self.committed = true,
            Event::Revert { reason, force, ufw_stays } => {
                self.ufw_stays |= ufw_stays;
                self.revert.get_or_insert_with(|| reason.clone());
                self.force |= force;
                self.closed = None;
            }
            Event::Closed { outcome, .. } => self.closed = Some(*outcome),
            _ => {}
        }
    }

    fn with(&mut self, step: usize, change: impl FnOnce(&mut Made)) {
        if let Some(made) = self.made.iter_mut().find(|made| made.step == step) {
            change(made);
        }
    }

    /// Where the transaction stands.
    pub fn phase(&self) -> Phase {
        match (self.committed, &self.revert, self.closed) {
            // Stuck is not over: every recovery tries again.
            (_, _, Some(Closing::Stuck)) => Phase::Unfinished,
            (_, _, Some(_)) => Phase::Over,
            (true, None, None) => Phase::Committed,
            (_, _, None) => Phase::Unfinished,
        }
    }

    /// Whether it was applied and neither committed nor given up, be the time for that over or not.
    pub fn waits(&self) -> bool {
        self.waiting.is_some() && !self.committed && self.revert.is_none() && self.closed.is_none()
    }

    /// Title of a step, for people.
    pub fn title(&self, step: usize) -> &str {
        match self.titles.get(step) {
            Some(title) => title,
            None if step == self.titles.len() => "the probe of reachability",
            None => "PVE's firewall kept on",
        }
    }
}
