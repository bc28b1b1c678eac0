//! One step of the way forward.

use super::super::journal::Journal;
use super::super::record::{Event, Inverse};
use super::super::story::Made;
use super::capture;
use crate::change::{self, Change};
use crate::error::Result;
use crate::manifest::Scope;
use crate::node::{Kind, Node};
use crate::objects::{ObjectId, Objects};
use crate::progress::{Importance, Watch};
use crate::sabotage;
use std::path::Path;

/// What a step is done with.
pub struct Hand<'a> {
    pub node: &'a dyn Node,
    pub journal: &'a Journal<'a>,
    pub objects: &'a Objects<'a>,
}

impl Hand<'_> {
    /// Intent with the prior state, durable; effect, durable; what it left behind.
    pub fn perform(
        &self,
        number: usize,
        change: &Change,
        watch: &mut dyn Watch,
        touched: &mut bool,
    ) -> Result<()> {
        let mut warnings = Vec::new();
        let inverse = change.inverse(self.node, &mut warnings)?;
        for text in warnings {
            watch.say(Importance::Warning, &text);
            self.journal.note(Event::Warning { text })?;
        }
        let scopes = change.scopes(self.node)?;
        let before = capture(self.node, self.objects, &scopes, &|_| true)?;
        let files_only = matches!(inverse, Inverse::Paths | Inverse::Reload(_) | Inverse::PveFirewall(_));
        let account = matches!(inverse, Inverse::Account { .. });
        if !(account && sabotage::leaves_out("account-intent")) {
            self.journal.write(Event::Intent { step: number, inverse, scopes: scopes.clone(), before })?;
        }
        *touched = true;
        let result = change.effect(self.node);
        if !files_only {
            // Tools write without fsync: a commit must not outlive what it commits.
            self.sync(&scopes)?;
        }
        // What cannot be seen now is seen by the way back; why the effect failed is the better reason.
        let after = match capture(self.node, self.objects, &scopes, &|path| account && after_counts(path)) {
            Ok(after) => after,
            Err(error) => return result.and(Err(error)),
        };
        self.journal.write(Event::Observed { step: number, after })?;
        result
    }

    /// Journals what a step left behind that a crash interrupted: seen before anything else changes it.
    pub fn observe(&self, made: &Made) -> Result<ObjectId> {
        if let Some(after) = made.after {
            return Ok(after);
        }
        let account = matches!(made.inverse, Inverse::Account { .. });
        let wants = |path: &Path| account && after_counts(path);
        let after = capture(self.node, self.objects, &made.scopes, &wants)?;
        self.journal.write(Event::Observed { step: made.step, after })?;
        Ok(after)
    }

    fn sync(&self, scopes: &[Scope]) -> Result<()> {
        let mut devices = Vec::new();
        for scope in scopes {
            for path in scope.path().ancestors() {
                let Some(found) = self.node.lookup(path)? else { continue };
                if found.kind == Kind::Directory && !devices.contains(&found.identity.0) {
                    devices.push(found.identity.0);
                    self.node.sync_all(path)?;
                }
                break;
            }
        }
        Ok(())
    }
}

/// Whether the way back of an account needs the content that the step left there: to tell its lines from those of
/// others. What is in the home, it does not.
fn after_counts(path: &Path) -> bool {
    change::account_database(path).is_some()
}
