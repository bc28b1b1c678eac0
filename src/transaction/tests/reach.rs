//! The probe of reachability inside a run: what fails it, and that a crash anywhere leaves nothing of it.

use super::super::record::Event;
use super::super::{Outcome, Stage, apply, recover, rollback, state};
use super::crash::{boot, old_or_new};
use super::{ORDER, TransactionId, assert_same, debian::debian, file, whole};
use crate::change::{Change, ReloadChange};
use crate::control::{Phase, Proposal};
use crate::node::Output;
use crate::node::scripted::Scripted;
use crate::plan::{self, Plan};
use crate::progress::Silent;
use crate::reach::tests::{KEYS, forget_kernel, leftovers, network, reach};

const LOGIN: &str = "/usr/sbin/ip netns exec firstlight /usr/bin/ssh ";
const ADMIN: &str = "ssh-ed25519 AAAA\n";

/// Two files and a reload: the probe is what these tests are about.
fn small(node: &Scripted) -> Plan {
    let sshd = "/etc/ssh/sshd_config.d/00-firstlight.conf";
    let reload = ReloadChange { name: "ssh.service".into(), after: vec![sshd.into()] };
    let changes = vec![
        (Phase::Accounts, file(KEYS, ADMIN, 0o600, "ops")),
        (Phase::Files, file(sshd, "PasswordAuthentication no\n", 0o644, "root")),
        (Phase::Exposure, Change::Reload(reload)),
    ];
    plan::make(node, Proposal { changes, ..Proposal::default() }).unwrap()
}

fn connected() -> (Scripted, Plan) {
    let node = debian();
    network(&node);
    node.files.put("/etc/passwd", node.files.text("/etc/passwd") + "ops:x:0:0::/home/ops:/bin/bash\n");
    node.files.directory("/home/ops/.ssh");
    let mut plan = small(&node);
    let mut reach = reach(&["10.0.20.0/24"]);
    reach.own.pop();
    plan.reach = Some(Box::new(reach));
    (node, plan)
}

fn assert_nothing_left(node: &Scripted, when: &str) {
    let left = leftovers(node);
    assert!(left.is_empty(), "{when}: {left:?}");
    assert!(!node.files.text(KEYS).contains("firstlight-probe"), "{when}: {}", node.files.text(KEYS));
}

fn events(node: &Scripted) -> Vec<Event> {
    state::records(node, TransactionId(1)).unwrap().into_iter().map(|record| record.event).collect()
}

#[test]
fn a_run_commits_after_new_connections_and_nothing_of_them_is_left() {
    let (node, plan) = connected();
    let before = whole(&node);
    let outcome = apply(&node, &plan, &ORDER, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    assert_nothing_left(&node, "committed");
    assert_eq!(node.files.text(KEYS), ADMIN);
    let events = events(&node);
    let notes: Vec<&str> = events
        .iter()
        .filter_map(|event| if let Event::Note { text } = event { Some(text.as_str()) } else { None })
        .collect();
    let wanted = "reached with new connections: ops logs in by SSH from 10.0.20.252, port 8006 answers there too; \
                  nothing is reached from 198.51.100.77";
    assert_eq!(notes, [wanted]);
    assert!(!events.iter().any(|event| matches!(event, Event::Warning { .. })), "warned");
    assert!(node.ran().iter().any(|line| line.starts_with(LOGIN)));
    // A second run has nothing to do, and tries nothing.
    let mut again = small(&node);
    again.reach = plan.reach;
    let tried = node.ran().len();
    assert!(matches!(apply(&node, &again, &ORDER, &mut Silent).unwrap(), Outcome::Unchanged));
    assert_eq!(node.ran().len(), tried);
    let outcome = rollback(&node, None, false, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Reverted(_, _, ref kept) if kept.is_empty()), "{outcome:?}");
    assert_same(&before, &whole(&node), "rolled back");
}

#[test]
fn an_admin_who_is_not_let_in_puts_everything_back() {
    let (node, plan) = connected();
    let before = whole(&node);
    node.refuses(LOGIN, 255, "ssh: connect to host 10.0.20.10 port 22: Connection timed out");
    let outcome = apply(&node, &plan, &ORDER, &mut Silent).unwrap();
    let Outcome::Reverted(_, failure, kept) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.what, "reachability");
    assert!(
        failure.message.starts_with("SSH from 10.0.20.252 (management) is not reached: "),
        "{}",
        failure.message
    );
    assert!(kept.is_empty(), "{kept:?}");
    assert_same(&before, &whole(&node), "put back");
    assert_nothing_left(&node, "put back");
}

#[test]
fn what_cannot_be_tried_is_a_warning_and_leaves_nothing() {
    for (command, status) in [
        ("/usr/sbin/ip -4 -batch -", 1),
        ("/usr/bin/ssh-keygen", 1),
        ("/usr/sbin/ip netns add firstlight", 1),
    ] {
        let (node, plan) = connected();
        node.refuses(command, status, "Operation not supported");
        let outcome = apply(&node, &plan, &ORDER, &mut Silent).unwrap();
        assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
        assert_nothing_left(&node, command);
        assert_eq!(node.files.text(KEYS), ADMIN);
        let warned = |event: &Event| matches!(event, Event::Warning { text } if text.starts_with("reachability is not proved: "));
        assert!(events(&node).iter().any(warned), "{command}");
    }
}

#[test]
fn a_key_that_the_admin_adds_meanwhile_stays_and_the_probes_line_does_not() {
    let (node, plan) = connected();
    node.on(LOGIN, |files, _| {
        files.put(KEYS, files.text(KEYS) + "ssh-ed25519 NEW\n");
        Output { status: 0, stdout: String::new(), stderr: String::new() }
    });
    let outcome = apply(&node, &plan, &ORDER, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    assert_nothing_left(&node, "committed");
    assert_eq!(node.files.text(KEYS), format!("{ADMIN}ssh-ed25519 NEW\n"));
}

/// Where the probe begins and ends, in steps of a whole run.
fn span() -> std::ops::Range<usize> {
    let (node, plan) = connected();
    node.revive();
    apply(&node, &plan, &ORDER, &mut Silent).unwrap();
    let trace = node.trace();
    let first = trace.iter().position(|step| step == "run /usr/sbin/ip neigh show").unwrap();
    let last = trace.iter().rposition(|step| step.starts_with("run /usr/sbin/ip")).unwrap();
    assert!(last - first > 30, "{first} {last}");
    first..node.steps()
}

#[test]
fn j3_a_crash_at_any_step_of_the_probe_leaves_nothing_of_it() {
    let (node, plan) = connected();
    apply(&node, &plan, &ORDER, &mut Silent).unwrap();
    let new = whole(&node);
    for step in span() {
        for reboots in [false, true] {
            let (node, plan) = connected();
            let before = whole(&node);
            node.revive();
            node.fail_at_step(step);
            let result = apply(&node, &plan, &ORDER, &mut Silent);
            assert!(node.is_down() || result.is_ok(), "step {step}");
            node.revive();
            let when = format!("crash at step {step}, reboots: {reboots}");
            if reboots {
                forget_kernel(&node);
                boot(&node);
            } else {
                recover(&node, Stage::Late, &mut Silent).unwrap();
            }
            assert_nothing_left(&node, &when);
            old_or_new(&node, &before, &new, &when);
        }
    }
}

#[test]
fn j3_a_crash_while_the_probe_is_taken_away_by_recovery_is_recovered() {
    let killed = || {
        let (node, plan) = connected();
        let before = whole(&node);
        node.on(LOGIN, |_, _| panic!("the run ends here"));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = apply(&node, &plan, &ORDER, &mut Silent);
        }));
        assert!(result.is_err() && !leftovers(&node).is_empty());
        node.revive();
        (node, before)
    };
    let total = {
        let (node, _) = killed();
        recover(&node, Stage::Late, &mut Silent).unwrap();
        node.steps()
    };
    for step in 0..total {
        let (node, before) = killed();
        node.fail_at_step(step);
        let _ = recover(&node, Stage::Late, &mut Silent);
        node.revive();
        recover(&node, Stage::Late, &mut Silent).unwrap();
        let when = format!("crash at step {step} of recovery");
        assert_nothing_left(&node, &when);
        assert_same(&before, &whole(&node), &when);
    }
}
