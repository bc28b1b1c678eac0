//! The rules of the tree and of its database, without a mount.

use std::fs::{self, OpenOptions};
use std::path::Path;

use nix::errno::Errno;

use super::cluster::{Cluster, Switches};
use super::database::{Database, Rows};
use super::state::{Kind, State, Thing, is_private};
use super::tree::{LARGEST, ROOT, Tree};

const NOW: u32 = 1_795_326_000;

fn tree() -> Tree {
    Tree::new(Rows::new(), NOW)
}

fn state(root: &Path) -> State {
    let database = Database::open(&root.join("db")).unwrap();
    State::new(database, "pve1", Switches::below(root), false, NOW)
}

fn paths(root: &Path) -> Vec<String> {
    let tree = Tree::new(Database::open(&root.join("db")).unwrap().rows(), NOW);
    let all = ["a", "b", "d", "d/f", "corosync.conf"];
    all.iter().filter(|path| tree.find(path).is_some()).map(|path| (*path).to_owned()).collect()
}

#[test]
fn below_priv_everything_is_roots_alone() {
    for path in ["priv", "priv/tfa.cfg", "nodes/pve1/priv", "nodes/pve1/priv/x"] {
        assert!(is_private(path), "{path}");
    }
    for path in ["private", "nodes/priv", "nodes/pve1/private", "firewall/priv", ""] {
        assert!(!is_private(path), "{path}");
    }
}

#[test]
fn a_file_is_a_mebibyte_at_most() {
    let mut tree = tree();
    let file = tree.create(ROOT, b"big", NOW).unwrap();
    tree.write(file, LARGEST - 1, b"x", NOW).unwrap();
    assert_eq!(tree.write(file, LARGEST, b"x", NOW), Err(Errno::EFBIG));
    assert_eq!(tree.truncate(file, LARGEST + 1, NOW), Err(Errno::EFBIG));
    assert_eq!(tree.get(file).unwrap().size(), LARGEST);
}

#[test]
fn the_empty_target_of_a_failing_rename_is_gone_until_the_next_start() {
    let root = tempfile::tempdir().unwrap();
    let mut database = Database::open(&root.path().join("db")).unwrap();
    let mut tree = tree();
    tree.mkdir(ROOT, b"a", NOW).unwrap();
    let full = tree.mkdir(ROOT, b"d", NOW).unwrap();
    tree.create(full, b"f", NOW).unwrap();
    database.commit(tree.take_records()).unwrap();
    assert_eq!(tree.rename((ROOT, b"d"), (ROOT, b"a"), NOW).err(), Some(Errno::ENOTEMPTY));
    assert!(tree.find("a").is_none() && tree.find("d/f").is_some());
    database.commit(tree.take_records()).unwrap();
    database.close().unwrap();
    assert_eq!(paths(root.path()), ["a", "d", "d/f"]);
}

#[test]
fn a_lock_is_taken_over_two_minutes_after_the_first_who_asked() {
    let mut tree = tree();
    let private = tree.mkdir(ROOT, b"priv", NOW).unwrap();
    let locks = tree.mkdir(private, b"lock", NOW).unwrap();
    let lock = tree.mkdir(locks, b"file-user_cfg", NOW).unwrap();
    assert_eq!(tree.set_time(lock, NOW - 130, NOW), Err(Errno::EACCES));
    assert_eq!(tree.set_time(lock, 0, NOW + 120), Err(Errno::EACCES));
    assert!(tree.set_time(lock, 0, NOW + 121).is_ok());
    assert!(tree.find("priv/lock/file-user_cfg").is_none());
    // A renewed one lives on, and a start counts anew.
    let lock = tree.mkdir(locks, b"file-user_cfg", NOW).unwrap();
    tree.set_time(lock, NOW + 100, NOW + 100).unwrap();
    assert_eq!(tree.set_time(lock, 0, NOW + 200), Err(Errno::EACCES));
    assert_eq!(tree.rename((locks, b"file-user_cfg"), (locks, b"x"), NOW).err(), Some(Errno::EACCES));
}

#[test]
fn a_restart_counts_the_life_of_a_lock_anew() {
    let root = tempfile::tempdir().unwrap();
    let mut database = Database::open(root.path()).unwrap();
    let mut first = tree();
    let private = first.mkdir(ROOT, b"priv", NOW).unwrap();
    let locks = first.mkdir(private, b"lock", NOW).unwrap();
    first.mkdir(locks, b"l", NOW).unwrap();
    database.commit(first.take_records()).unwrap();
    let mut second = Tree::new(database.rows(), NOW + 300);
    let lock = second.find("priv/lock/l").unwrap();
    assert_eq!(second.set_time(lock, 0, NOW + 400), Err(Errno::EACCES));
    assert!(second.set_time(lock, 0, NOW + 421).is_ok());
}

#[test]
fn a_power_cut_loses_the_last_transactions_that_nobody_flushed() {
    let root = tempfile::tempdir().unwrap();
    let log = root.path().join("db/config.db-wal");
    let mut state = state(root.path());
    state.make(Thing::Entry(ROOT), b"a", Kind::File, NOW).unwrap();
    let flushed = fs::metadata(&log).unwrap().len();
    let made = state.make(Thing::Entry(ROOT), b"b", Kind::File, NOW).unwrap();
    state.write(made.thing, 0, b"text", NOW).unwrap();
    let whole = fs::metadata(&log).unwrap().len();
    drop(state);
    // What the disk has is somewhere between: a transaction counts when all of it is there.
    for length in flushed..=whole {
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir(copy.path().join("db")).unwrap();
        for name in ["config.db", "config.db-wal"] {
            fs::copy(root.path().join("db").join(name), copy.path().join("db").join(name)).unwrap();
        }
        let cut = OpenOptions::new().write(true).open(copy.path().join("db/config.db-wal")).unwrap();
        cut.set_len(length).unwrap();
        let found = paths(copy.path());
        assert!(found == ["a"] || found == ["a", "b"], "{length}: {found:?}");
        assert!(length > flushed || found == ["a"]);
        assert!(length < whole || found == ["a", "b"]);
    }
}

#[test]
fn an_end_in_order_leaves_the_database_alone() {
    let root = tempfile::tempdir().unwrap();
    let mut state = state(root.path());
    state.make(Thing::Entry(ROOT), b"a", Kind::File, NOW).unwrap();
    state.close().unwrap();
    assert!(!root.path().join("db/config.db-wal").exists());
    assert_eq!(paths(root.path()), ["a"]);
}

#[test]
fn what_is_switched_unwritten_is_seen_and_gone_after_a_power_cut() {
    let root = tempfile::tempdir().unwrap();
    let switches = root.path().join("run/pve-stand-in");
    fs::create_dir_all(&switches).unwrap();
    let mut state = state(root.path());
    state.make(Thing::Entry(ROOT), b"a", Kind::File, NOW).unwrap();
    fs::write(switches.join("unwritten"), "").unwrap();
    state.make(Thing::Entry(ROOT), b"b", Kind::File, NOW).unwrap();
    assert!(state.lookup(Thing::Entry(ROOT), b"b").is_ok());
    assert_eq!(paths(root.path()), ["a"]);
}

#[test]
fn without_quorum_nothing_is_written_and_the_modes_say_so() {
    let root = tempfile::tempdir().unwrap();
    let switches = root.path().join("etc/pve-stand-in");
    fs::create_dir_all(&switches).unwrap();
    let mut state = state(root.path());
    let file = state.make(Thing::Entry(ROOT), b"a", Kind::File, NOW).unwrap();
    assert_eq!(file.mode, 0o640);
    fs::write(switches.join("no-quorum"), "").unwrap();
    assert_eq!(state.attributes(file.thing).unwrap().mode, 0o440);
    assert_eq!(state.lookup(Thing::Entry(ROOT), b"local").unwrap().mode, 0o555);
    assert_eq!(state.write(file.thing, 0, b"x", NOW), Err(Errno::EACCES));
    assert_eq!(state.remove(Thing::Entry(ROOT), b"a"), Err(Errno::EACCES));
    assert!(state.check_mode(file.thing, 0o100_640).is_ok());
    fs::remove_file(switches.join("no-quorum")).unwrap();
    assert!(state.write(file.thing, 0, b"x", NOW).is_ok());
}

#[test]
fn a_member_of_a_cluster_needs_corosync() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("etc/pve-stand-in")).unwrap();
    let mut state = state(root.path());
    let file = state.make(Thing::Entry(ROOT), b"corosync.conf", Kind::File, NOW).unwrap();
    assert!(!state.is_quorate());
    fs::write(root.path().join("etc/pve-stand-in/corosync"), "").unwrap();
    assert!(state.is_quorate());
    let text = b"totem {\n  cluster_name: t\n  config_version: 4\n}\nnodelist {\n  node { name: pve1\n    nodeid: 1\n    ring0_addr: 10.0.0.1\n  }\n  node {\n    name: pve2\n    nodeid: 2\n    ring0_addr: 10.0.0.2\n  }\n}\n";
    state.write(file.thing, 0, text, NOW).unwrap();
    let members = Cluster::members(state.cluster().as_ref(), "pve1", true, 3);
    let parsed: serde_json::Value = serde_json::from_str(&members).unwrap();
    assert_eq!(parsed["cluster"]["quorate"], 1);
    assert_eq!(parsed["nodelist"]["pve2"]["ip"], "10.0.0.2");
}

#[test]
fn a_guest_has_its_number_once() {
    let mut tree = tree();
    let nodes = tree.mkdir(ROOT, b"nodes", NOW).unwrap();
    let node = tree.mkdir(nodes, b"pve1", NOW).unwrap();
    let (lxc, qemu) =
        (tree.mkdir(node, b"lxc", NOW).unwrap(), tree.mkdir(node, b"qemu-server", NOW).unwrap());
    tree.create(lxc, b"100.conf", NOW).unwrap();
    assert_eq!(tree.create(qemu, b"100.conf", NOW), Err(Errno::EEXIST));
    assert!(tree.rename((lxc, b"100.conf"), (qemu, b"100.conf"), NOW).is_ok());
}
