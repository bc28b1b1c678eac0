//! The admin in PVE (rows A2 and C9): the same person as `NAME@pam`, with a role on a path, and a token on request.

use super::super::push_pve;
use crate::change::PveObject;
use crate::control::{Phase, Proposal};
use crate::facts::Facts;
use crate::profile::{Profile, Sudo};

/// The admin's name in PVE: the realm is that of the system's own accounts.
pub fn user(profile: &Profile) -> String {
    format!("{}@pam", profile.admin.name.as_str())
}

/// Whether the answer wants the admin in PVE, and there is one.
pub fn wanted(profile: &Profile, facts: &Facts) -> bool {
    profile.admin.enabled && !profile.admin.pve_role.is_empty() && facts.pve_version.is_some()
}

pub(super) fn refuse(profile: &Profile, facts: &Facts, refuse: &mut dyn FnMut(&str, String)) {
    if !wanted(profile, facts) {
        return;
    }
    let admin = &profile.admin;
    let name = admin.name.as_str();
    let has_password =
        admin.password_hash.is_some() || facts.user(name).is_some_and(|user| user.has_password);
    // With sudo = "password" that was said already.
    if !has_password && admin.sudo != Sudo::Password {
        refuse(
            "firstlight.admin.password-hash",
            format!(
                "is required: PVE's login asks for a password, and {name} has none; make a hash with `mkpasswd -m \
                 yescrypt`, or set pve-role = \"\" for no user in PVE"
            ),
        );
    }
    let role = admin.pve_role.as_str();
    // PVE keeps names that begin with its own for itself (pve-contract 1.5).
    let own = role.starts_with("PVE") || matches!(role, "Administrator" | "NoAccess");
    if !own && !facts.access.roles.iter().any(|known| known == role) {
        let message =
            format!("must be a role of this PVE; {role} is not: make it first with `pveum role add {role}`");
        refuse("firstlight.admin.pve-role", message);
    }
}

pub(super) fn propose(proposal: &mut Proposal, profile: &Profile, facts: &Facts) {
    if !wanted(profile, facts) {
        return;
    }
    let admin = &profile.admin;
    let id = user(profile);
    let mut add = |name: &str, row, object| {
        push_pve(proposal, profile, Phase::Accounts, (format!("admin.{name}"), row), object);
    };
    add("pve-user", "A2", PveObject::User { id: id.clone(), comment: admin.comment.clone() });
    let (role, path) = (admin.pve_role.clone(), admin.pve_path.clone());
    add("pve-role", "A2", PveObject::Role { user: id.clone(), role, path });
    if !admin.api_token.is_empty() {
        add("api-token", "C9", PveObject::Token { user: id, name: admin.api_token.clone() });
        let name = &admin.api_token;
        proposal.notes.push(format!(
            "the token {name} may do nothing by itself: `pveum acl modify PATH --tokens '{}!{name}' --roles ROLE` lets it",
            user(profile)
        ));
    }
}
