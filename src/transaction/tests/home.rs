//! The home of an account that we made: whatever its owner keeps there, and however much of it, no way back reads it.

use super::super::preview::{Fate, preview};
use super::super::{Outcome, chain, rollback};
use super::committed;
use crate::progress::Silent;
use std::path::{Path, PathBuf};
use std::process::Command;

const TERABYTE: u64 = 1 << 40;

/// A hole that costs its owner nothing.
fn hole(path: &Path) {
    std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .unwrap()
        .set_len(TERABYTE)
        .unwrap();
}

#[test]
#[ignore = "runs as the child of the test below, with little memory"]
fn rolls_back_beside_a_terabyte() {
    let (node, _) = committed();
    let (more, keys, known) = ("/home/ops/image", "/home/ops/.ssh/authorized_keys", "/home/ops/.bashrc");
    for path in [more, keys, known] {
        assert!(path == more || node.files.has(path), "{path} is one that the way back knows");
        hole(&node.files.host(path));
    }
    for number in 0..1000 {
        node.files.put(&format!("/home/ops/many/{number}"), "");
    }
    let shown = preview(&node, chain(&node, None).unwrap(), false).unwrap();
    let fate =
        |path: &str| shown.paths.iter().find(|(other, _)| other == Path::new(path)).map(|it| it.1.fate);
    assert_eq!((fate(keys), fate(known), fate(more)), (Some(Fate::Kept), Some(Fate::Kept), None));
    let outcome = rollback(&node, None, false, &mut Silent).unwrap();
    let Outcome::Reverted(_, _, kept) = outcome else { panic!("{outcome:?}") };
    for path in [keys, known, "/home/ops"] {
        assert!(kept.contains(&PathBuf::from(path)), "{path}: {kept:?}");
    }
    assert!(!kept.contains(&PathBuf::from(more)), "nothing of ours: {kept:?}");
    for path in [more, keys, known] {
        assert_eq!(node.files.host(path).metadata().unwrap().len(), TERABYTE, "{path}");
    }
    assert!(node.files.has("/home/ops/many/999") && !node.files.text("/etc/passwd").contains("ops"));
}

#[test]
fn j3_what_a_user_keeps_at_home_neither_blocks_a_way_back_nor_takes_its_memory() {
    let child = Command::new("prlimit")
        .arg("--as=1073741824")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "transaction::tests::home::rolls_back_beside_a_terabyte", "--ignored"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
    assert!(said.contains("1 passed"), "{said}");
}
