//! The commands on a node in a temporary directory: what they refuse, and what they leave behind.

use super::*;
use crate::cli::{Rollback, Snapshots};
use crate::facts::Facts;
use crate::manifest::{self, Scope};
use crate::node::scripted::Scripted;
use crate::objects::Objects;
use crate::profile::{Management, Network, Profile};
use crate::transaction::journal::Journal;
use crate::transaction::record::{Closing, Event, FORMAT, Waiting};
use crate::transaction::state::{OBJECTS_DIR, STATE_DIR, STATUS_PATH, TransactionId, write_atomically};

const ID: TransactionId = TransactionId(1);

/// A journal with these events behind its beginning.
pub(super) fn journal(node: &Scripted, events: Vec<Event>) {
    state::prepare(node).unwrap();
    node.make_directory(&ID.directory(), 0o700).unwrap();
    let begin = Event::Begin {
        format: FORMAT,
        version: "0.1.0".into(),
        door: "command".into(),
        plan: "c0ffee".into(),
        source: "answer.toml".into(),
        boot: String::new(),
        cluster: String::new(),
    };
    let journal = Journal::start(node, ID.journal(), begin).unwrap();
    events.into_iter().for_each(|event| journal.write(event).unwrap());
}

/// A transaction that was committed, with a snapshot of what is in /etc.
fn committed(node: &Scripted) {
    journal(node, vec![Event::Commit]);
    let objects = Objects::new(node, Path::new(OBJECTS_DIR));
    let mut batch = objects.batch().unwrap();
    let scopes = [Scope::Tree("/etc".into())];
    let manifest = manifest::capture(node, &scopes, &[], Some(&mut batch)).unwrap();
    batch.commit().unwrap();
    write_atomically(node, &ID.snapshot(), &manifest.encode()).unwrap();
}

fn stopped(ended: Ended) -> (u8, String) {
    match ended {
        Ok(code) => panic!("ended with {code}"),
        Err(stop) => (stop.code, stop.text),
    }
}

#[test]
fn j3_a_second_start_says_who_holds_the_lock_and_touches_nothing() {
    let node = Scripted::new();
    let held = lock(&node).ok();
    assert!(held.is_some());
    let (code, text) = stopped(rollback::run(&node, &Rollback::default()));
    let process = std::process::id();
    assert_eq!(code, 2);
    assert_eq!(
        text,
        format!("another firstlight (process {process}) is at work\n  hint: firstlight status --wait")
    );
}

#[test]
fn j5_the_holder_of_the_lock_is_seen_without_taking_it() {
    let node = Scripted::new();
    assert_eq!(crate::transaction::holder(&node).unwrap(), None);
    drop(lock(&node));
    let inode = node.lookup(Path::new(LOCK_PATH)).unwrap().unwrap().identity.1;
    let others = "1: POSIX ADVISORY  WRITE 77 00:19:1 0 EOF\n";
    node.files.put("/proc/locks", others);
    assert_eq!(crate::transaction::holder(&node).unwrap(), None);
    node.files.put("/proc/locks", format!("{others}2: FLOCK  ADVISORY  WRITE 412 fd:01:{inode} 0 EOF\n"));
    assert_eq!(crate::transaction::holder(&node).unwrap(), Some(412));
    assert_eq!(crate::status::read(&node).unwrap().exit_code, 4);
    // The holder itself writes what is true without it.
    crate::status::write_file(&node).unwrap();
    assert!(node.files.text(STATUS_PATH).contains("\"outcome\": \"never-ran\""));
}

#[test]
fn j5_waiting_for_a_run_that_does_not_end_is_exit_4() {
    let node = Scripted::new();
    node.files.put(crate::status::PENDING_PATH, "");
    let (code, text) = stopped(status::run(&node, Some(30), true));
    assert_eq!((code, text.as_str()), (4, "waited 30 seconds, and it is still not over"));
    node.files.remove(crate::status::PENDING_PATH);
    assert_eq!(status::run(&node, Some(30), true).ok(), Some(0));
}

#[test]
fn j5_status_writes_nothing_and_gives_the_true_exit_code() {
    let node = Scripted::new();
    assert_eq!(status::run(&node, None, false).ok(), Some(0));
    assert!(!node.files.has("/var/lib/firstlight"));
    journal(&node, vec![Event::Closed { outcome: Closing::Stuck, message: "left".into() }]);
    assert_eq!(status::run(&node, None, false).ok(), Some(5));
    assert!(!node.files.has(STATUS_PATH) && !node.files.has(LOCK_PATH));
}

#[test]
fn j3_recovery_on_a_node_where_nothing_ran_leaves_no_trace() {
    let node = Scripted::new();
    assert_eq!(maintain::recover(&node, true).ok(), Some(0));
    assert!(!node.files.has("/var/lib/firstlight"));
}

#[test]
fn j3_recovery_without_its_state_says_what_to_do_and_makes_none() {
    let node = Scripted::new();
    node.files.put(crate::install::BINARY_PATH, "us");
    let (code, text) = stopped(maintain::recover(&node, false));
    assert_eq!(code, 5, "{text}");
    for part in ["/var/lib/firstlight is missing", "firstlight recover", "firstlight apply ANSWER"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!node.files.has(STATE_DIR));
}

#[test]
fn j3_rolling_back_what_is_not_there_touches_nothing() {
    let node = Scripted::new();
    journal(&node, vec![Event::Closed { outcome: Closing::Untouched, message: String::new() }]);
    let (code, text) = stopped(rollback::run(&node, &Rollback { id: Some(ID), ..Rollback::default() }));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("no committed transaction"), "{text}");
}

#[test]
fn j2_a_plan_without_an_answer_needs_a_profile_of_record() {
    let node = Scripted::new();
    let (code, text) = stopped(plan::run(&node, None, false));
    assert_eq!((code, text.as_str()), (2, "no run was committed on this node yet: name an ANSWER"));
    let (code, _) = stopped(apply::run(&node, None, None, None));
    assert_eq!(code, 2);
    assert!(!node.files.has("/var/lib/firstlight"));
}

#[test]
fn j1_a_wrong_answer_is_exit_2_with_every_problem_at_its_place() {
    let node = Scripted::new();
    node.files.put("/root/a.toml", "[firstlight]\nschema = 1\nnonsense = 1\n");
    let (code, text) = stopped(check::run(&node, Path::new("/root/a.toml")));
    assert_eq!(code, 2);
    assert!(text.starts_with("/root/a.toml:") && text.lines().count() >= 2, "{text}");
}

#[test]
fn j1_the_hook_takes_its_last_moment_only() {
    let node = Scripted::new();
    for word in ["before-network", "network-online"] {
        let (code, text) = stopped(hook::run(&node, word));
        assert!(code == 2 && text.contains("fully-up"), "{text}");
        assert!(!node.files.has("/var/lib/firstlight/tx/0001"), "nothing was run");
        assert!(node.files.text("/var/lib/firstlight/hook").contains("bad-input"), "told once and for all");
    }
}

#[test]
fn j1_a_first_boot_that_cannot_even_be_counted_touches_nothing_and_is_no_try() {
    // No room for the state directory, for what is in it, for the lock: the way to the first record, step by step.
    for step in 0..6 {
        let node = Scripted::new();
        node.fail_at_step(step);
        let (code, text) = stopped(hook::run(&node, "network-online"));
        assert_eq!(code, 2, "step {step}: {text}");
        assert!(!node.files.has("/var/lib/firstlight/hook"), "step {step}");
        node.revive();
        let (code, text) = stopped(hook::run(&node, "network-online"));
        assert!(code == 2 && text.contains("fully-up"), "with room again, step {step}: {text}");
    }
}

#[test]
fn e3_the_report_names_the_address_first_that_the_admin_can_reach() {
    let address = |text: &str| (text.parse().unwrap(), Network::containing(text.parse().unwrap(), 24));
    let facts = Facts { addresses: vec![address("203.0.113.10"), address("10.0.20.10")], ..Facts::example() };
    let mut profile = Profile::example();
    let first = |profile: &Profile| crate::provision::addresses(profile, &facts)[0].to_string();
    assert_eq!(first(&profile), "203.0.113.10");
    profile.firewall.management = Management::Networks(vec![address("10.0.20.0").1]);
    assert_eq!(first(&profile), "10.0.20.10");
    assert_eq!(crate::provision::addresses(&profile, &facts).len(), 2);
}

#[test]
fn j3_a_snapshot_is_listed_shown_and_compared() {
    let node = Scripted::new();
    node.files.put("/etc/motd", "hello\n");
    committed(&node);
    node.files.put("/etc/motd", "hello you\n");
    for what in [
        Snapshots::List,
        Snapshots::Show { id: ID, path: None },
        Snapshots::Show { id: ID, path: Some("/etc/motd".into()) },
        Snapshots::Diff { id: ID, other: None, path: None, json: false },
        Snapshots::Diff { id: ID, other: Some(ID), path: None, json: true },
        Snapshots::Diff { id: ID, other: None, path: Some("/etc/motd".into()), json: false },
        Snapshots::Prune { keep: 3 },
    ] {
        assert_eq!(snapshots::run(&node, &what).ok(), Some(0));
    }
    let missing = Some("/etc/none".into());
    let wrong = [
        Snapshots::Show { id: TransactionId(9), path: None },
        Snapshots::Show { id: ID, path: missing.clone() },
        Snapshots::Diff { id: ID, other: None, path: missing, json: false },
    ];
    for what in wrong {
        assert_eq!(stopped(snapshots::run(&node, &what)).0, 2);
    }
}

#[test]
fn j3_a_comparison_shows_what_everybody_may_read_and_nothing_else() {
    let node = Scripted::new();
    for (path, mode) in [("/etc/open", 0o644), ("/etc/shadow", 0o640), ("/etc/closed/key", 0o644)] {
        node.files.put(path, "hunter1\n");
        node.set_mode(Path::new(path), mode).unwrap();
    }
    node.set_mode(Path::new("/etc/closed"), 0o700).unwrap();
    committed(&node);
    for path in ["/etc/open", "/etc/shadow", "/etc/closed/key", "/etc/new"] {
        node.files.put(path, "hunter22\n");
    }
    node.set_mode(Path::new("/etc/new"), 0o600).unwrap();
    let text = snapshots::comparison(&node, (ID, None), None).ok().unwrap();
    assert_eq!(text.matches("hunter22").count(), 1, "{text}");
    assert!(text.contains("/etc/open: changed\n") && text.contains("-hunter1\n"), "{text}");
    assert_eq!(text.matches("content not shown").count(), 3, "{text}");
    assert!(text.contains("/etc/new: new since\n"), "{text}");
}

/// Every file below `directory`, as text.
fn sources(directory: &Path, all: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn the_lock_out_table_names_tests_answers_and_scenarios_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    sources(&root.join("src"), &mut all);
    sources(&root.join("vm-tests/src"), &mut all);
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let section = readme.split("## What can lock you out").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut named = 0;
    for row in section.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let proof = row.split('|').nth(3).unwrap();
        for name in proof.split('`').skip(1).step_by(2) {
            let there = if name.starts_with("answer-files/") {
                root.join(name).exists()
            } else {
                all.contains(&format!("fn {name}()")) || all.contains(&format!("\"{name}\""))
            };
            assert!(there, "{name} does not exist");
            named += 1;
        }
    }
    assert!(named > 15, "the table has only {named} proofs");
}

#[test]
fn j3_a_waiting_run_is_confirmed_or_taken_back_and_nothing_else_touches_it() {
    let waits = |node: &Scripted| {
        node.files.put("/proc/sys/kernel/random/boot_id", "b00t\n");
        let boot = "b00t".to_owned();
        let waiting = Waiting {
            until: 600_000,
            admin: "ops".into(),
            keys: Vec::new(),
            not_from: Vec::new(),
            factors: Vec::new(),
            cursor: String::new(),
            boot,
        };
        journal(node, vec![Event::Waiting(waiting)]);
    };
    let node = Scripted::new();
    waits(&node);
    assert_eq!(status::run(&node, None, false).ok(), Some(4));
    let (code, text) = stopped(status::run(&node, Some(30), false));
    assert_eq!((code, text.as_str()), (4, "waited 30 seconds, and it is still not over"));
    let (code, text) = stopped(maintain::uninstall(&node));
    assert!(code == 2 && text.contains("waits for confirmation"), "{text}");
    let (code, _) =
        stopped(rollback::run(&node, &Rollback { id: Some(TransactionId(7)), ..Rollback::default() }));
    assert_eq!(code, 2, "another one");
    assert_eq!(maintain::recover(&node, false).ok(), Some(4));
    assert_eq!(confirm::run(&node).ok(), Some(0));
    assert_eq!(status::run(&node, None, false).ok(), Some(0));
    assert_eq!(confirm::run(&node).ok(), Some(0), "nothing waits any more");

    let node = Scripted::new();
    waits(&node);
    // The lock is our own, and `status` says running: that must not hide what waits.
    assert!(rollback::run(&node, &Rollback::default()).is_ok());
    let status = crate::status::read(&node).unwrap();
    assert_ne!(status.outcome.word(), "committed");
    assert_eq!(confirm::run(&node).ok(), Some(0));
    assert_ne!(crate::status::read(&node).unwrap().outcome.word(), "committed");
}
