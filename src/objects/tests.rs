//! What may be remembered of a file, and when it must be read again.

use super::index::Index;
use super::{ObjectId, Objects};
use crate::node::scripted::Scripted;
use crate::node::{Kind, Metadata, Node, Sighting};
use std::path::Path;
use std::time::Duration;

const INDEX: &str = "/run/firstlight/index";
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// A node that can tell its boots apart.
fn node() -> Scripted {
    let node = Scripted::new();
    node.files.directory("/run/firstlight");
    node.files.put(BOOT, "one\n");
    node
}

/// A file that changed so many milliseconds before now.
fn seen(node: &Scripted, milliseconds: i64) -> Sighting {
    let at = i64::try_from(node.now()).unwrap() - milliseconds;
    let metadata = Metadata {
        kind: Kind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: 5,
        modified: (1, 2),
        identity: (3, 4),
        links: 1,
    };
    let nanoseconds = u32::try_from(at % 1000).unwrap() * 1_000_000;
    Sighting { name: "file".into(), metadata, changed: Some((at / 1000, nanoseconds)) }
}

fn begun(node: &Scripted) -> Index {
    let mut index = Index::at(Path::new(INDEX));
    index.begin(node);
    index
}

/// An index on the node with this one file in it.
fn saved(node: &Scripted, file: &Sighting) {
    let mut index = begun(node);
    index.remember(file, ObjectId::of(b"hello"));
    index.save(node).unwrap();
}

fn forgotten(node: &Scripted, file: &Sighting) -> bool {
    begun(node).recall(file).is_none()
}

#[test]
fn a_file_is_remembered_by_the_next_process_while_nothing_of_it_differs() {
    let node = node();
    let file = seen(&node, 5000);
    saved(&node, &file);
    assert_eq!(begun(&node).recall(&file), Some(ObjectId::of(b"hello")));
    let changes: [fn(&mut Sighting); 8] = [
        |seen| seen.metadata.size += 1,
        |seen| seen.metadata.modified.0 += 1,
        |seen| seen.metadata.modified.1 += 1,
        |seen| seen.metadata.identity.0 += 1,
        |seen| seen.metadata.identity.1 += 1,
        |seen| seen.metadata.kind = Kind::Link,
        |seen| seen.changed = seen.changed.map(|(seconds, nanoseconds)| (seconds, nanoseconds + 1)),
        |seen| seen.changed = None,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut other = seen(&node, 5000);
        change(&mut other);
        assert!(forgotten(&node, &other), "change {number}");
    }
}

#[test]
fn what_changed_a_moment_ago_or_in_the_future_is_not_remembered() {
    for milliseconds in [-86_400_000, -1, 0, 1, 1999, 2000] {
        let node = node();
        let file = seen(&node, milliseconds);
        saved(&node, &file);
        assert!(forgotten(&node, &file), "{milliseconds} ms before");
    }
}

#[test]
fn a_clock_that_was_set_makes_everything_forgotten() {
    let by: [fn(u64) -> u64; 4] = [|now| now - 100_000, |now| now + 100_000, |now| now + 501, |_| 0];
    for (number, set) in by.iter().enumerate() {
        let node = node();
        let file = seen(&node, 5000);
        saved(&node, &file);
        node.set_clock(set(node.now()));
        assert!(forgotten(&node, &file), "{number}");
    }
    let node = node();
    let file = seen(&node, 5000);
    saved(&node, &file);
    node.sleep(Duration::from_secs(60));
    node.set_clock(node.now() + 100);
    assert!(!forgotten(&node, &file), "a minute later, by two clocks that are not read at once");
}

#[test]
fn a_clock_that_is_set_during_the_run_makes_everything_forgotten() {
    let node = node();
    let file = seen(&node, 5000);
    let mut index = begun(&node);
    index.remember(&file, ObjectId::of(b"hello"));
    index.begin(&node);
    assert!(index.recall(&file).is_some());
    node.set_clock(node.now() + 3_600_000);
    index.begin(&node);
    assert!(index.recall(&file).is_none());
}

#[test]
fn a_node_that_cannot_tell_its_boots_apart_remembers_nothing() {
    let node = node();
    node.files.remove(BOOT);
    let file = seen(&node, 5000);
    saved(&node, &file);
    assert!(forgotten(&node, &file));
}

#[test]
fn another_boot_and_a_damaged_index_remember_nothing() {
    let node = node();
    let file = seen(&node, 5000);
    saved(&node, &file);
    let whole = node.files.machine.read(Path::new(INDEX)).unwrap();
    let host = node.files.host(INDEX);
    for length in 0..whole.len() {
        std::fs::write(&host, &whole[..length]).unwrap();
        assert!(forgotten(&node, &file), "cut at {length}");
    }
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(&host, &flipped).unwrap();
        assert!(forgotten(&node, &file), "flipped at {at}");
    }
    std::fs::write(&host, &whole).unwrap();
    assert!(!forgotten(&node, &file));
    node.files.put(BOOT, "two\n");
    assert!(forgotten(&node, &file), "another boot");
}

#[test]
fn files_that_are_no_more_leave_the_index() {
    let node = node();
    let (file, gone) = (seen(&node, 5000), seen(&node, 6000));
    saved(&node, &gone);
    saved(&node, &file);
    assert!(!forgotten(&node, &file));
    assert!(forgotten(&node, &gone));
}

fn store(node: &Scripted, contents: &[&str]) -> Vec<String> {
    node.revive();
    let objects = Objects::new(node, Path::new("/var/lib/objects"));
    let mut batch = objects.batch().unwrap();
    for content in contents {
        batch.add(content.as_bytes()).unwrap();
    }
    batch.commit().unwrap();
    let syncs = |line: &String| line.starts_with("sync");
    node.trace()
        .into_iter()
        .filter(syncs)
        .map(|line| line.split(['/', ' ']).next().unwrap().to_owned())
        .collect()
}

/// The fsyncs that docs/speed.md justifies.
#[test]
fn a_batch_waits_for_the_disk_twice_however_much_is_in_it() {
    let node = Scripted::new();
    assert_eq!(
        store(&node, &["a", "b", "c", "d", "e", "f"]),
        ["sync-directory", "sync-all", "sync-directory"]
    );
    assert_eq!(store(&node, &["g"]), ["sync-file", "sync-directory"]);
    assert_eq!(store(&node, &["g"]), ["sync-directory"], "a crash may have come before it");
    assert_eq!(node.not_durable(), [""; 0]);
    let objects = Objects::new(&node, Path::new("/var/lib/objects"));
    objects.batch().unwrap().commit().unwrap();
    node.revive();
    objects.batch().unwrap().commit().unwrap();
    assert_eq!(node.trace(), [""; 0], "nothing new since the last one");
}
