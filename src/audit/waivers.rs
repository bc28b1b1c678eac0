//! Findings that the answer accepts. A waiver names a control, or what the ids of several begin with: `ssh.tries` is
//! that of root's connection and that of the admin's.

use super::{Audit, State};
use crate::profile::Profile;
use crate::status::time;

/// Marks what is waived; a waiver that is over, or that names nothing, accepts nothing, and is told.
pub(super) fn apply(audit: &mut Audit, profile: &Profile) {
    let now = time::iso(audit.at);
    let today = now.get(..10).unwrap_or_default();
    for waiver in &profile.audit.waivers {
        let over = !waiver.until.is_empty() && *waiver.until < *today;
        let mut problem = " names no control of this node";
        for finding in &mut audit.findings {
            if !covers(&waiver.control, &finding.id) {
                continue;
            }
            problem = "";
            if over {
                problem = " is over";
                break;
            }
            finding.waiver.clone_from(&waiver.reason);
            finding.until.clone_from(&waiver.until);
            if finding.state.is_red() {
                finding.state = State::Waived;
            }
        }
        if !problem.is_empty() {
            audit.notes.push(["the waiver of ", &waiver.control, problem].concat());
        }
    }
}

fn covers(name: &str, id: &str) -> bool {
    id.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
