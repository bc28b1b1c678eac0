//! The dead-man timer and confirmation: whoever dies, hangs or stays away, the node ends old or new.

use super::super::record::{Event, Record};
use super::super::state::{self, LOCK_PATH, TransactionId};
use super::super::{
    Confirmation, Limits, Order, Outcome, Stage, apply, confirm, keep_deadline, recover, withdraw,
};
use super::{ORDER, assert_same, debian::debian, planned, whole};
use crate::manifest::Manifest;
use crate::node::Node;
use crate::node::scripted::{Files, Scripted};
use crate::progress::Silent;
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

mod processes;

const ID: TransactionId = TransactionId(1);
const KEY: &str = "SHA256:nfpypaYnieR5phm1zXR+7ucjPejKembKn2GlPlb7pfc";
const MINUTE: u64 = 60_000;
const LOOK: &str = "/usr/bin/journalctl --quiet --no-pager --output=json";

fn limits() -> Limits {
    let confirm = Confirmation {
        minutes: 10,
        admin: "ops".into(),
        keys: vec![KEY.into()],
        not_from: vec!["10.0.20.10".parse().unwrap()],
    };
    Limits { confirm: Some(confirm), ..Limits::DEFAULT }
}

/// A small Debian whose journal can be read.
fn node() -> Scripted {
    let node = debian();
    node.says("/usr/bin/journalctl --quiet --no-pager --lines=1", "some words\n-- cursor: s=end\n");
    node.says(LOOK, "");
    node
}

fn run(node: &Scripted, limits: &Limits) -> crate::error::Result<Outcome> {
    let plan = planned(node);
    node.revive();
    apply(node, &plan, &Order { limits, ..ORDER }, &mut Silent)
}

/// Applied, and waiting for confirmation; and what the node was before.
fn waiting() -> (Scripted, Manifest) {
    let node = node();
    let before = whole(&node);
    let outcome = run(&node, &limits()).unwrap();
    assert!(matches!(outcome, Outcome::Waiting(ID, 10)), "{outcome:?}");
    (node, before)
}

fn accepted(address: &str) -> String {
    let message = format!("Accepted publickey for ops from {address} port 1 ssh2: ED25519 {KEY}");
    format!(
        "{{\"MESSAGE\":\"{message}\",\"_UID\":\"0\",\"_COMM\":\"sshd-session\",\
         \"_EXE\":\"/usr/lib/openssh/sshd-session\",\"__CURSOR\":\"s={address}\"}}\n"
    )
}

fn committed(node: &Scripted) -> bool {
    !state::standing(node).unwrap().is_empty()
}

fn disarmed(node: &Scripted) -> bool {
    node.ran().iter().any(|line| line == "/usr/bin/systemctl stop firstlight-deadline.timer")
}

/// The journal up to a place, as if the run had ended there; without a lock, as after its death.
fn cut_journal(node: &Scripted, last: impl Fn(&Event) -> bool) {
    let kept: String = records(node)
        .iter()
        .scan(false, |over, record| {
            let take = !*over;
            *over |= last(&record.event);
            take.then(|| record.encode())
        })
        .collect();
    node.files.put(ID.journal().to_str().unwrap(), kept);
}

fn records(node: &Scripted) -> Vec<Record> {
    state::records(node, ID).unwrap()
}

#[test]
fn j3_the_timer_is_armed_before_the_first_effect_and_refusing_it_leaves_the_node_untouched() {
    let node = node();
    run(&node, &Limits::DEFAULT).unwrap();
    let events: Vec<Event> = records(&node).into_iter().map(|record| record.event).collect();
    let armed = events.iter().position(|event| matches!(event, Event::Armed(_))).unwrap();
    let intent = events.iter().position(|event| matches!(event, Event::Intent { .. })).unwrap();
    assert!(armed < intent);
    let trace = node.trace();
    let started = trace.iter().position(|line| line.contains("restart firstlight-deadline.timer")).unwrap();
    let first = trace.iter().position(|line| line.contains("apt-get -q -y")).unwrap();
    assert!(started < first);

    let node = self::node();
    node.refuses("/usr/bin/systemctl restart firstlight-deadline", 1, "Unit not found.");
    let before = whole(&node);
    let outcome = run(&node, &Limits::DEFAULT).unwrap();
    let Outcome::Untouched(_, failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.what, "dead-man timer");
    assert_same(&before, &whole(&node), "untouched");
}

#[test]
fn j3_a_run_that_dies_anywhere_is_put_back_or_stays_committed_without_a_reboot() {
    let total = {
        let node = node();
        run(&node, &Limits::DEFAULT).unwrap();
        node.steps()
    };
    for step in (0..total).step_by(5).chain(total - 12..total) {
        let node = node();
        let before = whole(&node);
        let plan = planned(&node);
        node.revive();
        node.fail_at_step(step);
        let _ = apply(&node, &plan, &ORDER, &mut Silent);
        node.revive();
        let armed = state::transactions(&node)
            .unwrap()
            .first()
            .is_some_and(|_| records(&node).iter().any(|record| matches!(record.event, Event::Armed(_))));
        keep_deadline(&node, &mut Silent).unwrap();
        if committed(&node) {
            assert!(node.files.has("/run/ufw"), "step {step}: wholly new");
        } else {
            assert_same(&before, &whole(&node), &format!("died at step {step}"));
        }
        let open = recover(&node, Stage::Late, &mut Silent).unwrap();
        assert!(!armed || open.is_none(), "step {step}: nothing is left to do");
    }
}

#[test]
fn j3_commit_wins_wherever_the_timer_fires_around_its_record() {
    // Before the record, and at each of the seam's calls on the way to it, fired by another process; after it.
    let (total, last) = {
        let node = node();
        run(&node, &Limits::DEFAULT).unwrap();
        (node.calls(), whole(&node))
    };
    for call in total - 60..=total {
        let node = node();
        let before = whole(&node);
        let plan = planned(&node);
        node.revive();
        node.fail_at(call);
        let result = apply(&node, &plan, &ORDER, &mut Silent);
        let told = matches!(result, Ok(Outcome::Committed(_)));
        node.revive();
        keep_deadline(&node, &mut Silent).unwrap();
        assert!(!told || committed(&node), "call {call}: who was told of a commit keeps it");
        if committed(&node) {
            assert_eq!(
                last.entries.keys().collect::<Vec<_>>(),
                whole(&node).entries.keys().collect::<Vec<_>>(),
                "call {call}"
            );
        } else {
            assert_same(&before, &whole(&node), &format!("fired at call {call}"));
        }
    }
}

#[test]
fn j3_a_commit_that_comes_between_looking_and_locking_wins() {
    let (node, _) = waiting();
    // The time is up when the keeper looks, and somebody has confirmed before it gets the lock.
    let lock = node.lock(Path::new(LOCK_PATH)).unwrap().unwrap();
    let held = Rc::new(Cell::new(Some(lock)));
    let late = Rc::clone(&held);
    node.meanwhile(move |files: &Files, up| {
        if up > 11 * MINUTE
            && let Some(lock) = late.take()
        {
            let path = ID.journal();
            let line = Record { at: 1, event: Event::Commit }.encode();
            files.put(path.to_str().unwrap(), files.text(path.to_str().unwrap()) + &line);
            drop(lock);
        }
    });
    assert!(keep_deadline(&node, &mut Silent).unwrap().is_none());
    assert!(committed(&node) && disarmed(&node));
    assert!(node.files.has("/run/ufw"));
}

#[test]
fn j3_nobody_confirms_and_the_node_is_put_back_when_the_time_is_up_and_not_before() {
    let (node, before) = waiting();
    let up = node.boottime();
    let outcome = keep_deadline(&node, &mut Silent).unwrap().unwrap();
    let Outcome::Reverted(_, failure, _) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.message, "nobody confirmed in time that they still get in");
    let waited = node.boottime() - up;
    assert!((10 * MINUTE..11 * MINUTE).contains(&waited), "{waited} ms");
    assert_same(&before, &whole(&node), "expired");
    assert!(disarmed(&node) && !node.files.has("/run/ufw"));
    assert!(!node.files.has(state::PROFILE_PATH));
    assert!(confirm(&node, "me").unwrap().is_none(), "too late");
}

#[test]
fn j3_jumps_of_the_wall_clock_change_nothing() {
    for clock in [0, 4_000_000_000_000] {
        let (node, before) = waiting();
        node.set_clock(clock);
        let up = node.boottime();
        keep_deadline(&node, &mut Silent).unwrap().unwrap();
        assert!((10 * MINUTE..11 * MINUTE).contains(&(node.boottime() - up)), "clock at {clock}");
        assert_same(&before, &whole(&node), "expired");
    }
}

#[test]
fn j3_a_new_login_commits_and_a_local_one_does_not() {
    let (node, _) = waiting();
    node.says(LOOK, &accepted("10.0.20.10"));
    let commits = accepted("10.0.20.5");
    let looks = Cell::new(0);
    node.on(LOOK, move |_, _| {
        looks.set(looks.get() + 1);
        let stdout = if looks.get() < 4 { accepted("127.0.0.1") } else { commits.clone() };
        crate::node::Output { status: 0, stdout, stderr: String::new() }
    });
    let outcome = keep_deadline(&node, &mut Silent).unwrap();
    assert!(matches!(outcome, Some(Outcome::Committed(ID))), "{outcome:?}");
    assert!(committed(&node) && disarmed(&node));
    assert_eq!(node.files.text(state::PROFILE_PATH), ORDER.record);
    let noted = |record: &Record| matches!(&record.event, Event::Note { text } if text == "confirmed by a login of ops from 10.0.20.5");
    assert!(records(&node).iter().any(noted));
}

#[test]
fn j3_a_new_login_at_pves_api_commits_and_one_before_the_end_of_the_run_does_not() {
    let entry = |last| {
        format!(
            "{{\"users\":{{\"ops@pam\":{{\"totp\":[{{\"id\":\"a\",\"entry\":{{\"totp\":\"otpauth://totp/a?secret=AA\",\
             \"last-count\":{last}}}}}]}}}}}}"
        )
    };
    let node = node();
    node.files.put("/etc/pve/priv/tfa.cfg", entry(41));
    let outcome = run(&node, &limits()).unwrap();
    assert!(matches!(outcome, Outcome::Waiting(ID, 10)), "{outcome:?}");
    let begun = node.boottime();
    node.meanwhile(move |files: &Files, up| {
        if up > begun + 5 * MINUTE {
            files.put("/etc/pve/priv/tfa.cfg", entry(42));
        }
    });
    let outcome = keep_deadline(&node, &mut Silent).unwrap();
    assert!(matches!(outcome, Some(Outcome::Committed(ID))), "{outcome:?}");
    assert!((5 * MINUTE..6 * MINUTE).contains(&(node.boottime() - begun)), "{}", node.boottime() - begun);
    let noted = |record: &Record| matches!(&record.event, Event::Note { text } if text == "confirmed by a login of ops@pam at PVE's API");
    assert!(records(&node).iter().any(noted));
}

#[test]
fn j3_confirming_by_hand_commits_once() {
    let (node, _) = waiting();
    assert!(matches!(confirm(&node, "me").unwrap(), Some(Outcome::Committed(ID))));
    assert!(confirm(&node, "me").unwrap().is_none(), "nothing is left to confirm");
    assert!(keep_deadline(&node, &mut Silent).unwrap().is_none() && disarmed(&node));
    assert!(committed(&node));
}

#[test]
fn j3_a_crash_while_confirming_ends_old_or_new() {
    let total = {
        let (node, _) = waiting();
        node.revive();
        confirm(&node, "me").unwrap();
        node.steps()
    };
    for step in 0..total {
        let (node, before) = waiting();
        node.revive();
        node.fail_at_step(step);
        let _ = confirm(&node, "me");
        node.revive();
        keep_deadline(&node, &mut Silent).unwrap();
        if committed(&node) {
            recover(&node, Stage::Late, &mut Silent).unwrap();
            assert_eq!(node.files.text(state::PROFILE_PATH), ORDER.record, "step {step}");
        } else {
            assert_same(&before, &whole(&node), &format!("step {step}"));
        }
    }
}

#[test]
fn j3_recovery_leaves_a_waiting_run_alone_in_its_boot_and_every_other_boot_puts_it_back() {
    let (node, before) = waiting();
    let after = whole(&node);
    let outcome = recover(&node, Stage::Late, &mut Silent).unwrap();
    assert!(matches!(outcome, Some(Outcome::Waiting(ID, 10))), "{outcome:?}");
    assert_same(&after, &whole(&node), "left alone");
    // `systemctl soft-reboot` ends every process and goes on in the same boot.
    let kept = "/usr/bin/systemctl start firstlight-deadline.timer firstlight-deadline.service";
    assert!(node.ran().iter().any(|line| line == kept), "somebody keeps the deadline again");
    node.boot_again("an0ther");
    assert!(keep_deadline(&node, &mut Silent).unwrap().is_none(), "not the keeper's: the boot units do it");
    assert!(confirm(&node, "me").unwrap().is_none(), "what another boot applied nobody confirms");
    recover(&node, Stage::Early, &mut Silent).unwrap();
    recover(&node, Stage::Late, &mut Silent).unwrap();
    assert_same(&before, &whole(&node), "put back by the next boot");
}

#[test]
fn j3_a_waiting_run_can_be_taken_back_at_once() {
    let (node, before) = waiting();
    let outcome = withdraw(&node, false, &mut Silent).unwrap();
    assert!(matches!(outcome, Some(Outcome::Reverted(..))), "{outcome:?}");
    assert_same(&before, &whole(&node), "withdrawn");
}

#[test]
fn j3_a_confirmed_run_forgets_old_ones_like_any_other_commit() {
    let (node, _) = waiting();
    let line = |event| Record { at: 1, event }.encode();
    let Some(begin) = records(&node).into_iter().next() else { panic!("no records") };
    for number in 2..=14 {
        let path = TransactionId(number).journal();
        node.files.put(path.to_str().unwrap(), line(begin.event.clone()) + &line(Event::Commit));
    }
    assert!(matches!(confirm(&node, "me").unwrap(), Some(Outcome::Committed(ID))));
    assert_eq!(state::transactions(&node).unwrap().len(), super::super::KEPT);
}

#[test]
fn j3_a_run_that_ends_as_it_should_while_its_keeper_waits_is_left_alone() {
    let node = node();
    run(&node, &Limits::DEFAULT).unwrap();
    cut_journal(&node, |event| matches!(event, Event::Done { step: 2, .. }));
    let lock = Cell::new(node.lock(Path::new(LOCK_PATH)).unwrap());
    node.meanwhile(move |files, up| {
        if up > 30 * MINUTE {
            let path = ID.journal();
            let line = Record { at: 1, event: Event::Commit }.encode();
            files.put(path.to_str().unwrap(), files.text(path.to_str().unwrap()) + &line);
            drop(lock.take());
        }
    });
    assert!(keep_deadline(&node, &mut Silent).unwrap().is_none());
    assert!(node.stopped().is_empty() && committed(&node));
}

#[test]
fn j3_a_service_that_does_not_come_back_is_no_success() {
    for state in ["failed", "inactive"] {
        let (node, _) = waiting();
        let reloads = Rc::new(Cell::new(false));
        let (seen, died) = (Rc::clone(&reloads), Rc::clone(&reloads));
        node.on("/usr/bin/systemctl reload -- ssh.service", move |_, _| {
            seen.set(true);
            crate::node::Output { status: 0, stdout: String::new(), stderr: String::new() }
        });
        node.refuses("/usr/bin/systemctl restart -- ssh.service", 1, "Job for ssh.service failed.");
        node.on("/usr/bin/systemctl is-active -- ssh.service", move |_, _| {
            let stdout = if state == "failed" || died.get() { state } else { "active" };
            crate::node::Output { status: 0, stdout: format!("{stdout}\n"), stderr: String::new() }
        });
        let outcome = keep_deadline(&node, &mut Silent).unwrap().unwrap();
        let Outcome::Stuck(_, _, left) = outcome else { panic!("{state}: {outcome:?}") };
        assert!(left.contains("ssh.service"), "{left}");
        assert_eq!(reloads.get(), state == "inactive");
    }
}
