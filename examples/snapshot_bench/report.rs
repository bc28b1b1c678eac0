//! Tables as Markdown, and where they go.

use crate::growth::{Cost, Point};
use crate::{CHANGED, Disk, Outcome, ROUNDS, Row, median};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const BEGIN: &str = "<!-- snapshot_bench --write begins -->\n";
const END: &str = "<!-- snapshot_bench --write ends -->\n";

/// When and on what, without names.
pub fn machine() -> Outcome<String> {
    let date = String::from_utf8(Command::new("date").arg("+%F").output()?.stdout)?;
    let cores = std::thread::available_parallelism()?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let kernel: Vec<&str> = kernel.trim().split('.').take(2).collect();
    Ok(format!(
        "{}: a virtual machine with {cores} cores, Linux {}; {ROUNDS} rounds, everybody in \
         turn. Times are medians; ratios are medians of the rounds' own ratios.\n\n",
        date.trim(),
        kernel.join(".")
    ))
}

/// File system and what it lies on.
pub fn kind(path: &Path) -> Outcome<String> {
    let path = path.canonicalize()?;
    let mounts = std::fs::read_to_string("/proc/mounts")?;
    let mut best: Vec<&str> = Vec::new();
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let point = fields.get(1).copied().unwrap_or_default();
        if path.starts_with(point) && best.get(1).is_none_or(|best| best.len() <= point.len()) {
            best = fields;
        }
    }
    let (device, system) = (best.first().unwrap_or(&""), best.get(2).unwrap_or(&""));
    Ok(match *system {
        "tmpfs" => "tmpfs".to_owned(),
        _ if device.starts_with("/dev/loop") => format!("{system} on a loop device"),
        _ => format!("{system} on a virtual disk"),
    })
}

/// One disk as a table.
pub fn disk(disk: &Disk) -> String {
    let mut text = format!(
        "**{}**: {} entries, {} objects\n\n| | first | of `cp -a` | second | of its first | {CHANGED} files back |\n\
         |---|--:|--:|--:|--:|--:|\n",
        disk.kind, disk.entries, disk.objects
    );
    let Some(copied) = disk.rows.first() else { return text };
    for row in &disk.rows {
        text.push_str(&format!(
            "| {} | {} | {:.2} | {} | {:.2} | {} |\n",
            row.name,
            shown(median(&row.first)),
            ratio(&row.first, &copied.first),
            shown(median(&row.second)),
            ratio(&row.second, &row.first),
            back(row)
        ));
    }
    text.push('\n');
    text
}

fn back(row: &Row) -> String {
    shown(median(&row.back))
}

/// Growth as a table.
pub fn growth(points: &[Point]) -> String {
    let mut text =
        "| files | `cp -a` | first | each | memory | second | each | memory | 100 files back | memory |\n\
                    |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
            .to_owned();
    for point in points {
        let each =
            |cost: Cost| cost.milliseconds * 1000.0 / f64::from(u32::try_from(point.count).unwrap_or(1));
        let memory =
            |cost: Cost| format!("{:.1} MiB", f64::from(u32::try_from(cost.memory).unwrap_or(0)) / 1024.0);
        text.push_str(&format!(
            "| {} | {:.0} ms | {:.0} ms | {:.1} µs | {} | {:.0} ms | {:.1} µs | {} | {:.0} ms | {} |\n",
            point.count,
            point.copied.milliseconds,
            point.first.milliseconds,
            each(point.first),
            memory(point.first),
            point.second.milliseconds,
            each(point.second),
            memory(point.second),
            point.back.milliseconds,
            memory(point.back)
        ));
    }
    text.push_str("\n![growth](speed.svg)\n");
    text
}

/// The tables take the place of the old ones.
pub fn write(text: &str, plot: &str) -> Outcome<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = std::fs::read_to_string(docs.join("speed.md"))?;
    let (before, rest) = page.split_once(BEGIN).ok_or("docs/speed.md has no place for the tables")?;
    let (_, after) = rest.split_once(END).ok_or("docs/speed.md has no end of the tables")?;
    std::fs::write(docs.join("speed.md"), format!("{before}{BEGIN}\n{text}\n{END}{after}"))?;
    std::fs::write(docs.join("speed.svg"), plot)?;
    Ok(())
}

fn shown(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// Round by round, so that what slows a round down slows both.
fn ratio(one: &[Duration], other: &[Duration]) -> f64 {
    let mut ratios: Vec<f64> =
        one.iter().zip(other).map(|(one, other)| one.as_secs_f64() / other.as_secs_f64()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
}
