//! The audit by itself (row I2), and what keeps a node able to put itself back (rows J3 and J5).

use super::{Area, WRITTEN, also, push, push_file, push_unit};
use crate::change::{Change, ReloadChange};
use crate::control::{Check, Control, Gate, GateAsk, Phase, Proposal};
use crate::facts::Facts;
use crate::gate::SYSTEMD_ANALYZE_PROGRAM;
use crate::profile::Profile;

/// The timer; its service comes with the binary.
pub const TIMER: &str = "firstlight-audit.timer";
const TIMER_PATH: &str = "/etc/systemd/system/firstlight-audit.timer";
const NEVER: &str = "never";
const TIMER_HEAD: &str = "[Unit]\n\
    Description=firstlight: audit\n\n[Timer]\nOnCalendar=";
const TIMER_TAIL: &str = "\nPersistent=yes\nRandomizedDelaySec=1h\n\n[Install]\nWantedBy=timers.target\n";

pub(super) struct Audit;

impl Area for Audit {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.audit.enabled
    }

    fn described(&self, profile: &Profile, _: &Facts) -> Proposal {
        let mut proposal = Proposal::default();
        let schedule = profile.audit.schedule.as_str();
        let wanted = schedule != NEVER;
        if wanted {
            push_file(&mut proposal, TIMER_PATH, timer(schedule), Vec::new());
            // A timer that runs goes by what it has read; one that does not is started by the next change.
            let reload = ReloadChange { name: TIMER.to_owned(), after: vec![TIMER_PATH.into()] };
            push(&mut proposal, (Phase::Services, Change::Reload(reload)), Vec::new());
            let ask = GateAsk::Calendar(schedule.to_owned());
            proposal.gates.push(Gate { id: "audit.schedule", tool: SYSTEMD_ANALYZE_PROGRAM, ask });
        }
        push_unit(&mut proposal, ("audit.timer", "I2"), TIMER, wanted);
        proposal
    }

    fn audited(&self, profile: &Profile, facts: &Facts) -> Vec<Control> {
        let mut controls = self.described(profile, facts).into_controls();
        for (id, row, unit) in [
            ("audit.recover-early", "J3", "firstlight-recover-early.service"),
            ("audit.recover", "J3", "firstlight-recover.service"),
            ("audit.last-run", "J5", ""),
        ] {
            let (wanted, check) = if unit.is_empty() {
                ("the last run ended as it should", Check::LastRun)
            } else {
                let check = Check::Unit { name: unit.to_owned(), enabled: Some(true), active: None };
                ("a run that is cut off is put back at boot", check)
            };
            also(&mut controls, &[id], row, &[wanted], check);
        }
        controls
    }
}

/// A node that was off when its time came makes up for it.
fn timer(schedule: &str) -> String {
    [WRITTEN, TIMER_HEAD, schedule, TIMER_TAIL].concat()
}

#[cfg(test)]
mod tests;
