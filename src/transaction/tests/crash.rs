//! A crash at every call through the seam, of a run, of its way back, and of recovery itself.

use super::super::{Outcome, Stage, apply, recover, state};
use super::{ORDER, assert_same, committed, debian::debian, file, planned, whole};
use crate::change::{Change, UnitChange};
use crate::control::{Phase, Proposal};
use crate::manifest::Manifest;
use crate::node::scripted::Scripted;
use crate::plan;
use crate::progress::Silent;

/// Recovery as the next boot does it: files before the network, the rest after it.
pub(super) fn boot(node: &Scripted) {
    if node.files.has("/run/ufw") {
        node.files.remove("/run/ufw");
    }
    // What is enabled starts, whatever the early stage makes of its files.
    let unit = "ufw.service";
    let running = format!("/run/active/{unit}");
    if node.files.has(&running) {
        node.files.remove(&running);
    }
    if node.files.has(&format!("/etc/systemd/system/multi-user.target.wants/{unit}")) {
        node.files.put(&running, "");
    }
    recover(node, Stage::Early, &mut Silent).unwrap();
    recover(node, Stage::Late, &mut Silent).unwrap();
}

pub(super) fn old_or_new(node: &Scripted, before: &Manifest, after: &Manifest, when: &str) {
    if state::standing(node).unwrap().is_empty() {
        assert_same(before, &whole(node), when);
        assert!(!node.files.has(state::PROFILE_PATH), "{when}");
        assert!(!node.files.has("/run/active/ufw.service"), "{when}: what was off before runs");
    } else {
        assert_same_but_times(after, &whole(node), when);
        assert_eq!(node.files.text(state::PROFILE_PATH), ORDER.record, "{when}");
    }
}

/// Another run makes the same files at other times.
fn assert_same_but_times(expected: &Manifest, found: &Manifest, when: &str) {
    let paths: Vec<_> = expected.entries.keys().collect();
    assert_eq!(paths, found.entries.keys().collect::<Vec<_>>(), "{when}");
    for (path, entry) in expected.entries.iter() {
        assert!(found.get(path).is_some_and(|found| entry.same(found, false)), "{when}: {}", path.display());
    }
}

#[test]
fn j3_a_crash_at_any_step_ends_old_or_new_after_the_next_boot() {
    let (reference, _) = committed();
    let new = whole(&reference);
    let total = {
        let node = debian();
        let plan = planned(&node);
        node.revive();
        apply(&node, &plan, &ORDER, &mut Silent).unwrap();
        node.steps()
    };
    assert!(total > 100, "{total}");
    for step in 0..total {
        let node = debian();
        let before = whole(&node);
        let plan = planned(&node);
        node.revive();
        node.fail_at_step(step);
        let result = apply(&node, &plan, &ORDER, &mut Silent);
        assert!(node.is_down() || result.is_ok(), "step {step}");
        node.revive();
        boot(&node);
        old_or_new(&node, &before, &new, &format!("crash at step {step}"));
        assert!(recover(&node, Stage::Late, &mut Silent).unwrap().is_none(), "step {step}: recovery is over");
    }
}

#[test]
fn j3_a_crash_at_any_step_of_the_way_back_is_recovered_too() {
    let failing = || {
        let node = debian();
        node.refuses("/usr/bin/systemctl start", 1, "no");
        let plan = planned(&node);
        node.revive();
        (node, plan)
    };
    let total = {
        let (node, plan) = failing();
        apply(&node, &plan, &ORDER, &mut Silent).unwrap();
        node.steps()
    };
    for step in (0..total).rev() {
        let (node, plan) = failing();
        let before = whole(&node);
        node.fail_at_step(step);
        let _ = apply(&node, &plan, &ORDER, &mut Silent);
        node.revive();
        boot(&node);
        assert_same(&before, &whole(&node), &format!("crash at step {step}"));
    }
}

#[test]
fn j3_a_crash_during_recovery_is_recovered() {
    let interrupted = || {
        let node = debian();
        let plan = planned(&node);
        let before = whole(&node);
        node.revive();
        node.on("/usr/sbin/ufw --force enable", |_, _| panic!("the run ends here"));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = apply(&node, &plan, &ORDER, &mut Silent);
        }));
        assert!(result.is_err());
        node.revive();
        (node, before)
    };
    let total = {
        let (node, _) = interrupted();
        boot(&node);
        node.steps()
    };
    for step in 0..total {
        let (node, before) = interrupted();
        node.fail_at_step(step);
        let _ =
            recover(&node, Stage::Early, &mut Silent).and_then(|_| recover(&node, Stage::Late, &mut Silent));
        node.revive();
        boot(&node);
        assert_same(&before, &whole(&node), &format!("crash at step {step} of recovery"));
    }
}

#[test]
fn j3_a_new_process_in_the_same_boot_recovers_without_the_early_stage() {
    let node = debian();
    let before = whole(&node);
    let plan = planned(&node);
    node.revive();
    node.fail_at_step(150);
    assert!(!matches!(apply(&node, &plan, &ORDER, &mut Silent), Ok(Outcome::Committed(_))));
    assert!(node.is_down());
    node.revive();
    recover(&node, Stage::Late, &mut Silent).unwrap();
    assert_same(&before, &whole(&node), "recovered");
    assert!(!node.files.has("/run/ufw"));
}

#[test]
fn j3_a_file_below_the_paths_of_a_newer_step_goes_back_over_both_stages() {
    let path = "/etc/systemd/system/ours.service";
    let unit = UnitChange { name: "ours.service".into(), enabled: Some(true), active: Some(true) };
    let changes = vec![
        (Phase::Accounts, file(path, "[Service]\nExecStart=/bin/new\n", 0o644, "root")),
        (Phase::Services, Change::Unit(unit)),
    ];
    let node = debian();
    node.files.put(path, "[Service]\nExecStart=/bin/old\n");
    let before = whole(&node);
    let plan = plan::make(&node, Proposal { changes, ..Proposal::default() }).unwrap();
    node.revive();
    // Both steps are made; the run dies in the second one.
    node.on("/usr/bin/systemctl start", |_, _| panic!("the run ends here"));
    let run = std::panic::AssertUnwindSafe(|| apply(&node, &plan, &ORDER, &mut Silent).map(drop));
    assert!(std::panic::catch_unwind(run).is_err());
    assert!(node.files.text(path).contains("/bin/new"));
    node.revive();
    boot(&node);
    assert_same(&before, &whole(&node), "after both stages");
}
