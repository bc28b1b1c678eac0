//! Logins at PVE's API, as PVE itself notes them: each one that used a code of a TOTP entry leaves its time step in the
//! entry's `last-count` (pve-observed 3.4). The line "successful auth" is the password alone, and proves nothing.

use crate::facts::pve::Access;
use crate::node::Node;
use crate::transaction::record::Waiting;

/// The admin's TOTP entries: id, and the time step of the last login with it. None on a node without PVE.
pub fn steps(node: &dyn Node, admin: &str) -> Vec<String> {
    let (access, user) = (Access::read(node).unwrap_or_default(), format!("{admin}@pam"));
    access.factors(&user, "totp").map(|factor| format!("{} {}", factor.id, factor.last)).collect()
}

/// Whether one of them was used since. An entry that is new proves nothing: who made it is not known.
pub fn seen(node: &dyn Node, waiting: &Waiting) -> Option<String> {
    if waiting.factors.is_empty() {
        return None;
    }
    let (access, user) = (Access::read(node).ok()?, format!("{}@pam", waiting.admin));
    let risen = |before: &String| {
        let (id, last) = before.split_once(' ')?;
        let last: u64 = last.parse().ok()?;
        access.factors(&user, "totp").find(|factor| factor.id == id && factor.last > last)
    };
    waiting.factors.iter().find_map(risen).map(|_| format!("a login of {user} at PVE's API"))
}

#[cfg(test)]
mod tests;
