//! A crash, or a power cut, at every call.

use super::{STORE, assert_equal, furnish, look, path, put_back, snapshot, spoil};
use crate::manifest::{Manifest, Scope, capture};
use crate::node::Node;
use crate::node::scripted::{Lose, Scripted};
use crate::objects::{ObjectId, Objects};

/// All contents that the checked files may have: theirs, and what spoiled them.
const WHOLE: [&str; 5] = [
    "content of changed\n",
    "other content, longer than before\n",
    "content of removed\n",
    "a file of its own",
    "one file",
];

/// A furnished node, its snapshot, and everything spoiled since.
fn spoiled() -> (Scripted, Manifest) {
    let node = Scripted::new();
    furnish(&node.files);
    let before = snapshot(&node);
    spoil(&node.files);
    node.revive();
    (node, before)
}

fn leftovers(node: &Scripted) -> Vec<String> {
    let names = look(node);
    let names = names.entries.keys().map(|path| path.display().to_string());
    names.filter(|name| name.contains(".firstlight-")).collect()
}

#[test]
fn a_restore_that_crashed_at_any_call_is_completed_by_the_next() {
    let (node, before) = spoiled();
    put_back(&node, &before).unwrap();
    let steps = node.steps();
    assert!(steps > 60, "{steps}");
    for step in 0..steps {
        let (node, before) = spoiled();
        node.fail_at_step(step);
        assert!(put_back(&node, &before).is_err());
        node.revive();
        assert_eq!(put_back(&node, &before).unwrap(), [""; 0], "crash at {step}");
        assert_equal(&before, &look(&node), &format!("crash at {step}"));
        assert_eq!(leftovers(&node), [""; 0]);
    }
}

#[test]
fn a_restore_that_could_not_read_is_completed_by_the_next() {
    let (node, before) = spoiled();
    put_back(&node, &before).unwrap();
    for call in (0..node.calls()).step_by(7) {
        let (node, before) = spoiled();
        node.fail_at(call);
        assert!(put_back(&node, &before).is_err());
        node.revive();
        put_back(&node, &before).unwrap();
        assert_equal(&before, &look(&node), &format!("crash at call {call}"));
    }
}

#[test]
fn a_power_cut_during_a_restore_leaves_nothing_the_next_cannot_mend() {
    let (node, before) = spoiled();
    put_back(&node, &before).unwrap();
    let steps = node.steps();
    for lose in [Lose::Everything, Lose::Contents] {
        for step in 0..steps {
            let (node, before) = spoiled();
            node.fail_at_step(step);
            assert!(put_back(&node, &before).is_err());
            node.cut_power(lose);
            // No file under its own name is ever half there: it is the old one, the new one, or absent.
            for name in
                ["/etc/changed", "/etc/removed", "/etc/three"].into_iter().filter(|name| node.files.has(name))
            {
                let text = node.files.text(name);
                assert!(WHOLE.contains(&text.as_str()), "cut at {step}, {lose:?}: {name} holds {text:?}");
            }
            put_back(&node, &before).unwrap();
            assert_equal(&before, &look(&node), &format!("power cut at {step}"));
            assert_eq!(leftovers(&node), [""; 0]);
        }
    }
}

#[test]
fn a_finished_restore_survives_a_power_cut() {
    let (node, before) = spoiled();
    put_back(&node, &before).unwrap();
    node.cut_power(Lose::Everything);
    assert_equal(&before, &look(&node), "after the power cut");
}

#[test]
fn a_small_restore_is_durable_too() {
    let node = Scripted::new();
    node.files.put("/etc/a", "a");
    node.files.put("/etc/mode", "mode");
    let before = snapshot(&node);
    node.files.put("/etc/a", "b");
    node.files.machine.set_mode(path("/etc/mode"), 0o600).unwrap();
    node.revive();
    put_back(&node, &before).unwrap();
    assert!(!node.trace().iter().any(|step| step.starts_with("sync-all")));
    assert_eq!(node.not_durable(), [""; 0]);
    node.cut_power(Lose::Everything);
    assert_equal(&before, &look(&node), "after the power cut");
}

#[test]
fn an_object_under_its_name_is_whole_whatever_happened_while_it_was_stored() {
    let fresh = || {
        let node = Scripted::new();
        for number in 0..10 {
            node.files.put(&format!("/etc/{number}"), format!("some content number {number}"));
        }
        node
    };
    let store = |node: &Scripted| {
        let objects = Objects::new(node, path(STORE));
        let mut batch = objects.batch()?;
        capture(node, &[Scope::Tree("/etc".into())], &[], Some(&mut batch))?;
        batch.commit()
    };
    let node = fresh();
    assert_eq!(store(&node).unwrap(), 10);
    let steps = node.steps();
    for step in 0..steps {
        for lose in [None, Some(Lose::Everything), Some(Lose::Contents)] {
            let node = fresh();
            node.fail_at_step(step);
            assert!(store(&node).is_err());
            node.revive();
            if let Some(lose) = lose {
                node.cut_power(lose);
            }
            let objects = Objects::new(&node, path(STORE));
            for name in node.list(path(STORE)).unwrap_or_default() {
                if let Some(id) = ObjectId::parse(name.as_encoded_bytes()) {
                    objects.read(&id).unwrap();
                }
            }
            store(&node).unwrap();
            assert_eq!(node.list(path(STORE)).unwrap().len(), 10, "crash at {step}");
            assert_eq!(node.not_durable(), [""; 0]);
        }
    }
}

#[test]
fn objects_that_nothing_refers_to_are_swept() {
    let node = Scripted::new();
    let objects = Objects::new(&node, path(STORE));
    assert_eq!(objects.sweep(&[]).unwrap(), 0);
    let mut batch = objects.batch().unwrap();
    let kept = batch.add(b"kept").unwrap();
    let gone = batch.add(b"gone").unwrap();
    assert_eq!(batch.add(b"kept").unwrap(), kept);
    assert_eq!(batch.commit().unwrap(), 2);
    node.files.put(&format!("{STORE}/notes"), "foreign");
    assert_eq!(objects.sweep(&[kept]).unwrap(), 1);
    assert!(objects.has(&kept).unwrap() && !objects.has(&gone).unwrap());
    assert!(node.files.has(&format!("{STORE}/notes")));
    assert_eq!(ObjectId::parse(kept.to_string().as_bytes()), Some(kept));
}
