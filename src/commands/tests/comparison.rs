//! `firstlight snapshots`: listed, shown, compared.

use super::*;

#[test]
fn j3_a_snapshot_is_listed_shown_and_compared() {
    let node = Scripted::new();
    node.files.put("/etc/motd", "hello\n");
    committed(&node);
    node.files.put("/etc/motd", "hello you\n");
    for what in [
        Snapshots::List,
        Snapshots::Show { id: ID, path: None },
        Snapshots::Show { id: ID, path: Some("/etc/motd".into()) },
        Snapshots::Diff { id: ID, other: None, path: None, json: false },
        Snapshots::Diff { id: ID, other: Some(ID), path: None, json: true },
        Snapshots::Diff { id: ID, other: None, path: Some("/etc/motd".into()), json: false },
        Snapshots::Prune { keep: 3 },
    ] {
        assert_eq!(snapshots::run(&node, &what).ok(), Some(0));
    }
    let missing = Some("/etc/none".into());
    let wrong = [
        Snapshots::Show { id: TransactionId(9), path: None },
        Snapshots::Show { id: ID, path: missing.clone() },
        Snapshots::Diff { id: ID, other: None, path: missing, json: false },
    ];
    for what in wrong {
        assert_eq!(stopped(snapshots::run(&node, &what)).0, 2);
    }
}

#[test]
fn j3_a_comparison_shows_what_everybody_may_read_and_nothing_else() {
    let node = Scripted::new();
    for (path, mode) in [("/etc/open", 0o644), ("/etc/shadow", 0o640), ("/etc/closed/key", 0o644)] {
        node.files.put(path, "hunter1\n");
        node.set_mode(Path::new(path), mode).unwrap();
    }
    node.set_mode(Path::new("/etc/closed"), 0o700).unwrap();
    committed(&node);
    for path in ["/etc/open", "/etc/shadow", "/etc/closed/key", "/etc/new"] {
        node.files.put(path, "hunter22\n");
    }
    node.set_mode(Path::new("/etc/new"), 0o600).unwrap();
    let text = snapshots::comparison(&node, (ID, None), None).ok().unwrap();
    assert_eq!(text.matches("hunter22").count(), 1, "{text}");
    assert!(text.contains("/etc/open: changed\n") && text.contains("-hunter1\n"), "{text}");
    assert_eq!(text.matches("content not shown").count(), 3, "{text}");
    assert!(text.contains("/etc/new: new since\n"), "{text}");
}

#[test]
fn j3_two_snapshots_are_compared_with_each_other_and_not_with_the_node() {
    let node = Scripted::new();
    for path in ["/etc/motd", "/etc/gone"] {
        node.files.put(path, "one\n");
    }
    committed(&node);
    node.files.put("/etc/motd", "two\n");
    node.files.put("/etc/new", "two\n");
    node.files.remove("/etc/gone");
    committed_as(&node, TransactionId(2));
    for path in ["/etc/motd", "/etc/new", "/etc/gone", "/etc/later"] {
        node.files.put(path, "three\n");
    }
    let text = snapshots::comparison(&node, (ID, Some(TransactionId(2))), None).ok().unwrap();
    for line in
        ["/etc/motd: changed\n", "  -one\n  +two\n", "/etc/new: new since\n", "/etc/gone: gone since\n"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("three") && !text.contains("/etc/later"), "{text}");
    let back = snapshots::comparison(&node, (TransactionId(2), Some(ID)), None).ok().unwrap();
    assert!(back.contains("  -two\n  +one\n") && back.contains("/etc/gone: new since\n"), "{back}");
    let json =
        snapshots::json(&node, (ID, Some(TransactionId(2))), Some(Path::new("/etc/motd"))).ok().unwrap();
    let json = json.to_string();
    assert!(json.contains("\"after\": \"0002\"") && !json.contains("/etc/new"), "{json}");
}
