//! The score: what the rows of the requirements weigh, and how many of them hold. docs/audit.md has the formula.

use super::{Audit, State};

/// Rows that let somebody in, or keep everybody out, weigh most; what only narrows or tells weighs least.
pub(super) const HIGH: &str = "A1 A3 A5 B1 B2 B3 C1 D1 D2 D8 E1 E2 E3 F1 F2 G4 G5 H1 H3 J3 J4";
pub(super) const LOW: &str = "A6 B5 B6 C5 D5 D7 D9 G3 I2 J5";

/// The word for a row's weight, and the weight.
pub fn severity(requirement: &str) -> (&'static str, u64) {
    // Every row has two letters.
    if HIGH.contains(requirement) {
        ("high", 5)
    } else if LOW.contains(requirement) {
        ("low", 1)
    } else {
        ("medium", 3)
    }
}

/// 0 to 100, rounded down, so that 100 means that nothing is red; 0 when nothing was looked at.
pub fn of(audit: &Audit) -> u64 {
    let (mut all, mut holding) = (0, 0);
    for (place, finding) in audit.findings.iter().enumerate() {
        let counts = |state: State| state != State::Waived;
        let of_row = audit.findings.iter().filter(|other| other.requirement == finding.requirement);
        let first = audit
            .findings
            .iter()
            .take(place)
            .all(|before| before.requirement != finding.requirement || !counts(before.state));
        if !first || !counts(finding.state) {
            continue;
        }
        let (_, weight) = severity(finding.requirement);
        all += weight;
        let mut states = of_row.map(|other| other.state);
        if !states.any(State::is_red) {
            holding += weight;
        }
    }
    (100 * holding).checked_div(all).unwrap_or_default()
}
