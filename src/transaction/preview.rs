//! What a rollback would do, seen three ways for every path: as it was before, as we left it, and now. Changes nothing.

use super::judge::{self, CLUSTER_DIR, Judge};
use super::record::Inverse;
use super::state::{self, OBJECTS_DIR, TransactionId};
use super::story::{Made, Story};
use super::{revert, run};
use crate::change;
use crate::error::{Error, Result};
use crate::facts::pmxcfs;
use crate::manifest::{self, Entry, Manifest};
use crate::node::Node;
use crate::objects::{ObjectId, Objects};
use std::path::{Path, PathBuf};

/// What will happen to a path.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Fate {
    /// It is as we left it, and goes back.
    Restored,
    /// Our lines go back; those of others stay.
    Merged,
    /// We changed it, somebody else has since: it stays.
    Kept,
    /// It goes or stays with its package.
    WithPackage,
    /// Only somebody else has changed it: it stays.
    Foreign,
}

/// One path, three ways.
pub struct Seen {
    /// As it was before the oldest of the transactions.
    pub before: Option<Entry>,
    /// As the newest of them left it.
    pub left: Option<Entry>,
    /// As it is.
    pub now: Option<Entry>,
    /// What will happen to it.
    pub fate: Fate,
}

/// What a rollback would do.
pub struct Preview {
    /// The transactions that are taken back, newest first.
    pub transactions: Vec<TransactionId>,
    /// What happens beside the paths; sentences.
    pub actions: Vec<String>,
    /// Every path that is not as it was, in order.
    pub paths: Vec<(PathBuf, Seen)>,
}

impl Preview {
    /// Where the path stands, or has to be put.
    fn place(&self, path: &Path) -> std::result::Result<usize, usize> {
        self.paths.binary_search_by(|(other, _)| other.as_path().cmp(path))
    }
}

/// Everything that taking these transactions back would do, newest first.
pub fn preview(node: &dyn Node, transactions: Vec<TransactionId>, force: bool) -> Result<Preview> {
    let objects = Objects::new(node, Path::new(OBJECTS_DIR));
    let preview = Preview { transactions: Vec::new(), actions: Vec::new(), paths: Vec::new() };
    let (then, settings) = (Manifest::default(), change::Settings::new());
    let mut view = View { node, objects, force, then, settings, preview };
    for id in transactions {
        let story = Story::of(&state::records(node, id)?);
        let cluster = pmxcfs::cluster_name(node).unwrap_or_default();
        let ufw_stays = revert::ufw_stays(node, &view.objects, &story, force)?;
        for made in story.made.iter().rev() {
            if ufw_stays && made.inverse.is_ufw() {
                view.preview.actions.push(revert::stays(story.title(made.step)));
            } else {
                view.step(made, cluster != story.cluster)?;
            }
        }
        view.preview.transactions.push(id);
    }
    Ok(view.preview)
}

struct View<'a> {
    node: &'a dyn Node,
    objects: Objects<'a>,
    force: bool,
    /// What the steps looked at so far will have put back; what will be gone is recorded as absent.
    then: Manifest,
    /// The same of kernel settings.
    settings: change::Settings,
    preview: Preview,
}

impl View<'_> {
    fn step(&mut self, made: &Made, other_cluster: bool) -> Result<()> {
        let after =
            made.after.ok_or_else(|| Error::new("looking at a rollback", "a step was never observed"))?;
        let before = self.stored(made.before, None)?;
        let after = self.stored(after, Some(&before))?;
        let stays = self.actions(made, other_cluster)?;
        let scopes = judge::scopes(made, &before, &after);
        let now = manifest::capture_like(self.node, &scopes, &run::skipped(), &[&before, &after])?;
        let mut expected = Manifest::default();
        for (path, entry) in now.entries.iter() {
            let entry = self.then.entries.get(path).unwrap_or(entry);
            expected.entries.insert(path.clone(), entry.clone());
        }
        for path in before.entries.keys().chain(after.entries.keys()) {
            if let Some(entry) = self.then.entries.get(path) {
                expected.entries.insert(path.clone(), entry.clone());
            }
        }
        let joined = other_cluster && made.scopes.iter().any(|scope| scope.path().starts_with(CLUSTER_DIR));
        let judge = Judge::new(&before, &after, self.force, joined);
        for difference in before.differences(&expected) {
            let path = difference.path;
            let account = matches!(made.inverse, Inverse::Account { .. });
            let fate = match (judge.theirs(&difference), judge.changed(path)) {
                (true, true) if account && change::account_database(path).is_some() => Fate::Merged,
                (true, true) => Fate::Kept,
                (true, false) => Fate::Foreign,
                (false, _) if stays => Fate::WithPackage,
                (false, _) => Fate::Restored,
            };
            if fate == Fate::Restored {
                let entry = difference.before.cloned().unwrap_or_else(Entry::absent);
                self.then.entries.insert(path.to_owned(), entry);
            }
            let before = difference.before.cloned();
            match self.preview.place(path) {
                Ok(_) if fate == Fate::Foreign => {}
                Ok(place) => {
                    if let Some((_, seen)) = self.preview.paths.get_mut(place) {
                        seen.before = before;
                        seen.fate = seen.fate.with(fate);
                    }
                }
                Err(place) => {
                    let (left, now) = (after.get(path).cloned(), now.get(path).cloned());
                    self.preview.paths.insert(place, (path.to_owned(), Seen { before, left, now, fate }));
                }
            }
        }
        Ok(())
    }

    fn stored(&self, id: ObjectId, like: Option<&Manifest>) -> Result<Manifest> {
        Manifest::take(self.objects.read(&id)?, like)
    }

    /// Says what the step's inverse does; whether packages of it stay.
    fn actions(&mut self, made: &Made, other_cluster: bool) -> Result<bool> {
        let mut stays = false;
        let mut say = |text: String| self.preview.actions.push(text);
        match &made.inverse {
            Inverse::Packages(names) => {
                let (stay, go) = change::packages_needed(self.node, names)?;
                if !go.is_empty() {
                    say(format!("packages are purged: {}", go.join(", ")));
                }
                for change::Stays { name, because } in stay {
                    stays = true;
                    say(format!("the package {name} stays: {because}"));
                }
            }
            Inverse::Account { name, created: true } => say(format!("the account {name} is removed")),
            Inverse::Account { name, created: false } => say(format!("the account {name} is as before")),
            Inverse::Unit { name, active } => {
                say(format!("{name} {}", if *active { "runs" } else { "is stopped" }));
            }
            Inverse::Reload(name) => say(format!("{name} reads its files again")),
            Inverse::Ufw { active: true, .. } => say("UFW filters by its earlier rules".to_owned()),
            Inverse::Ufw { active: false, settings } => {
                say("UFW is switched off".to_owned());
                if !settings.is_empty() {
                    say("the kernel settings that UFW made are as before".to_owned());
                }
            }
            Inverse::Kernel { before, made } => {
                let (ours, theirs) =
                    change::whose_settings(self.node, before, made, self.force, &self.settings)?;
                for (list, how) in [(&ours, " is as before"), (&theirs, " stays: somebody else has set it")] {
                    list.iter().for_each(|(name, _)| say(["the kernel's ", name, how].concat()));
                }
                self.settings.extend(ours);
            }
            Inverse::PveFirewall(_) => say("PVE's firewall is on or off as before".to_owned()),
            Inverse::HostKey => say("PVE publishes the host key of before".to_owned()),
            Inverse::Pve(inverse) if other_cluster => {
                say(format!("{} stays: it is the cluster's now", inverse.title))
            }
            Inverse::Pve(inverse) => say(format!("{} is as before", inverse.title)),
            Inverse::KeyPair(title) => say(format!("{title} is taken back")),
            Inverse::AppArmor { file, .. } => say(format!("AppArmor reads {file} as before")),
            Inverse::Paths | Inverse::Reach(_) => {}
        }
        Ok(stays)
    }
}

impl Fate {
    /// Of a path that an older step has changed too.
    fn with(self, older: Self) -> Self {
        match (self, older) {
            (Self::Kept, _) | (_, Self::Kept) => Self::Kept,
            (Self::Foreign, older) => older,
            (Self::Merged, _) => Self::Merged,
            (_, older) => older,
        }
    }
}
