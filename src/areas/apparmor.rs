//! AppArmor (row G5): on, and the profiles that confine containers enforced. A named list, never all: Debian 13 has
//! dozens of profiles that only grant user namespaces (`flags=(unconfined)`), which containers need as they are.

use super::{Area, control, refusal};
use crate::change::Change;
use crate::control::{Check, Phase, Proposal, Refusal};
use crate::facts::Facts;
use crate::facts::apparmor::{Defined, LXC_FILE, grants};
use crate::profile::Profile;

/// Files of lxc-pve and pve-container (pve-contract 6.3).
const CONTAINER_FILES: [&str; 4] =
    ["usr.bin.lxc-start", "usr.bin.lxc-copy", LXC_FILE, "pve-container-mounthotplug"];

pub(super) struct AppArmor;

impl Area for AppArmor {
    fn name(&self) -> &'static str {
        "apparmor"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.apparmor.enabled
    }

    fn refused(&self, profile: &Profile, facts: &Facts) -> Vec<Refusal> {
        refused(profile.apparmor.profiles.as_deref().unwrap_or_default(), &facts.apparmor)
    }

    fn described(&self, profile: &Profile, facts: &Facts) -> Proposal {
        let names = profile.apparmor.profiles.as_deref();
        let mut proposal = Proposal::default();
        let on = control("apparmor.on", "G5", "the kernel has AppArmor on".to_owned(), Check::AppArmorOn);
        proposal.controls.push(on);
        if facts.apparmor_loaded.is_none() {
            return proposal;
        }
        let (mut last, mut place) = ("", 0);
        for defined in &facts.apparmor {
            let [file, name, _] = defined;
            let chosen = match names {
                None => CONTAINER_FILES.contains(&file.as_str()) && !grants(defined),
                Some(names) => names.contains(name) || names.contains(file),
            };
            if !chosen {
                continue;
            }
            let wanted = ["the profile ", name, " is enforced"].concat();
            let mut control = control("", "G5", wanted, Check::AppArmorEnforces(name.clone()));
            control.id = ["apparmor.", &name.trim_start_matches('/').to_ascii_lowercase()].concat().into();
            if last != file {
                (last, place) = (file, proposal.changes.len());
                proposal.changes.push((Phase::Services, Change::AppArmor(file.clone())));
            }
            control.changes.push(place);
            proposal.controls.push(control);
        }
        let none = "AppArmor has denied nothing since the boot".to_owned();
        proposal.controls.push(control("apparmor.denials", "G5", none, Check::NoDenials));
        proposal
    }
}

/// A name of the answer is that of a profile or of its file.
fn refused(names: &[String], all: &[Defined]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for name in names {
        let mut named = all.iter().filter(|[file, own, _]| own == name || file == name).peekable();
        if named.peek().is_none() || named.any(grants) {
            let message =
                ["must not name ", name, ", as no file in /etc/apparmor.d confines anything by that name"];
            refusals.push(refusal("firstlight.apparmor.profiles", message.concat()));
        }
    }
    refusals
}

#[cfg(test)]
mod tests;
