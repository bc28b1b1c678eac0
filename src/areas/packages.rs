//! Packages (row H2): what the other areas need, in one apt call.

use super::{Area, push_unit, refusal};
use crate::areas::firewall::mode;
use crate::change::{Change, FileChange, PackagesChange};
use crate::control::{Check, Control, Phase, Proposal, Refusal};
use crate::facts::Facts;
use crate::profile::{FirewallMode, Profile, Sudo};

const FAIL2BAN_UNIT: &str = "fail2ban.service";
const UPDATES_UNIT: &str = "unattended-upgrades.service";
const FAIL2BAN_JAIL_PATH: &str = "/etc/fail2ban/jail.d/firstlight.conf";
/// Debian 12's fail2ban looks for `/var/log/auth.log`, which no node without rsyslog has, and does not start
/// (fail2ban#3292). Debian 13's own defaults read the journal.
const FAIL2BAN_JAIL: &str = "# Written by firstlight.\n[sshd]\nbackend = systemd\n";
const DEBIAN_WITHOUT_JOURNAL_JAIL: &str = "12";

pub(super) struct Packages;

impl Area for Packages {
    fn name(&self) -> &'static str {
        "packages"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.packages.enabled
    }

    fn propose(&self, profile: &Profile, facts: &Facts) -> Result<Proposal, Vec<Refusal>> {
        let names = names(profile, facts);
        let mut proposal = Proposal::default();
        if names.is_empty() {
            return Ok(proposal);
        }
        proposal.controls.extend(names.iter().map(|name| installed(name)));
        let change = PackagesChange {
            names: names.into_iter().map(str::to_owned).collect(),
            directory: directory(profile)?,
            allow_upgrades: profile.packages.allow_upgrades,
        };
        proposal.changes.push((Phase::Packages, Change::Packages(change)));
        // Services are held back during the apt call, so that they start with their configuration in place.
        if profile.fail2ban.enabled {
            if facts.debian_version == DEBIAN_WITHOUT_JOURNAL_JAIL {
                proposal.changes.push((Phase::Files, Change::File(journal_jail())));
            }
            push_unit(&mut proposal, ("packages.fail2ban-runs", "H2"), FAIL2BAN_UNIT, true);
        }
        if profile.updates.enabled {
            push_unit(&mut proposal, ("packages.unattended-upgrades-runs", "H2"), UPDATES_UNIT, true);
        }
        Ok(proposal)
    }
}

/// Sorted, and only what an enabled area needs.
fn names(profile: &Profile, facts: &Facts) -> Vec<&'static str> {
    let mut names = Vec::new();
    if profile.admin.enabled && profile.admin.sudo != Sudo::None {
        names.push("sudo");
    }
    if profile.fail2ban.enabled {
        // Debian 12's fail2ban only recommends what it reads the journal with.
        names.extend(["fail2ban", "python3-systemd"]);
    }
    if profile.updates.enabled {
        names.extend(["unattended-upgrades", "apt-listchanges"]);
    }
    if profile.firewall.enabled && mode(profile, facts) == Some(FirewallMode::Ufw) {
        names.push("ufw");
    }
    names.sort_unstable();
    names
}

fn directory(profile: &Profile) -> Result<Option<std::path::PathBuf>, Vec<Refusal>> {
    let text = profile.packages_directory.as_str();
    match text {
        "" => Ok(None),
        path if path.starts_with('/') => Ok(Some(path.into())),
        _ => Err(vec![refusal("firstlight.packages-directory", "must be an absolute path".to_owned())]),
    }
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

fn journal_jail() -> FileChange {
    FileChange {
        path: FAIL2BAN_JAIL_PATH.into(),
        content: FAIL2BAN_JAIL.into(),
        mode: 0o644,
        owner: "root".to_owned(),
        public: true,
    }
}
