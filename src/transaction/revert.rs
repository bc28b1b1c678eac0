//! The way back: newest first, safe to repeat, and honest about its outcome.

use super::journal::Journal;
use super::record::{Closing, Event, Inverse};
use super::run;
use super::state::{self, TransactionId};
use super::story::{Made, Story};
use super::{Failure, Outcome, Stage};
use crate::change;
use crate::error::Result;
use crate::manifest::{self, Manifest};
use crate::node::Node;
use crate::objects::{ObjectId, Objects};
use crate::progress::{Importance, Watch};
use std::path::{Path, PathBuf};

/// The way back of one transaction.
pub struct Way<'a> {
    /// The node.
    pub node: &'a dyn Node,
    /// Which transaction.
    pub id: TransactionId,
    /// Its journal.
    pub journal: &'a Journal<'a>,
    /// Contents.
    pub objects: &'a Objects<'a>,
    /// Who is told.
    pub watch: &'a mut dyn Watch,
}

impl Way<'_> {
    /// Takes back every step that may have happened. `Stage::Early` restores files and stops before packages;
    /// the outcome then is the same as if it had been unable to finish, and the late stage goes on.
    pub fn back(mut self, failure: Failure, reason: &str, stage: Stage, force: bool) -> Result<Outcome> {
        let story = Story::of(&state::records(self.node, self.id)?);
        self.journal.write(Event::Revert { reason: reason.to_owned() })?;
        let mut left = Vec::new();
        let mut kept = Vec::new();
        for made in story.made.iter().rev() {
            if stage == Stage::Early && matches!(made.inverse, Inverse::Packages(_)) {
                self.observe(made)?;
                break;
            }
            match self.step(made, stage, force) {
                Ok(mut paths) => kept.append(&mut paths),
                // One step that cannot be taken back must not keep the others from it.
                Err(error) => {
                    let text = format!("{}: {error}", story.title(made.step));
                    self.watch.say(Importance::Error, &text);
                    left.push(text);
                }
            }
        }
        if stage == Stage::Early {
            return Ok(Outcome::Stuck(
                self.id,
                failure,
                "the rest is done once the network is up".to_owned(),
            ));
        }
        for made in story.made.iter().rev() {
            if let Err(error) = change::settle(self.node, &made.inverse) {
                left.push(format!("{}: {error}", story.title(made.step)));
            }
        }
        kept.sort();
        kept.dedup();
        self.close(failure, story.committed, kept, left)
    }

    fn close(
        self,
        failure: Failure,
        committed: bool,
        kept: Vec<PathBuf>,
        left: Vec<String>,
    ) -> Result<Outcome> {
        let outcome = match (left.is_empty(), committed) {
            (false, _) => Closing::Stuck,
            (true, true) => Closing::RolledBack,
            (true, false) => Closing::Reverted,
        };
        let message = left.join("\n");
        self.journal.write(Event::Closed { outcome, message: message.clone() })?;
        state::finish_commit(self.node)?;
        Ok(if left.is_empty() {
            Outcome::Reverted(self.id, failure, kept)
        } else {
            Outcome::Stuck(self.id, failure, message)
        })
    }

    /// Journals what a step left behind that a crash interrupted: seen before anything else changes it.
    fn observe(&self, made: &Made) -> Result<ObjectId> {
        if let Some(after) = made.after {
            return Ok(after);
        }
        let after = run::capture(self.node, self.objects, &made.scopes, false)?;
        self.journal.write(Event::Observed { step: made.step, after })?;
        Ok(after)
    }

    fn stored(&self, id: ObjectId) -> Result<Manifest> {
        Manifest::decode(&self.objects.read(&id)?)
    }

    fn current(&self, made: &Made) -> Result<Manifest> {
        manifest::capture(self.node, &made.scopes, &run::skipped(), None)
    }

    /// Takes one step back; returns the paths of it that belong to somebody else by now.
    fn step(&mut self, made: &Made, stage: Stage, force: bool) -> Result<Vec<PathBuf>> {
        if let Some(kept) = &made.reverted {
            return Ok(kept.clone());
        }
        let before = self.stored(made.before)?;
        let after = self.stored(self.observe(made)?)?;
        let ours: Vec<&Path> = before.differences(&after).iter().map(|difference| difference.path).collect();
        let foreign = match &made.reverting {
            // Decided before a crash: by now our own way back has changed what is there.
            Some(foreign) => foreign.clone(),
            None => self.foreign(made, &before, &after, &ours, force)?,
        };
        let mut kept: Vec<PathBuf> =
            foreign.iter().filter(|path| ours.contains(&path.as_path())).cloned().collect();
        self.journal.write(Event::Reverting { step: made.step, foreign: foreign.clone() })?;
        if stage == Stage::Late {
            change::undo(self.node, &made.inverse)?;
            change::undo_kept(self.node, &made.inverse, &kept)?;
        }
        for path in &kept {
            let text = format!("{} was changed by somebody else and is kept", path.display());
            self.watch.say(Importance::Warning, &text);
        }
        let now = self.current(made)?;
        let mut entries = before.restoration(&now);
        entries.retain(|(path, _)| !foreign.iter().any(|foreign| foreign == path));
        for unrestored in manifest::restore(self.node, self.objects, &entries)? {
            let text = format!("{} is kept: {}", unrestored.path.display(), unrestored.because);
            self.watch.say(Importance::Warning, &text);
            kept.push(unrestored.path);
        }
        self.journal.write(Event::Reverted { step: made.step, kept: kept.clone() })?;
        Ok(kept)
    }

    /// Paths that are neither as the step left them nor as they were before it: they stay as they are. With
    /// `force` those that the step had changed are put back all the same.
    fn foreign(
        &self,
        made: &Made,
        before: &Manifest,
        after: &Manifest,
        ours: &[&Path],
        force: bool,
    ) -> Result<Vec<PathBuf>> {
        let now = self.current(made)?;
        let as_left = |path: &Path| match (now.get(path), after.get(path)) {
            (None, None) => true,
            (Some(now), Some(after)) => now.same(after, false),
            _ => false,
        };
        let foreign = before
            .differences(&now)
            .iter()
            .map(|difference| difference.path)
            .filter(|path| !(as_left(path) || force && ours.contains(path)))
            .map(Path::to_owned)
            .collect();
        Ok(foreign)
    }
}
