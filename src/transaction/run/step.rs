//! One step of the way forward.

use super::super::journal::Journal;
use super::super::record::{Event, Inverse};
use super::capture;
use crate::change::Change;
use crate::error::Result;
use crate::manifest::Scope;
use crate::node::{Kind, Node};
use crate::objects::Objects;
use crate::progress::{Importance, Watch};
use crate::sabotage;

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
        let before = capture(self.node, self.objects, &scopes, true)?;
        let contents = after_counts(&inverse);
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
        let after = match capture(self.node, self.objects, &scopes, contents) {
            Ok(after) => after,
            Err(error) => return result.and(Err(error)),
        };
        self.journal.write(Event::Observed { step: number, after })?;
        result
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

/// Whether the way back needs the contents that the step left behind: to tell its lines from those of others.
pub fn after_counts(inverse: &Inverse) -> bool {
    matches!(inverse, Inverse::Account { .. })
}
