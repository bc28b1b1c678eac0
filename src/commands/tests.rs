//! The commands on a node in a temporary directory: what they refuse, and what they leave behind.

mod comparison;

use super::*;
use crate::cli::{AuditForm, Rollback, Snapshots};
use crate::facts::Facts;
use crate::manifest::{self, Scope};
use crate::node::Output;
use crate::node::memory::{DISK_DEVICE, Fault, Memory, Tree};
use crate::node::scripted::Scripted;
use crate::objects::{ObjectId, Objects};
use crate::profile::{Management, Network, Profile};
use crate::transaction::journal::Journal;
use crate::transaction::record::{Closing, Event, FORMAT, Inverse, Waiting};
use crate::transaction::state::{OBJECTS_DIR, STATE_DIR, STATUS_PATH, TransactionId, write_atomically};

const ID: TransactionId = TransactionId(1);

/// A journal with these events behind its beginning.
pub(super) fn journal(node: &dyn Node, events: Vec<Event>) {
    journal_of(node, ID, events);
}

fn journal_of(node: &dyn Node, id: TransactionId, events: Vec<Event>) {
    state::prepare(node).unwrap();
    node.make_directory(&id.directory(), 0o700).unwrap();
    let begin = Event::Begin {
        format: FORMAT,
        version: "0.1.0".into(),
        door: "command".into(),
        plan: "c0ffee".into(),
        source: "answer.toml".into(),
        boot: String::new(),
        cluster: String::new(),
    };
    let journal = Journal::start(node, id.journal(), begin).unwrap();
    events.into_iter().for_each(|event| journal.write(event).unwrap());
}

/// A transaction that was committed, with a snapshot of what is in /etc.
fn committed(node: &Scripted) {
    committed_as(node, ID);
}

fn committed_as(node: &Scripted, id: TransactionId) {
    journal_of(node, id, vec![Event::Commit]);
    let objects = Objects::new(node, Path::new(OBJECTS_DIR));
    let mut batch = objects.batch().unwrap();
    let scopes = [Scope::Tree("/etc".into())];
    let manifest = manifest::capture(node, &scopes, &[], Some(&mut batch)).unwrap();
    batch.commit().unwrap();
    write_atomically(node, &id.snapshot(), &manifest.encode()).unwrap();
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
    node.files.put(LOCK_PATH, "412\n");
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
    for part in [
        "/var/lib/firstlight is missing",
        "firstlight recover",
        "firstlight apply ANSWER",
        "Break glass",
        "ufw disable",
    ] {
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
    let (code, text) = stopped(check::run(&node, Path::new("/root/a.toml"), None));
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

fn waiting() -> Event {
    Event::Waiting(Waiting {
        until: 600_000,
        admin: "ops".into(),
        keys: Vec::new(),
        not_from: Vec::new(),
        factors: Vec::new(),
        cursor: String::new(),
        boot: "b00t".to_owned(),
    })
}

fn intent() -> Event {
    let (inverse, before) = (Inverse::Paths, ObjectId::of(b""));
    Event::Intent { step: 0, inverse, scopes: Vec::new(), before }
}

#[test]
fn j3_a_waiting_run_is_confirmed_or_taken_back_and_nothing_else_touches_it() {
    let waits = |node: &Scripted| {
        node.files.put("/proc/sys/kernel/random/boot_id", "b00t\n");
        journal(node, vec![waiting()]);
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

#[test]
fn i1_an_audit_of_an_untouched_node_ends_with_3_and_leaves_no_trace() {
    let node = Scripted::new();
    for form in [AuditForm::Text, AuditForm::Json, AuditForm::Junit] {
        assert_eq!(audit::run(&node, None, form).ok(), Some(3));
    }
    assert!(!node.files.has("/var/lib/firstlight"));
}

#[test]
fn i2_a_kept_audit_leaves_a_run_at_work_alone_and_is_told_by_status() {
    let node = Scripted::new();
    let keep = || audit::run(&node, None, AuditForm::Record);
    let held = lock(&node).ok();
    assert_eq!(stopped(keep()).0, 2);
    assert!(crate::status::read(&node).unwrap().audit.is_empty());
    drop(held);
    assert_eq!(keep().ok(), Some(3));
    assert_eq!(
        crate::status::read(&node).unwrap().audit.len(),
        2,
        "the summary, and who is taken for the admin"
    );
    assert_eq!(keep().ok(), Some(3));
    let told = crate::status::read(&node).unwrap().audit;
    assert!(told[0].contains("need attention"), "{told:?}");
    assert!(!told.iter().any(|line| line.contains("turned")), "nothing has: {told:?}");
}

#[test]
fn j3_an_error_is_told_by_every_transaction_and_not_by_the_newest_alone() {
    // The second was rolled back; the first was cut off in the middle of that.
    let node = Scripted::new();
    journal(
        &node,
        vec![
            intent(),
            Event::Commit,
            Event::Revert { reason: "asked for".into(), force: false, ufw_stays: false },
        ],
    );
    let closed = Event::Closed { outcome: Closing::RolledBack, message: String::new() };
    journal_of(&node, TransactionId(2), vec![intent(), Event::Commit, closed]);
    let stop = failed(&node, &Error::new("closing", "Read-only file system"));
    assert_eq!(stop.code, 5);
    assert!(stop.text.contains("firstlight snapshots diff 0001"), "{}", stop.text);
}

#[test]
fn j3_an_error_while_a_run_waits_breaks_no_glass() {
    let node = Scripted::new();
    node.files.put("/proc/sys/kernel/random/boot_id", "b00t\n");
    journal(&node, vec![intent(), waiting()]);
    let stop = failed(&node, &Error::new("changing cluster.fw", "firewall-cluster is held"));
    assert_eq!(stop.code, 4);
    assert!(stop.text.contains("held\n  transaction 0001 still waits for confirmation"), "{}", stop.text);
}

#[test]
fn j3_a_lock_that_cannot_be_taken_hides_no_node_that_is_neither_old_nor_new() {
    for (begun, wanted) in [(true, 5), (false, 2)] {
        let node = Memory::new(Tree::new(DISK_DEVICE), |_, _| Output {
            status: 127,
            stdout: String::new(),
            stderr: String::new(),
        });
        node.shell(|shell| shell.directory("/var/lib"));
        journal(&node, if begun { vec![intent()] } else { vec![intent(), Event::Commit] });
        node.break_with(Fault::ReadOnly(0));
        let _ = node.create(Path::new("/var/lib/more"), b"", 0o600);
        let (code, text) = stopped(rollback::run(&node, &Rollback::default()));
        assert_eq!(code, wanted, "{text}");
        assert!(text.contains("Read-only file system"), "{text}");
        assert_eq!(text.contains("Break glass"), begun, "{text}");
    }
}

#[test]
fn j3_confirming_holds_the_lock_from_the_look_to_the_end() {
    let node = Scripted::new();
    node.files.put("/proc/sys/kernel/random/boot_id", "b00t\n");
    journal(&node, vec![waiting()]);
    node.revive();
    assert_eq!(confirm::run(&node).ok(), Some(0));
    let locked = node.trace().iter().filter(|step| step.starts_with("lock ")).count();
    assert_eq!(locked, 1, "whoever takes it in between decides, and is not told");
}

/// `check ../answer.toml`: the node takes no way upwards, an operator's path may be one.
#[test]
fn a1_the_path_of_an_answer_may_lead_upwards() {
    let here = std::env::current_dir().unwrap().canonicalize().unwrap();
    assert_eq!(engine::absolute(Path::new("src/../Cargo.toml")).unwrap(), here.join("Cargo.toml"));
    assert_eq!(engine::absolute(Path::new("no-such/Cargo.toml")).unwrap(), here.join("no-such/Cargo.toml"));
    let error = engine::absolute(Path::new("no-such/../Cargo.toml")).unwrap_err().to_string();
    assert!(error.contains("no-such/..") && error.contains("No such file"), "{error}");
}
