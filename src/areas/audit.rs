//! The audit by itself (row I2), and what keeps a node able to put itself back (rows J3 and J5).

use super::{Area, control, push};
use crate::change::{Change, FileChange, ReloadChange, UnitChange};
use crate::control::{Check, Control, Gate, GateAsk, Phase, Proposal, Refusal};
use crate::facts::Facts;
use crate::gate::SYSTEMD_ANALYZE_PROGRAM;
use crate::profile::Profile;

/// The timer; its service comes with the binary.
pub const TIMER: &str = "firstlight-audit.timer";
const TIMER_PATH: &str = "/etc/systemd/system/firstlight-audit.timer";
const NEVER: &str = "never";

pub(super) struct Audit;

impl Area for Audit {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.audit.enabled
    }

    fn propose(&self, profile: &Profile, _: &Facts) -> Result<Proposal, Vec<Refusal>> {
        let mut proposal = Proposal::default();
        let schedule = profile.audit.schedule.as_str();
        let wanted = schedule != NEVER;
        if wanted {
            let file = FileChange {
                path: TIMER_PATH.into(),
                content: timer(schedule).into_bytes(),
                mode: 0o644,
                owner: "root".to_owned(),
                public: true,
            };
            push(&mut proposal, (Phase::Files, Change::File(file)), Vec::new());
            // A timer that runs goes by what it has read; one that does not is started by the next change.
            let reload = ReloadChange { name: TIMER.to_owned(), after: vec![TIMER_PATH.into()] };
            push(&mut proposal, (Phase::Services, Change::Reload(reload)), Vec::new());
            let ask = GateAsk::Calendar(schedule.to_owned());
            proposal.gates.push(Gate { id: "audit.schedule", tool: SYSTEMD_ANALYZE_PROGRAM, ask });
        }
        let check = Check::Unit { name: TIMER.to_owned(), enabled: Some(wanted), active: Some(wanted) };
        let words = if wanted { "the audit comes by itself" } else { "the audit comes on request alone" };
        let unit = UnitChange { name: TIMER.to_owned(), enabled: Some(wanted), active: Some(wanted) };
        push(
            &mut proposal,
            (Phase::Services, Change::Unit(unit)),
            vec![control("audit.timer", "I2", words.to_owned(), check)],
        );
        Ok(proposal)
    }

    fn audited(&self, profile: &Profile, facts: &Facts) -> Vec<Control> {
        let mut controls = self.propose(profile, facts).map(|it| it.controls).unwrap_or_default();
        for (id, unit) in [
            ("audit.recover-early", "firstlight-recover-early.service"),
            ("audit.recover", "firstlight-recover.service"),
        ] {
            let check = Check::Unit { name: unit.to_owned(), enabled: Some(true), active: None };
            let wanted = "a run that is cut off is put back at boot".to_owned();
            controls.push(control(id, "J3", wanted, check));
        }
        let wanted = "the last run ended as it should".to_owned();
        controls.push(control("audit.last-run", "J5", wanted, Check::LastRun));
        controls
    }
}

/// A node that was off when its time came makes up for it.
fn timer(schedule: &str) -> String {
    format!(
        "# Written by firstlight; change the answer and run `firstlight apply`.\n[Unit]\nDescription=firstlight: audit\n\n\
         [Timer]\nOnCalendar={schedule}\nPersistent=yes\nRandomizedDelaySec=1h\n\n[Install]\nWantedBy=timers.target\n"
    )
}

#[cfg(test)]
mod tests;
