//! Snapshot of a copy of `/etc` against `cp -a`, side by side; the second snapshot; a rollback of 100 files; and
//! what a file costs up to 100 000 of them.
//!
//! `cargo run --release --example snapshot_bench [DIRECTORY]`: works below DIRECTORY (default: the temporary
//! directory), and takes medians. Durable numbers wait for the disk, `cp -a` does not.

use firstlight::manifest::{Manifest, Scope, capture, restore};
use firstlight::node::{Machine, Node};
use firstlight::objects::Objects;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;

type Anything = Result<(), Box<dyn Error>>;

fn main() -> Anything {
    let base = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let directory = tempfile::tempdir_in(base)?;
    let root = directory.path();
    copy(Path::new("/etc"), &root.join("etc"))?;
    against_copying(root)?;
    rolling_back(root)?;
    for thousands in [1, 10, 100] {
        many_files(&root.join("many"), thousands * 1000)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Anything {
    if !Command::new("cp").arg("-a").arg(from).arg(to).status()?.success() {
        return Err("cp -a failed".into());
    }
    Ok(())
}

/// A snapshot as a transaction takes it: contents and manifest durable; and how much of that was waiting.
fn snapshot(machine: &Machine, root: &Path) -> firstlight::error::Result<(Manifest, usize)> {
    let objects = Objects::new(machine, &root.join("objects"));
    let mut batch = objects.batch()?;
    let manifest = capture(machine, &[Scope::Tree(root.join("etc"))], &[], Some(&mut batch))?;
    let fresh = batch.commit()?;
    let _ = machine.remove_file(&root.join("manifest"));
    manifest.store(machine, &root.join("manifest"))?;
    machine.sync_file(&root.join("manifest"))?;
    Ok((manifest, fresh))
}

fn against_copying(root: &Path) -> Anything {
    let machine = Machine::open(Path::new("/")).map_err(text)?;
    let (mut copying, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
    let (mut entries, mut fresh, mut again) = (0, 0, 0);
    for _ in 0..ROUNDS {
        // What the round before left dirty is nobody's.
        machine.sync_all(root).map_err(text)?;
        let begin = Instant::now();
        copy(&root.join("etc"), &root.join("copy"))?;
        copying.push(begin.elapsed());
        std::fs::remove_dir_all(root.join("copy"))?;
        machine.sync_all(root).map_err(text)?;
        let begin = Instant::now();
        let (manifest, stored) = snapshot(&machine, root).map_err(text)?;
        first.push(begin.elapsed());
        (entries, fresh) = (manifest.entries.len(), stored);
        let begin = Instant::now();
        again = snapshot(&machine, root).map_err(text)?.1;
        second.push(begin.elapsed());
        std::fs::remove_dir_all(root.join("objects"))?;
    }
    let (copying, first, second) = (median(copying), median(first), median(second));
    println!("/etc: {entries} entries, {fresh} objects");
    println!("cp -a                      {copying:>10.2?}");
    println!("first snapshot, durable    {first:>10.2?}  {:.2} of cp -a", ratio(first, copying));
    println!("second snapshot, {again} new     {second:>10.2?}  {:.2} of the first", ratio(second, first));
    Ok(())
}

fn rolling_back(root: &Path) -> Anything {
    let machine = Machine::open(Path::new("/")).map_err(text)?;
    let (before, _) = snapshot(&machine, root).map_err(text)?;
    let files = || before.entries.keys().filter(|path| machine.read(path).is_ok_and(|text| !text.is_empty()));
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        for path in files().take(100) {
            std::fs::write(path, "changed")?;
        }
        machine.sync_all(root).map_err(text)?;
        let begin = Instant::now();
        let now = capture(&machine, &[Scope::Tree(root.join("etc"))], &[], None).map_err(text)?;
        let objects = Objects::new(&machine, &root.join("objects"));
        restore(&machine, &objects, &before.restoration(&now)).map_err(text)?;
        times.push(begin.elapsed());
    }
    println!("rollback of 100 files, captured, restored and durable {:.2?}", median(times));
    Ok(())
}

fn many_files(root: &Path, count: usize) -> Anything {
    for number in 0..count {
        let directory = root.join(format!("etc/some-directory-{}", number / 100));
        if number % 100 == 0 {
            std::fs::create_dir_all(&directory)?;
        }
        std::fs::write(
            directory.join(format!("configuration-file-{number}.conf")),
            format!("value = {number}\n"),
        )?;
    }
    let machine = Machine::open(Path::new("/")).map_err(text)?;
    machine.sync_all(root).map_err(text)?;
    let begin = Instant::now();
    snapshot(&machine, root).map_err(text)?;
    let first = begin.elapsed();
    let begin = Instant::now();
    snapshot(&machine, root).map_err(text)?;
    let second = begin.elapsed();
    let each = |time: Duration| time / u32::try_from(count).unwrap_or(u32::MAX);
    println!(
        "{count} files: first {first:.2?} ({:.2?} each), second {second:.2?} ({:.2?} each), peak memory {}",
        each(first),
        each(second),
        peak()?
    );
    std::fs::remove_dir_all(root)?;
    Ok(())
}

fn peak() -> Result<String, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.unwrap_or_default().trim().to_owned())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

fn text(error: firstlight::error::Error) -> String {
    error.to_string()
}
