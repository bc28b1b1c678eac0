//! Bugs that were reported against others, each as a test here (`anchors.md`, section C).

use super::super::{Confirmation, Limits, Outcome, Stage, confirm, recover, rollback, state};
use super::explore::runs::{apply, back, committed, forward, never_holds};
use super::explore::{BOUNDED, Look, boot};
use super::world;
use crate::install;
use crate::node::Node;
use crate::node::memory::{Class, Fault, Tree, moments};
use crate::progress::Silent;
use std::path::Path;

/// deploy-rs #68: the way back restored the files and left the services as they were.
#[test]
fn deploy_rs_68_the_way_back_reloads_what_it_restores() {
    let node = world::node(&world::fresh());
    let loaded = node.shell(|shell| shell.text("/run/loaded-ssh"));
    let outcome = apply(&node, &world::answer(), never_holds);
    assert!(matches!(outcome, Outcome::Reverted(..)), "{outcome:?}");
    let reloads = node.ran().iter().filter(|line| line.contains("reload -- ssh.service")).count();
    assert_eq!(reloads, 2, "once for the new configuration, once for the old one");
    node.shell(|shell| {
        assert_eq!(shell.text("/run/loaded-ssh"), loaded);
        assert!(!shell.has("/run/loaded-ufw"));
    });
}

/// deploy-rs #214: a rollback that failed was reported as one that had succeeded.
#[test]
fn deploy_rs_214_a_way_back_that_failed_is_called_stuck_until_it_has_succeeded() {
    let node = world::node(&committed());
    let purge = |node: &crate::node::memory::Memory| {
        node.ran().iter().position(|line| line.contains("--purge")).unwrap()
    };
    let probe = world::node(&committed());
    probe.break_with(Fault::None);
    rollback(&probe, None, false, &mut Silent).unwrap();
    node.break_with(Fault::Killed(purge(&probe), 3));
    let outcome = rollback(&node, None, false, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Stuck(..)), "{outcome:?}");
    assert!(state::standing(&node).unwrap().is_empty(), "neither committed");
    node.break_with(Fault::None);
    let outcome = recover(&node, Stage::Late, &mut Silent).unwrap();
    assert!(matches!(outcome, Some(Outcome::Reverted(..))), "{outcome:?}");
    let fresh = Look::at(&world::fresh());
    assert_eq!(fresh.differences(&Look::at(&node.tree()), true), [""; 0]);
}

/// rpm-ostree #3823: after a forced reboot the pending transaction was gone, without a word.
#[test]
fn rpm_ostree_3823_a_transaction_that_was_begun_is_never_forgotten() {
    let node = world::node(&world::fresh());
    let plan = world::planned(&node, &world::answer());
    install::install(&node, Path::new(world::EXECUTABLE)).unwrap();
    node.break_with(Fault::Since(Class::Write, 200, "Input/output error (os error 5)"));
    let _ = crate::provision::apply(&node, &plan, &world::answer(), "command", &Limits::DEFAULT, &mut Silent);
    let node = world::node(&node.tree());
    boot(&node).unwrap();
    let ids = state::transactions(&node).unwrap();
    assert_eq!(ids.len(), 1, "its journal is there");
    let records = state::records(&node, ids[0]).unwrap();
    let closed = records.iter().any(|record| matches!(record.event, super::Event::Closed { .. }));
    assert!(closed, "and says how it ended");
}

/// jdx/mise #12835: what was readable for its owner alone was, after or while it was put back, readable for others.
/// etckeeper's README says the same of its own checkout: `shadow` is there before its mode is.
#[test]
fn mise_12835_nothing_private_is_ever_wider_than_it_was() {
    let run = back();
    let mut looked_at = 0;
    let mut number = 0;
    let mut wants = |_| {
        number += 1;
        number % 5 == 0
    };
    moments(&run.base, &run.events, None, BOUNDED, &mut wants, &mut |state| {
        let node = world::node(&state.tree);
        for path in ["/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/secret", "/etc/sudoers"] {
            if let Some(found) = node.lookup(Path::new(path)).unwrap() {
                assert_eq!(found.mode & 0o037, 0, "{path}: {:o} at {}", found.mode, state.text);
            }
        }
        for name in node.list(Path::new("/etc")).unwrap() {
            let name = name.to_string_lossy();
            if name.contains("shadow") && name.contains(".firstlight-") {
                let found = node.lookup(&Path::new("/etc").join(&*name)).unwrap().unwrap();
                assert_eq!(found.mode & 0o037, 0, "{name} at {}", state.text);
            }
        }
        looked_at += 1;
    });
    assert!(looked_at > 100, "{looked_at}");
}

/// netplan: the undo lived in the process; VyOS: the timer was gone after a reboot. A power cut kept the new state.
#[test]
fn netplan_try_a_power_cut_before_the_commit_never_keeps_the_new_node() {
    let drop_in = "/etc/ssh/sshd_config.d/00-firstlight.conf";
    let run = |fault| {
        let node = world::node(&world::fresh());
        let plan = world::planned(&node, &world::answer());
        install::install(&node, Path::new(world::EXECUTABLE)).unwrap();
        node.break_with(fault);
        let limits = &Limits::DEFAULT;
        let _ = crate::provision::apply(&node, &plan, &world::answer(), "command", limits, &mut Silent);
        node
    };
    let writes = run(Fault::None).count(Class::Write);
    let mut looked_at = 0;
    for number in (0..writes).rev().step_by(3) {
        let node = run(Fault::Since(Class::Write, number, "the power is gone"));
        if !node.shell(|shell| shell.has(drop_in)) || !state::standing(&node).unwrap().is_empty() {
            continue;
        }
        let node = world::node(&node.tree());
        boot(&node).unwrap();
        assert!(state::standing(&node).unwrap().is_empty(), "write {number}");
        assert!(!node.shell(|shell| shell.has(drop_in)), "write {number}");
        looked_at += 1;
    }
    assert!(looked_at > 10, "{looked_at}");
}

/// VyOS: the timer of commit-confirm is gone after a reboot, and the new configuration stays though nobody confirmed it.
#[test]
fn vyos_commit_confirm_a_reboot_while_it_waits_puts_the_node_back() {
    let node = world::node(&world::fresh());
    let plan = world::planned(&node, &world::answer());
    install::install(&node, Path::new(world::EXECUTABLE)).unwrap();
    let keys = vec!["SHA256:nfpypaYnieR5phm1zXR+7ucjPejKembKn2GlPlb7pfc".to_owned()];
    let confirmation = Confirmation { minutes: 10, admin: "ops".to_owned(), keys, not_from: Vec::new() };
    let limits = Limits { minutes: 60, confirm: Some(confirmation) };
    let outcome =
        crate::provision::apply(&node, &plan, &world::answer(), "command", &limits, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Waiting(_, 10)), "{outcome:?}");
    let node = world::node(&node.tree());
    boot(&node).unwrap();
    assert!(confirm(&node, "somebody").unwrap().is_none(), "what is put back nobody confirms");
    assert!(state::standing(&node).unwrap().is_empty());
    let reference = super::explore::Reference::of(&world::fresh());
    assert_eq!(reference.booted.differences(&Look::at(&node.tree()), true), [""; 0]);
}

/// Everything below our directory, by path.
fn store(tree: &Tree) -> Vec<(String, u32)> {
    let ours = Path::new(state::STATE_DIR);
    let mut inodes = tree.visit(&|path: &Path| path.starts_with(ours) || ours.starts_with(path));
    inodes.retain(|path, _| path.starts_with(ours));
    let entry = |(path, ino): (&std::path::PathBuf, &usize)| {
        let inode = tree.inode(*ino);
        (path.display().to_string(), inode.label.mode)
    };
    inodes.iter().map(entry).collect()
}

/// etckeeper's README: its history holds secrets, and whoever may read the repository has them. Ours is root's alone,
/// at every moment of a run and of the way back, whatever a power cut leaves of it.
#[test]
fn etckeeper_what_is_kept_of_secrets_is_readable_for_root_alone_at_every_moment() {
    for run in [forward(), back()] {
        let (mut number, mut looked_at) = (0, 0);
        let mut wants = |_| {
            number += 1;
            number % 7 == 0
        };
        moments(&run.base, &run.events, None, BOUNDED, &mut wants, &mut |moment| {
            for (path, mode) in store(&moment.tree) {
                assert_eq!(mode & 0o077, 0, "{path}: {mode:o} at {}", moment.text);
                looked_at += 1;
            }
        });
        assert!(looked_at > 1000, "{looked_at}");
    }
}

/// etckeeper's README: extended attributes, ACLs and hard links are not kept. Ours are, through a whole run and its
/// way back, with somebody having lost them in between (`manifest/tests/fidelity.rs` does it on a real file system).
#[test]
fn etckeeper_attributes_and_names_of_a_file_survive_a_run_and_its_way_back() {
    let fresh = Look::at(&world::fresh());
    let node = world::node(&committed());
    rollback(&node, None, false, &mut Silent).unwrap();
    assert_eq!(fresh.differences(&Look::at(&node.tree()), true), [""; 0]);
    let without = world::node(&node.tree());
    without.shell(|shell| {
        shell.remove("/etc/hosts");
        shell.put("/etc/hosts", "127.0.0.1 localhost\n10.0.20.11 pve1.example.com pve1\n");
        shell.remove("/etc/two");
        shell.put("/etc/two", "two names");
    });
    let lost = fresh.differences(&Look::at(&without.tree()), false);
    assert_eq!(lost, ["/etc/hosts: other attributes", "/etc/two: other names"], "the comparison sees them");
}

/// backintime #265 and #708: contents came back and their modes and owners did not.
#[test]
fn backintime_265_modes_and_owners_come_back_with_the_contents() {
    let base = committed();
    let node = world::node(&base);
    // What the packages brought is ours; here the run's own way back meets a file that was changed in all of it.
    let path = "/etc/ssh/sshd_config.d/00-firstlight.conf";
    let before = node.lookup(Path::new(path)).unwrap().unwrap();
    let plan = world::planned(&node, &changed_answer());
    install::install(&node, Path::new(world::EXECUTABLE)).unwrap();
    node.shell(|shell| shell.own(path, 0o640, 7));
    let worse = node.lookup(Path::new(path)).unwrap().unwrap();
    assert_ne!((before.mode, before.uid), (worse.mode, worse.uid));
    let limits = &Limits::DEFAULT;
    let answer = changed_answer();
    let outcome = crate::provision::apply(&node, &plan, &answer, "command", limits, &mut Silent).unwrap();
    let Outcome::Committed(id) = outcome else { panic!("{outcome:?}") };
    let new = node.lookup(Path::new(path)).unwrap().unwrap();
    assert_ne!((new.mode, new.uid), (worse.mode, worse.uid), "the run gives it its own");
    rollback(&node, Some(id), false, &mut Silent).unwrap();
    let back = node.lookup(Path::new(path)).unwrap().unwrap();
    assert_eq!((back.mode, back.uid, back.gid), (worse.mode, worse.uid, worse.gid), "as the run found it");
}

/// The demo's answer with another limit for SSH, so that the drop-in changes.
fn changed_answer() -> crate::answer::Answer {
    let text = include_str!("../../../answer-files/ufw.toml");
    let text = format!("{text}\n[firstlight.ssh]\nmax-auth-tries = 4\n");
    crate::answer::read("ufw.toml", text.as_bytes()).unwrap()
}
