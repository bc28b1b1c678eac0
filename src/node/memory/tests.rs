//! The node in memory loses and keeps what a disk would.

use super::*;
use crate::node::Node;
use std::collections::BTreeSet;
use std::path::Path;

const DEPTH: Depth = Depth { all_subsets: 6, at_random: 8 };

fn no_tools(_: &mut Shell<'_>, _: &Invocation) -> Output {
    Output { status: 127, stdout: String::new(), stderr: String::new() }
}

fn fresh() -> Memory {
    let node = Memory::new(Tree::new(DISK_DEVICE), no_tools);
    node.shell(|shell| shell.put("/etc/x", "old"));
    node.record();
    node
}

/// What `/etc/x` holds in every state that a power cut can leave.
fn contents(node: &Memory, base: &Tree) -> BTreeSet<String> {
    let (mut seen, mut found) = (BTreeSet::new(), BTreeSet::new());
    let events = node.record();
    moments(base, &events, None, DEPTH, &mut |key| seen.insert(key), &mut |state| {
        if state.moment == Moment::Power {
            let read = Memory::new(state.tree, no_tools).read(Path::new("/etc/x"));
            found.insert(read.map_or("(none)".to_owned(), |bytes| String::from_utf8(bytes).unwrap()));
        }
    });
    found
}

#[test]
fn a_rename_of_what_was_never_synced_may_show_nothing_half_or_zeros() {
    let (new, path) = (Path::new("/etc/.x"), Path::new("/etc/x"));
    for synced in [true, false] {
        let node = fresh();
        let base = node.tree();
        node.create(new, b"newer", 0o644).unwrap();
        if synced {
            node.sync_file(new).unwrap();
        }
        node.rename(new, path).unwrap();
        let found: Vec<String> = contents(&node, &base).into_iter().collect();
        let expected: &[&str] =
            if synced { &["newer", "old"] } else { &["", "\0\0\0\0\0", "ne", "newer", "old"] };
        assert_eq!(found, expected);
    }
}

#[test]
fn what_a_directory_says_is_durable_once_it_is_synced_and_not_before() {
    let node = fresh();
    let base = node.tree();
    node.remove_file(Path::new("/etc/x")).unwrap();
    assert_eq!(contents(&node, &base).into_iter().collect::<Vec<_>>(), ["(none)", "old"]);
    let node = fresh();
    let base = node.tree();
    node.remove_file(Path::new("/etc/x")).unwrap();
    node.sync_directory(Path::new("/etc")).unwrap();
    let mut last = Vec::new();
    let events = node.record();
    moments(&base, &events, None, DEPTH, &mut |_| true, &mut |state| {
        last.push(Memory::new(state.tree, no_tools).read(Path::new("/etc/x")).is_ok());
    });
    assert_eq!(last.last(), Some(&false));
}

#[test]
fn a_hole_in_a_file_is_zeros() {
    let node = fresh();
    let (base, path) = (node.tree(), Path::new("/etc/x"));
    node.append(path, b"1").unwrap();
    node.append(path, b"2").unwrap();
    let found: Vec<String> = contents(&node, &base).into_iter().collect();
    assert_eq!(found, ["old", "old\x00", "old\x002", "old1", "old1\x00", "old12"]);
}

#[test]
fn pmxcfs_lets_go_of_a_lock_two_minutes_after_it_was_asked_for() {
    let node = Memory::new(Tree::new(DISK_DEVICE), no_tools);
    let lock = Path::new("/etc/pve/priv/lock/firewall-cluster");
    node.shell(|shell| {
        shell.mount("/etc/pve", CLUSTER_DEVICE);
        shell.directory("/etc/pve/priv/lock");
    });
    node.make_directory(lock, 0o700).unwrap();
    node.sleep(std::time::Duration::from_secs(3600));
    for second in 0..119 {
        node.set_times_to_zero(lock).unwrap();
        assert!(node.lookup(lock).unwrap().is_some(), "{second}");
        node.sleep(std::time::Duration::from_secs(1));
    }
    node.sleep(std::time::Duration::from_secs(2));
    node.set_times_to_zero(lock).unwrap();
    assert!(node.lookup(lock).unwrap().is_none());
}
