//! Round trips of whole trees, crashes, and what must never be touched.

mod crash;

use super::{Entry, Manifest, Scope, State, capture, restore};
use crate::node::Node;
use crate::node::scripted::{Files, Scripted};
use crate::objects::{ObjectId, Objects};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
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
        before.entries.iter().map(|(path, entry)| (path.as_path(), Some(&**entry))).collect();
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
        only.into_iter().map(|(path, entry)| (path.as_path(), Some(&**entry))).collect();
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
fn a_manifest_with_hostile_names_reads_back_as_it_was() {
    let mut manifest = Manifest::default();
    let hostile: &[&[u8]] =
        &[b"new\nline", b"per%cent", b"not \xff\xfe utf-8", b"tab\t", b" ", b"a=b", b"%0a", "ä".as_bytes()];
    for (number, name) in (0_u32..).zip(hostile) {
        let name = OsStr::from_bytes(name);
        let mut entry = Entry::absent();
        entry.state = match number % 4 {
            0 => State::File { content: ObjectId::of(name.as_bytes()), size: u64::MAX },
            1 => State::Link { target: name.into() },
            2 => State::Directory,
            _ => State::Other,
        };
        (entry.mode, entry.uid, entry.gid, entry.name_group) = (0o7777 - number, u32::MAX, number, number);
        entry.modified = (-1 - i64::from(number), 999_999_999);
        entry.attributes =
            [("user.a=b %\n".into(), name.as_bytes().into()), ("user.empty".into(), [].into())].into();
        manifest.entries.insert(path("/etc").join(name), Box::new(entry));
    }
    manifest.entries.insert("/".into(), Box::new(Entry::absent()));
    let text = manifest.encode();
    assert_eq!(Manifest::decode(&text).unwrap(), manifest);
    assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), manifest.entries.len() + 2);
    assert!(text.is_ascii());
    let node = Scripted::new();
    for number in 0..3000 {
        manifest.entries.insert(format!("/srv/{number}").into(), Box::new(Entry::absent()));
    }
    manifest.store(&node, path("/etc/manifest")).unwrap();
    assert!(node.read(path("/etc/manifest")).unwrap() == manifest.encode());
    assert_eq!(Manifest::decode(&Manifest::default().encode()).unwrap(), Manifest::default());
}

#[test]
fn a_torn_or_changed_manifest_is_refused() {
    let node = Scripted::new();
    node.files.put("/etc/file", "content");
    let text = look(&node).encode();
    for length in 0..text.len() {
        assert!(Manifest::decode(&text[..length]).is_err(), "cut at {length}");
    }
    for index in 0..text.len() {
        let mut changed = text.clone();
        changed[index] ^= 1;
        assert!(Manifest::decode(&changed).is_err(), "flipped at {index}");
    }
    let mut longer = text;
    longer.push(b'\n');
    assert!(Manifest::decode(&longer).is_err());
}

#[test]
fn a_manifest_is_text_that_a_person_can_read() {
    let mut manifest = Manifest::default();
    let mut entry = Entry::absent();
    entry.state = State::File { content: ObjectId::of(b"hello"), size: 5 };
    (entry.mode, entry.gid, entry.modified) = (0o640, 33, (1_700_000_000, 5));
    entry.attributes = [("user.note".into(), b"a b".as_slice().into())].into();
    manifest.entries.insert("/etc/motd".into(), Box::new(entry));
    let text = String::from_utf8(manifest.encode()).unwrap();
    let wanted = "firstlight manifest 1\nf 640 0 33 1700000000.5 0 /etc/motd 5 \
        2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 user.note=a%20b\nsha256 ";
    assert!(text.starts_with(wanted), "{text}");
}
