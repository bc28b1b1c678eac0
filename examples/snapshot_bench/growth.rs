//! What a file costs, from a thousand to a hundred thousand; each measurement in a process of its own, whose peak
//! memory it is.

use crate::contenders::{Contender, copy};
use crate::ours::Snapshots;
use crate::{Outcome, SETTLING, text};
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The word that makes this program one of its own children.
pub const CHILD: &str = "--child";
const COUNTS: [usize; 5] = [1000, 3000, 10_000, 30_000, 100_000];

/// Milliseconds, and peak memory in KiB.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    pub milliseconds: f64,
    pub memory: u64,
}

pub struct Point {
    pub count: usize,
    pub copied: Cost,
    pub first: Cost,
    pub second: Cost,
    pub back: Cost,
}

/// Grows a tree below `base`.
pub fn measure(base: &Path) -> Outcome<Vec<Point>> {
    let mut points = Vec::new();
    for count in COUNTS {
        eprintln!("{count} files");
        let directory = tempfile::tempdir_in(base)?;
        let root = directory.path();
        let tree = Snapshots::new(root)?.tree();
        fill(&tree, count)?;
        std::thread::sleep(SETTLING);
        sync(root)?;
        let begin = Instant::now();
        copy(&tree, &root.join("copy"))?;
        let copied = Cost { milliseconds: begin.elapsed().as_secs_f64() * 1000.0, memory: 0 };
        let first = in_child("take", root)?;
        let second = in_child("take", root)?;
        for path in crate::files(&tree)?.iter().take(crate::CHANGED) {
            std::fs::write(path, "changed")?;
        }
        let back = in_child("restore", root)?;
        points.push(Point { count, copied, first, second, back });
    }
    Ok(points)
}

fn fill(tree: &Path, count: usize) -> Outcome<()> {
    for number in 0..count {
        let directory = tree.join(format!("some-directory-{}", number / 100));
        if number % 100 == 0 {
            std::fs::create_dir_all(&directory)?;
        }
        let file = directory.join(format!("configuration-file-{number}.conf"));
        std::fs::write(file, format!("value = {number}\n"))?;
    }
    Ok(())
}

fn sync(root: &Path) -> Outcome<()> {
    Command::new("sync").arg("-f").arg(root).status()?;
    Ok(())
}

fn in_child(what: &str, root: &Path) -> Outcome<Cost> {
    sync(root)?;
    let output = Command::new(std::env::current_exe()?).arg(CHILD).arg(what).arg(root).output()?;
    let told = String::from_utf8(output.stdout)?;
    let (time, memory) = told.trim().split_once(' ').ok_or_else(|| {
        format!("{what} of {} failed: {}", root.display(), String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(Cost { milliseconds: time.parse()?, memory: memory.parse()? })
}

/// The child's side: one snapshot or one way back, then time and peak memory.
pub fn child(arguments: &[OsString]) -> Outcome<()> {
    let [_, what, root] = arguments else { return Err("two words are needed".into()) };
    let snapshots = Snapshots::new(Path::new(root))?;
    let begin = Instant::now();
    if what == "take" {
        snapshots.take().map_err(text)?;
    } else {
        snapshots.restore().map_err(text)?;
    }
    let milliseconds = begin.elapsed().as_secs_f64() * 1000.0;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    println!("{milliseconds} {}", peak.trim().trim_end_matches(" kB"));
    Ok(())
}
