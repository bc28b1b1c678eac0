//! Which items of the CIS benchmark speak about the same as a control. CIS Debian Linux 13 Benchmark
//! v1.0.0, ids from the control file `cis_debian13.yml` of ComplianceAsCode; docs/audit.md says where our answer is another one than theirs.

use crate::control::{Check, Control};
use crate::packed::packed;

/// The items, with blanks between; empty where there is none.
pub(super) fn of(control: &Control) -> &'static str {
    // The benchmark's firewall is UFW alone.
    if matches!(control.check, Check::PveFirewallOn) || control.requirement.starts_with('D') {
        return "";
    }
    let name = match &control.check {
        Check::Kernel { name, .. } => name.as_str(),
        _ => &*control.id,
    };
    let items = |line: &'static str| {
        let (start, items) = line.split_once(' ')?;
        name.starts_with(start).then_some(items)
    };
    packed!("cis.txt").lines().find_map(items).unwrap_or_default()
}
