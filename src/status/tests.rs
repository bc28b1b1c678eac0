//! From journals to outcome and exit code.

use super::*;
use crate::objects::ObjectId;
use crate::report::terminal::Paint;
use crate::transaction::record::{Closing, Event, FORMAT, Inverse, Record};
use crate::transaction::state::TransactionId;
use std::path::PathBuf;

const BOOT: &str = "boot-1";

/// Records a second apart from `start`, in seconds.
fn at(start: u64, events: Vec<Event>) -> Vec<Record> {
    let stamp = |(place, event)| Record { at: (start + place as u64) * 1000, event };
    events.into_iter().enumerate().map(stamp).collect()
}

fn begin(door: &str) -> Event {
    Event::Begin {
        format: FORMAT,
        version: "0.1.0".into(),
        door: door.into(),
        plan: "c0ffee".into(),
        source: "embedded answer".into(),
        boot: BOOT.into(),
        cluster: String::new(),
    }
}

fn step(step: usize, title: &str) -> Event {
    Event::Step { step, title: title.into() }
}

fn intent(step: usize) -> Event {
    Event::Intent { step, inverse: Inverse::Paths, scopes: Vec::new(), before: ObjectId::of(b"") }
}

fn done(step: usize) -> Event {
    Event::Done { step, milliseconds: 1500 }
}

fn failed(what: &str) -> Event {
    Event::Failed { what: what.into(), message: "no such option".into() }
}

fn revert() -> Event {
    Event::Revert { reason: "a step failed".into(), force: false, ufw_stays: false }
}

fn closed(outcome: Closing) -> Event {
    Event::Closed { outcome, message: String::new() }
}

fn gate(passed: bool) -> Event {
    let message = if passed { "" } else { "line 3: Bad option" };
    Event::Gate { id: "ssh.configuration".into(), passed, message: message.into(), milliseconds: 120 }
}

fn started(door: &str) -> Vec<Event> {
    vec![
        begin(door),
        step(0, "packages"),
        step(1, "file /etc/x"),
        gate(true),
        Event::Snapshot { entries: 1200 },
    ]
}

fn committed(door: &str) -> Vec<Event> {
    let mut events = started(door);
    events.extend([intent(0), done(0), intent(1), done(1)]);
    events.push(Event::Probe { control: "ssh.port".into(), holds: true, message: String::new() });
    events.push(Event::Commit);
    events
}

fn reverted(door: &str) -> Vec<Event> {
    let mut events = started(door);
    events.extend([intent(0), done(0), intent(1), failed("file /etc/x"), revert()]);
    for step in [1, 0] {
        events.extend([
            Event::Reverting { step, foreign: ObjectId::of(b"") },
            Event::Reverted { step, kept: Vec::new() },
        ]);
    }
    events.push(closed(Closing::Reverted));
    events
}

fn untouched(door: &str) -> Vec<Event> {
    vec![
        begin(door),
        step(0, "file /etc/x"),
        gate(false),
        Event::Failed { what: "ssh.configuration".into(), message: "line 3: Bad option".into() },
        closed(Closing::Untouched),
    ]
}

fn tries(count: u32) -> Vec<Event> {
    (1..=count).map(|number| Event::Try { number, boot: BOOT.into() }).collect()
}

fn ended(outcome: &str) -> Event {
    Event::Ended { outcome: outcome.into(), message: "because".into() }
}

fn evidence(transactions: Vec<Vec<Record>>, hook: Vec<Record>) -> Evidence {
    let story =
        |(place, records): (usize, Vec<Record>)| Story::read(TransactionId(place as u32 + 1), &records);
    let stories = transactions.into_iter().enumerate().map(story).collect();
    Evidence {
        stories,
        hook,
        holder: None,
        pending: false,
        unverified: Vec::new(),
        unacknowledged: Vec::new(),
        audit: Vec::new(),
        boot: BOOT.into(),
        up: 60_000,
        now: 0,
    }
}

/// One transaction, no hook.
fn single(events: Vec<Event>) -> Status {
    fold(evidence(vec![at(100, events)], Vec::new()))
}

fn is(status: &Status, outcome: Outcome, code: u8) {
    assert_eq!((status.outcome, status.exit_code), (outcome, code), "{}", status.message);
}

#[test]
fn j5_a_node_where_nothing_ran_is_fine() {
    let status = fold(evidence(Vec::new(), Vec::new()));
    is(&status, Outcome::NeverRan, 0);
    assert!(status.settled);
}

#[test]
fn j5_a_committed_transaction_tells_its_steps_with_times() {
    let status = single(committed("hook"));
    is(&status, Outcome::Committed, 0);
    let story = status.story().unwrap();
    assert_eq!(story.steps.len(), 2);
    assert!(story.steps.iter().all(|step| step.outcome == StepOutcome::Done));
    assert_eq!(story.steps[0].milliseconds, Some(1500));
    assert_eq!(story.milliseconds(), Some(10_000));
    assert_eq!((story.entries, story.gates.len(), story.probes.len()), (Some(1200), 1, 1));
}

#[test]
fn j5_a_committed_transaction_with_a_warning_needs_attention() {
    let mut events = committed("hook");
    events.insert(5, Event::Warning { text: "one source answered 401".into() });
    let status = single(events);
    is(&status, Outcome::Committed, 3);
    assert_eq!(status.story().unwrap().warnings, ["one source answered 401"]);
}

#[test]
fn j3_a_failed_step_and_what_was_put_back_are_told() {
    let status = single(reverted("command"));
    is(&status, Outcome::Reverted, 1);
    assert_eq!(status.message, "file /etc/x: no such option");
    let steps = &status.story().unwrap().steps;
    assert_eq!(steps[0].outcome, StepOutcome::Reverted);
    assert_eq!((steps[1].outcome, steps[1].milliseconds), (StepOutcome::Failed, Some(1000)));
}

#[test]
fn j3_a_gate_that_refuses_leaves_the_node_untouched_and_its_message_is_kept() {
    let status = single(untouched("command"));
    is(&status, Outcome::Untouched, 1);
    assert_eq!(status.message, "ssh.configuration: line 3: Bad option");
    assert!(!status.story().unwrap().gates[0].passed);
}

#[test]
fn j3_a_rollback_on_request_is_fine_and_kept_files_need_attention() {
    for (kept, code) in [(Vec::new(), 0), (vec![PathBuf::from("/etc/hosts")], 3)] {
        let mut events = committed("command");
        events.extend([
            revert(),
            Event::Reverting { step: 1, foreign: ObjectId::of(b"") },
            Event::Reverted { step: 1, kept: kept.clone() },
        ]);
        events.extend([
            Event::Reverting { step: 0, foreign: ObjectId::of(b"") },
            Event::Reverted { step: 0, kept: Vec::new() },
        ]);
        events.push(closed(Closing::RolledBack));
        let status = single(events);
        is(&status, Outcome::RolledBack, code);
        assert_eq!(status.story().unwrap().kept, kept);
    }
}

#[test]
fn j3_a_rollback_of_an_older_transaction_counts_more_than_a_later_one_that_came_to_nothing() {
    let mut first = at(100, committed("command"));
    first.extend(at(300, vec![revert(), closed(Closing::RolledBack)]));
    is(&fold(evidence(vec![first, at(200, untouched("command"))], Vec::new())), Outcome::RolledBack, 0);
    let mut first = at(100, committed("command"));
    first.extend(at(150, vec![revert(), closed(Closing::RolledBack)]));
    is(&fold(evidence(vec![first, at(200, untouched("command"))], Vec::new())), Outcome::Untouched, 1);
}

#[test]
fn j3_what_could_not_be_put_back_is_stuck_with_both_reasons() {
    let mut events = started("hook");
    events.extend([intent(0), done(0), intent(1), failed("file /etc/x"), revert()]);
    events.push(Event::Reverting { step: 0, foreign: ObjectId::of(b"") });
    events.push(Event::Closed { outcome: Closing::Stuck, message: "purging ufw: locked".into() });
    let status = single(events);
    is(&status, Outcome::Stuck, 5);
    assert_eq!(status.message, "file /etc/x: no such option\npurging ufw: locked");
    assert_eq!(status.story().unwrap().steps[0].outcome, StepOutcome::Stuck);
}

#[test]
fn j3_a_transaction_that_was_cut_off_is_unfinished_and_names_its_step() {
    let mut events = started("hook");
    events.extend([intent(0), done(0), intent(1)]);
    let status = single(events);
    is(&status, Outcome::Unfinished, 5);
    assert_eq!(status.message, "cut off in step 2 of 2: file /etc/x");
    assert!(status.settled, "the run of this boot died; nobody goes on by itself");
}

#[test]
fn j3_an_unfinished_transaction_of_an_earlier_boot_is_waited_for() {
    let mut evidence = evidence(vec![at(100, started("hook"))], Vec::new());
    evidence.boot = "boot-2".into();
    let status = fold(evidence);
    is(&status, Outcome::Unfinished, 5);
    assert!(!status.settled);
}

#[test]
fn j5_while_the_lock_is_held_a_run_is_at_work() {
    let mut events = started("hook");
    events.extend([intent(0), done(0), intent(1)]);
    let mut evidence = evidence(vec![at(100, events)], Vec::new());
    evidence.holder = Some(412);
    let status = fold(evidence);
    is(&status, Outcome::Running, 4);
    assert_eq!(status.message, "process 412 is at step 2 of 2: file /etc/x");
    assert!(!status.settled);
}

#[test]
fn j3_a_journal_that_cannot_be_believed_is_stuck() {
    let mut evidence = evidence(Vec::new(), Vec::new());
    evidence.stories.push(Story::damaged(TransactionId(1), "line 3 is damaged".into()));
    let status = fold(evidence);
    is(&status, Outcome::Stuck, 5);
    assert_eq!(status.message, "line 3 is damaged");
}

#[test]
fn j3_how_a_transaction_stands_is_what_recovery_goes_by_whatever_the_order_of_its_records() {
    let events =
        [closed(Closing::Reverted), closed(Closing::Stuck), Event::Commit, failed("a step"), revert()];
    for (first, second, third) in (0..125).map(|place| (place / 25, place / 5 % 5, place % 5)) {
        let order = [&events[first], &events[second], &events[third]];
        let records = at(1, started("hook").into_iter().chain(order.map(Event::clone)).collect());
        let work = crate::transaction::Story::of(&records).phase() == crate::transaction::Phase::Unfinished;
        let open = fold(evidence(vec![records], Vec::new())).is_open();
        assert_eq!(open, work, "{order:?}");
    }
}

#[test]
fn j1_the_hook_that_gave_up_says_so_after_its_last_try() {
    let mut hook = tries(3);
    hook.push(ended("gave-up"));
    // The clock went back a year between the try and the end: the hook's last word is still the last.
    let status = fold(evidence(vec![at(90_000, reverted("hook"))], at(100, hook)));
    is(&status, Outcome::GaveUp, 1);
    assert_eq!((status.tries, status.message.as_str()), (3, "because"));
}

#[test]
fn j1_what_is_stuck_stays_stuck_when_the_hook_gives_up() {
    let mut events = started("hook");
    events.extend([revert(), closed(Closing::Stuck)]);
    let mut hook = tries(3);
    hook.push(ended("gave-up"));
    is(&fold(evidence(vec![at(100, events)], at(900, hook))), Outcome::Stuck, 5);
}

#[test]
fn j1_bad_input_and_no_answer_are_the_hooks_own_words() {
    let mut hook = tries(1);
    hook.push(ended("bad-input"));
    is(&fold(evidence(Vec::new(), at(100, hook))), Outcome::BadInput, 2);
    is(&fold(evidence(Vec::new(), at(100, vec![ended("no-answer")]))), Outcome::NoAnswer, 0);
}

#[test]
fn j1_a_later_apply_by_hand_counts_more_than_the_hooks_last_word() {
    let hook = at(100, vec![ended("bad-input")]);
    is(&fold(evidence(vec![at(200, committed("command"))], hook.clone())), Outcome::Committed, 0);
    is(&fold(evidence(vec![at(200, untouched("command"))], hook.clone())), Outcome::Untouched, 1);
    is(&fold(evidence(vec![at(50, untouched("command"))], hook)), Outcome::BadInput, 2);
}

#[test]
fn j1_a_first_boot_that_found_everything_true_is_unchanged() {
    is(&fold(evidence(Vec::new(), at(100, tries(1)))), Outcome::Unchanged, 0);
    let mut hook = tries(1);
    hook.push(ended("unchanged"));
    is(&fold(evidence(Vec::new(), at(100, hook.clone()))), Outcome::Unchanged, 0);
    is(&fold(evidence(vec![at(50, committed("hook"))], at(100, hook))), Outcome::Committed, 0);
}

#[test]
fn j1_a_try_that_died_before_its_transaction_is_told() {
    let mut evidence = evidence(Vec::new(), at(100, tries(2)));
    evidence.pending = true;
    let status = fold(evidence);
    is(&status, Outcome::Untouched, 1);
    assert!(status.settled && status.pending, "this boot had its try");
}

#[test]
fn j1_a_first_boot_still_to_come_is_waited_for() {
    let mut fresh = evidence(Vec::new(), Vec::new());
    fresh.pending = true;
    assert!(!fold(fresh).settled);
    let mut again = evidence(vec![at(100, reverted("hook"))], at(99, tries(1)));
    (again.pending, again.boot) = (true, "boot-2".into());
    assert!(!fold(again).settled, "the second boot's try is still to come");
    let mut over = evidence(Vec::new(), at(100, vec![ended("no-answer")]));
    (over.pending, over.boot) = (true, "boot-2".into());
    assert!(fold(over).settled);
}

#[test]
fn j5_the_json_has_every_key_and_says_what_the_fold_says() {
    let mut events = reverted("hook");
    events.insert(4, Event::Warning { text: "w".into() });
    let mut evidence =
        evidence(vec![at(1_795_000_000, untouched("command")), at(1_795_000_100, events)], Vec::new());
    evidence.hook = at(1_795_000_099, tries(2));
    let text = json::value(&fold(evidence)).to_string();
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["outcome"], "reverted");
    assert_eq!(read["exit_code"], 1);
    assert_eq!(read["tries"], 2);
    assert_eq!(read["transaction"], "0002");
    assert_eq!(read["started"], "2026-11-18T11:08:20Z");
    assert_eq!(
        read["steps"][0],
        serde_json::json!({"title": "packages", "outcome": "reverted", "seconds": 1.5})
    );
    assert_eq!(read["gates"][0]["passed"], true);
    assert_eq!(read["warnings"][0], "w");
    assert_eq!(read["transactions"][0]["outcome"], "untouched");
    for key in
        ["message", "kept", "probes", "ended", "version", "plan", "door", "source", "pending", "process"]
    {
        assert!(read.get(key).is_some(), "{key} is missing");
    }
}

#[test]
fn j5_the_json_of_a_fresh_node_has_every_key_too() {
    let keys = |status: &Status| -> Vec<String> {
        let read: serde_json::Value = serde_json::from_str(&json::value(status).to_string()).unwrap();
        read.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&fold(evidence(Vec::new(), Vec::new()))), keys(&single(committed("hook"))));
}

#[test]
fn j5_the_text_fits_eighty_columns_and_tells_every_step() {
    let mut events = reverted("hook");
    events[1] =
        step(0, "packages: install apt-listchanges, fail2ban, sudo, ufw, unattended-upgrades and more");
    events.insert(2, Event::Warning { text: "word ".repeat(60) });
    let text = text::render(&single(events), Paint::PLAIN);
    for line in text.lines().filter(|line| !line.contains("apt-listchanges")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(text.starts_with("firstlight: reverted\n  file /etc/x: no such option\n"), "{text}");
    assert!(text.contains("\n  failed    file /etc/x"), "{text}");
    assert!(text.contains("  passed    ssh.configuration"), "{text}");
    assert!(!text.contains('\x1b'));
}

#[test]
fn j5_every_outcome_has_a_word_of_its_own_and_a_sentence() {
    let committed = single(committed("hook"));
    assert!(text::render(&committed, Paint::PLAIN).contains("as the answer wants it."));
    let fresh = text::render(&fold(evidence(Vec::new(), Vec::new())), Paint::PLAIN);
    assert_eq!(fresh, "firstlight: never-ran\n  Nothing has run on this node.\n");
}
