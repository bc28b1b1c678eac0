//! Recording: the same as capturing, in pieces, and without reading what was read before.

use super::{STORE, furnish, path, put_back, spoil};
use crate::manifest::{Manifest, Scope, State, capture, record};
use crate::node::scripted::Scripted;
use crate::node::{Machine, Node};
use crate::objects::{ObjectId, Objects};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::time::Duration;

const INDEX: &str = "/run/firstlight/index";

fn recorded(node: &dyn Node, objects: &Objects<'_>, scopes: &[Scope]) -> (Manifest, usize, usize) {
    let mut batch = objects.batch().unwrap();
    let (mut text, mut pieces) = (Vec::new(), 0);
    let skip = [PathBuf::from("/etc/skipped")];
    let count = record(node, scopes, &skip, (&mut batch, &|_| true), &mut |piece| {
        pieces += 1;
        text.extend_from_slice(piece);
        Ok(())
    })
    .unwrap();
    assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), count + 2, "every path once");
    let fresh = batch.commit().unwrap();
    (Manifest::decode(&text).unwrap(), pieces, fresh)
}

#[test]
fn recording_in_pieces_reads_back_as_what_was_captured() {
    let node = Scripted::new();
    furnish(&node.files);
    for number in 0..1500 {
        node.files.put(&format!("/etc/many/{number}"), "many");
    }
    node.files.put("/etc/skipped/inside", "asked for alone");
    node.files.put("/home/ops/file", "content");
    std::fs::hard_link(node.files.host("/etc/three"), node.files.host("/home/ops/three")).unwrap();
    std::fs::hard_link(node.files.host("/home/ops/file"), node.files.host("/srv")).unwrap();
    let scopes = [
        Scope::Entry("/home/ops/file".into()),
        Scope::Entry("/home/ops/absent".into()),
        Scope::Entry("/home".into()),
        Scope::Tree("/home/ops".into()),
        Scope::Children("/etc/many".into()),
        Scope::Tree("/etc".into()),
        Scope::Tree("/etc/many".into()),
        Scope::Entry("/etc/skipped/inside".into()),
        Scope::Tree("/nowhere".into()),
        Scope::Entry("/home".into()),
    ];
    let objects = Objects::new(&node, path(STORE));
    let (manifest, pieces, fresh) = recorded(&node, &objects, &scopes);
    let captured = capture(&node, &scopes, &[PathBuf::from("/etc/skipped")], None).unwrap();
    let (paths, wanted): (Vec<_>, Vec<_>) =
        (manifest.entries.keys().collect(), captured.entries.keys().collect());
    assert_eq!(paths, wanted);
    assert_eq!(captured.differences(&manifest).len(), 0);
    assert!(pieces > 1 && fresh > 10, "{pieces} pieces, {fresh} objects");
    let before = super::snapshot(&node);
    spoil(&node.files);
    assert_eq!(put_back(&node, &before).unwrap(), [""; 0]);
}

/// A real directory with files that are old enough to be remembered, and the time since boot.
fn machine() -> (tempfile::TempDir, Machine) {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::open(directory.path()).unwrap();
    for name in ["etc/inside", "var/lib", "run", "proc/sys/kernel/random"] {
        std::fs::create_dir_all(directory.path().join(name)).unwrap();
    }
    std::fs::write(directory.path().join("proc/sys/kernel/random/boot_id"), "this boot\n").unwrap();
    for name in ["same", "changed", "inside/same", "marked"] {
        std::fs::write(directory.path().join("etc").join(name), "12345678").unwrap();
    }
    symlink("same", directory.path().join("etc/link")).unwrap();
    machine.set_attribute(path("/etc/marked"), "user.note", Some(b"note")).unwrap();
    (directory, machine)
}

fn content(manifest: &Manifest, name: &str) -> ObjectId {
    let Some(State::File { content, .. }) = manifest.get(path(name)).map(|entry| &entry.state) else {
        panic!()
    };
    *content
}

#[test]
fn what_is_as_it_was_is_not_read_again_and_what_changed_is() {
    let (directory, machine) = machine();
    let root = directory.path();
    std::thread::sleep(Duration::from_millis(2200));
    let scopes = [Scope::Tree("/etc".into())];
    let first = Objects::remembering(&machine, path(STORE), path(INDEX));
    let (before, ..) = recorded(&machine, &first, &scopes);
    first.save_index().unwrap();
    // The same length, and the old times put back: only the change time tells.
    let changed = root.join("etc/changed");
    let old = changed.metadata().unwrap();
    std::fs::write(&changed, "abcdefgh").unwrap();
    machine
        .set_modified(path("/etc/changed"), (old.mtime(), u32::try_from(old.mtime_nsec()).unwrap()))
        .unwrap();
    machine.set_attribute(path("/etc/inside/same"), "user.new", Some(b"new")).unwrap();
    let next = Objects::remembering(&machine, path(STORE), path(INDEX));
    let (after, _, fresh) = recorded(&machine, &next, &scopes);
    assert_eq!(fresh, 1);
    assert_eq!(content(&after, "/etc/changed"), ObjectId::of(b"abcdefgh"));
    let paths: Vec<_> = before.differences(&after).iter().map(|one| one.path.to_owned()).collect();
    assert_eq!(paths, [path("/etc/changed"), path("/etc/inside/same")]);
    assert_eq!(capture(&machine, &scopes, &[], None).unwrap(), after);
    // What is remembered is believed only while the store has it.
    let object = root.join("var/lib/objects").join(ObjectId::of(b"12345678").to_string());
    std::fs::remove_file(&object).unwrap();
    let again = Objects::remembering(&machine, path(STORE), path(INDEX));
    assert_eq!(recorded(&machine, &again, &scopes).2, 1, "what is remembered and not stored is stored");
    assert!(object.exists());
}
