//! What an untouched node is held against: the answer that says only what it must. Who its admin is, the node alone can
//! say: the account that is in group sudo.

use super::{Audit, Finding, ROOT, State};
use crate::answer::{self, public_key};
use crate::areas;
use crate::error::{Error, Result};
use crate::facts::{Facts, User};
use crate::node::Node;
use crate::profile::{FirewallMode, UserName};

/// Says only what it must; what would be refused in an answer without a node is set below.
const ANSWER: &str =
    "[firstlight]\nschema = 1\n[firstlight.admin]\nname = \"ops\"\n[firstlight.ssh]\npassword-login = true\n";

/// Looks at a node on which no run was committed.
pub fn untouched(node: &dyn Node, facts: &Facts) -> Result<Audit> {
    let answer = answer::read("the defaults", ANSWER.as_bytes())
        .map_err(|problems| Error::new("reading the defaults", problems))?;
    let mut profile = answer.profile;
    profile.ssh.password_login = false;
    if facts.pve_version.is_none() {
        profile.firewall.mode = Some(FirewallMode::Ufw);
    }
    let people: Vec<&User> = facts.users.iter().filter(|user| is_admin(user)).collect();
    if let Some(admin) = people.first() {
        profile.admin.shell.clone_from(&admin.shell);
        profile.admin.ssh_keys =
            admin.authorized_keys.lines().filter_map(|line| public_key(line).ok()).collect();
    }
    let name = people.first().map_or(ROOT, |admin| admin.name.as_str());
    profile.admin.enabled = !people.is_empty();
    profile.admin.name =
        UserName::parse(name).map_err(|why| Error::new(format!("reading the name {name}"), why))?;
    let mut audit = super::run(node, &profile, facts);
    let names: Vec<&str> = people.iter().map(|user| user.name.as_str()).collect();
    let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
    if people.is_empty() {
        let reason = "nobody is in group sudo, so that nothing else of an admin can be looked at".to_owned();
        let (id, wanted) = ("admin.account".to_owned(), "an admin can log in beside root".to_owned());
        let finding = Finding::new(id, "A1", wanted, State::Fails, reason, "`firstlight apply ANSWER`");
        let place = audit.findings.iter().position(|other| other.area() == finding.area());
        audit.findings.insert(place.unwrap_or_default(), finding);
    }
    let taken = "no run was committed here; the first person in group sudo is taken for the admin: ";
    audit.notes.push(format!("{taken}{names}"));
    Ok(audit)
}

/// A person who may become root; somebody whose name no answer could hold is left out.
fn is_admin(user: &User) -> bool {
    areas::UIDS_OF_PEOPLE.contains(&user.uid)
        && user.groups.iter().any(|group| group == areas::SUDO_GROUP)
        && UserName::parse(&user.name).is_ok()
}
