//! Bugs that were reported against others, each as a test here (`anchors.md`, section C).

use super::super::{Limits, Outcome, Stage, recover, rollback, state};
use super::explore::runs::{apply, back, committed, never_holds};
use super::explore::{BOUNDED, Look, boot};
use super::world;
use crate::install;
use crate::node::Node;
use crate::node::memory::{Class, Fault, moments};
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

/// jdx/mise #12835, backintime #265 and #708, etckeeper's README: what was readable for its owner alone was, after
/// or while it was put back, readable for others.
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
