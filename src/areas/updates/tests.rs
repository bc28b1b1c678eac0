use super::*;
use crate::areas::tests::messages;
use crate::change::Change;
use crate::control::Phase;
use crate::node::scripted::Scripted;
use crate::observe::{Observer, Verdict};

fn propose(change: impl FnOnce(&mut Profile)) -> Proposal {
    let mut profile = Profile::example();
    change(&mut profile);
    crate::areas::tests::proposed(&Updates, &profile, &Facts::example())
}

fn file(proposal: &Proposal) -> String {
    let Some((Phase::Files, Change::File(file))) = proposal.changes.first() else { panic!("no file") };
    assert_eq!((file.path.to_str().unwrap(), file.mode), (PATH, 0o644));
    String::from_utf8(file.content.clone()).unwrap()
}

#[test]
fn h3_debians_security_updates_alone_install_themselves_by_default() {
    assert_eq!(
        file(&propose(|_| {})),
        "// Written by firstlight; change the answer and run `firstlight apply`.\n\
         #clear Unattended-Upgrade::Origins-Pattern;\n\
         #clear Unattended-Upgrade::Allowed-Origins;\n\
         Unattended-Upgrade::Origins-Pattern:: \
         \"origin=Debian,codename=${distro_codename}-security,label=Debian-Security\";\n\
         Unattended-Upgrade::Automatic-Reboot \"false\";\n\
         Unattended-Upgrade::Remove-Unused-Kernel-Packages \"true\";\n\
         APT::Periodic::Enable \"1\";\n\
         APT::Periodic::Update-Package-Lists \"1\";\n\
         APT::Periodic::Download-Upgradeable-Packages \"1\";\n\
         APT::Periodic::Unattended-Upgrade \"1\";\n"
    );
}

#[test]
fn h3_proxmox_and_a_reboot_come_on_request() {
    let text = file(&propose(|profile| {
        profile.updates =
            crate::profile::Updates { security: false, proxmox: true, reboot: true, ..profile.updates };
    }));
    assert!(
        text.contains("Origins-Pattern:: \"origin=Proxmox,codename=${distro_codename}\";\n")
            && !text.contains("origin=Debian"),
        "{text}"
    );
    assert!(text.contains("Automatic-Reboot \"true\";\n"), "{text}");
}

#[test]
fn h3_the_timers_run() {
    let proposal = propose(|_| {});
    let units: Vec<&str> = proposal
        .changes
        .iter()
        .filter_map(|(_, change)| match change {
            Change::Unit(unit) if unit.enabled == Some(true) && unit.active == Some(true) => {
                Some(unit.name.as_str())
            }
            _ => None,
        })
        .collect();
    assert_eq!(units, ["apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades.service"]);
}

#[test]
fn h3_without_the_package_and_without_packages_it_is_refused() {
    let mut profile = Profile::example();
    profile.packages.enabled = false;
    assert_eq!(
        messages(Updates.refused(&profile, &Facts::example())),
        [
            "firstlight.updates.enabled must be false: unattended-upgrades is not installed, and packages.enabled is false"
        ]
    );
    let mut facts = Facts::example();
    facts.packages.push((PACKAGE.to_owned(), "2.12".to_owned()));
    assert!(Updates.refused(&profile, &facts).is_empty());
}

/// What `apt-config dump` prints of our file after Debian's own, and of `more` that sorts after it.
fn red(more: &str, without: &str) -> Vec<String> {
    let proposal = propose(|profile| profile.updates.proxmox = true);
    let mut dump = "Unattended-Upgrade \"\";\nUnattended-Upgrade::Origins-Pattern \"\";\n".to_owned();
    let settings = file(&proposal);
    dump.extend(
        settings
            .lines()
            .skip(3)
            .filter(|line| without.is_empty() || !line.contains(without))
            .map(|line| format!("{line}\n")),
    );
    let node = Scripted::new();
    node.says("/usr/bin/apt-config dump", &(dump + more));
    let mut observer = Observer::new(&node);
    let looked = proposal.controls.iter().filter(|control| matches!(control.check, Check::AptConfig { .. }));
    looked
        .filter_map(|control| match observer.evaluate(&control.check).unwrap() {
            Verdict::Holds => None,
            Verdict::Fails(why) => Some(format!("{}: {why}", control.id)),
        })
        .collect()
}

#[test]
fn i3_h3_each_control_turns_red_while_our_file_stays() {
    assert_eq!(red("", ""), [""; 0]);
    for (more, id) in [
        ("Unattended-Upgrade::Origins-Pattern:: \"origin=*\";\n", "updates.origins"),
        ("Unattended-Upgrade::Allowed-Origins:: \"Debian:stable\";\n", "updates.origins"),
    ] {
        let red = red(more, "");
        assert!(red.len() == 1 && red[0].starts_with(id), "{red:?}");
    }
    for (setting, more, id) in [
        ("Origins-Pattern:: \"origin=Proxmox", "", "updates.origins"),
        ("Automatic-Reboot", "Unattended-Upgrade::Automatic-Reboot \"true\";\n", "updates.reboot"),
        ("Remove-Unused", "unattended-upgrade::remove-unused-kernel-packages \"0\";\n", "updates.kernels"),
        ("Periodic::Enable", "APT::Periodic::Enable \"0\";\n", "updates.periodic"),
        ("Update-Package-Lists", "APT::Periodic::Update-Package-Lists \"0\";\n", "updates.lists"),
        ("Download-Upgradeable", "APT::Periodic::Download-Upgradeable-Packages \"7\";\n", "updates.download"),
        ("Periodic::Unattended-Upgrade", "", "updates.install"),
    ] {
        let red = red(more, setting);
        assert!(red.len() == 1 && red[0].starts_with(id), "{red:?}");
    }
    // Other words for the same.
    assert_eq!(red("Unattended-Upgrade::Automatic-Reboot \"no\";\n", "Automatic-Reboot"), [""; 0]);
}
