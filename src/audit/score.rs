//! The score: what the rows of the requirements weigh, and how many of them hold. docs/audit.md has the formula.

use super::{Audit, State};

/// Rows that let somebody in, or keep everybody out, weigh most; what only narrows or tells weighs least.
const HIGH: &str = "A1 A3 A5 B1 B2 B3 C1 D1 D2 D8 E1 E2 E3 F1 F2 G4 G5 H1 H3 J3 J4";
const LOW: &str = "A6 B5 B6 C5 D5 D7 D9 G3 I2 J5";

/// The word for a row's weight, and the weight.
pub fn weight(requirement: &str) -> (&'static str, u64) {
    let is_in = |rows: &str| rows.split(' ').any(|row| row == requirement);
    match requirement {
        _ if is_in(HIGH) => ("high", 5),
        _ if is_in(LOW) => ("low", 1),
        _ => ("medium", 3),
    }
}

/// The row that stands for an area as a whole.
pub(super) fn row_of(area: &str) -> &'static str {
    match area {
        "admin" => "A1",
        "ssh" => "B3",
        "totp" => "C1",
        "firewall" => "J4",
        "fail2ban" => "F1",
        "kernel" => "G1",
        "services" => "G2",
        "apparmor" => "G5",
        "repositories" => "H1",
        "packages" => "H2",
        "updates" => "H3",
        _ => "I1",
    }
}

/// 0 to 100, rounded down, so that 100 means that nothing is red. `None` when nothing was looked at.
pub fn of(audit: &Audit) -> Option<u64> {
    let counted = || audit.findings.iter().filter(|finding| finding.state != State::Waived);
    let mut rows: Vec<(&str, bool)> = Vec::new();
    for finding in counted() {
        let red = finding.state.is_red();
        match rows.iter_mut().find(|(row, _)| *row == finding.requirement) {
            Some((_, holds)) => *holds &= !red,
            None => rows.push((finding.requirement, !red)),
        }
    }
    let sum = |only: bool| -> u64 {
        rows.iter().filter(|(_, holds)| *holds || !only).map(|(row, _)| weight(row).1).sum()
    };
    (100 * sum(true)).checked_div(sum(false))
}
