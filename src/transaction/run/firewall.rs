//! PVE's firewall stays on: the last step before a commit, or before the wait for a confirmation.
//!
//! Until then `cluster.fw` holds a time, after which PVE switches its firewall off by itself: whatever becomes of us, a
//! node that cannot be reached any more opens again. A step of its own, so that a crash in front of the commit record
//! finds its intent and puts everything back.

use super::super::confirm::Limits;
use super::super::journal::Journal;
use super::super::record::{Event, Inverse};
use super::super::state::OBJECTS_DIR;
use super::super::story::Story;
use super::{Failure, Hand, Run, named};
use crate::change::{Change, Switch};
use crate::error::Result;
use crate::facts::cluster_firewall;
use crate::node::{Node, read_text};
use crate::objects::Objects;
use crate::progress::Silent;
use std::path::Path;

const WHAT: &str = "keeping PVE's firewall on";

impl Run<'_> {
    /// After the last probe: on for good, or until the confirmation's deadline.
    pub(super) fn keep_firewall(&mut self, limits: &Limits) -> std::result::Result<(), Failure> {
        let trial = Change::PveFirewall(Switch::Trial).kind();
        if !self.plan.steps.iter().any(|step| step.change.kind() == trial) {
            return Ok(());
        }
        let switch = match &limits.confirm {
            None => Switch::On,
            Some(confirmation) => {
                Switch::Until(self.node.now() / 1000 + u64::from(confirmation.minutes) * 60)
            }
        };
        // The number after the plan's is the probe's.
        let step = self.plan.steps.len() + 1;
        let started = self.node.now();
        if !is_temporary(self.node).map_err(named(WHAT))? {
            return Ok(());
        }
        self.step(step, &Change::PveFirewall(switch)).map_err(named(WHAT))?;
        let milliseconds = self.node.now().saturating_sub(started);
        self.journal.write(Event::Done { step, milliseconds }).map_err(named("journal"))
    }
}

/// Somebody has confirmed: on for good. The caller holds the lock and commits next.
pub fn confirm(node: &dyn Node, journal: &Journal<'_>, story: &Story) -> Result<()> {
    let objects = Objects::new(node, Path::new(OBJECTS_DIR));
    let hand = Hand { node, journal, objects: &objects };
    // What a confirmation that was cut off left behind: a rollback of later on would find the work of others there.
    for made in &story.made {
        hand.observe(made)?;
    }
    let ours = story.made.iter().any(|made| matches!(made.inverse, Inverse::PveFirewall(_)));
    if !ours || !is_temporary(node)? {
        return Ok(());
    }
    // After the plan's, the probe's and the one before the wait; and a number of its own for every try.
    let used = story.made.iter().map(|made| made.step + 1).max().unwrap_or_default();
    let step = used.max(story.titles.len() + 2);
    hand.perform(step, &Change::PveFirewall(Switch::On), &mut Silent, &mut false)?;
    journal.write(Event::Done { step, milliseconds: 0 })
}

/// Whether a time stands where `enable: 1` belongs; what somebody made of it meanwhile is theirs.
fn is_temporary(node: &dyn Node) -> Result<bool> {
    let text = read_text(node, Path::new(cluster_firewall::PATH))?.unwrap_or_default();
    Ok(cluster_firewall::value(&text) > 1)
}
