//! Which profiles are enforced, and which never.

use super::*;
use crate::areas::tests::messages;

fn defined(name: &str, file: &str, flags: &str) -> Defined {
    [file, name, flags].map(str::to_owned)
}

/// Profiles of PVE 9 on Debian 13, shortened.
fn facts(loaded: &str) -> Facts {
    let mut facts = Facts::example();
    facts.apparmor_loaded = Some(loaded.to_owned());
    facts.apparmor = vec![
        defined("chronyd", "usr.sbin.chronyd", ""),
        defined("lxc-usernsexec", "lxc-usernsexec", "unconfined"),
        defined("/usr/bin/lxc-start", "usr.bin.lxc-start", "attach_disconnected"),
        defined("lxc-container-default", "lxc-containers", "attach_disconnected,mediate_deleted"),
        defined("lxc-container-default-cgns", "lxc-containers", "attach_disconnected,mediate_deleted"),
        defined("lxc-grants", "lxc-containers", "unconfined"),
    ];
    facts
}

const ENFORCED: &str = "/usr/bin/lxc-start (enforce)\nlxc-container-default (enforce)\n\
    lxc-container-default-cgns (enforce)\nchronyd (complain)\nlxc-usernsexec (unconfined)\n";

fn named(names: &[&str]) -> Profile {
    let mut profile = Profile::example();
    profile.apparmor.profiles = Some(names.iter().map(|name| (*name).to_owned()).collect());
    profile
}

fn summary(profile: &Profile, facts: &Facts) -> (Vec<String>, Vec<String>) {
    let proposal = crate::areas::tests::proposed(&AppArmor, profile, facts);
    let files = proposal.changes.iter().map(|(_, change)| match change {
        Change::AppArmor(file) => file.clone(),
        _ => panic!("another change"),
    });
    let ids = proposal.controls.iter().map(|control| control.id.to_string());
    (files.collect(), ids.collect())
}

#[test]
fn g5_by_itself_it_takes_the_profiles_of_containers_that_exist_and_none_that_only_grants() {
    let (files, ids) = summary(&Profile::example(), &facts(ENFORCED));
    assert_eq!(files, ["usr.bin.lxc-start", "lxc-containers"]);
    assert_eq!(
        ids,
        [
            "apparmor.on",
            "apparmor.usr/bin/lxc-start",
            "apparmor.lxc-container-default",
            "apparmor.lxc-container-default-cgns",
            "apparmor.denials"
        ]
    );
    let nothing = Facts { apparmor_loaded: Some(String::new()), ..Facts::example() };
    assert_eq!(summary(&Profile::example(), &nothing).1, ["apparmor.on", "apparmor.denials"]);
}

#[test]
fn g5_where_the_kernel_has_it_off_that_is_the_finding() {
    let off = Facts { apparmor_loaded: None, ..facts(ENFORCED) };
    assert_eq!(summary(&Profile::example(), &off), (vec![], vec!["apparmor.on".to_owned()]));
}

#[test]
fn g5_names_of_the_answer_are_profiles_or_files_and_others_are_refused() {
    let (files, ids) = summary(&named(&["chronyd", "usr.bin.lxc-start"]), &facts(ENFORCED));
    assert_eq!(
        (files.len(), ids[1].as_str(), ids[2].as_str()),
        (2, "apparmor.chronyd", "apparmor.usr/bin/lxc-start")
    );
    let refused = messages(AppArmor.refused(&named(&["pvedaemon", "lxc-usernsexec"]), &facts(ENFORCED)));
    assert_eq!(
        refused,
        [
            "firstlight.apparmor.profiles must not name pvedaemon, as no file in /etc/apparmor.d confines anything by that name",
            "firstlight.apparmor.profiles must not name lxc-usernsexec, as no file in /etc/apparmor.d confines anything by \
             that name",
        ]
    );
}
