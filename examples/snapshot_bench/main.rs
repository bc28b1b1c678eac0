//! Snapshots against `cp -a`, `tar`, `rsync -a` and `git` as etckeeper uses it, side by side: the same tree, the same
//! disk, one after the other in every round; a rollback of 100 files; and what time and memory 100 000 files take.
//!
//! `cargo run --release --example snapshot_bench [--write] [DIRECTORY …]` works below each DIRECTORY (default: the
//! temporary directory), one for each file system to be looked at; growth is measured on the first. `--write` puts
//! the tables into docs/speed.md and the plot into docs/speed.svg.

mod contenders;
mod growth;
mod ours;
mod plot;
mod report;

use contenders::Contender;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;
const CHANGED: usize = 100;
/// Older than this, a file is remembered (`src/objects/index.rs`). No real `/etc` is younger.
const SETTLING: Duration = Duration::from_millis(2500);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if arguments.first().is_some_and(|word| word == growth::CHILD) {
        return growth::child(&arguments);
    }
    let write = arguments.iter().position(|word| word == "--write").map(|at| arguments.remove(at)).is_some();
    if arguments.is_empty() {
        arguments.push(std::env::temp_dir().into());
    }
    contenders::all_there()?;
    let mut text = report::machine()?;
    for base in &arguments {
        eprintln!("{}", Path::new(base).display());
        text.push_str(&report::disk(&on_disk(Path::new(base))?));
    }
    let points = growth::measure(Path::new(arguments.first().ok_or("no directory")?))?;
    text.push_str(&report::growth(&points));
    print!("{text}");
    if write { report::write(&text, &plot::draw(&points)) } else { Ok(()) }
}

/// Everything that was measured on one disk.
struct Disk {
    kind: String,
    entries: usize,
    objects: usize,
    /// Name, times of the first and of the second, times of the rollback; by contender.
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    first: Vec<Duration>,
    second: Vec<Duration>,
    back: Vec<Duration>,
}

fn on_disk(base: &Path) -> Outcome<Disk> {
    let directory = tempfile::tempdir_in(base)?;
    let root = directory.path();
    let mut ours = ours::Snapshots::new(root)?;
    let mut all: Vec<Box<dyn Contender>> = contenders::all(root);
    for one in &all {
        contenders::copy(Path::new("/etc"), &one.tree())?;
    }
    contenders::copy(Path::new("/etc"), &ours.tree())?;
    std::thread::sleep(SETTLING);
    let mut rows: Vec<Row> = Vec::new();
    for round in 0..ROUNDS {
        let everybody = all.iter_mut().map(|one| &mut **one).chain(std::iter::once(&mut ours as _));
        for (at, one) in everybody.enumerate() {
            if round == 0 {
                rows.push(Row { name: one.name(), first: vec![], second: vec![], back: vec![] });
            }
            let row = rows.get_mut(at).ok_or("no row")?;
            one.forget()?;
            row.first.push(timed(root, || one.snapshot())?);
            row.second.push(timed(root, || one.snapshot())?);
        }
    }
    for _ in 0..ROUNDS {
        let everybody = all.iter_mut().map(|one| &mut **one).chain(std::iter::once(&mut ours as _));
        for (at, one) in everybody.enumerate() {
            for path in files(&one.tree())?.iter().take(CHANGED) {
                std::fs::write(path, "changed")?;
            }
            let time = timed(root, || one.put_back())?;
            rows.get_mut(at).ok_or("no row")?.back.push(time);
        }
    }
    Ok(Disk { kind: report::kind(root)?, entries: ours.entries, objects: ours.objects, rows })
}

/// Nobody pays for what another left to be written.
fn timed(root: &Path, work: impl FnOnce() -> Outcome<()>) -> Outcome<Duration> {
    if !Command::new("sync").arg("-f").arg(root).status()?.success() {
        return Err("sync -f failed".into());
    }
    let begin = Instant::now();
    work()?;
    Ok(begin.elapsed())
}

/// Regular files with something in them, in order.
fn files(tree: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![tree.to_owned()];
    while let Some(directory) = open.pop() {
        let mut inside = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
        inside.sort_by_key(std::fs::DirEntry::file_name);
        for entry in inside {
            let kind = entry.file_type()?;
            if kind.is_dir() && entry.file_name() != ".git" {
                open.push(entry.path());
            } else if kind.is_file() && entry.metadata()?.len() > 0 {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn text(error: firstlight::error::Error) -> String {
    error.to_string()
}
