//! Our own state, damaged: cut off anywhere, a bit flipped anywhere, from a newer version, or gone. Each ends old or
//! new, or in an error that says so and changes nothing.

use super::super::{Outcome, Stage, recover};
use super::TransactionId;
use super::explore::runs::{committed, forward};
use super::explore::{BOUNDED, Look, Reference, Run};
use super::world;
use crate::node::Node;
use crate::node::memory::{Memory, Moment, Tree, moments};
use crate::progress::Silent;
use crate::report::{Occasion, Report, terminal::Paint};
use std::path::Path;

const JOURNAL: &str = "/var/lib/firstlight/tx/0001/journal";

/// A disk on which the run was cut off in its middle.
pub fn interrupted(run: &Run) -> Tree {
    let mut found = None;
    moments(&run.base, &run.events, None, BOUNDED, &mut |_| true, &mut |state| {
        if state.moment == Moment::Process && state.text.contains("running /usr/sbin/ufw --force enable") {
            found = Some(state.tree);
        }
    });
    found.unwrap()
}

fn damaged(tree: &Tree, path: &str, change: impl FnOnce(&mut Vec<u8>)) -> Memory {
    let mut tree = tree.clone();
    let ino = tree.find(Path::new(path), false, false).unwrap();
    change(std::sync::Arc::make_mut(&mut tree.change(ino).data));
    world::node(&tree)
}

/// What became of it: a word, or what is wrong.
fn ended(node: &Memory, old: &Reference, new: &Reference) -> &'static str {
    let before = Look::at(&node.tree());
    let outcome = recover(node, Stage::Late, &mut Silent);
    let after = Look::at(&node.tree());
    match outcome {
        Ok(Some(outcome @ Outcome::Stuck(..))) => {
            let report =
                Report { occasion: Occasion::Recover, outcome: &outcome, warnings: &[], login: None };
            assert_eq!(report.exit_code(), 5);
            assert!(
                report.render(Paint::PLAIN).contains("firstlight snapshots show 0001 /etc/ssh/sshd_config")
            );
            let same = before.differences(&after, true).is_empty();
            if same { "stuck, untouched" } else { "stuck" }
        }
        Ok(_) if old.now.differences(&after, true).is_empty() => "old",
        Ok(_) if new.now.differences(&after, false).is_empty() => "new",
        other => panic!("{other:?}: {:?}", old.now.differences(&after, true)),
    }
}

#[test]
fn j3_a_journal_that_is_cut_off_or_flipped_anywhere_ends_in_a_clear_state() {
    let run = forward();
    let (mut cut, mut flipped) = (Vec::new(), Vec::new());
    for tree in [interrupted(&run), committed()] {
        let bytes = world::node(&tree).read(Path::new(JOURNAL)).unwrap();
        for at in (0..bytes.len()).step_by(509) {
            let node = damaged(&tree, JOURNAL, |journal| journal.truncate(at));
            let before = Look::at(&node.tree());
            // Cut off in front of an intent whose effect is there: nobody can know. Such a file never comes from a
            // power cut, as the intent was durable first.
            let outcome = recover(&node, Stage::Late, &mut Silent);
            assert!(outcome.is_ok(), "cut at {at}: {outcome:?}");
            cut.push(before.differences(&Look::at(&node.tree()), true).is_empty());
        }
        for at in (0..bytes.len()).step_by(251).chain(bytes.len() - 3..bytes.len() - 1) {
            let node = damaged(&tree, JOURNAL, |journal| journal[at] ^= 1 << (at % 8));
            let end = ended(&node, &run.old, &run.new);
            assert!(matches!(end, "stuck, untouched" | "new"), "flipped at {at}: {end}");
            flipped.push(end);
        }
    }
    println!("journal: {} truncations, {} flipped bits", cut.len(), flipped.len());
    assert!(cut.len() > 40 && flipped.len() > 80, "{} {}", cut.len(), flipped.len());
}

#[test]
fn j3_a_damaged_object_leaves_a_stuck_transaction_that_says_which() {
    let run = forward();
    let tree = interrupted(&run);
    let node = world::node(&tree);
    let store = Path::new("/var/lib/firstlight/objects");
    let names = node.list(store).unwrap();
    let mut ends = Vec::new();
    for name in names.iter().step_by(3) {
        let path = store.join(name);
        let node = damaged(&tree, path.to_str().unwrap(), |content| match content.first_mut() {
            Some(first) => *first ^= 1,
            None => content.push(1),
        });
        ends.push(ended(&node, &run.old, &run.new));
    }
    println!(
        "objects: {} damaged, {} stuck",
        ends.len(),
        ends.iter().filter(|end| end.starts_with("stuck")).count()
    );
    assert!(ends.iter().all(|end| *end == "old" || end.starts_with("stuck")), "{ends:?}");
    assert!(ends.iter().any(|end| end.starts_with("stuck")) && ends.contains(&"old"));
}

#[test]
fn j3_a_journal_of_a_newer_version_is_left_to_it() {
    let run = forward();
    let node = damaged(&interrupted(&run), JOURNAL, |journal| {
        let text = String::from_utf8(journal.clone()).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        let body = first.split_once('\t').unwrap().1.replace("format=1", "format=2");
        let sum = crate::objects::ObjectId::of(body.as_bytes()).to_string();
        *journal = format!("{}\t{body}\n{rest}", &sum[..16]).into_bytes();
    });
    let outcome = recover(&node, Stage::Late, &mut Silent).unwrap();
    let Some(Outcome::Stuck(TransactionId(1), _, left)) = outcome else { panic!("{outcome:?}") };
    assert!(left.contains("by another version of firstlight"), "{left}");
}

#[test]
fn j3_without_our_directory_there_is_nothing_to_recover_and_nothing_left_to_do() {
    let node = world::node(&committed());
    node.shell(|shell| shell.remove("/var/lib/firstlight"));
    let before = Look::at(&node.tree());
    assert!(recover(&node, Stage::Late, &mut Silent).unwrap().is_none());
    assert!(before.differences(&Look::at(&node.tree()), true).is_empty());
    assert!(world::planned(&node, &world::answer()).steps.is_empty());
}
