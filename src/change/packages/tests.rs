use super::*;
use crate::node::scripted::Scripted;
use std::cell::Cell;
use std::rc::Rc;

const UPDATE: &str = "/usr/bin/apt-get -q -o DPkg::Lock::Timeout=600 update";
const INSTALL: &str = "/usr/bin/apt-get -q -y";

fn change(names: &[&str], directory: Option<&str>) -> PackagesChange {
    PackagesChange {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        directory: directory.map(Into::into),
        allow_upgrades: false,
    }
}

/// A node where only base-files is installed until apt is really called.
fn node() -> Scripted {
    let node = Scripted::new();
    node.files.directory("/usr/sbin");
    node.files.put("/var/lib/dpkg/status", "base-files");
    node.on("/usr/bin/dpkg-query", |files, _| {
        let names = files.text("/var/lib/dpkg/status");
        let lines = names.split(' ').map(|name| format!("{name}\tinstall ok installed\n"));
        Output { status: 0, stdout: lines.collect(), stderr: String::new() }
    });
    node.says(UPDATE, "");
    node.on(INSTALL, |files, invocation| {
        let words = &invocation.arguments;
        let mut stdout = String::new();
        if words.iter().any(|word| word == "-s") {
            stdout =
                "Inst libsudo (1 local [amd64])\nInst sudo:amd64 (1.9 local [amd64])\nConf sudo\n".to_owned();
        } else if !words.iter().any(|word| word == "--download-only") {
            assert_eq!(files.text(POLICY_PATH).as_bytes(), POLICY, "services are held back");
            files.put("/var/lib/dpkg/status", "base-files libsudo sudo ufw");
        }
        Output { status: 0, stdout, stderr: String::new() }
    });
    node
}

fn calls(node: &Scripted, part: &str) -> Vec<String> {
    node.ran().into_iter().filter(|line| line.contains(part)).collect()
}

#[test]
fn h2_all_packages_come_in_one_call_that_waits_for_the_lock_and_removes_nothing() {
    let node = node();
    let change = change(&["sudo", "ufw"], None);
    let inverse = inverse(&node, &change, &mut Vec::new()).unwrap();
    assert_eq!(inverse, Inverse::Packages(vec!["libsudo".to_owned(), "sudo".to_owned()]));
    install(&node, &change).unwrap();
    let ran = calls(&node, " install ");
    assert_eq!(ran.len(), 3, "asked, fetched, installed: {ran:?}");
    for line in ran {
        assert!(line.ends_with(" install sudo ufw"), "{line}");
        for word in ["--no-remove", "--no-install-recommends", "DPkg::Lock::Timeout=600", "--force-confold"] {
            assert!(line.contains(word), "{line}");
        }
    }
    assert!(!node.files.has(POLICY_PATH), "nothing holds services back afterwards");
}

#[test]
fn h2_somebody_elses_policy_for_services_is_there_again_afterwards() {
    let node = node();
    node.files.put(POLICY_PATH, "#!/bin/sh\nexit 0\n");
    install(&node, &change(&["sudo"], None)).unwrap();
    assert_eq!(node.files.text(POLICY_PATH), "#!/bin/sh\nexit 0\n");
}

#[test]
fn h2_pves_own_update_at_its_first_start_is_waited_for() {
    let node = node();
    let tries = Rc::new(Cell::new(0));
    let counted = Rc::clone(&tries);
    node.on(UPDATE, move |_, _| {
        counted.set(counted.get() + 1);
        let locked = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 812 (apt-get)";
        let (status, stderr) = if counted.get() < 4 { (100, locked) } else { (0, "") };
        Output { status, stdout: String::new(), stderr: stderr.to_owned() }
    });
    let mut warnings = Vec::new();
    inverse(&node, &change(&["sudo"], None), &mut warnings).unwrap();
    assert_eq!((tries.get(), warnings.len()), (4, 0));
}

#[test]
fn h1_a_source_that_answers_401_is_a_warning() {
    let node = node();
    let said = "E: Failed to fetch https://enterprise.proxmox.com/debian/pve/dists/trixie/InRelease  401  Unauthorized";
    node.refuses(UPDATE, 100, said);
    let mut warnings = Vec::new();
    inverse(&node, &change(&["sudo"], None), &mut warnings).unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains(said), "{warnings:?}");
}

#[test]
fn h1_without_a_network_the_wait_is_bounded_and_the_reason_is_told() {
    let node = node();
    let resolving = "W: Failed to fetch http://deb.example.org/debian/dists/trixie/InRelease  \
        Temporary failure resolving 'deb.example.org'";
    node.says(UPDATE, resolving);
    node.refuses(INSTALL, 100, "E: Unable to locate package sudo");
    let before = node.boottime();
    let error = inverse(&node, &change(&["sudo"], None), &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("Unable to locate package sudo") && error.contains(resolving), "{error}");
    let waited = (node.boottime() - before) / 1000;
    assert!((PATIENCE_SECONDS..PATIENCE_SECONDS * 3 / 2).contains(&waited), "{waited} s");
}

#[test]
fn h1_sources_that_contradict_each_other_are_told_at_once() {
    let node = node();
    node.refuses(
        UPDATE,
        100,
        "E: Conflicting values set for option Signed-By regarding source x\nE: The list of sources could not be read.",
    );
    let before = node.boottime();
    let error = inverse(&node, &change(&["sudo"], None), &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("Conflicting values set for option Signed-By"), "{error}");
    assert_eq!(node.boottime(), before);
}

#[test]
fn h2_an_offline_directory_is_installed_from_without_a_look_at_any_source() {
    let node = node();
    for name in ["sudo_1.9_amd64.deb", "libsudo_1_all.deb", "base-files_13_amd64.deb", "README", "x.deb"] {
        node.files.put(&format!("/srv/debs/{name}"), "");
    }
    let change = change(&["sudo"], Some("/srv/debs"));
    inverse(&node, &change, &mut Vec::new()).unwrap();
    install(&node, &change).unwrap();
    assert_eq!(calls(&node, " update"), [""; 0]);
    for line in calls(&node, " install ") {
        assert!(
            line.ends_with(" install /srv/debs/libsudo_1_all.deb /srv/debs/sudo_1.9_amd64.deb"),
            "what is there already is not installed again: {line}"
        );
    }
}

#[test]
fn h2_a_removal_and_an_upgrade_are_refused_before_anything_is_fetched() {
    for (line, because) in [
        ("Remv postfix [3.9]\nInst sudo (1.9 local [amd64])\n", "apt would remove postfix"),
        ("Inst libc6 [2.40] (2.41 local [amd64])\n", "apt would upgrade libc6"),
    ] {
        let node = node();
        node.says(INSTALL, line);
        let error = inverse(&node, &change(&["sudo"], None), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains(because), "{error}");
        assert_eq!(calls(&node, "--download-only"), [""; 0]);
        let allowed = PackagesChange { allow_upgrades: true, ..change(&["sudo"], None) };
        assert_eq!(inverse(&node, &allowed, &mut Vec::new()).is_ok(), because.contains("upgrade"));
    }
}
