//! Round trips of whole trees, crashes, and what must never be touched.

mod crash;
mod fidelity;
mod private;
mod record;
mod text;

use super::{Entry, Manifest, Scope, State, capture, restore};
use crate::node::Node;
use crate::node::scripted::{Files, Scripted};
use crate::objects::{ObjectId, Objects};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

const STORE: &str = "/var/lib/objects";

fn path(text: &str) -> &Path {
    Path::new(text)
}

/// Version 2, user rwx, named user 65534 r--, group r--, mask rwx, others ---: as the kernel keeps it.
const ACL: &[u8] =
    b"\x02\0\0\0\x01\0\x07\0\xff\xff\xff\xff\x02\0\x04\0\xfe\xff\0\0\x04\0\x04\0\xff\xff\xff\xff\
\x10\0\x07\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff";

/// A tree with one of everything.
fn furnish(files: &Files) {
    let machine = &files.machine;
    for name in
        ["plain", "changed", "mode", "owner", "marked", "acl", "removed", "to-directory", "to-link", "timed"]
    {
        files.put(&format!("/etc/{name}"), format!("content of {name}\n"));
    }
    files.put("/etc/deep/er/file", "deep");
    files.put("/etc/from-directory/file", "inside");
    files.directory("/etc/empty");
    files.put("/etc/names/one", "one file");
    std::fs::hard_link(files.host("/etc/names/one"), files.host("/etc/names/two")).unwrap();
    std::fs::hard_link(files.host("/etc/names/one"), files.host("/etc/three")).unwrap();
    files.put("/etc/pair/a", "pair");
    std::fs::hard_link(files.host("/etc/pair/a"), files.host("/etc/pair/b")).unwrap();
    symlink("plain", files.host("/etc/link")).unwrap();
    symlink("/nowhere", files.host("/etc/to-file")).unwrap();
    symlink("plain", files.host("/etc/kept-link")).unwrap();
    machine.set_attribute(path("/etc/marked"), "user.note", Some(b"a b=c%\n\xff")).unwrap();
    machine.set_attribute(path("/etc/acl"), "system.posix_acl_access", Some(ACL)).unwrap();
    machine.set_mode(path("/etc/mode"), 0o4755).unwrap();
    machine.set_mode(path("/etc/empty"), 0o1770).unwrap();
    for name in ["/etc/plain", "/etc/timed", "/etc/link", "/etc/empty", "/etc/deep/er"] {
        machine.set_modified(path(name), (1_000_000_000, 123_456_789)).unwrap();
    }
}

/// Spoils everything that [`furnish`] made.
fn spoil(files: &Files) {
    let machine = &files.machine;
    files.put("/etc/changed", "other content, longer than before\n");
    machine.set_mode(path("/etc/mode"), 0o600).unwrap();
    machine.set_mode(path("/etc/empty"), 0o755).unwrap();
    machine.set_attribute(path("/etc/marked"), "user.note", Some(b"other")).unwrap();
    machine.set_attribute(path("/etc/marked"), "user.more", Some(b"more")).unwrap();
    machine.set_attribute(path("/etc/acl"), "system.posix_acl_access", None).unwrap();
    machine.set_attribute(path("/etc/plain"), "user.new", Some(b"new")).unwrap();
    machine.set_modified(path("/etc/timed"), (1_100_000_000, 1)).unwrap();
    if nix::unistd::geteuid().is_root() {
        machine.set_owner(path("/etc/owner"), 12, 34).unwrap();
        machine.set_owner(path("/etc/kept-link"), 12, 34).unwrap();
        machine.set_owner(path("/etc/deep"), 56, 78).unwrap();
    }
    for name in ["removed", "deep", "to-directory", "to-link", "to-file", "from-directory", "link", "three"] {
        files.remove(&format!("/etc/{name}"));
    }
    files.put("/etc/to-directory/with/things", "things");
    files.put("/etc/to-file", "a file now");
    files.put("/etc/from-directory", "a file now");
    files.put("/etc/three", "a file of its own");
    files.put("/etc/added/below/file", "added");
    files.put("/etc/added-file", "added");
    symlink("plain", files.host("/etc/to-link")).unwrap();
    symlink("changed", files.host("/etc/link")).unwrap();
    symlink("/etc/names", files.host("/etc/deep")).unwrap();
    // The pair is parted, though its contents are the same; and a stranger joins another file.
    files.remove("/etc/pair/b");
    files.put("/etc/pair/b", "pair");
    std::fs::hard_link(files.host("/etc/timed"), files.host("/etc/joined")).unwrap();
}

fn look(node: &dyn Node) -> Manifest {
    capture(node, &[Scope::Tree("/etc".into())], &[], None).unwrap()
}

/// Captures `/etc` with its contents.
fn snapshot(node: &dyn Node) -> Manifest {
    let objects = Objects::new(node, path(STORE));
    let mut batch = objects.batch().unwrap();
    let manifest = capture(node, &[Scope::Tree("/etc".into())], &[], Some(&mut batch)).unwrap();
    batch.commit().unwrap();
    manifest
}

fn put_back(node: &dyn Node, before: &Manifest) -> crate::error::Result<Vec<String>> {
    let now = capture(node, &[Scope::Tree("/etc".into())], &[], None)?;
    let kept = restore(node, &Objects::new(node, path(STORE)), &before.restoration(&now))?;
    Ok(kept.into_iter().map(|kept| format!("{}: {}", kept.path.display(), kept.because)).collect())
}

/// Equal in everything, times of directories and hard links included.
fn assert_equal(before: &Manifest, after: &Manifest, when: &str) {
    let wrong: Vec<&Path> = before.restoration(after).into_iter().map(|(path, _)| path).collect();
    assert!(wrong.is_empty(), "{when}: {wrong:?}");
}

#[test]
fn everything_that_was_spoiled_comes_back() {
    let node = Scripted::new();
    furnish(&node.files);
    let before = snapshot(&node);
    spoil(&node.files);
    assert!(before.differences(&look(&node)).len() > 20);
    assert_eq!(put_back(&node, &before).unwrap(), [""; 0]);
    assert_equal(&before, &look(&node), "after one restore");
    assert!(!node.files.has("/etc/added"));
    let inode = |name: &str| node.files.host(name).metadata().unwrap().ino();
    assert_eq!(inode("/etc/names/two"), inode("/etc/three"));
    assert_eq!(inode("/etc/pair/a"), inode("/etc/pair/b"));
    assert_eq!(node.not_durable(), [""; 0]);
}

#[test]
fn what_is_right_already_is_not_touched() {
    let node = Scripted::new();
    furnish(&node.files);
    let before = snapshot(&node);
    let all: Vec<(&Path, Option<&Entry>)> =
        before.entries.iter().map(|(path, entry)| (path.as_path(), Some(entry))).collect();
    node.revive();
    let objects = Objects::new(&node, path(STORE));
    assert!(restore(&node, &objects, &all).unwrap().is_empty());
    assert_eq!(node.trace(), [""; 0]);
    spoil(&node.files);
    put_back(&node, &before).unwrap();
    node.revive();
    assert!(restore(&node, &objects, &all).unwrap().is_empty());
    assert_eq!(node.trace(), [""; 0]);
}

#[test]
fn foreign_things_are_kept_and_told() {
    let node = Scripted::new();
    node.files.put("/etc/gone/ours", "ours");
    node.files.put("/etc/gone/foreign", "foreign");
    node.files.put("/etc/file/foreign", "foreign");
    nix::unistd::mkfifo(&node.files.host("/etc/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut batch_of = Objects::new(&node, path(STORE)).batch().unwrap().add(b"text").unwrap();
    let mut file = Entry::absent();
    file.state = State::File { content: std::mem::replace(&mut batch_of, ObjectId::of(b"")), size: 4 };
    let wanted = [
        (path("/etc/gone"), None),
        (path("/etc/gone/ours"), None),
        (path("/etc/file"), Some(&file)),
        (path("/etc/pipe"), None),
    ];
    let kept = restore(&node, &Objects::new(&node, path(STORE)), &wanted).unwrap();
    let kept: Vec<String> =
        kept.into_iter().map(|kept| format!("{} {}", kept.path.display(), kept.because)).collect();
    assert_eq!(
        kept,
        [
            "/etc/pipe a device, socket or pipe is here",
            "/etc/gone the directory holds 1 other things: foreign",
            "/etc/file the directory holds 1 other things: foreign",
        ]
    );
    assert!(!node.files.has("/etc/gone/ours"));
}

#[test]
fn one_path_that_fails_does_not_keep_the_others_from_coming_back() {
    let node = Scripted::new();
    node.files.put("/etc/a", "a");
    node.files.put("/etc/b", "b");
    node.files.put("/etc/c", "c");
    let before = snapshot(&node);
    let damaged = node.files.host(&format!("{STORE}/{}", ObjectId::of(b"b")));
    std::fs::write(damaged, "x").unwrap();
    for name in ["/etc/a", "/etc/b", "/etc/c"] {
        node.files.put(name, "spoiled");
    }
    let error = put_back(&node, &before).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
    assert_eq!((node.files.text("/etc/a"), node.files.text("/etc/c")), ("a".into(), "c".into()));
    assert_eq!(node.files.text("/etc/b"), "spoiled");
    assert_eq!(std::fs::read_dir(node.files.host("/etc")).unwrap().count(), 3);
}

#[test]
fn a_restore_does_not_write_through_a_link_that_took_the_place_of_a_directory() {
    let node = Scripted::new();
    node.files.put("/etc/dir/file", "file");
    node.files.put("/srv/elsewhere/file", "elsewhere");
    let before = snapshot(&node);
    node.files.remove("/etc/dir");
    symlink("/srv/elsewhere", node.files.host("/etc/dir")).unwrap();
    let only: Vec<_> = before.entries.iter().filter(|(path, _)| path.ends_with("file")).collect();
    let only: Vec<(&Path, Option<&Entry>)> =
        only.into_iter().map(|(path, entry)| (path.as_path(), Some(entry))).collect();
    let error = restore(&node, &Objects::new(&node, path(STORE)), &only).unwrap_err().to_string();
    assert!(
        error.contains("/etc/dir is a symbolic link; firstlight does not write through links"),
        "{error}"
    );
    assert_eq!(node.files.text("/srv/elsewhere/file"), "elsewhere");
    // With its directory among the paths, the link goes and the file comes back.
    assert!(put_back(&node, &before).unwrap().is_empty());
    assert_eq!(node.files.text("/srv/elsewhere/file"), "elsewhere");
    assert_eq!(node.files.text("/etc/dir/file"), "file");
}

#[test]
fn nothing_is_removed_through_a_link_that_took_the_place_of_a_directory() {
    let node = Scripted::new();
    node.files.put("/srv/elsewhere/added", "not ours");
    symlink("/srv/elsewhere", node.files.host("/etc/dir")).unwrap();
    let objects = Objects::new(&node, path(STORE));
    assert!(restore(&node, &objects, &[(path("/etc/dir/added"), None)]).unwrap().is_empty());
    assert_eq!(node.files.text("/srv/elsewhere/added"), "not ours");
}

#[test]
fn files_that_somebody_made_one_are_parted() {
    let node = Scripted::new();
    for name in ["/etc/a", "/etc/b"] {
        node.files.put(name, "the same");
        node.files.machine.set_modified(path(name), (1_000_000_000, 0)).unwrap();
    }
    let before = snapshot(&node);
    node.files.remove("/etc/b");
    std::fs::hard_link(node.files.host("/etc/a"), node.files.host("/etc/b")).unwrap();
    assert_eq!(before.differences(&look(&node)).len(), 2);
    put_back(&node, &before).unwrap();
    assert_equal(&before, &look(&node), "after the restore");
    let inode = |name: &str| node.files.host(name).metadata().unwrap().ino();
    assert_ne!(inode("/etc/a"), inode("/etc/b"));
}

#[test]
fn what_a_crash_left_beside_a_file_goes_even_when_the_file_is_right() {
    let node = Scripted::new();
    let long = "x".repeat(250);
    for name in ["plain", "odd \u{e9}", long.as_str()] {
        node.files.put(&format!("/etc/{name}"), "right");
    }
    let before = snapshot(&node);
    for entry in before.entries.keys().filter(|entry| entry.starts_with("/etc/")) {
        node.files.put(super::restore::temporary(entry).to_str().unwrap(), "half");
    }
    let foreign = "/etc/.plain.firstlight-0123456789abcdef";
    node.files.put(foreign, "not ours: the digits are wrong");
    let all: Vec<(&Path, Option<&Entry>)> =
        before.entries.iter().map(|(path, entry)| (path.as_path(), Some(entry))).collect();
    restore(&node, &Objects::new(&node, path(STORE)), &all).unwrap();
    assert!(node.files.has(foreign));
    node.files.remove(foreign);
    assert_eq!(look(&node).entries.len(), before.entries.len());
}

#[test]
fn below_pmxcfs_content_alone_is_restored() {
    let node = Scripted::new();
    node.mount_cluster();
    node.files.put("/etc/pve/firewall/cluster.fw", "[OPTIONS]\n");
    node.files.put("/etc/pve/priv/tfa.cfg", "{}");
    let objects = Objects::new(&node, path(STORE));
    let scopes = [Scope::Tree("/etc/pve/firewall".into()), Scope::Entry("/etc/pve/priv/tfa.cfg".into())];
    let mut batch = objects.batch().unwrap();
    let before = capture(&node, &scopes, &[], Some(&mut batch)).unwrap();
    batch.commit().unwrap();
    node.files.put("/etc/pve/firewall/cluster.fw", "changed");
    node.files.put("/etc/pve/firewall/host.fw", "added");
    node.files.put("/etc/pve/priv/tfa.cfg", "changed");
    let now = capture(&node, &scopes, &[], None).unwrap();
    restore(&node, &objects, &before.restoration(&now)).unwrap();
    assert_eq!(node.files.text("/etc/pve/firewall/cluster.fw"), "[OPTIONS]\n");
    assert_eq!(node.files.text("/etc/pve/priv/tfa.cfg"), "{}");
    assert!(!node.files.has("/etc/pve/firewall/host.fw"));
}

#[test]
fn absence_is_recorded_where_it_was_asked_for() {
    let node = Scripted::new();
    let scopes = [Scope::Entry("/etc/new".into()), Scope::Tree("/etc/new.d".into())];
    let before = capture(&node, &scopes, &[], None).unwrap();
    assert_eq!(before.entries.len(), 2);
    assert!(before.get(path("/etc/new")).is_none());
    node.files.put("/etc/new", "new");
    node.files.put("/etc/new.d/file", "new");
    let now = capture(&node, &scopes, &[], None).unwrap();
    let changed: Vec<&Path> =
        before.differences(&now).into_iter().map(|difference| difference.path).collect();
    assert_eq!(changed, [path("/etc/new"), path("/etc/new.d"), path("/etc/new.d/file")]);
    restore(&node, &Objects::new(&node, path(STORE)), &before.restoration(&now)).unwrap();
    assert_eq!(std::fs::read_dir(node.files.host("/etc")).unwrap().count(), 0);
}

#[test]
fn a_skipped_subtree_is_not_even_looked_at() {
    let node = Scripted::new();
    node.files.put("/etc/pve/user.cfg", "users");
    node.files.put("/etc/pvefoo", "other");
    let manifest = capture(&node, &[Scope::Tree("/etc".into())], &["/etc/pve".into()], None).unwrap();
    let paths: Vec<&Path> = manifest.entries.keys().map(PathBuf::as_path).collect();
    assert_eq!(paths, [path("/etc"), path("/etc/pvefoo")]);
}

#[test]
fn an_unchanged_second_snapshot_stores_nothing() {
    let node = Scripted::new();
    furnish(&node.files);
    let first = snapshot(&node);
    let count = || std::fs::read_dir(node.files.host(STORE)).unwrap().count();
    let objects = count();
    node.revive();
    let second = snapshot(&node);
    assert_eq!(first, second);
    assert_eq!(count(), objects);
    assert!(!node.trace().iter().any(|step| step.starts_with("create") || step.starts_with("rename")));
}

#[test]
fn e1_pmxcfs_without_quorum_changes_no_file() {
    let node = Scripted::new();
    let (file, scopes) = ("/etc/pve/firewall/cluster.fw", [Scope::Tree("/etc/pve/firewall".into())]);
    node.files.put(file, "[OPTIONS]\n");
    let mut seen = Vec::new();
    for (directory, mode) in [(0o755, 0o640), (0o555, 0o440)] {
        node.files.machine.set_mode(path(file), mode).unwrap();
        node.files.machine.set_mode(path("/etc/pve/firewall"), directory).unwrap();
        seen.push(capture(&node, &scopes, &[], None).unwrap());
    }
    assert!(seen[0].differences(&seen[1]).is_empty());
}
