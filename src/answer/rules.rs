//! Rules across tables: what would lock the admin out, or can be in no one's mind. First what the answer
//! alone shows, then what needs a few facts of the node.

use super::table::Table;
use super::{Answer, Problem};
use crate::profile::{FirewallMode, KeyPair, Management, Profile, RootLogin, Sudo};

/// Notes what contradicts itself in the answer alone.
pub(super) fn contradictions(top: &Table<'_>, profile: &Profile) {
    let admin = &profile.admin;
    let note = |table: &'static str, key: &'static str, message: &str| top.child(table).note(key, message);
    if admin.enabled && profile.ssh.enabled {
        let keyless = admin.ssh_keys.is_empty() && admin.ssh_key_pair == KeyPair::None;
        // Where a wrong key was noted, the list is empty because of it.
        let noted =
            top.notes.list.borrow().iter().any(|note| note.key.starts_with("firstlight.admin.ssh-key"));
        if keyless && !noted && !profile.ssh.password_login {
            note(
                "admin",
                "ssh-keys",
                "must hold a key, as password login is off: else nobody gets in (or ssh-keys-of-root = true, or \
                 ssh-key-pair = \"node\")",
            );
        }
        if admin.sudo == Sudo::None && profile.ssh.root_login == RootLogin::No {
            note(
                "ssh",
                "root-login",
                "must be \"key\" with sudo = \"none\": else nobody could become root over SSH",
            );
        }
    }
    if admin.pve_role.is_empty() && !admin.api_token.is_empty() {
        note("admin", "api-token", "needs a PVE user, and pve-role = \"\" makes none");
    }
    if profile.firewall.mode == Some(FirewallMode::Ufw) && !profile.firewall.groups.is_empty() {
        note("firewall", "group", "is for mode = \"pve\" only: UFW has no groups for guests");
    }
}

/// Whether the admin needs a password that the answer does not bring.
pub fn needs_password(profile: &Profile) -> bool {
    let admin = &profile.admin;
    let used = admin.sudo == Sudo::Password || !admin.pve_role.is_empty();
    admin.enabled && used && admin.password_hash.is_none()
}

/// What the rules below have to know of the node.
pub struct OnNode {
    /// Whether the admin's account exists and has a password.
    pub admin_has_password: bool,
    /// Whether the node is a PVE node.
    pub is_pve: bool,
    /// A globally routable address of the node, if it has one.
    pub public_address: Option<String>,
}

/// What contradicts itself on this node (design 4); empty when nothing does.
pub fn contradictions_on(answer: &Answer, node: &OnNode) -> Vec<Problem> {
    let profile = &answer.profile;
    let mut problems = Vec::new();
    // Without PVE there is no PVE login that would want a password.
    let wanted = node.is_pve || profile.admin.sudo == Sudo::Password;
    if needs_password(profile) && wanted && !node.admin_has_password {
        let what = if profile.admin.sudo == Sudo::Password { "sudo" } else { "the PVE login" };
        problems.push(answer.problem_at(
            "firstlight.admin.password-hash",
            format!(
                "is required: {what} asks for a password and the account has none; make a hash with \
                 `mkpasswd -m yescrypt`"
            ),
        ));
    }
    if !profile.firewall.enabled {
        return problems;
    }
    if profile.firewall.mode.is_none() && !node.is_pve {
        let message = "is required on a node without PVE: mode = \"ufw\"";
        problems.push(answer.problem_at("firstlight.firewall.mode", message));
    }
    if let (Management::Default, Some(address)) = (&profile.firewall.management, &node.public_address) {
        problems.push(answer.problem_at(
            "firstlight.firewall.management",
            format!(
                "is required on a node with the public address {address}: the networks that may reach SSH and \
                 8006, or [\"any\"]"
            ),
        ));
    }
    problems
}
