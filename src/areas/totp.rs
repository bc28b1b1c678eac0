//! Second factors for PVE's login (rows C1 to C8): TOTP entries, recovery keys, realms that demand a factor. They guard
//! PVE's API and web interface alone, never SSH or the console (pve-contract 2.4).

use super::admin::pve as admin;
use super::{Area, also, push_pve, refusal};
use crate::change::{Change, PveObject};
use crate::control::{Check, Control, Gate, GateAsk, Phase, Proposal, Refusal};
use crate::facts::Facts;
use crate::facts::pve::ROOT;
use crate::gate::TIMEDATECTL_PROGRAM;
use crate::handover::FILE_PATH;
use crate::profile::{Handover, Profile};

pub(super) struct Totp;

impl Area for Totp {
    fn name(&self) -> &'static str {
        "totp"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.totp.enabled
    }

    fn refused(&self, profile: &Profile, facts: &Facts) -> Vec<Refusal> {
        if facts.pve_version.is_none() {
            return Vec::new();
        }
        refused(profile, facts, &users(profile, has_admin(profile, facts)))
    }

    fn described(&self, profile: &Profile, facts: &Facts) -> Proposal {
        let mut proposal = Proposal::default();
        if facts.pve_version.is_none() {
            return proposal;
        }
        let users = users(profile, has_admin(profile, facts));
        if on_verify(profile) {
            for user in users.iter().filter(|user| facts.access.totp_count(user) == 0) {
                proposal.notes.push(format!(
                    "{user} gets a second factor once `firstlight totp show {user}` was scanned and `firstlight totp \
                     verify {user}` saw a code"
                ));
            }
        } else {
            enrol(&mut proposal, profile, facts, &users);
        }
        realms(&mut proposal, profile);
        proposal
    }

    fn audited(&self, profile: &Profile, facts: &Facts) -> Vec<Control> {
        let mut proposal = Proposal::default();
        if facts.pve_version.is_none() {
            return Vec::new();
        }
        for user in users(profile, has_admin(profile, facts)) {
            factors(&mut proposal, profile, facts, &user);
            for (locked, name, requirement, words) in [
                (false, "verified", "C3", "somebody has seen a code of the second factor of "),
                (true, "unlocked", "C8", "PVE has not locked the second factor of "),
            ] {
                let check = Check::TotpOpen { user: user.clone(), locked };
                let controls = &mut proposal.controls;
                also(controls, &["totp.", name, ".", &user], requirement, &[words, &user], check);
            }
        }
        realms(&mut proposal, profile);
        let wanted = "the clock is synchronised: codes are made of the time";
        also(&mut proposal.controls, &["totp.clock"], "C7", &[wanted], Check::Clock);
        proposal.into_controls()
    }
}

fn realms(proposal: &mut Proposal, profile: &Profile) {
    for name in profile.totp.enforced_realms.iter().cloned() {
        let id = format!("totp.realm.{name}");
        push_pve(proposal, profile, Phase::Exposure, (id, "C6"), PveObject::Realm { name });
    }
}

/// Everybody's factors, behind a clock that is right.
fn enrol(proposal: &mut Proposal, profile: &Profile, facts: &Facts, users: &[String]) {
    for user in users {
        factors(proposal, profile, facts, user);
    }
    let new = proposal.changes.iter().any(|(_, change)| match change {
        Change::Pve(change) => !change.object.holds(&facts.access),
        _ => false,
    });
    if !new {
        return;
    }
    let ask = GateAsk::Clock(profile.totp.clock_wait_seconds);
    proposal.gates.push(Gate { id: "totp.clock", tool: TIMEDATECTL_PROGRAM, ask });
    let what =
        if profile.totp.secret == "bake" { "recovery keys" } else { "codes to scan and recovery keys" };
    proposal.notes.push(match profile.handover {
        Handover::Console => format!(
            "{what} are shown once it is done, on the console if nobody looks; `firstlight totp show USER` shows them again"
        ),
        Handover::File => format!("{what} are in {FILE_PATH}: remove it once they are kept elsewhere"),
    });
}

fn on_verify(profile: &Profile) -> bool {
    profile.totp.enrolment == "on-verify"
}

fn has_admin(profile: &Profile, facts: &Facts) -> bool {
    admin::wanted(profile, facts) || facts.access.user(&admin::user(profile)).is_some()
}

/// Those that the answer names, and the admin if they are a user of PVE.
fn users(profile: &Profile, with_admin: bool) -> Vec<String> {
    let mut users = profile.totp.users.clone();
    if with_admin {
        users.push(admin::user(profile));
    }
    let mut seen: Vec<String> = Vec::new();
    users.retain(|user| {
        let new = !seen.contains(user);
        seen.push(user.clone());
        new
    });
    users
}

/// Every device that a fresh node of this answer enrols: its user, and whether it is the second one.
pub fn devices(profile: &Profile) -> Vec<(String, bool)> {
    if !profile.totp.enabled {
        return Vec::new();
    }
    let users = users(profile, profile.admin.enabled && !profile.admin.pve_role.is_empty());
    let mut devices = Vec::new();
    for user in users {
        devices.push((user.clone(), false));
        if profile.totp.second_device {
            devices.push((user, true));
        }
    }
    devices
}

fn factors(proposal: &mut Proposal, profile: &Profile, facts: &Facts, user: &str) {
    let wanted = &profile.totp;
    let issuer = if wanted.issuer.is_empty() { &facts.host_name } else { &wanted.issuer };
    let user = user.to_owned();
    let mut add = |name: &str, row, object| {
        push_pve(proposal, profile, Phase::Accounts, (format!("totp.{name}.{user}"), row), object);
    };
    let totp = |second| PveObject::Totp {
        user: user.clone(),
        issuer: issuer.clone(),
        second,
        secret: wanted.secret_of(&user, second).unwrap_or_default().to_owned(),
    };
    add("enrolled", "C1", totp(false));
    if wanted.second_device {
        add("second-device", "C5", totp(true));
    }
    if wanted.recovery_keys {
        add("recovery-keys", "C4", PveObject::Recovery { user: user.clone() });
    }
}

fn refused(profile: &Profile, facts: &Facts, users: &[String]) -> Vec<Refusal> {
    let access = &facts.access;
    let mut refusals = Vec::new();
    let mut refuse =
        |key: &str, message: String| refusals.push(refusal(&format!("firstlight.totp.{key}"), message));
    if access.factors_damaged {
        let message = "cannot be done: /etc/pve/priv/tfa.cfg is not what PVE writes since 7.1, so that nobody knows who has \
                       a second factor; log in to PVE once with one, which rewrites it";
        refuse("enabled", message.to_owned());
    }
    let lacks = |user: &str, second: bool| {
        let there = access.totp_count(user) > usize::from(second);
        !there && profile.totp.secret_of(user, second).is_none()
    };
    let second = profile.totp.second_device;
    let lacking = users.iter().find(|user| lacks(user, false) || second && lacks(user, true));
    if let Some(user) = lacking.filter(|_| profile.totp.secret == "bake") {
        let message = format!(
            "must be \"node\", as no secret for {user} came with this answer: `firstlight bake` makes them"
        );
        refuse("secret", message);
    }
    for user in users {
        let known = access.user(user);
        let comes = *user == ROOT || admin::wanted(profile, facts) && *user == admin::user(profile);
        if known.is_none() && !comes {
            refuse(
                "users",
                format!(
                    "must name users of this PVE; {user} is none: make it first with `pveum user add {user}`"
                ),
            );
        }
        if known.is_some_and(|known| !matches!(known.keys.as_str(), "" | "x")) {
            let message = format!(
                "must not name {user}, who has a second factor of the old kind in /etc/pve/user.cfg, which would be lost: \
                 log in with it once, which lets PVE move it, or take it away with `pveum user tfa delete {user}`"
            );
            refuse("users", message);
        }
    }
    for realm in &profile.totp.enforced_realms {
        refuse_realm(profile, facts, users, realm, &mut |message| refuse("enforced-realms", message));
    }
    refusals
}

/// A realm that demands a factor shuts out whoever has none, without a warning (pve-contract 2.5).
fn refuse_realm(
    profile: &Profile,
    facts: &Facts,
    users: &[String],
    realm: &str,
    refuse: &mut dyn FnMut(String),
) {
    let known = matches!(realm, "pam" | "pve") || facts.access.realms.iter().any(|(name, _)| name == realm);
    if !known {
        refuse(format!("must name realms of this PVE; {realm} is none"));
    }
    let kept = PveObject::Realm { name: realm.to_owned() }.holds(&facts.access);
    if !kept && facts.access.demanded(realm).is_some() {
        refuse(format!(
            "must not name {realm}, which demands another kind of second factor already: those who have it could not log \
             in any more; take the demand away first with `pveum realm modify {realm} --delete tfa`"
        ));
    }
    let mut left = facts.access.without_factor(realm);
    if on_verify(profile) {
        // Nobody is enrolled by this run; the admin may be made by it.
        left.extend(
            users
                .iter()
                .filter(|user| facts.access.user(user).is_none() && user.ends_with(&format!("@{realm}"))),
        );
    } else {
        left.retain(|user| !users.contains(user));
    }
    let left: Vec<&str> = left.into_iter().map(String::as_str).collect();
    if !left.is_empty() {
        refuse(format!(
            "must not name {realm} while users of it have no second factor, as they could not log in any more: {}",
            left.join(", ")
        ));
    }
}

#[cfg(test)]
#[path = "totp/tests.rs"]
mod tests;
