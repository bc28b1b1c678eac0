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

pub use defaults::untouched;
pub use mail::send as mail;

use crate::areas;
use crate::control::{Check, Control};
use crate::facts::{Facts, pmxcfs};
use crate::node::Node;
use crate::observe::{Observer, Verdict};
use crate::profile::Profile;

/// The result of one audit.
pub struct Audit {
    /// What it was held against: a file's name, or in words.
    pub source: String,
    /// Milliseconds since 1970.
    pub at: u64,
    /// Processor time of this process alone, in milliseconds (design 11); 0 where nobody has measured it.
    pub own: u64,
    /// In the order of the areas; what the plan refuses last.
    pub findings: Vec<Finding>,
    /// Who is taken for the admin, waivers that do nothing, what has turned since the last result that was kept.
    pub notes: Vec<String>,
}

/// One statement, and what was seen.
#[derive(Default)]
pub struct Finding {
    /// The control's id; `refused.AREA.KEY` for what the plan refuses.
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
    /// Why it is accepted; empty where it is not.
    pub waiver: String,
    /// Until when; empty for good.
    pub until: String,
}

/// How a statement stands.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(test, derive(Debug))]
pub enum State {
    /// It is as wanted.
    #[default]
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
    /// How many findings are in one of these states.
    pub fn count(&self, states: &[State]) -> usize {
        self.findings.iter().filter(|finding| states.contains(&finding.state)).count()
    }

    /// How many need attention.
    pub fn red(&self) -> usize {
        self.count(&[State::Fails, State::Unseen, State::Refused])
    }

    /// The exit code of design 9.
    pub fn exit_code(&self) -> u8 {
        if self.red() == 0 { 0 } else { 3 }
    }

    /// All of it in a line.
    pub fn summary(&self) -> String {
        format!(
            "score {} of 100: {} hold, {} need attention, {} waived; held against {}",
            score::of(self),
            self.count(&[State::Holds]),
            self.red(),
            self.count(&[State::Waived]),
            self.source
        )
    }
}

/// The area that a control belongs to.
fn area_of(id: &str) -> &str {
    id.split('.').next().unwrap_or_default()
}

/// Looks at everything that the profile wants of this node.
pub fn run(node: &dyn Node, profile: &Profile, facts: &Facts) -> Audit {
    let (controls, refusals) = areas::audited(profile, facts);
    let (source, at) = (profile.source.clone(), node.now());
    let mut audit = Audit { source, at, own: 0, findings: Vec::new(), notes: Vec::new() };
    let mut observer = Observer::new(node);
    for control in controls {
        audit.findings.push(look(&mut observer, control, facts));
    }
    for refusal in refusals {
        let id = ["refused.", refusal.key.trim_start_matches("firstlight.")].concat();
        audit.findings.push(Finding {
            id,
            requirement: "I1",
            wanted: "firstlight can do what this key asks for".to_owned(),
            state: State::Refused,
            reason: refusal.message,
            remedy: "change the node or the answer as it says, then `firstlight plan`".to_owned(),
            ..Finding::default()
        });
    }
    waivers::apply(&mut audit, profile);
    audit
}

fn look(observer: &mut Observer<'_>, control: Control, facts: &Facts) -> Finding {
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
    Finding {
        cis: cis::of(&control),
        id: control.id.into_owned(),
        requirement: control.requirement,
        wanted: control.wanted,
        state,
        reason,
        remedy,
        ..Finding::default()
    }
}

/// What is read below `/etc/pve`, where nothing is as good as everything gone.
fn is_of_pve(check: &Check) -> bool {
    matches!(
        check,
        Check::Pve(_)
            | Check::TotpOpen { .. }
            | Check::PveFirewallOn
            | Check::PveFirewallOff
            | Check::PveFile { .. }
    )
}
