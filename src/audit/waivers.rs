//! Findings that the answer accepts. A waiver names a control, or what the ids of several begin with: `ssh.tries` is
//! that of root's connection and that of the admin's.

use super::{Audit, Finding, State, area_of};
use crate::areas;
use crate::cli::nearest;
use crate::profile::{Profile, Waiver};
use crate::status::time;

/// Marks what is waived; adds a finding for each waiver that is over, or that names nothing.
pub(super) fn apply(audit: &mut Audit, profile: &Profile) {
    let now = time::iso(audit.at);
    let today = now.get(..10).unwrap_or_default();
    for waiver in &profile.audit.waivers {
        if !audit.findings.iter().any(|finding| covers(&waiver.control, &finding.id)) {
            unknown(audit, profile, waiver);
            continue;
        }
        if !waiver.until.is_empty() && *waiver.until < *today {
            let remedy = "mend what it accepts, or give it a new day";
            let over = finding(waiver, format!("it was accepted until {}", waiver.until), remedy);
            audit.findings.push(over);
            continue;
        }
        for finding in audit.findings.iter_mut().filter(|finding| covers(&waiver.control, &finding.id)) {
            finding.waiver = Some((waiver.reason.clone(), waiver.until.clone()));
            if finding.state.is_red() {
                finding.state = State::Waived;
            }
        }
    }
}

fn covers(name: &str, id: &str) -> bool {
    id.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Where its area is switched off or refused, what its controls would be is not known, and nothing is said.
fn unknown(audit: &mut Audit, profile: &Profile, waiver: &Waiver) {
    let area = area_of(&waiver.control);
    let quiet = areas::AREAS.iter().any(|known| known.name() == area && !known.enabled(profile))
        || audit.findings.iter().any(|finding| finding.area() == area && finding.state == State::Refused);
    if quiet {
        return;
    }
    let ids: Vec<&str> = audit.findings.iter().map(|finding| finding.id.as_str()).collect();
    let near = nearest(&waiver.control, &ids);
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    let reason = format!("`{}` is no control on this node{hint}", waiver.control);
    let nothing = finding(waiver, reason.clone(), "`firstlight audit` prints every id");
    audit.findings.push(nothing);
    audit.unknown.push(reason);
}

fn finding(waiver: &Waiver, reason: String, remedy: &str) -> Finding {
    let id = format!("audit.waiver.{}", waiver.control);
    Finding::new(id, "I1", "every waiver is good".to_owned(), State::Fails, reason, remedy)
}
