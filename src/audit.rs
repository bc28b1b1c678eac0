//! What is true now: the controls of the areas, looked at in effective state, with a reason and a remedy for each that
//! does not hold. Changes nothing. Plan and audit are two readings of the same controls.

mod cis;
mod defaults;
pub mod json;
pub mod junit;
mod mail;
pub mod record;
mod remedy;
pub mod score;
#[cfg(test)]
mod tests;
pub mod text;
mod waivers;

pub use cis::BENCHMARK;
pub use defaults::untouched;
pub use mail::send as mail;

use crate::areas;
use crate::control::{Check, Control};
use crate::facts::{Facts, pmxcfs};
use crate::node::Node;
use crate::observe::{Observer, Verdict};
use crate::profile::Profile;
use crate::transaction;

/// Stands for an admin that nobody knows.
const ROOT: &str = "root";

/// The result of one audit.
pub struct Audit {
    /// What it was held against: a file's name, or in words.
    pub source: String,
    /// Milliseconds since 1970.
    pub at: u64,
    /// Processor time of this process alone, in milliseconds (design 11); 0 where nobody has measured it.
    pub own: u64,
    /// In the order of the areas.
    pub findings: Vec<Finding>,
    /// What could not be looked at, and why.
    pub notes: Vec<String>,
    /// Waivers that name nothing: what they name, and a hint at what they may have meant.
    pub unknown: Vec<String>,
    /// What has changed since the last one that was kept.
    pub drift: Option<record::Drift>,
}

/// One statement, and what was seen.
pub struct Finding {
    /// The control's id; `AREA.refused.KEY` for what the plan refuses.
    pub id: String,
    /// The row it comes from.
    pub requirement: &'static str,
    /// What is wanted.
    pub wanted: String,
    /// What was seen.
    pub state: State,
    /// What is true instead; empty where it holds.
    pub reason: String,
    /// What to do about it; empty where it holds.
    pub remedy: String,
    /// Items of the CIS benchmark that speak about the same, with blanks between.
    pub cis: &'static str,
    /// Why it is accepted, and until when.
    pub waiver: Option<(String, String)>,
}

impl Finding {
    fn new(
        id: String,
        requirement: &'static str,
        wanted: String,
        state: State,
        reason: String,
        remedy: &str,
    ) -> Self {
        Self { id, requirement, wanted, state, reason, remedy: remedy.to_owned(), cis: "", waiver: None }
    }

    /// The area that it belongs to.
    pub fn area(&self) -> &str {
        area_of(&self.id)
    }
}

/// How a statement stands.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum State {
    /// It is as wanted.
    Holds,
    /// Something else is true.
    Fails,
    /// It could not be seen.
    Unseen,
    /// firstlight would refuse to bring it about on this node.
    Refused,
    /// It does not hold, and the answer accepts that.
    Waived,
}

impl State {
    /// As the JSON spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Unseen => "unseen",
            Self::Refused => "refused",
            Self::Waived => "waived",
        }
    }

    /// Whether it needs somebody's attention.
    pub fn is_red(self) -> bool {
        !matches!(self, Self::Holds | Self::Waived)
    }
}

impl Audit {
    /// How many findings are in a state that `counts`.
    pub fn count(&self, counts: impl Fn(State) -> bool) -> usize {
        self.findings.iter().filter(|finding| counts(finding.state)).count()
    }

    /// The exit code of design 9.
    pub fn exit_code(&self) -> u8 {
        if self.count(State::is_red) == 0 { 0 } else { 3 }
    }
}

fn area_of(id: &str) -> &str {
    id.split('.').next().unwrap_or_default()
}

/// Looks at everything that the profile wants of this node.
pub fn run(node: &dyn Node, profile: &Profile, facts: &Facts) -> Audit {
    let (controls, refusals) = areas::audited(profile, facts);
    let mut observer = Observer::with(node, facts);
    let mut findings = Vec::new();
    for area in areas::AREAS.iter().map(|area| area.name()) {
        // Without an admin there is no connection of theirs.
        let nobodys = |id: &str| profile.admin.name.as_str() == ROOT && id.ends_with(".admin");
        let own = controls.iter().filter(|control| area_of(&control.id) == area && !nobodys(&control.id));
        findings.extend(own.map(|control| look(&mut observer, control, facts)));
        for refusal in &refusals {
            let mut words = refusal.key.trim_start_matches("firstlight.").split(['.', '-']);
            if words.next() == Some(area) {
                refused(&mut findings, area, &refusal.key, &refusal.message);
            }
        }
    }
    let mut audit = Audit {
        source: profile.source.clone(),
        at: node.now(),
        own: 0,
        findings,
        notes: Vec::new(),
        unknown: Vec::new(),
        drift: None,
    };
    let at_work = transaction::holder(node).ok().flatten().filter(|holder| *holder != std::process::id());
    if at_work.is_some() {
        audit.notes.push("a run is at work: what it changes may be seen half done".to_owned());
    }
    if facts.pmxcfs == pmxcfs::State::Down {
        audit.notes.push("pmxcfs is not up: PVE's users, factors and firewall cannot be seen".to_owned());
    }
    waivers::apply(&mut audit, profile);
    audit
}

fn look(observer: &mut Observer<'_>, control: &Control, facts: &Facts) -> Finding {
    let (state, reason) = if facts.pmxcfs == pmxcfs::State::Down && is_of_pve(&control.check) {
        (State::Unseen, "pmxcfs is not up".to_owned())
    } else {
        match observer.evaluate(&control.check) {
            Ok(Verdict::Holds) => (State::Holds, String::new()),
            Ok(Verdict::Fails(reason)) => (State::Fails, reason),
            Err(error) => (State::Unseen, error.to_string()),
        }
    };
    let remedy = if state == State::Holds { String::new() } else { remedy::of(&control.check) };
    let (id, wanted) = (control.id.to_string(), control.wanted.clone());
    let mut finding = Finding::new(id, control.requirement, wanted, state, reason, &remedy);
    finding.cis = cis::of(control);
    finding
}

/// What is read below `/etc/pve`, where nothing is as good as everything gone.
fn is_of_pve(check: &Check) -> bool {
    matches!(
        check,
        Check::Pve(_)
            | Check::TotpVerified(_)
            | Check::TotpUnlocked(_)
            | Check::PveFirewallOn
            | Check::PveFirewallOff
            | Check::PveFile { .. }
    )
}

/// What the plan refuses is a finding of its area; several reasons for one key are one.
fn refused(findings: &mut Vec<Finding>, area: &'static str, key: &str, message: &str) {
    let name = key.rsplit('.').next().unwrap_or_default();
    let id = format!("{area}.refused.{name}");
    if let Some(known) = findings.iter_mut().find(|finding| finding.id == id) {
        known.reason.push_str("; ");
        known.reason.push_str(message);
        return;
    }
    let remedy = "change the node or the answer as it says, then `firstlight plan`";
    let (wanted, row) = (format!("firstlight can do what {key} asks for"), score::row_of(area));
    findings.push(Finding::new(id, row, wanted, State::Refused, message.to_owned(), remedy));
}
