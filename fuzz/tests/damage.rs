//! Every truncation and every single flipped bit of what a real transaction left on the disk ends in a clear state.

use firstlight::error::Error;
use firstlight::hook;
use firstlight::manifest::Manifest;
use firstlight::node::Node;
use firstlight::objects::{ObjectId, Objects};
use firstlight::progress::Silent;
use firstlight::status::{self, Outcome};
use firstlight::transaction::journal::read_records;
use firstlight::transaction::record::{Event, Record};
use firstlight::transaction::state::{HOOK_PATH, OBJECTS_DIR, TransactionId};
use firstlight::transaction::{Outcome as End, Phase, Stage, Story, recover, rollback};
use firstlight_fuzz::memory::Memory;
use firstlight_fuzz::seeds::{Left, transactions};
use std::path::{Path, PathBuf};

const MOTD: &str = "/etc/motd";

fn journal() -> PathBuf {
    TransactionId(1).journal()
}

fn with_journal(left: &Left, journal_now: &[u8]) -> Memory {
    let node = left.node.clone();
    node.put(journal(), journal_now);
    node
}

/// The errors of the product show themselves; they are no `Debug` outside of its own tests.
fn sure<T>(outcome: Result<T, Error>) -> T {
    let told = outcome.as_ref().err().map(ToString::to_string);
    assert!(told.is_none(), "{}", told.unwrap_or_default());
    outcome.ok().unwrap_or_else(|| unreachable!())
}

fn records(left: &Left) -> Vec<Record> {
    sure(read_records(&left.node, &journal()))
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

#[test]
fn j3_every_truncation_of_a_journal_is_an_earlier_moment_of_it() {
    for left in sure(transactions()) {
        let written = records(&left);
        for length in 0..left.journal.len() {
            let cut = &left.journal[..length];
            let whole = cut.iter().filter(|byte| **byte == b'\n').count();
            let node = with_journal(&left, cut);
            let read = sure(read_records(&node, &journal()));
            let lines = |records: &[Record]| records.iter().map(Record::encode).collect::<Vec<_>>();
            assert_eq!(lines(&read), lines(&written[..whole]), "{length}");

            let committed = read.iter().any(|record| matches!(record.event, Event::Commit));
            let phase = Story::of(&read).phase();
            assert!(committed || phase != Phase::Committed, "{length}: committed before the commit");
            let closed = read.iter().any(|record| matches!(record.event, Event::Closed { .. }));
            assert!(closed || phase != Phase::Over, "{length}: over before it was closed");
            let told = sure(status::read(&node)).outcome;
            assert_eq!(told == Outcome::Committed, phase == Phase::Committed, "{length}");
            assert_eq!(told == Outcome::Unfinished, phase == Phase::Unfinished, "{length}");

            // All cuts inside of a line are the same to recovery.
            let inside = length.saturating_sub(cut.iter().rposition(|byte| *byte == b'\n').unwrap_or(0));
            if inside > 3 {
                continue;
            }
            let recovered = sure(recover(&node, Stage::Late, &mut Silent));
            assert_eq!(recovered.is_some(), phase == Phase::Unfinished, "{length}");
            assert!(
                !matches!(recovered, Some(End::Stuck(..))),
                "{length}: {:?}",
                status::read(&node).map(|s| s.message).ok()
            );
            assert!(matches!(recover(&node, Stage::Late, &mut Silent), Ok(None)), "{length}: twice");
        }
    }
}

#[test]
fn j3_every_flipped_bit_of_a_journal_is_seen_and_nothing_is_believed() {
    let [_, _, left] = sure(transactions());
    let node = left.node.clone();
    for bit in 0..left.journal.len() * 8 {
        node.put(journal(), &flipped(&left.journal, bit));
        let Err(error) = read_records(&node, &journal()) else { panic!("bit {bit} is not seen") };
        assert!(error.because.starts_with("line ") && !error.hint.is_empty(), "{error}");
    }
}

#[test]
fn j3_a_node_with_a_damaged_journal_is_left_alone_and_status_says_so() {
    for left in sure(transactions()) {
        for place in (0..left.journal.len()).step_by(5) {
            let damaged = flipped(&left.journal, place * 8 + place % 8);
            let node = with_journal(&left, &damaged);
            let before = node.etc();
            let told = sure(status::read(&node));
            assert!(told.outcome == Outcome::Stuck && told.exit_code == 5, "{place}");
            assert!(told.message.contains("is damaged"), "{place}: {}", told.message);
            for stage in [Stage::Early, Stage::Late] {
                let ended = recover(&node, stage, &mut Silent);
                assert!(matches!(ended, Ok(Some(End::Stuck(..)))), "{place}");
            }
            assert!(rollback(&node, None, true, &mut Silent).is_err(), "{place}");
            assert!(node.etc() == before, "{place}: something was done");
            assert!(node.content(journal()).as_ref() == Some(&damaged), "{place}: the journal was changed");
        }
    }
}

#[test]
fn j3_sectors_that_a_power_cut_did_not_write_are_the_end_of_a_journal() {
    for left in sure(transactions()) {
        let written = records(&left);
        let mut start = 0;
        for (number, record) in written.iter().enumerate() {
            // This record was on its way: each of its sectors is there or not.
            let end = start + record.encode().len();
            for sector in
                [start..start.next_multiple_of(512).min(end), start.next_multiple_of(512).min(end)..end]
            {
                if sector.is_empty() {
                    continue;
                }
                let mut torn = left.journal[..end].to_vec();
                torn[sector].fill(0);
                let node = with_journal(&left, &torn);
                let read = sure(read_records(&node, &journal()));
                assert_eq!(read.len(), number, "record {number}");
                // It was no power cut where a record that counts stands behind it.
                torn.extend_from_slice(&left.journal[end..]);
                if written.iter().skip(number + 2).any(|record| !record.event.is_note()) {
                    assert!(
                        read_records(&with_journal(&left, &torn), &journal()).is_err(),
                        "record {number}"
                    );
                }
            }
            start = end;
        }
    }
}

#[test]
fn j3_every_truncation_and_every_flipped_bit_of_a_snapshot_is_refused() {
    let [left, ..] = sure(transactions());
    assert!(Manifest::decode(&left.snapshot).is_ok());
    for length in 0..left.snapshot.len() {
        assert!(Manifest::decode(&left.snapshot[..length]).is_err(), "{length}");
    }
    for bit in 0..left.snapshot.len() * 8 {
        assert!(Manifest::decode(&flipped(&left.snapshot, bit)).is_err(), "bit {bit}");
    }
}

#[test]
fn j3_every_truncation_and_every_flipped_bit_of_an_object_is_refused() {
    let [left, ..] = sure(transactions());
    let node = left.node.clone();
    for object in &left.objects {
        let id = ObjectId::of(object);
        let path = Path::new(OBJECTS_DIR).join(id.to_string());
        let objects = Objects::new(&node, Path::new(OBJECTS_DIR));
        for length in 0..object.len() {
            node.put(&path, &object[..length]);
            assert!(objects.read(&id).is_err(), "{id}: {length}");
        }
        for bit in 0..object.len() * 8 {
            node.put(&path, &flipped(object, bit));
            assert!(objects.read(&id).is_err(), "{id}: bit {bit}");
        }
        node.put(&path, object);
    }
}

#[test]
fn j3_a_rollback_without_one_of_its_objects_is_stuck_until_the_object_is_back() {
    let [left, ..] = sure(transactions());
    let mut needed = 0;
    for object in &left.objects {
        let node = left.node.clone();
        let path = Path::new(OBJECTS_DIR).join(ObjectId::of(object).to_string());
        let damaged = if object.is_empty() { b"x".to_vec() } else { flipped(object, 0) };
        node.put(&path, &damaged);
        let outcome = rollback(&node, None, false, &mut Silent);
        let motd = node.content(MOTD).unwrap_or_default();
        assert!(motd == b"welcome\n" || motd == b"hardened\n", "a damaged content was written");
        if matches!(outcome, Ok(End::Reverted(..))) {
            continue;
        }
        needed += 1;
        let told = sure(status::read(&node));
        assert!(told.exit_code == 5 && told.message.contains("damaged"), "{}", told.message);
        node.put(&path, object);
        assert!(matches!(recover(&node, Stage::Late, &mut Silent), Ok(Some(End::Reverted(..)))));
        assert_eq!(node.content(MOTD).unwrap_or_default(), b"welcome\n");
    }
    assert!(needed > 3, "{needed}");
}

#[test]
fn h_every_truncation_and_every_flipped_bit_of_the_hooks_journal_ends_its_tries() {
    let node = Memory::default();
    node.put("/exe", b"#!");
    let tries = [("", 1), ("boot-1", 2)].map(|(boot, number)| Record {
        at: 1_767_225_600_000,
        event: Event::Try { number, boot: boot.to_owned() },
    });
    let written: String = tries.iter().map(Record::encode).collect();
    for length in 0..=written.len() {
        node.put(HOOK_PATH, &written.as_bytes()[..length]);
        let read = sure(hook::records(&node));
        let whole = written.as_bytes()[..length].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(hook::tries(&read) as usize, whole);
    }
    for bit in 0..written.len() * 8 {
        node.put(HOOK_PATH, &flipped(written.as_bytes(), bit));
        node.put(status::PENDING_PATH, b"");
        let told = sure(status::read(&node));
        assert!(told.outcome == Outcome::GaveUp && told.message.contains("is damaged"), "bit {bit}");
        assert!(hook::run(&node, Path::new("/exe"), &mut Silent).is_err(), "bit {bit}");
        assert!(
            node.lookup(Path::new(status::PENDING_PATH)).is_ok_and(|flag| flag.is_none()),
            "PVE starts it again"
        );
        assert!(node.content("/etc/motd.d/firstlight").is_some(), "nobody is told");
        assert!(node.content("/etc/ssh/sshd_config.d/00-firstlight.conf").is_none());
    }
}

#[test]
fn j3_records_of_a_newer_version_are_neither_damage_nor_the_end() {
    let [left, ..] = sure(transactions());
    let unknown = firstlight_fuzz::journal::summed(b"telepathy\tat=1\n");
    let begin = firstlight_fuzz::journal::summed(
        b"begin\tat=1\tformat=2\tversion=9\tdoor=hook\tplan=\tsource=\tboot=\tcluster=\n",
    );
    for journal_now in [[left.journal.as_slice(), &unknown].concat(), begin] {
        let node = with_journal(&left, &journal_now);
        let Ok(Some(End::Stuck(_, _, left))) = recover(&node, Stage::Late, &mut Silent) else {
            panic!("recovered")
        };
        assert!(left.contains("by another version"), "{left}");
        assert!(status::read(&node).is_ok_and(|status| status.exit_code == 5));
        assert!(node.content(journal()).as_ref() == Some(&journal_now));
    }
}
