//! One run, the same behind every door: answer → profile, node → facts, both → plan → transaction.

use crate::answer::{Answer, Problems};
use crate::areas;
use crate::change::Change;
use crate::control::Proposal;
use crate::error::{Error, Result};
use crate::facts::{self, Facts, pmxcfs};
use crate::node::Node;
use crate::notify;
use crate::plan::{self, Plan};
use crate::profile::{Confirm, Management, Profile};
use crate::progress::{Importance, Watch};
use crate::transaction::{self, Confirmation, Limits, Order, Outcome};
use std::net::IpAddr;
use std::time::Duration;

const PATIENCE_SECONDS: u64 = 600;
const PAUSE_SECONDS: u64 = 5;

/// What the node makes of an answer.
pub enum Planned {
    /// It can be done: this is still needed.
    Plan(Box<Facts>, Plan),
    /// It cannot be done on this node; nothing was touched.
    Refused(Problems),
}

/// What the node is, where all of it can be seen.
pub fn facts(node: &dyn Node) -> Result<Facts> {
    let facts = facts::gather(node)?;
    if facts.pmxcfs == pmxcfs::State::Down {
        let because = "PVE is installed and pmxcfs is not up: users, firewall and cluster cannot be seen";
        return Err(Error::new("reading /etc/pve", because).hint("systemctl status pve-cluster"));
    }
    Ok(facts)
}

/// Reads the node and plans; changes nothing.
pub fn plan(node: &dyn Node, answer: &Answer) -> Result<Planned> {
    let facts = facts(node)?;
    let proposal = match proposal(answer, &facts) {
        Ok(proposal) => proposal,
        Err(problems) => return Ok(Planned::Refused(problems)),
    };
    let plan = plan::make(node, proposal)?;
    if facts.pmxcfs == pmxcfs::State::ReadOnly && writes_to_cluster(node, &plan)? {
        pmxcfs::writable(node, "planning changes below /etc/pve")?;
    }
    Ok(Planned::Plan(Box::new(facts), plan))
}

/// What an answer wants on such a node, or everything that speaks against it.
pub fn proposal(answer: &Answer, facts: &Facts) -> std::result::Result<Proposal, Problems> {
    areas::propose_all(&answer.profile, facts).map_err(|refusals| {
        let problems = refusals.iter().map(|refusal| answer.problem_at(&refusal.key, &*refusal.message));
        Problems::new(&answer.profile.source, problems.collect())
    })
}

fn writes_to_cluster(node: &dyn Node, plan: &Plan) -> Result<bool> {
    for step in &plan.steps {
        if matches!(step.change, Change::Pve(_)) {
            return Ok(true);
        }
        if step.change.scopes(node)?.iter().any(|scope| scope.path().starts_with(pmxcfs::MOUNT_POINT)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Like [`plan`], at a first boot: waits until pmxcfs is up and has quorum, as long as network steps are repeated (design 3).
pub fn plan_patiently(node: &dyn Node, answer: &Answer, watch: &mut dyn Watch) -> Result<Planned> {
    let mut waited = 0;
    loop {
        // It may come while the node is read: what was an error then is none any more.
        let was_away = waits_for_cluster(node)?;
        match plan(node, answer) {
            Err(_) if waited < PATIENCE_SECONDS && (was_away || waits_for_cluster(node)?) => {
                if waited == 0 {
                    watch.say(Importance::Info, "waiting for pmxcfs on /etc/pve");
                }
                node.sleep(Duration::from_secs(PAUSE_SECONDS));
                waited += PAUSE_SECONDS;
            }
            planned => return planned,
        }
    }
}

/// Whether PVE is there and `/etc/pve` cannot be written yet.
fn waits_for_cluster(node: &dyn Node) -> Result<bool> {
    Ok(matches!(pmxcfs::state(node)?, pmxcfs::State::Down | pmxcfs::State::ReadOnly))
}

/// By when a run must be over, and who confirms it.
pub fn limits(profile: &Profile, facts: &Facts, confirm: Confirm) -> Limits {
    let confirmation = || Confirmation {
        minutes: profile.confirm_minutes,
        admin: profile.admin.name.as_str().to_owned(),
        keys: profile.admin.ssh_keys.iter().map(|key| key.fingerprint.clone()).collect(),
        not_from: facts.addresses.iter().map(|(address, _)| *address).collect(),
    };
    let confirm = (confirm == Confirm::Login).then(confirmation);
    Limits { minutes: profile.deadline_minutes, confirm }
}

/// Makes the plan true in one transaction; warnings and notes are said first.
pub fn apply(
    node: &dyn Node,
    plan: &Plan,
    answer: &Answer,
    door: &'static str,
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<Outcome> {
    for warning in &plan.warnings {
        watch.say(Importance::Warning, warning);
    }
    for note in &plan.notes {
        watch.say(Importance::Info, note);
    }
    notify::keep_key(node, &answer.profile.report)?;
    let order = Order { door, source: &answer.profile.source, record: &answer.record, limits };
    transaction::apply(node, plan, &order, watch)
}

/// The node's addresses; those in a management network first: the admin's way to others may be closed.
pub fn addresses(profile: &Profile, facts: &Facts) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for first in [true, false] {
        for (address, _) in &facts.addresses {
            let near = match &profile.firewall.management {
                Management::Networks(networks) => networks.iter().any(|network| network.contains(*address)),
                Management::Any | Management::Default => true,
            };
            if near == first {
                found.push(*address);
            }
        }
    }
    found
}
