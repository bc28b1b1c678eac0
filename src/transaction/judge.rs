//! Whose a path is by now: ours, to be put back, or somebody else's, to be kept.

use super::record::Inverse;
use super::story::Made;
use crate::change;
use crate::manifest::{Difference, Entry, Manifest, Scope};
use crate::sorted::Set;
use std::path::{Path, PathBuf};

/// Where pmxcfs is.
pub const CLUSTER_DIR: &str = "/etc/pve";

/// Where a way back looks. In the home of an account that we made everything but our own is somebody else's, however
/// much there is of it: nobody looks.
pub fn scopes(made: &Made, before: &Manifest, after: &Manifest) -> Vec<Scope> {
    let Inverse::Account { .. } = made.inverse else { return made.scopes.clone() };
    let mut scopes = Vec::new();
    for scope in &made.scopes {
        let Scope::Tree(home) = scope else {
            scopes.push(scope.clone());
            continue;
        };
        let known = before.entries.keys().chain(after.entries.keys());
        let known: Set<&Path> = known.map(PathBuf::as_path).filter(|path| path.starts_with(home)).collect();
        scopes.extend(known.iter().map(|path| Scope::Entry((*path).to_owned())));
    }
    scopes
}

/// Judges the paths of one step.
pub struct Judge<'a> {
    after: &'a Manifest,
    ours: Set<&'a Path>,
    force: bool,
    joined: bool,
}

impl<'a> Judge<'a> {
    /// For a step that made `before` into `after`. `joined`: the node is in another cluster by now.
    pub fn new(before: &'a Manifest, after: &'a Manifest, force: bool, joined: bool) -> Self {
        let ours = before.differences(after).iter().map(|difference| difference.path).collect();
        Self { after, ours, force, joined }
    }

    /// Whether the step changed the path.
    pub fn changed(&self, path: &Path) -> bool {
        self.ours.contains(path)
    }

    /// Whether the difference between before and now is somebody else's: what is there is neither as the step left
    /// it nor as it was before. With `force` a path that the step had changed is put back all the same; never a
    /// cluster's file when the node has joined it since, and never the account database as a whole, which holds the
    /// accounts of others.
    pub fn theirs(&self, difference: &Difference<'_>) -> bool {
        let path = difference.path;
        if self.joined && path.starts_with(CLUSTER_DIR) {
            return true;
        }
        let forced = self.force && self.changed(path) && change::account_database(path).is_none();
        !(forced || as_left(difference.after, self.after.get(path)))
    }
}

fn as_left(now: Option<&Entry>, after: Option<&Entry>) -> bool {
    match (now, after) {
        (None, None) => true,
        (Some(now), Some(after)) => now.same(after, false),
        _ => false,
    }
}
