//! Negative controls: with a sync or a record missing, the exploration must go red. If it does not, either it is
//! blind or the sync is superfluous; what is superfluous is listed here, with the reason.

use super::super::world;
use super::runs::{apply, back, committed, failing, forward};
use super::{BOUNDED, End, Run, explore, states};
use crate::node::memory::Event;
use crate::transaction::Outcome;
use std::collections::HashSet;

/// Every sync of our own, by its number in the recording.
fn syncs(run: &Run) -> Vec<(usize, String)> {
    let own = |(number, event): (usize, &Event)| match event {
        Event::Sync(_, text) | Event::SyncAll(text) if !text.is_empty() => Some((number, text.clone())),
        _ => None,
    };
    run.events.iter().enumerate().filter_map(own).collect()
}

/// The run as it would be without every sync that `which` names.
fn without(mut run: Run, which: impl Fn(&str) -> bool) -> Run {
    let before = run.events.len();
    run.events.retain(|event| match event {
        Event::Sync(_, text) | Event::SyncAll(text) => text.is_empty() || !which(text),
        _ => true,
    });
    assert!(run.events.len() < before, "nothing was taken out");
    run
}

fn goes_red(what: &str, run: &Run) {
    let found = explore(run, None, BOUNDED, &HashSet::new(), true);
    println!("without {what}: {}", found.violations.first().map_or("green", String::as_str));
    assert!(!found.violations.is_empty(), "nobody notices that {what} is missing");
}

#[test]
fn j3_without_the_fsync_of_the_journal_the_exploration_goes_red() {
    goes_red(
        "fsync of the journal",
        &without(forward(), |call| call.starts_with("sync-file") && call.ends_with("/journal")),
    );
}

#[test]
fn j3_without_the_fsync_of_a_directory_the_exploration_goes_red() {
    let store = "sync-directory /var/lib/firstlight/objects";
    goes_red("fsync of the object store's directory", &without(forward(), |call| call == store));
}

#[test]
fn j3_without_the_one_fsync_of_the_commit_record_the_exploration_goes_red() {
    let mut run = forward();
    let journal = |text: &str| text.starts_with("sync-file") && text.ends_with("/journal");
    let (last, _) = syncs(&run).into_iter().rfind(|(_, text)| journal(text)).unwrap();
    run.events.remove(last);
    goes_red("the fsync of the commit record", &run);
}

#[test]
fn j3_without_one_single_fsync_of_a_directory_the_exploration_goes_red() {
    let store = "sync-directory /var/lib/firstlight/objects";
    let calls = syncs(&forward()).into_iter().filter(|(_, text)| text == store);
    let red = calls.map(|(number, _)| {
        let mut run = forward();
        run.events.remove(number);
        !explore(&run, None, BOUNDED, &HashSet::new(), true).violations.is_empty()
    });
    // Not every one: what the next one makes durable before anything refers to it, nobody misses.
    assert!(red.take(3).any(|red| red), "none of the first three is missed");
}

/// A whole apply whose journal lacks the records that `which` likes.
fn without_records(which: fn(&str) -> bool) -> Run {
    let base = world::fresh();
    let node = world::node(&base);
    node.record();
    node.swallow(which);
    let outcome = apply(&node, &world::answer(), |_| {});
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    node.promise();
    Run::new(base.clone(), node.record(), &base, &node.tree(), End::New)
}

#[test]
fn j3_without_one_intent_record_the_exploration_goes_red() {
    type Likes = fn(&str) -> bool;
    let intents: [(&str, Likes); 5] = [
        ("a file's", |line| {
            line.contains("\tintent\t") && line.contains("entry=/etc/ssh/sshd_config.d/00-firstlight.conf")
        }),
        ("the packages'", |line| line.contains("\tintent\t") && line.contains("inverse=packages")),
        ("the account's", |line| line.contains("\tintent\t") && line.contains("inverse=account")),
        ("UFW's", |line| line.contains("\tintent\t") && line.contains("inverse=ufw")),
        ("every step's", |line| line.contains("\tintent\t")),
    ];
    for (whose, which) in intents {
        goes_red(&format!("{whose} intent record"), &without_records(which));
    }
}

/// Takes out every sync of our own, one at a time; names those that nobody misses.
fn missed_by_nobody(name: &str, run: &Run) -> Vec<String> {
    let mut known = states(run, BOUNDED);
    let syncs = syncs(run);
    let mut superfluous = Vec::new();
    for (number, call) in &syncs {
        let found = explore(run, Some(*number), BOUNDED, &known, true);
        if found.violations.is_empty() {
            superfluous.push(format!("{number}: {call}"));
            known.extend(found.seen);
        }
    }
    println!(
        "{name}: {} syncs, taken out one at a time; {} are missed by nobody:",
        syncs.len(),
        superfluous.len()
    );
    superfluous.iter().for_each(|call| println!("  {call}"));
    superfluous
}

/// Syncs that another one stands in for in these large runs, and why each stays all the same.
const STOOD_IN_FOR: [(&str, &str); 12] = [
    ("/run", "a file system in memory: the helper that makes directories does not ask where"),
    ("/ballast", "room alone"),
    (
        "/journal",
        "records that recovery makes up for: what a step left is looked at again, a done one is put back",
    ),
    ("profile", "a copy: recovery makes it anew; the original is made durable with the store"),
    ("/var/lib", "the installation and the store sync everything before the first intent"),
    ("firstlight-recover", "the installation ends with a sync of everything"),
    ("/usr/local/sbin", "the same"),
    ("/etc/systemd/system", "the same; and the next"),
    (
        ".firstlight-new",
        "the store syncs everything for the manifest of what the step left; the small run misses each",
    ),
    ("/etc", "the same"),
    ("/home", "the same"),
    ("/usr/sbin", "the same"),
];

/// A run so small that the store makes its few new objects durable one by one, and nothing else with them.
fn small() -> Run {
    let node = world::node(&committed());
    // Drift: somebody took the file out.
    node.shell(|shell| shell.remove("/etc/sudoers.d/firstlight"));
    let base = node.tree();
    let node = world::node(&base);
    node.record();
    let outcome = apply(&node, &world::answer(), |plan| assert_eq!(plan.steps.len(), 1));
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    node.promise();
    Run::new(base.clone(), node.record(), &base, &node.tree(), End::New)
}

/// What is stood in for in a small run too.
const IN_A_SMALL_RUN: [&str; 5] = ["/run", "/ballast", "/journal", "profile", "/var/lib"];

#[test]
fn j3_every_crash_of_a_small_run_ends_old_or_new_and_every_sync_of_its_file_is_missed() {
    super::explore_all("small run", &small(), BOUNDED, 30, 60);
    let superfluous = missed_by_nobody("small run", &small());
    for call in &superfluous {
        assert!(IN_A_SMALL_RUN.iter().any(|place| call.contains(place)), "nobody misses {call}");
    }
    let calls = syncs(&small());
    let file = calls.iter().filter(|(_, call)| call.contains("/etc/sudoers.d"));
    assert!(file.count() >= 2, "the content and the name: {calls:?}");
}

#[test]
#[ignore = "many minutes: cargo test --lib deep_ -- --ignored --nocapture"]
fn j3_deep_every_single_sync_is_missed_or_stood_in_for() {
    for (name, run) in [("apply", forward()), ("rollback", back()), ("failed apply", failing())] {
        let superfluous = missed_by_nobody(name, &run);
        for call in &superfluous {
            let reason = STOOD_IN_FOR.iter().find(|(place, _)| call.contains(place));
            assert!(reason.is_some(), "{name}: nobody misses {call}, and no reason is known");
        }
        let indispensable = syncs(&run).len() - superfluous.len();
        assert!(indispensable > 20, "{name}: {indispensable}");
    }
}
