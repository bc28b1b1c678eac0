//! The way back: newest first, safe to repeat, and honest about its outcome.

mod accounts;
mod firewall;
mod order;

use super::journal::Journal;
use super::judge::{self, CLUSTER_DIR, Judge};
use super::record::{Closing, Event, Inverse};
use super::run::{self, Hand};
use super::state::{self, TransactionId};
use super::story::{Made, Story};
use super::{Failure, Outcome, Stage, deadline};
use crate::change;
use crate::error::Result;
use crate::facts::pmxcfs;
use crate::manifest::{self, Entry, Manifest, Scope, Unrestored};
use crate::node::Node;
use crate::objects::{Batch, ObjectId, Objects};
use crate::progress::{Importance, Watch};
use order::Ahead;
use std::path::{Path, PathBuf};

pub use firewall::{stays, stuck as ufw_stays};

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
        let _ = state::free_ballast(self.node, self.id);
        let story = Story::of(&state::records(self.node, self.id)?);
        let ufw_stays = self.ufw_stays(&story, stage, force);
        self.journal.write(Event::Revert { reason: reason.to_owned(), force, ufw_stays })?;
        // PVE's firewall filtered before, and does not yet.
        let pve_before = firewall::filtered(self.objects, &story);
        if stage == Stage::Late {
            deadline::arm_way_back(self.node, self.journal, &story, self.watch);
        }
        let mut left = Vec::new();
        let mut kept = Vec::new();
        // Steps that a later stage or recovery takes back once more.
        let mut open = Ahead::default();
        // Steps that could not be taken back.
        let mut failed = Ahead::default();
        for made in story.made.iter().rev() {
            if failed.shares(made) {
                // What stands there is not as this step left it, and whose it is cannot be told yet.
                failed.add(made);
                left.push(
                    [story.title(made.step), ": what failed in the same places comes back first"].concat(),
                );
                continue;
            }
            if stage == Stage::Early && in_cluster(made) {
                // pmxcfs is not up yet: what would be seen and written there is the root file system.
                open.add(made);
                continue;
            }
            if ufw_stays && made.inverse.is_ufw() {
                if stage == Stage::Late {
                    kept.push(self.leave(made, story.title(made.step))?);
                }
                continue;
            }
            if stage == Stage::Early && matches!(made.inverse, Inverse::Packages(_)) {
                self.observe(made)?;
                break;
            }
            if pve_before && (open.pve || failed.pve) && made.inverse.is_ufw() {
                failed.add(made);
                left.push([story.title(made.step), ": PVE's firewall comes back first"].concat());
                continue;
            }
            // What a newer step puts there then is undone here once more: this one is not over before that one is.
            let last = !open.shares(made) && (stage == Stage::Late || made.inverse.is_paths_alone());
            let result = self.step(made, stage, force, &story.cluster, last);
            if !last {
                open.add(made);
            }
            match result {
                Ok(mut paths) => kept.append(&mut paths),
                // One step that cannot be taken back must not keep those from it that are none of its business.
                Err(error) => {
                    failed.add(made);
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
        let stays = |made: &&Made| {
            ufw_stays && (made.inverse.is_ufw() || matches!(made.inverse, Inverse::PveFirewall(_)))
        };
        for made in story.made.iter().rev().filter(|made| !stays(made)) {
            if let Err(error) = change::settle(self.node, &made.inverse) {
                left.push(format!("{}: {error}", story.title(made.step)));
            }
        }
        kept.sort_unstable();
        kept.dedup();
        self.close(failure, story.committed, kept, left)
    }

    /// Leaves a step of UFW's as it is; what is told as kept.
    fn leave(&mut self, made: &Made, title: &str) -> Result<PathBuf> {
        let kept = PathBuf::from(title);
        if made.reverted.is_none() {
            self.watch.say(Importance::Warning, &firewall::stays(title));
            self.journal.write(Event::Reverted { step: made.step, kept: vec![kept.clone()] })?;
        }
        Ok(kept)
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
        // It is closed: whatever command comes next finishes what fails here.
        if let Err(error) = state::finish_commit(self.node) {
            self.watch.say(Importance::Warning, &error.to_string());
        }
        Ok(if left.is_empty() {
            Outcome::Reverted(self.id, failure, kept)
        } else {
            Outcome::Stuck(self.id, failure, message)
        })
    }

    fn observe(&self, made: &Made) -> Result<ObjectId> {
        Hand { node: self.node, journal: self.journal, objects: self.objects }.observe(made)
    }

    fn stored(&self, id: ObjectId, like: Option<&Manifest>) -> Result<Manifest> {
        Manifest::take(self.objects.read(&id)?, like)
    }

    fn current(&self, made: &Made, before: &Manifest, after: &Manifest) -> Result<Manifest> {
        let scopes = judge::scopes(made, before, after);
        manifest::capture_like(self.node, &scopes, &run::skipped(), &[before, after])
    }

    /// Takes one step back, for the `last` time or not; returns the paths of it that belong to somebody else by now.
    pub(super) fn step(
        &mut self,
        made: &Made,
        stage: Stage,
        force: bool,
        cluster: &str,
        last: bool,
    ) -> Result<Vec<PathBuf>> {
        if let Some(kept) = &made.reverted {
            return Ok(kept.clone());
        }
        if in_cluster(made) {
            change::pmxcfs_mounted(self.node, "putting /etc/pve back")?;
        }
        let joined = in_cluster(made) && pmxcfs::cluster_name(self.node).unwrap_or_default() != cluster;
        // Nothing of a cluster that was joined since is changed, so nothing is locked either.
        let kept = match cluster_file(made).filter(|_| !joined) {
            None => self.take_back(made, stage, force, joined)?,
            Some(file) => {
                let (node, mut kept) = (self.node, Vec::new());
                change::cluster_locked(node, file, change::PATIENCE_BACK_SECONDS, &mut || {
                    kept = self.take_back(made, stage, force, joined)?;
                    Ok(())
                })?;
                kept
            }
        };
        if last {
            self.journal.write(Event::Reverted { step: made.step, kept: kept.clone() })?;
        }
        Ok(kept)
    }

    fn take_back(&mut self, made: &Made, stage: Stage, force: bool, joined: bool) -> Result<Vec<PathBuf>> {
        let before = self.stored(made.before, None)?;
        let after = self.stored(self.observe(made)?, Some(&before))?;
        let foreign = match made.reverting {
            // Decided before a crash: by now our own way back has changed what is there.
            Some(foreign) => foreign,
            None => self.foreign(made, &before, &after, force, joined)?,
        };
        self.journal.write(Event::Reverting { step: made.step, foreign })?;
        let foreign = self.stored(foreign, None)?;
        let ours = before.differences(&after);
        let mut kept: Vec<PathBuf> = ours
            .iter()
            .filter(|difference| foreign.entries.contains_key(difference.path))
            .map(|difference| difference.path.to_owned())
            .collect();
        let mut stay = Vec::new();
        if let (true, Inverse::Pve(inverse)) = (joined, &made.inverse) {
            kept.push(inverse.title.clone().into());
        } else if stage == Stage::Late {
            stay = change::undo(self.node, &made.inverse, force, &mut kept)?;
            if matches!(made.inverse, Inverse::Account { .. }) {
                kept = self.untangle(&before, &after, kept, force)?;
            }
        }
        if stage == Stage::Late || made.inverse.is_paths_alone() {
            change::undo_kept(self.node, &made.inverse, &kept)?;
        }
        if !joined {
            self.switch_back(made, &before, &kept)?;
        }
        for path in &kept {
            let text = format!("{} was changed by somebody else and is kept", path.display());
            self.watch.say(Importance::Warning, &text);
        }
        for change::Stays { name, because } in &stay {
            let text = format!("the package {name} stays with its files: {because}");
            self.watch.say(Importance::Warning, &text);
            kept.push(format!("package {name}: {because}").into());
        }
        if !stay.is_empty() {
            // Which of the files left over are whose, dpkg alone knows, and it has taken its own along.
            let now = self.current(made, &before, &after)?;
            let left = ours.iter().map(|difference| difference.path).filter(|path| {
                !foreign.entries.contains_key(path) && differs(before.get(path), now.get(path))
            });
            kept.extend(left.map(Path::to_owned));
        }
        for unrestored in self.restore(made, (&before, &after), &foreign, stay.is_empty())? {
            let text = format!("{} is kept: {}", unrestored.path.display(), unrestored.because);
            self.watch.say(Importance::Warning, &text);
            kept.push(unrestored.path);
        }
        Ok(kept)
    }

    /// Brings the paths back to what they were, and the foreign ones to what they were before a purge came over
    /// them. Not `all`: the foreign ones only.
    fn restore(
        &self,
        made: &Made,
        (before, after): (&Manifest, &Manifest),
        foreign: &Manifest,
        all: bool,
    ) -> Result<Vec<Unrestored>> {
        let now = self.current(made, before, after)?;
        let theirs;
        let mut entries = if all { before.restoration(&now) } else { Vec::new() };
        entries.retain(|(path, _)| !foreign.entries.contains_key(path));
        if matches!(made.inverse, Inverse::Packages(_)) {
            theirs = self.capture_paths(foreign.entries.keys(), None)?;
            entries.extend(foreign.restoration(&theirs));
        }
        let unrestored = manifest::restore(self.node, self.objects, &entries)?;
        if in_cluster(made) {
            change::sync_pmxcfs(self.node)?;
        }
        Ok(unrestored)
    }

    /// Paths that are somebody else's, as they are now; with their contents where a purge will come over them.
    fn foreign(
        &self,
        made: &Made,
        before: &Manifest,
        after: &Manifest,
        force: bool,
        joined: bool,
    ) -> Result<ObjectId> {
        let now = self.current(made, before, after)?;
        let judge = Judge::new(before, after, force, joined);
        let differences = before.differences(&now);
        let theirs = differences.iter().filter(|difference| judge.theirs(difference));
        let mut batch = self.objects.batch()?;
        let mut foreign = Manifest::default();
        if matches!(made.inverse, Inverse::Packages(_)) {
            foreign = self.capture_paths(theirs.map(|it| it.path), Some(&mut batch))?;
        } else {
            for it in theirs {
                let entry = it.after.cloned().unwrap_or_else(Entry::absent);
                foreign.entries.insert(it.path.to_owned(), entry);
            }
        }
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

/// Whether two states of a path are not the same; times do not count.
fn differs(before: Option<&Entry>, now: Option<&Entry>) -> bool {
    match (before, now) {
        (None, None) => false,
        (Some(before), Some(now)) => !before.same(now, false),
        _ => true,
    }
}

/// The file of the cluster that the step is about: its scopes begin with the directory, then comes the file.
fn cluster_file(made: &Made) -> Option<&Path> {
    made.scopes.iter().map(Scope::path).filter(|path| path.starts_with(CLUSTER_DIR)).nth(1)
}

/// Whether the step is about files that a whole cluster may share.
fn in_cluster(made: &Made) -> bool {
    matches!(made.inverse, Inverse::Pve(_))
        || made.scopes.iter().any(|scope| scope.path().starts_with(CLUSTER_DIR))
}
