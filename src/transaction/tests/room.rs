//! A real file system with too little room: the kernel says so, at every write that takes a page, of ours and of the
//! tools alike.

use super::super::{Stage, apply, recover, state};
use super::{ORDER, Outcome, Scripted, assert_same, debian::furnished, planned, whole};
use crate::progress::Silent;
use crate::report::{Occasion, Report, terminal::Paint};
use std::path::{Path, PathBuf};
use std::process::Command;

const PAGE: usize = 4096;

/// A file system in memory, of so many KiB; needs root.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(kib: usize) -> Self {
        let place = tempfile::tempdir().unwrap();
        let size = format!("size={kib}k");
        let done =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place.path()).status();
        assert!(done.unwrap().success(), "this test needs root: it mounts a file system");
        Self(place)
    }

    /// Takes all room but so many pages; returns what takes it.
    fn fill(&self, pages: usize) -> PathBuf {
        let filler = self.0.path().join("filler");
        let free = nix::sys::statvfs::statvfs(self.0.path()).unwrap().blocks_free() as usize;
        std::fs::write(&filler, vec![0xff; free.saturating_sub(pages) * PAGE]).unwrap();
        filler
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy"]).arg(self.0.path()).status();
    }
}

/// How the run ended in a node with so many pages left; it is old or new once there is room again.
fn run(pages: usize, more: usize) -> &'static str {
    let disk = Disk::new(2048 + more);
    let node = furnished(Scripted::on_disk(disk.0.path()));
    for number in 0..more {
        node.files.put(&format!("/etc/many/a-file-with-quite-a-name-{number}"), "");
    }
    let before = whole(&node);
    let plan = planned(&node);
    node.revive();
    let filler = disk.fill(pages);
    let said = match apply(&node, &plan, &ORDER, &mut Silent) {
        Ok(outcome @ Outcome::Stuck(..)) => {
            let report = Report { occasion: Occasion::Apply, outcome: &outcome, warnings: &[], login: None };
            assert_eq!(report.exit_code(), 5);
            let text = report.render(Paint::PLAIN);
            assert!(text.contains("firstlight recover"), "{pages} pages: {text}");
            "stuck"
        }
        Ok(Outcome::Committed(_)) => "committed",
        Ok(Outcome::Reverted(_, _, kept)) => {
            assert!(kept.is_empty(), "{pages} pages: kept {kept:?}");
            assert_same(&before, &whole(&node), &format!("{pages} pages, reverted"));
            "reverted"
        }
        Ok(_) => "untouched",
        Err(error) => {
            assert!(!error.to_string().is_empty());
            "refused"
        }
    };
    std::fs::remove_file(filler).unwrap();
    node.revive();
    for stage in [Stage::Early, Stage::Late] {
        recover(&node, stage, &mut Silent).unwrap_or_else(|error| panic!("{pages} pages, {said}: {error}"));
    }
    let committed = !state::standing(&node).unwrap().is_empty();
    assert_eq!(committed, said == "committed", "{pages} pages");
    if committed {
        assert!(node.files.has("/run/ufw") && node.files.has("/etc/sudoers.d/firstlight"));
    } else {
        assert_same(&before, &whole(&node), &format!("{pages} pages, {said}"));
    }
    assert!(!Path::new(&node.files.host("/usr/sbin/policy-rc.d")).exists());
    said
}

#[test]
fn j3_a_real_disk_that_is_full_at_any_page_of_a_run_ends_old_or_new() {
    let mut ended = std::collections::BTreeMap::new();
    for pages in 0.. {
        let said = run(pages, 0);
        *ended.entry(said).or_insert(0) += 1;
        if said == "committed" {
            break;
        }
    }
    println!("a full disk, page by page: {ended:?}");
    assert!(ended.values().sum::<i32>() > 40, "{ended:?}");
    assert!(ended.contains_key("reverted"), "{ended:?}");
}

#[test]
fn j3_the_room_set_aside_is_enough_for_a_way_back_through_a_large_etc() {
    let mut ended = std::collections::BTreeMap::new();
    for pages in (0..).step_by(17) {
        let said = run(pages, 1500);
        *ended.entry(said).or_insert(0) += 1;
        if said == "committed" {
            break;
        }
    }
    println!("a full disk below a large /etc: {ended:?}");
    assert!(ended.contains_key("reverted") && !ended.contains_key("stuck"), "{ended:?}");
}
