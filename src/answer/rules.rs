//! Rules across tables, as far as the answer alone shows them: what would lock the admin out, or can be in no one's
//! mind. What needs the node is refused by the areas.

use super::table::Table;
use crate::profile::{FirewallMode, KeyPair, Profile, RootLogin, Sudo};

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
    let bake = profile.totp.secret == "bake";
    if bake && profile.totp.enrolment == "on-verify" {
        note(
            "totp",
            "secret",
            "must be \"node\" with enrolment = \"on-verify\": `totp show` makes the secret there",
        );
    }
    if !bake && !profile.totp.secrets.is_empty() {
        note("totp", "secrets", "means nothing without secret = \"bake\"");
    }
    if profile.firewall.mode == Some(FirewallMode::Ufw) && !profile.firewall.groups.is_empty() {
        note("firewall", "group", "is for mode = \"pve\" only: UFW has no groups for guests");
    }
}
