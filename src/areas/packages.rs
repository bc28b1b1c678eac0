//! Packages (row H2): what the other areas need, in one apt call.

use super::{Area, refusal};
use crate::areas::firewall::mode;
use crate::change::{Change, PackagesChange};
use crate::control::{Check, Control, Phase, Proposal, Refusal};
use crate::facts::Facts;
use crate::profile::{FirewallMode, Profile, Sudo};

pub(super) struct Packages;

impl Area for Packages {
    fn name(&self) -> &'static str {
        "packages"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.packages.enabled
    }

    fn refused(&self, profile: &Profile, _: &Facts) -> Vec<Refusal> {
        let path = profile.packages_directory.as_str();
        let message = "must be an absolute path".to_owned();
        let relative = !path.is_empty() && !path.starts_with('/');
        relative.then(|| refusal("firstlight.packages-directory", message)).into_iter().collect()
    }

    fn described(&self, profile: &Profile, facts: &Facts) -> Proposal {
        let names = names(profile, facts);
        let mut proposal = Proposal::default();
        if names.is_empty() {
            return proposal;
        }
        let directory = profile.packages_directory.as_str();
        proposal.controls.extend(names.iter().map(|name| installed(name)));
        let change = PackagesChange {
            names: names.into_iter().map(str::to_owned).collect(),
            directory: (!directory.is_empty()).then(|| directory.into()),
            allow_upgrades: profile.packages.allow_upgrades,
        };
        proposal.changes.push((Phase::Packages, Change::Packages(change)));
        proposal
    }
}

/// Sorted: what an enabled area needs, and the others of the answer.
fn names<'a>(profile: &'a Profile, facts: &Facts) -> Vec<&'a str> {
    let mut names: Vec<&str> = profile.packages.extra.iter().map(String::as_str).collect();
    if profile.admin.enabled && profile.admin.sudo != Sudo::None {
        names.push("sudo");
    }
    if profile.fail2ban.enabled {
        // Debian 12's fail2ban only recommends what it reads the journal with, and both only what they ban with.
        names.extend(["fail2ban", "nftables", "python3-systemd"]);
    }
    if profile.updates.enabled {
        names.extend(["unattended-upgrades", "apt-listchanges"]);
    }
    if profile.firewall.enabled && mode(profile, facts) == Some(FirewallMode::Ufw) {
        names.push("ufw");
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn installed(name: &str) -> Control {
    Control {
        id: format!("packages.installed.{name}").into(),
        requirement: "H2",
        wanted: format!("{name} is installed"),
        check: Check::PackageInstalled(name.to_owned()),
        changes: vec![0],
    }
}
