//! The way back: newest first, safe to repeat, and honest about its outcome.

use super::journal::Journal;
use super::record::{Closing, Event, Inverse};
use super::run;
use super::state::{self, TransactionId};
use super::story::{Made, Story};
use super::{Failure, Outcome, Stage};
use crate::change;
use crate::error::{Error, Result};
use crate::facts;
use crate::manifest::{self, Manifest, Scope, Unrestored};
use crate::node::Node;
use crate::objects::{Batch, ObjectId, Objects};
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
        // Room for the records of the way back, should the disk be full.
        let ballast = state::ballast_path(self.id);
        if self.node.lookup(&ballast)?.is_some() {
            self.node.remove_file(&ballast)?;
        }
        let story = Story::of(&state::records(self.node, self.id)?);
        self.journal.write(Event::Revert { reason: reason.to_owned(), force })?;
        let mut left = Vec::new();
        let mut kept = Vec::new();
        for made in story.made.iter().rev() {
            if stage == Stage::Early && in_cluster(made) {
                // pmxcfs is not up yet: what would be seen and written there is the root file system.
                continue;
            }
            if stage == Stage::Early && matches!(made.inverse, Inverse::Packages(_)) {
                self.observe(made)?;
                break;
            }
            match self.step(made, stage, force, &story.cluster) {
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
    pub(super) fn step(
        &mut self,
        made: &Made,
        stage: Stage,
        force: bool,
        cluster: &str,
    ) -> Result<Vec<PathBuf>> {
        if let Some(kept) = &made.reverted {
            return Ok(kept.clone());
        }
        if in_cluster(made) && state::has_pve(self.node)? && !manifest::cluster_mounted(self.node)? {
            let because =
                "pmxcfs is not mounted on /etc/pve: what is written there now would keep it from mounting";
            return Err(Error::new("putting /etc/pve back", because).hint("systemctl start pve-cluster"));
        }
        let before = self.stored(made.before)?;
        let after = self.stored(self.observe(made)?)?;
        let ours: Vec<&Path> = before.differences(&after).iter().map(|difference| difference.path).collect();
        let foreign = match made.reverting {
            // Decided before a crash: by now our own way back has changed what is there.
            Some(foreign) => foreign,
            None => self.foreign(made, &before, &after, &ours, force, cluster)?,
        };
        self.journal.write(Event::Reverting { step: made.step, foreign })?;
        let foreign = self.stored(foreign)?;
        let mut kept: Vec<PathBuf> = ours
            .iter()
            .filter(|path| foreign.entries.contains_key(**path))
            .map(|path| (*path).to_owned())
            .collect();
        if stage == Stage::Late {
            change::undo(self.node, &made.inverse)?;
        }
        if stage == Stage::Late || made.inverse.is_paths_alone() {
            change::undo_kept(self.node, &made.inverse, &kept)?;
        }
        for path in &kept {
            let text = format!("{} was changed by somebody else and is kept", path.display());
            self.watch.say(Importance::Warning, &text);
        }
        for unrestored in self.restore(made, &before, &foreign)? {
            let text = format!("{} is kept: {}", unrestored.path.display(), unrestored.because);
            self.watch.say(Importance::Warning, &text);
            kept.push(unrestored.path);
        }
        if stage == Stage::Late || made.inverse.is_paths_alone() {
            self.journal.write(Event::Reverted { step: made.step, kept: kept.clone() })?;
        }
        Ok(kept)
    }

    /// Brings the paths back to what they were, and the foreign ones to what they were before a purge came over
    /// them.
    fn restore(&self, made: &Made, before: &Manifest, foreign: &Manifest) -> Result<Vec<Unrestored>> {
        let now = self.current(made)?;
        let mut entries = before.restoration(&now);
        entries.retain(|(path, _)| !foreign.entries.contains_key(*path));
        let theirs = self.capture_paths(foreign.entries.keys(), None)?;
        if matches!(made.inverse, Inverse::Packages(_)) {
            entries.extend(foreign.restoration(&theirs));
        }
        let unrestored = manifest::restore(self.node, self.objects, &entries)?;
        if in_cluster(made) {
            change::sync_pmxcfs(self.node)?;
        }
        Ok(unrestored)
    }

    /// Paths that are neither as the step left them nor as they were before it, with their contents: they stay as
    /// they are. With `force` those that the step had changed are put back all the same; never a cluster's files
    /// when the node has joined it since.
    fn foreign(
        &self,
        made: &Made,
        before: &Manifest,
        after: &Manifest,
        ours: &[&Path],
        force: bool,
        cluster: &str,
    ) -> Result<ObjectId> {
        let now = self.current(made)?;
        let as_left = |path: &Path| match (now.get(path), after.get(path)) {
            (None, None) => true,
            (Some(now), Some(after)) => now.same(after, false),
            _ => false,
        };
        let joined = in_cluster(made) && facts::cluster_name(self.node).unwrap_or_default() != cluster;
        let theirs = |path: &Path| {
            joined && path.starts_with(CLUSTER_DIR) || !(as_left(path) || force && ours.contains(&path))
        };
        let differences = before.differences(&now);
        let paths = differences.iter().map(|difference| difference.path).filter(|path| theirs(path));
        let mut batch = self.objects.batch()?;
        let foreign = self.capture_paths(paths, Some(&mut batch))?;
        let id = batch.add(&foreign.encode())?;
        batch.commit()?;
        Ok(id)
    }

    fn capture_paths<P: AsRef<Path>>(
        &self,
        paths: impl Iterator<Item = P>,
        store: Option<&mut Batch<'_>>,
    ) -> Result<Manifest> {
        let scopes: Vec<Scope> = paths.map(|path| Scope::Entry(path.as_ref().to_owned())).collect();
        manifest::capture(self.node, &scopes, &[], store)
    }
}

const CLUSTER_DIR: &str = "/etc/pve";

/// Whether the step is about files that a whole cluster may share.
fn in_cluster(made: &Made) -> bool {
    made.scopes.iter().any(|scope| scope.path().starts_with(CLUSTER_DIR))
}
