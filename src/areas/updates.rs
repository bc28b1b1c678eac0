//! Unattended updates (row H3): which origins install themselves, every day, and nothing reboots by itself.

use super::{Area, control, push_file, push_unit, refusal};
use crate::control::{Check, Control, Proposal, Refusal};
use crate::facts::Facts;
use crate::profile::Profile;

/// Sorts after the files of the package, whose settings it replaces.
const PATH: &str = "/etc/apt/apt.conf.d/52firstlight";
const PACKAGE: &str = "unattended-upgrades";
/// What Debian 12 and 13 say in the Release file of their security archive.
const DEBIAN: &str = "origin=Debian,codename=${distro_codename}-security,label=Debian-Security";
/// What Proxmox says in that of its archive of PVE (pve-contract 6.5); blogs have wrong labels. What its archives of Ceph say
/// is not known: they match where they say the same.
const PROXMOX: &str = "origin=Proxmox,codename=${distro_codename}";
/// The list, and what it was called before: both count.
const ORIGINS: &str = "Unattended-Upgrade::Origins-Pattern Unattended-Upgrade::Allowed-Origins";
/// Both are cleared, as a later file adds to a list.
const HEAD: &str = "// Written by firstlight; change the answer and run `firstlight apply`.\n\
    #clear Unattended-Upgrade::Origins-Pattern;\n#clear Unattended-Upgrade::Allowed-Origins;\n";
/// Id, what is wanted, setting, value; periods are days. The value that is missing is the answer's.
const SETTINGS: &[(&str, &str, &str, &str)] = &[
    ("updates.reboot", "automatic reboot is as wanted", "Unattended-Upgrade::Automatic-Reboot", ""),
    (
        "updates.kernels",
        "kernels that are not needed any more are removed",
        "Unattended-Upgrade::Remove-Unused-Kernel-Packages",
        "true",
    ),
    ("updates.periodic", "apt works by itself", "APT::Periodic::Enable", "1"),
    ("updates.lists", "package lists are read every day", "APT::Periodic::Update-Package-Lists", "1"),
    (
        "updates.download",
        "updates are fetched every day",
        "APT::Periodic::Download-Upgradeable-Packages",
        "1",
    ),
    ("updates.install", "updates are installed every day", "APT::Periodic::Unattended-Upgrade", "1"),
];
/// What starts it, and what lets a running update end before the node goes down.
const UNITS: [(&str, &str); 3] = [
    ("updates.lists-timer", "apt-daily.timer"),
    ("updates.install-timer", "apt-daily-upgrade.timer"),
    ("updates.service", "unattended-upgrades.service"),
];

pub(super) struct Updates;

impl Area for Updates {
    fn name(&self) -> &'static str {
        "updates"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.updates.enabled
    }

    fn refused(&self, profile: &Profile, facts: &Facts) -> Vec<Refusal> {
        if profile.packages.enabled || facts.has_package(PACKAGE) {
            return Vec::new();
        }
        let message = "must be false: unattended-upgrades is not installed, and packages.enabled is false";
        vec![refusal("firstlight.updates.enabled", message.to_owned())]
    }

    fn described(&self, profile: &Profile, _: &Facts) -> Proposal {
        let mut proposal = Proposal::default();
        let wanted = &profile.updates;
        let (mut text, mut origins, mut controls) = (HEAD.to_owned(), Vec::new(), Vec::new());
        for (wanted, origin) in [(wanted.security, DEBIAN), (wanted.proxmox, PROXMOX)] {
            if wanted {
                text.push_str(&["Unattended-Upgrade::Origins-Pattern:: \"", origin, "\";\n"].concat());
                origins.push(origin);
            }
        }
        let title = "what installs itself is as wanted";
        controls.push(setting("updates.origins", title, ORIGINS, &origins.join("; ")));
        for (id, title, name, value) in SETTINGS {
            let value = match *value {
                "" if wanted.reboot => "true",
                "" => "false",
                value => value,
            };
            text.push_str(&[name, " \"", value, "\";\n"].concat());
            controls.push(setting(id, title, name, value));
        }
        push_file(&mut proposal, PATH, text, controls);
        for (id, name) in UNITS {
            // Held back during the apt call, so that they start with their configuration in place.
            push_unit(&mut proposal, (id, "H3"), name, true);
        }
        proposal
    }
}

fn setting(id: &'static str, wanted: &str, names: &'static str, values: &str) -> Control {
    let check = Check::AptConfig { names, values: values.to_owned() };
    control(id, "H3", wanted.to_owned(), check)
}

#[cfg(test)]
mod tests;
