//! Rollback as a tool: to any transaction, shown beforehand, with bounded room on the disk.

use super::super::preview::{Fate, preview};
use super::super::record::{Event, Record};
use super::super::state::{self, TransactionId};
use super::super::story::{Phase as Stand, Story};
use super::super::{KEPT, Outcome, apply, chain, keep_deadline, prune, rollback};
use super::{ORDER, assert_same, committed, debian::debian, file, whole};
use crate::control::{Check, Control, Phase, Proposal};
use crate::manifest::{Entry, Manifest, State};
use crate::node::Node;
use crate::node::scripted::Scripted;
use crate::plan;
use crate::progress::Silent;
use std::path::{Path, PathBuf};

fn write(node: &Scripted, path: &str, content: &str) -> Outcome {
    let changes = vec![(Phase::Files, file(path, content, 0o644, "root"))];
    let plan = plan::make(node, Proposal { changes, ..Proposal::default() }).unwrap();
    apply(node, &plan, &ORDER, &mut Silent).unwrap()
}

/// Five transactions, and the node before each of them.
fn five() -> (Scripted, Vec<Manifest>) {
    let node = debian();
    let mut before = Vec::new();
    for (path, content) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("a", "3")] {
        before.push(whole(&node));
        assert!(matches!(write(&node, &format!("/etc/{path}"), content), Outcome::Committed(_)));
    }
    (node, before)
}

fn id(number: u32) -> TransactionId {
    TransactionId(number)
}

#[test]
fn j3_a_rollback_to_any_transaction_takes_the_later_ones_back_first() {
    for target in 1..=5 {
        let (node, before) = five();
        let ids: Vec<u32> = chain(&node, Some(id(target))).unwrap().iter().map(|id| id.0).collect();
        assert_eq!(ids, (target..=5).rev().collect::<Vec<_>>());
        let outcome = rollback(&node, Some(id(target)), false, &mut Silent).unwrap();
        assert!(
            matches!(outcome, Outcome::Reverted(last, _, ref kept) if last == id(target) && kept.is_empty())
        );
        assert_same(&before[target as usize - 1], &whole(&node), &format!("before {target}"));
        assert_eq!(state::standing(&node).unwrap().len(), target as usize - 1);
    }
    let (node, _) = five();
    rollback(&node, Some(id(4)), false, &mut Silent).unwrap();
    let error = chain(&node, Some(id(5))).unwrap_err().to_string();
    assert!(error.contains("it is not a committed transaction that stands"), "{error}");
}

#[test]
fn j3_a_crash_between_two_of_them_leaves_the_older_ones_standing_and_whole() {
    let total = {
        let (node, _) = five();
        node.revive();
        rollback(&node, Some(id(3)), false, &mut Silent).unwrap();
        node.steps()
    };
    for step in 0..total {
        let (node, before) = five();
        let new = whole(&node);
        node.revive();
        node.fail_at_step(step);
        let _ = rollback(&node, Some(id(3)), false, &mut Silent);
        node.revive();
        super::recover(&node, super::Stage::Late, &mut Silent).unwrap();
        let standing = state::standing(&node).unwrap().len();
        let expected = before.get(standing).unwrap_or(&new);
        assert_same(expected, &whole(&node), &format!("step {step}: {standing} stand"));
        if standing > 2 {
            rollback(&node, Some(id(3)), false, &mut Silent).unwrap();
        }
        assert_same(&before[2], &whole(&node), &format!("step {step}, asked again"));
    }
}

#[test]
fn j3_a_rollback_that_dies_is_finished_without_a_reboot() {
    let total = {
        let (node, _) = five();
        node.boot_again("an0ther");
        node.revive();
        rollback(&node, Some(id(4)), false, &mut Silent).unwrap();
        node.steps()
    };
    let mut finished = 0;
    for step in 0..total {
        let (node, before) = five();
        let new = whole(&node);
        node.boot_again("an0ther");
        node.revive();
        node.fail_at_step(step);
        let _ = rollback(&node, Some(id(4)), false, &mut Silent);
        node.revive();
        finished += usize::from(keep_deadline(&node, &mut Silent).unwrap().is_some());
        let now = whole(&node);
        let same = |wanted: &Manifest| wanted.differences(&now).is_empty();
        assert!([&new, &before[4], &before[3]].into_iter().any(same), "step {step}: neither old nor new");
        let open = state::transactions(&node).unwrap().into_iter().filter(|id| {
            let records = state::records(&node, *id).unwrap();
            let armed = records
                .iter()
                .any(|record| matches!(&record.event, Event::Armed(armed) if armed.boot == "an0ther"));
            armed && Story::of(&records).phase() == Stand::Unfinished
        });
        assert_eq!(open.count(), 0, "step {step}: nothing that was armed is left to do");
    }
    assert!(finished > total / 2, "{finished} of {total}");
}

#[test]
fn j3_a_rollback_is_armed_before_its_first_effect() {
    let (node, _) = five();
    rollback(&node, Some(id(5)), false, &mut Silent).unwrap();
    let armed = |record: &Record| matches!(record.event, Event::Armed(_));
    let revert = |record: &Record| matches!(record.event, Event::Revert { .. });
    let records = state::records(&node, id(5)).unwrap();
    let place = records.iter().position(revert).unwrap();
    assert!(records.iter().skip(place).any(armed), "armed anew, once the way back has begun");
    let effect = records.iter().position(|record| matches!(record.event, Event::Reverting { .. })).unwrap();
    assert!(records.iter().rposition(armed).unwrap() < effect, "before its first effect");
}

#[test]
fn j3_what_others_changed_in_the_middle_is_kept_by_all_of_them() {
    let (node, _) = five();
    node.files.put("/etc/a", "mine");
    let outcome = rollback(&node, Some(id(1)), false, &mut Silent).unwrap();
    let Outcome::Reverted(_, _, kept) = outcome else { panic!("{outcome:?}") };
    assert_eq!(kept, [PathBuf::from("/etc/a")], "told once");
    assert_eq!(node.files.text("/etc/a"), "mine");
    assert!(!node.files.has("/etc/b") && !node.files.has("/etc/c"));
}

/// Somebody at work on a committed node, in every way there is.
fn others(node: &Scripted) {
    node.files.put("/etc/ssh/sshd_config.d/00-firstlight.conf", "PasswordAuthentication no\n# mine\n");
    node.files.put("/etc/passwd", node.files.text("/etc/passwd") + "eve:x:1001:1001::/home/eve:/bin/bash\n");
    node.files.put("/etc/mine", "since");
    node.files.put("/etc/default/ufw", "IPV6=yes\n# mine\n");
    node.files.put("/home/ops/notes", "mine");
    node.files.remove("/etc/sudoers.d/firstlight");
}

#[test]
fn j3_a_dry_run_changes_nothing_and_says_what_the_rollback_then_does() {
    for force in [false, true] {
        let (node, _) = committed();
        write(&node, "/etc/second", "2");
        others(&node);
        let before = whole(&node);
        node.revive();
        let shown = preview(&node, chain(&node, Some(id(1))).unwrap(), force).unwrap();
        let changing = |step: &&String| !step.starts_with("run ");
        assert_eq!(node.trace().iter().filter(changing).collect::<Vec<_>>(), [""; 0], "a dry run writes");
        assert_same(&before, &whole(&node), "a dry run");
        assert_eq!(shown.transactions, [id(2), id(1)]);
        for line in ["UFW is switched off", "the account ops is removed", "packages are purged: sudo, ufw"] {
            assert!(shown.actions.iter().any(|action| action == line), "{line}: {:?}", shown.actions);
        }
        let find =
            |path: &str| shown.paths.iter().find(|(other, _)| other == Path::new(path)).map(|(_, seen)| seen);
        let fate = |path: &str| find(path).map(|seen| seen.fate);
        let forced = if force { Fate::Restored } else { Fate::Kept };
        assert_eq!(fate("/etc/second"), Some(Fate::Restored));
        assert_eq!(fate("/etc/shadow"), Some(Fate::Restored));
        assert_eq!(fate("/etc/passwd"), Some(Fate::Merged));
        assert_eq!(fate("/etc/mine"), Some(Fate::Foreign));
        assert_eq!(fate("/etc/default/ufw"), Some(forced));
        assert_eq!(fate("/etc/ssh/sshd_config.d/00-firstlight.conf"), Some(forced));
        let seen = find("/etc/second").unwrap();
        assert!(seen.before.is_none() && seen.left.is_some() && seen.now == seen.left);

        rollback(&node, Some(id(1)), force, &mut Silent).unwrap();
        let after = whole(&node);
        for (path, seen) in &shown.paths {
            let now = after.get(path);
            let same = |wanted: Option<&Entry>| match (wanted, now) {
                (None, None) => true,
                (Some(wanted), Some(now)) => wanted.same(now, false),
                _ => false,
            };
            match seen.fate {
                Fate::Restored => {
                    let holds_theirs = path.starts_with("/home/ops");
                    assert!(
                        same(seen.before.as_ref()) || holds_theirs,
                        "{} is not as before",
                        path.display()
                    );
                }
                Fate::Kept | Fate::Foreign => {
                    assert!(same(before.get(path)), "{} was touched", path.display())
                }
                Fate::Merged | Fate::WithPackage => {}
            }
        }
        for difference in before.differences(&after) {
            let told = shown.paths.iter().any(|(path, _)| path == difference.path)
                || difference.before.is_some_and(|entry| entry.state == State::Directory)
                || ["/usr/sbin/ufw", "/usr/sbin/visudo"].contains(&difference.path.to_str().unwrap());
            assert!(told, "{} changed untold", difference.path.display());
        }
    }
}

#[test]
fn j3_every_commit_forgets_what_is_older_than_the_ten_newest_and_never_fills_the_disk() {
    let node = debian();
    let objects = || std::fs::read_dir(node.files.host(state::OBJECTS_DIR)).unwrap().count();
    let mut counts = Vec::new();
    for round in 0..14 {
        assert!(matches!(write(&node, "/etc/a", &round.to_string()), Outcome::Committed(_)));
        counts.push(objects());
    }
    let ids: Vec<u32> = state::transactions(&node).unwrap().iter().map(|id| id.0).collect();
    assert_eq!(ids, (5..=14).collect::<Vec<_>>());
    assert!(counts[13] <= counts[10] + 2, "{counts:?}");
    let outcome = rollback(&node, Some(id(5)), false, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Reverted(..)));
    assert_eq!(node.files.text("/etc/a"), "3");
}

/// A run whose last look fails.
fn fail(node: &Scripted, round: u32) -> crate::error::Result<Outcome> {
    let check = Check::FileMode { path: "/etc/nowhere".into(), mode: 0o644 };
    let control = Control {
        id: "never".into(),
        requirement: "J3",
        wanted: "never holds".into(),
        check,
        changes: vec![0],
    };
    let changes = vec![(Phase::Files, file("/etc/a", &round.to_string(), 0o644, "root"))];
    let proposal = Proposal { changes, controls: vec![control], ..Proposal::default() };
    let plan = plan::make(node, proposal)?;
    node.revive();
    apply(node, &plan, &ORDER, &mut Silent)
}

#[test]
fn j3_recovery_forgets_nothing_that_it_has_yet_to_look_at() {
    let node = debian();
    let before = whole(&node);
    let mut step = 0;
    for round in 0..KEPT as u32 {
        assert!(matches!(fail(&node, round).unwrap(), Outcome::Reverted(..)));
        step = node.trace().iter().position(|line| line.ends_with(" /etc/a")).unwrap();
    }
    let plan_of = |round: u32| vec![(Phase::Files, file("/etc/a", &round.to_string(), 0o644, "root"))];
    let plan = plan::make(&node, Proposal { changes: plan_of(99), ..Proposal::default() }).unwrap();
    node.revive();
    node.fail_at_step(step + 1);
    let _ = apply(&node, &plan, &ORDER, &mut Silent);
    assert!(node.is_down() && node.files.text("/etc/a") == "99", "cut off behind its effect");
    node.revive();
    let outcome = super::recover(&node, super::Stage::Late, &mut Silent).unwrap();
    assert!(matches!(outcome, Some(Outcome::Reverted(id, ..)) if id.0 == 11), "{outcome:?}");
    assert_same(&before, &whole(&node), "put back");
    assert_eq!(state::transactions(&node).unwrap().len(), KEPT, "and the oldest is forgotten after that");
}

#[test]
fn j3_runs_that_fail_take_nobodys_way_back_away() {
    let (node, before) = committed();
    for round in 0..12 {
        let outcome = fail(&node, round).unwrap();
        assert!(matches!(outcome, Outcome::Reverted(..)), "{outcome:?}");
    }
    prune(&node, 3).unwrap();
    let ids = state::transactions(&node).unwrap();
    assert_eq!(ids.len(), 4, "{ids:?}");
    assert_eq!(state::standing(&node).unwrap().first(), Some(&id(1)), "{ids:?}");
    rollback(&node, Some(id(1)), false, &mut Silent).unwrap();
    assert_same(&before, &whole(&node), "rolled back");
}

#[test]
fn j3_what_a_crash_left_of_a_forgotten_transaction_goes_with_the_next_prune() {
    let (node, _) = five();
    node.revive();
    let remove = format!("remove {}", id(1).journal().display());
    let steps = {
        let (node, _) = five();
        node.revive();
        prune(&node, 2).unwrap();
        node.trace().iter().position(|step| *step == remove).unwrap()
    };
    node.fail_at_step(steps + 1);
    assert!(prune(&node, 2).is_err());
    node.revive();
    assert!(node.files.has("/var/lib/firstlight/tx/0001"));
    prune(&node, 2).unwrap();
    assert_eq!(node.list(Path::new(state::TRANSACTIONS_DIR)).unwrap(), ["0004", "0005"]);
}
