//! Power cuts without QEMU: the writes of one real first boot, replayed up to any of its flushes.
//!
//! QEMU logs what the guest writes to its disk. From the log every state is made that the disk can have been in when
//! the power went; it is mounted here, recovered in a chroot by the guest's own binary, and compared.

pub mod disk;
pub mod fault;
mod journal;
mod judge;
pub mod lab;
mod log;
mod points;
pub mod record;

use anyhow::{Result, bail, ensure};

use crate::bench::Bench;
use crate::progress::{say, seconds};
use judge::Judge;
use log::Log;
use points::{Point, Run};
use record::Recording;

pub use lab::Lab;
pub use record::FileSystem;

/// Records a first boot (once) and cuts its power at the points that `choose` picks.
pub fn cuts(
    bench: &mut Bench,
    name: &str,
    kind: FileSystem,
    choose: fn(&Run) -> Result<Vec<Point>>,
) -> Result<()> {
    let recording = Recording::obtain(bench, kind)?;
    let product = bench.payload()?.binary.clone();
    let log = Log::open(&recording.writes)?;
    let run = Run::find(&log)?;
    let (records, flushes) = run.size();
    say(format_args!("  {records} records of journals and {flushes} flushes are in the run"));
    let points = choose(&run)?;
    let since = std::time::Instant::now();
    let directory = bench.workspace().run_directory();
    let labs = if kind == FileSystem::Ext4 && points.len() > 20 { LABS } else { 1 };
    let share = points.len().div_ceil(labs);
    let outcomes = std::thread::scope(|scope| {
        let labs: Vec<_> = points
            .chunks(share)
            .enumerate()
            .map(|(number, points)| {
                let (log, run, base, product) = (&log, &run, &recording.base, &product);
                let directory = directory.join(format!("{name}-{number}"));
                scope.spawn(move || {
                    Lab::enter(&directory, kind, |lab| {
                        let mut judge = Judge::new(lab, log, run, base, product)?;
                        judge::all(&mut judge, points, log)
                    })
                })
            })
            .collect();
        labs.into_iter()
            .map(|lab| lab.join().unwrap_or_else(|_| bail!("a thread has panicked")))
            .collect::<Vec<_>>()
    });
    let mut tally = judge::Tally::default();
    for outcome in outcomes {
        tally.add(outcome?);
    }
    let judge::Tally { old, new, wrong } = tally;
    let took = seconds(since.elapsed());
    say(format_args!(
        "  {} power cuts in {took}: {old} old, {new} new, {} neither",
        points.len(),
        wrong.len()
    ));
    ensure!(old > 0 && new > 0, "no cut before the commit, or none after it: {old} old, {new} new");
    if !wrong.is_empty() {
        bail!("{} of {} power cuts ended in neither:\n  {}", wrong.len(), points.len(), wrong.join("\n  "));
    }
    Ok(())
}

/// Disks that are replayed at the same time when there are many points.
const LABS: usize = 2;

/// Ten moments that matter.
pub fn few(run: &Run) -> Result<Vec<Point>> {
    run.few()
}

/// The flushes around every record and many others, and states between flushes.
pub fn many(run: &Run) -> Result<Vec<Point>> {
    let mut points = run.spread(OTHERS);
    points.extend(run.torn(TORN));
    points.sort_by_key(|point| (point.flush, point.seed));
    ensure!(points.len() >= 100, "only {} points", points.len());
    Ok(points)
}

/// Every so many of the flushes around records and of the others, and states between flushes.
pub fn some(run: &Run) -> Result<Vec<Point>> {
    let all = run.spread(OTHERS);
    let mut points: Vec<Point> = all.into_iter().step_by(STEP).collect();
    points.extend(run.few()?);
    points.sort_by_key(|point| (point.flush, point.seed));
    points.dedup();
    Ok(points)
}

/// Of the many points, these are the some.
const STEP: usize = 12;
/// Flushes beside those around records: within the packages there is one for every file dpkg writes.
const OTHERS: usize = 40;
/// States with a part of what was in flight, beside the flushes.
const TORN: usize = 40;
