//! What all areas promise together.

use super::example::network;
use super::*;
use crate::change::Change;
use crate::control::Phase;
use crate::profile::{FirewallMode, Management};

/// What an area wants where nothing is refused.
pub(crate) fn proposed(area: &dyn Area, profile: &Profile, facts: &Facts) -> Proposal {
    let refused = messages(area.refused(profile, facts));
    assert!(refused.is_empty(), "{refused:?}");
    area.described(profile, facts)
}

fn refused_by_all(profile: &Profile, facts: &Facts) -> Vec<Refusal> {
    propose_all(profile, facts).err().unwrap_or_default()
}

pub(crate) fn messages(refusals: Vec<Refusal>) -> Vec<String> {
    refusals.into_iter().map(|r| format!("{} {}", r.key, r.message)).collect()
}

#[test]
fn changes_come_in_the_order_of_their_phases_and_exposure_comes_last() {
    let proposal = propose_all(&Profile::example(), &Facts::example()).ok().unwrap();
    let kinds: Vec<&str> = proposal.changes.iter().map(|(_, change)| change.kind()).collect();
    assert_eq!(
        kinds,
        [
            "packages",
            "account",
            "directory",
            "file",
            "pve",
            "pve",
            "pve",
            "pve",
            "pve",
            "pve",
            "file",
            "file",
            "file",
            "file",
            "file",
            "file",
            "file",
            "file",
            "unit",
            "unit",
            "unit",
            "reload",
            "unit",
            "kernel",
            "unit",
            "unit",
            "unit",
            "reload",
            "unit",
            "reload",
            "ufw",
            "kernel",
            "kernel",
            "kernel"
        ]
    );
    let mut phases: Vec<Phase> = proposal.changes.iter().map(|(phase, _)| *phase).collect();
    let sorted = phases.clone();
    phases.sort();
    assert!(phases == sorted);
}

#[test]
fn controls_name_the_changes_that_bring_them_about_after_the_merge() {
    let proposal = propose_all(&Profile::example(), &Facts::example()).ok().unwrap();
    let brought = |id: &str| {
        let control = proposal.controls.iter().find(|control| control.id == id).unwrap();
        control.changes.iter().map(|&place| proposal.changes[place].1.kind()).collect::<Vec<_>>()
    };
    assert_eq!(brought("packages.installed.ufw"), ["packages"]);
    assert_eq!(brought("admin.account"), ["account"]);
    assert_eq!(brought("admin.sudo"), ["file"]);
    assert_eq!(brought("ssh.password-login.root"), ["file", "reload"]);
    assert_eq!(brought("firewall.active"), ["ufw"]);
    assert_eq!(brought("firewall.nothing-wider"), ["ufw"]);
    assert_eq!(brought("firewall.after-reboot"), ["unit"]);
    assert_eq!(brought("firewall.bridge-netfilter.ipv4"), ["kernel"]);
}

#[test]
fn every_control_has_an_id_of_its_own_area_and_no_id_stands_twice() {
    let mut profile = Profile::example();
    profile.firewall.management = Management::Networks(vec![network("10.0.20.0/24"), network("fd00::/64")]);
    let proposal = propose_all(&profile, &Facts::example()).ok().unwrap();
    let mut ids: Vec<&str> = proposal.controls.iter().map(|control| &*control.id).collect();
    assert!(ids.iter().all(|id| AREAS.iter().any(|area| id.starts_with(&format!("{}.", area.name())))));
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn a_token_that_has_no_place_without_pve_is_named() {
    let mut profile = Profile::example();
    profile.totp.enabled = false;
    profile.admin.api_token = "automation".to_owned();
    let bare = Facts { pve_version: None, ..Facts::example() };
    let notes = propose_all(&profile, &bare).ok().unwrap().notes;
    assert_eq!(notes, ["left alone: the API token, as this is no node of PVE"]);
}

#[test]
fn all_refusals_of_all_areas_come_at_once() {
    let mut profile = Profile::example();
    profile.admin.password_hash = None;
    profile.totp.secret = "bake".to_owned();
    let facts = Facts { sshd_includes_drop_ins: false, ..Facts::example() };
    let messages = messages(refused_by_all(&profile, &facts));
    let keys: Vec<&str> = messages.iter().map(|message| message.split(' ').next().unwrap()).collect();
    assert_eq!(keys, ["firstlight.admin.password-hash", "firstlight.totp.secret", "firstlight.ssh.enabled"]);
}

#[test]
fn keys_only_without_a_key_of_the_admin_is_refused() {
    let mut profile = Profile::example();
    profile.admin.ssh_keys.clear();
    assert_eq!(
        messages(refused_by_all(&profile, &Facts::example())),
        ["firstlight.admin.ssh-keys must hold a key: password login is off, and ops has no key on this node"]
    );
    let mut facts = Facts::example();
    let known = crate::facts::User { name: "ops".into(), uid: 1000, has_keys: true, ..Default::default() };
    facts.users.push(known);
    assert!(propose_all(&profile, &facts).is_ok());
    facts.users.pop();
    profile.ssh.password_login = true;
    assert!(propose_all(&profile, &facts).is_ok());
}

#[test]
fn b3_allow_users_needs_an_account_for_the_admin_when_none_is_made() {
    let mut profile = Profile::example();
    profile.admin.enabled = false;
    profile.ssh.password_login = true;
    assert_eq!(
        messages(refused_by_all(&profile, &Facts::example())),
        [
            "firstlight.admin.enabled must be true: ops has no account on this node, and AllowUsers would let only \
          root in"
        ]
    );
}

mod packages {
    use super::*;
    use crate::profile::Sudo;

    fn names(profile: &Profile) -> Vec<String> {
        let proposal = proposed(&packages::Packages, profile, &Facts::example());
        match &proposal.changes.first() {
            Some((Phase::Packages, Change::Packages(change))) => change.names.clone(),
            _ => Vec::new(),
        }
    }
    use super::super::packages;

    #[test]
    fn h2_every_area_brings_its_packages_in_one_call() {
        let mut profile = Profile::example();
        assert_eq!(
            names(&profile),
            [
                "apt-listchanges",
                "fail2ban",
                "nftables",
                "python3-systemd",
                "sudo",
                "ufw",
                "unattended-upgrades"
            ]
        );
        profile.admin.sudo = Sudo::None;
        profile.updates.enabled = false;
        profile.firewall.mode = Some(FirewallMode::Pve);
        assert_eq!(names(&profile), ["fail2ban", "nftables", "python3-systemd"]);
        profile.fail2ban.enabled = false;
        assert!(names(&profile).is_empty());
    }

    #[test]
    fn h2_services_start_after_the_packages() {
        let proposal = propose_all(&Profile::example(), &Facts::example()).ok().unwrap();
        let place = |name: &str| {
            let is = |change: &Change| matches!(change, Change::Unit(unit) if unit.name == name);
            proposal.changes.iter().position(|(_, change)| is(change)).unwrap()
        };
        let call = proposal.changes.iter().position(|(phase, _)| *phase == Phase::Packages).unwrap();
        let last_file = proposal.changes.iter().rposition(|(phase, _)| *phase == Phase::Files).unwrap();
        for name in ["fail2ban.service", "unattended-upgrades.service"] {
            assert!(call < last_file && last_file < place(name), "{name}");
        }
    }

    #[test]
    fn h2_a_relative_directory_of_packages_is_refused() {
        let profile = Profile { packages_directory: "debs".into(), ..Profile::example() };
        assert_eq!(
            messages(packages::Packages.refused(&profile, &Facts::example())),
            ["firstlight.packages-directory must be an absolute path"]
        );
    }
}

#[test]
fn i1_an_area_that_would_be_refused_is_audited_all_the_same() {
    let mut profile = Profile::example();
    profile.packages.enabled = false;
    profile.apparmor.profiles = Some(vec!["no-such-profile".to_owned()]);
    let bare = Facts { packages: Default::default(), ..Facts::example() };
    let (controls, refusals) = audited(&profile, &bare);
    let refused: Vec<String> = messages(refusals);
    for (key, id) in [
        ("firstlight.updates.enabled", "updates.origins"),
        ("firstlight.packages.enabled", "fail2ban.sshd"),
        ("firstlight.apparmor.profiles", "apparmor.on"),
    ] {
        assert!(refused.iter().any(|message| message.starts_with(key)), "{key}: {refused:?}");
        assert!(controls.iter().any(|control| control.id == id), "{id}");
    }
}
