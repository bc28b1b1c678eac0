//! What an untouched node is held against: the answer that says only what it must. Who its admin is, the node alone can
//! say: the account that is in group sudo.

use super::Audit;
use crate::answer::{self, public_key};
use crate::areas;
use crate::error::{Error, Result};
use crate::facts::{Facts, User};
use crate::node::Node;
use crate::profile::{FirewallMode, UserName};

/// Says only what it must; what would be refused in an answer without a node is set below.
const ANSWER: &str =
    "[firstlight]\nschema = 1\n[firstlight.admin]\nname = \"ops\"\n[firstlight.ssh]\npassword-login = true\n";

/// Looks at a node on which no run was committed. Without anybody in group sudo root stands for the admin, and is refused as
/// one.
pub fn untouched(node: &dyn Node, facts: &Facts) -> Result<Audit> {
    let mut answer = answer::read("the defaults", ANSWER.as_bytes())
        .map_err(|problems| Error::new("reading the defaults", problems))?;
    let profile = &mut answer.profile;
    profile.ssh.password_login = false;
    if facts.pve_version.is_none() {
        profile.firewall.mode = Some(FirewallMode::Ufw);
    }
    let mut name = "root";
    if let Some(admin) = facts.users.iter().find(|user| is_admin(user)) {
        name = &admin.name;
        profile.admin.shell.clone_from(&admin.shell);
        for line in admin.authorized_keys.lines() {
            if let Ok(key) = public_key(line) {
                profile.admin.ssh_keys.push(key);
            }
        }
    }
    if let Ok(name) = UserName::parse(name) {
        profile.admin.name = name;
    }
    let mut audit = super::run(node, profile, facts);
    for finding in &mut audit.findings {
        // There is no profile of record to apply.
        finding.remedy = finding.remedy.replace("firstlight apply", "firstlight apply ANSWER");
    }
    audit.notes.push(
        ["no run was committed here (firstlight wizard makes the first); taken for the admin: ", name]
            .concat(),
    );
    Ok(audit)
}

/// A person who may become root; somebody whose name no answer could hold is left out.
fn is_admin(user: &User) -> bool {
    areas::UIDS_OF_PEOPLE.contains(&user.uid)
        && user.groups.iter().any(|group| group == areas::SUDO_GROUP)
        && UserName::parse(&user.name).is_ok()
}
