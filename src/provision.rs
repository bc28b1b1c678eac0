//! One run, the same behind every door: answer → profile, node → facts, both → plan → transaction.

use crate::answer::{Answer, Problems};
use crate::areas;
use crate::error::Result;
use crate::facts::{self, Facts};
use crate::node::Node;
use crate::plan::{self, Plan};
use crate::progress::{Importance, Watch};
use crate::transaction::{self, Order, Outcome};

/// What the node makes of an answer.
pub enum Planned {
    /// It can be done: this is still needed.
    Plan(Box<Facts>, Plan),
    /// It cannot be done on this node; nothing was touched.
    Refused(Problems),
}

/// Reads the node and plans; changes nothing.
pub fn plan(node: &dyn Node, answer: &Answer) -> Result<Planned> {
    let facts = facts::gather(node)?;
    match areas::propose_all(&answer.profile, &facts) {
        Ok(proposal) => Ok(Planned::Plan(Box::new(facts), plan::make(node, proposal)?)),
        Err(refusals) => {
            let problems =
                refusals.iter().map(|refusal| answer.problem_at(&refusal.key, &*refusal.message)).collect();
            Ok(Planned::Refused(Problems::new(&answer.profile.source, problems)))
        }
    }
}

/// Makes the plan true in one transaction; warnings and notes are said first.
pub fn apply(
    node: &dyn Node,
    plan: &Plan,
    answer: &Answer,
    door: &'static str,
    watch: &mut dyn Watch,
) -> Result<Outcome> {
    for warning in &plan.warnings {
        watch.say(Importance::Warning, warning);
    }
    for note in &plan.notes {
        watch.say(Importance::Info, note);
    }
    let order = Order { door, source: &answer.profile.source, record: &answer.record };
    transaction::apply(node, plan, &order, watch)
}
