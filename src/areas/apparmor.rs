//! AppArmor (row G5): on, and the profiles that confine containers enforced. A named list, never all: Debian 13 has
//! dozens of profiles that only grant user namespaces (`flags=(unconfined)`), which containers need as they are.

use super::{Area, control, push, refusal};
use crate::change::Change;
use crate::control::{Check, Control, Gate, GateAsk, Phase, Proposal, Refusal};
use crate::facts::Facts;
use crate::facts::apparmor::{self, DIRECTORY, LXC_FILE, Profile as Defined};
use crate::gate::APPARMOR_PROGRAM;
use crate::profile::Profile;
use std::path::Path;

/// Files of lxc-pve and pve-container (pve-contract 6.3).
const CONTAINER_FILES: [&str; 4] =
    ["usr.bin.lxc-start", "usr.bin.lxc-copy", LXC_FILE, "pve-container-mounthotplug"];
/// Such a profile grants, and confines nothing.
const GRANTS: &str = "unconfined";

pub(super) struct AppArmor;

impl Area for AppArmor {
    fn name(&self) -> &'static str {
        "apparmor"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.apparmor.enabled
    }

    fn propose(&self, profile: &Profile, facts: &Facts) -> Result<Proposal, Vec<Refusal>> {
        let mut proposal = Proposal::default();
        let chosen = chosen(profile, facts)?;
        let on = control("apparmor.on", "G5", "the kernel has AppArmor on".to_owned(), Check::AppArmorOn);
        proposal.controls.push(on);
        let Some(loaded) = &facts.apparmor.loaded else { return Ok(proposal) };
        let mut files: Vec<&str> = chosen.iter().map(|defined| defined.file.as_str()).collect();
        files.dedup();
        for file in &files {
            let own = chosen.iter().filter(|defined| defined.file == *file);
            let change = Change::AppArmor((*file).to_owned());
            push(&mut proposal, (Phase::Services, change), own.map(|defined| enforced(defined)).collect());
        }
        // Compiling takes its time: only for what the kernel will be given.
        if chosen.iter().any(|defined| apparmor::mode(loaded, &defined.name) != Some(apparmor::ENFORCE)) {
            let paths = files.iter().map(|file| Path::new(DIRECTORY).join(file)).collect();
            let ask = GateAsk::AppArmor(paths);
            proposal.gates.push(Gate { id: "apparmor.profiles", tool: APPARMOR_PROGRAM, ask });
        }
        let none = "AppArmor has denied nothing since the boot".to_owned();
        proposal.controls.push(control("apparmor.denials", "G5", none, Check::NoDenials));
        Ok(proposal)
    }
}

fn enforced(defined: &Defined) -> Control {
    let name = &defined.name;
    let check = Check::AppArmorEnforces(name.clone());
    let mut control = control("", "G5", format!("the profile {name} is enforced"), check);
    control.id = format!("apparmor.{}", name.trim_start_matches('/').to_ascii_lowercase()).into();
    control
}

/// In the order of the files. A name of the answer is that of a profile or of its file.
fn chosen<'a>(profile: &Profile, facts: &'a Facts) -> Result<Vec<&'a Defined>, Vec<Refusal>> {
    let all = &facts.apparmor.profiles;
    let grants = |defined: &Defined| apparmor::has_flag(&defined.flags, GRANTS);
    let Some(names) = &profile.apparmor.profiles else {
        let container =
            |defined: &&Defined| CONTAINER_FILES.contains(&defined.file.as_str()) && !grants(defined);
        return Ok(all.iter().filter(container).collect());
    };
    let is = |defined: &Defined, name: &str| defined.name == name || defined.file == name;
    let mut refusals = Vec::new();
    for name in names {
        let mut named = all.iter().filter(|defined| is(defined, name)).peekable();
        let problem = if named.peek().is_none() {
            "which no file in /etc/apparmor.d defines"
        } else if named.any(grants) {
            "which confines nothing and grants user namespaces to a program"
        } else {
            continue;
        };
        let message = format!("must not name {name}, {problem}");
        refusals.push(refusal("firstlight.apparmor.profiles", message));
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    Ok(all.iter().filter(|defined| names.iter().any(|name| is(defined, name))).collect())
}

#[cfg(test)]
mod tests;
