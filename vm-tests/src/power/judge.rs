//! One power cut: make the disk, mount it, recover, and compare with the old node or the new one.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::disk::{Disk, in_flight};
use super::journal;
use super::lab::Lab;
use super::log::{Log, Request};
use super::points::{Point, Run};
use crate::manifest::Manifest;
use crate::progress::{say, seconds};
use crate::scenario::kept;

/// What is not compared, all of it: kernel file systems, firstlight's own state (its journals are read instead),
/// state, caches and logs of dpkg and apt (design 3), and what every boot writes.
const LEFT_OUT: &[&str] = &[
    "./proc",
    "./sys",
    "./dev",
    "./run",
    "./tmp",
    "./var/tmp",
    "./lost+found",
    "./var/lib/firstlight",
    "./var/lib/dpkg",
    "./var/lib/apt",
    "./var/cache",
    "./var/log",
    "./var/lib/systemd",
    "./var/lib/chrony",
    "./var/lib/postfix",
    "./var/spool/postfix",
];

/// firstlight's own installation, which is part of no transaction, and the part of ucf's state (Debian's memory of
/// packages' configuration files) that a purge leaves as it is on every Debian: its old copies, and which package had
/// a file. Its memory of contents is compared: with a stale one, the next installation would leave a file out.
fn installation(path: &str) -> bool {
    let ucf = |rest: &str| rest.starts_with("registry") || rest.starts_with("hashfile.");
    kept::allowed(path)
        || path.starts_with("/usr/local/sbin")
        || path.strip_prefix("/var/lib/ucf/").is_some_and(ucf)
}

/// What only differs on a new node: PVE's flag and its executable go after the commit, programs keep state.
fn aftermath(path: &str) -> bool {
    installation(path)
        || ["/var/lib/proxmox-first-boot", "/var/lib/fail2ban"].iter().any(|place| path.starts_with(place))
}

/// A node at rest.
struct State {
    files: Manifest,
    packages: String,
}

/// The node before and after the run, and the disks between.
pub struct Judge<'a> {
    lab: &'a Lab,
    log: &'a Log,
    disk: Disk,
    old: State,
    new: State,
    /// SHA-256 of the product without its payload.
    product: String,
}

/// How a cut ended.
pub struct Verdict {
    /// Whether the commit was durable.
    pub new: bool,
    /// What was wrong; empty when all was right.
    pub wrong: Vec<String>,
}

impl<'a> Judge<'a> {
    /// Looks at the node before the first record and after the end of the run.
    pub fn new(lab: &'a Lab, log: &'a Log, run: &Run, base: &Path, product: &Path) -> Result<Self> {
        let mut disk = Disk::copy_of(base, &lab.file("disk"))?;
        disk.advance(log, run.before)?;
        let old = look(lab, log, &disk).context("looking at the node before the run")?;
        let mut end = Disk::copy_of(base, &lab.file("end"))?;
        end.advance(log, log.requests.len().saturating_sub(1))?;
        let new = look(lab, log, &end).context("looking at the node after the run")?;
        fs::remove_file(lab.file("end")).context("removing a disk")?;
        let product = digest(&fs::read(product).context("reading the product")?);
        Ok(Self { lab, log, disk, old, new, product })
    }

    /// The points must come in the order of their flushes.
    pub fn cut(&mut self, point: &Point) -> Result<Verdict> {
        self.disk.advance(self.log, point.flush)?;
        let copy = self.lab.file("cut");
        let mut chance = Chance(point.seed);
        self.disk.cut(&copy, self.log, &mut |request| part(point.seed, &mut chance, request))?;
        self.lab.mounted(&copy, || self.recovered())
    }

    fn recovered(&self) -> Result<Verdict> {
        let mut wrong = Vec::new();
        let root = self.lab.root();
        let records = journal::newest(&root)?;
        let new = journal::has(&records, "commit");
        if journal::has(&records, "intent") {
            wrong.extend(self.installed());
            self.recover(new, &mut wrong)?;
        } else if journal::has(&records, "begin") {
            // Nothing was touched: the hook says so at its next try, or recovery, if it is installed by then.
            ensure!(!new, "the run was committed without an intent");
        }
        let (reference, may): (_, &dyn Fn(&str) -> bool) =
            if new { (&self.new, &aftermath) } else { (&self.old, &installation) };
        let word = if new { "new" } else { "old" };
        let now = State { files: self.lab.manifest(LEFT_OUT)?, packages: self.lab.packages()? };
        for line in reference.files.differences(&now.files, may) {
            wrong.push(format!("not the {word} node: {line}"));
        }
        if now.packages != reference.packages {
            let differ = |all: &str, than: &str| {
                all.lines()
                    .filter(|line| !than.lines().any(|other| other == *line))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            wrong.push(format!(
                "not the packages of the {word} node: {} became {}",
                differ(&reference.packages, &now.packages),
                differ(&now.packages, &reference.packages)
            ));
        }
        let audit = self.lab.run("dpkg --audit")?;
        if audit.status != 0 || !audit.output.trim().is_empty() {
            wrong.push(format!("dpkg complains: {}", audit.output.trim()));
        }
        Ok(Verdict { new, wrong })
    }

    /// Whether what rolls back is there, whole, and starts at the next boot: before the first intent it has to be.
    fn installed(&self) -> Vec<String> {
        let root = self.lab.root();
        let mut wrong = Vec::new();
        match fs::read(root.join("usr/local/sbin/firstlight")) {
            Ok(bytes) if digest(&bytes) == self.product => {}
            Ok(bytes) => wrong.push(format!("the installed binary is damaged ({} bytes)", bytes.len())),
            Err(error) => wrong.push(format!("there is no installed binary: {error}")),
        }
        for (wanted_by, unit) in
            [("sysinit", "firstlight-recover-early"), ("multi-user", "firstlight-recover")]
        {
            let units = root.join("etc/systemd/system");
            let link = units.join(format!("{wanted_by}.target.wants/{unit}.service"));
            let text = fs::read(units.join(format!("{unit}.service"))).unwrap_or_default();
            if !link.is_symlink() || !text.ends_with(format!("WantedBy={wanted_by}.target\n").as_bytes()) {
                wrong.push(format!("{unit}.service would not start at the next boot"));
            }
        }
        wrong
    }

    /// What the two units do at a boot; a third call has nothing left to do.
    fn recover(&self, new: bool, wrong: &mut Vec<String>) -> Result<()> {
        for (stage, line) in [("early", "recover --early"), ("late", "recover"), ("repeated", "recover")] {
            let ran = self.lab.run(&format!("/usr/local/sbin/firstlight {line}"))?;
            // 3 would be a path that somebody else has changed: here is nobody else.
            if ran.status != 0 {
                wrong.push(format!("the {stage} recovery ended with {}: {}", ran.status, ran.output.trim()));
            }
            if stage == "early" && !new {
                wrong.extend(self.early());
            }
        }
        let records = journal::newest(&self.lab.root())?;
        let closed = records.iter().rev().find(|record| record.verb == "closed");
        let outcome = closed.and_then(|record| record.field("outcome"));
        match (new, outcome.as_deref()) {
            (true, None) | (false, Some("reverted")) => {}
            (_, outcome) => wrong.push(format!("the journal was closed as {outcome:?}")),
        }
        Ok(())
    }

    /// Before the network and sshd come up, what lets people in must be what it was.
    fn early(&self) -> Vec<String> {
        let differs = |path: &&&str| {
            let line = self.lab.run(&format!("stat -c '%a %u %g' {path} && sha256sum < {path}"));
            let now = line.map(|ran| ran.output).unwrap_or_default();
            let there = self.old.files.has(path);
            there != self.lab.root().join(path.trim_start_matches('/')).symlink_metadata().is_ok()
                || (there && !self.old.files.holds_digest(path, &now))
        };
        EARLY
            .iter()
            .filter(differs)
            .map(|path| format!("{path} is not put back by the early stage"))
            .collect()
    }
}

/// Files that the early stage has put back whatever is left for the late one.
const EARLY: &[&str] = &[
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d/00-firstlight.conf",
    "/etc/sudoers.d/firstlight",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/home/ops",
];

fn look(lab: &Lab, log: &Log, disk: &Disk) -> Result<State> {
    let copy = lab.file("cut");
    disk.cut(&copy, log, &mut |_| 0)?;
    lab.mounted(&copy, || Ok(State { files: lab.manifest(LEFT_OUT)?, packages: lab.packages()? }))
}

/// How much of a write in flight reaches the disk: none, all, or the first sectors of it.
fn part(seed: u64, chance: &mut Chance, request: &Request) -> u64 {
    match (seed, chance.next() % 8) {
        (0, _) | (_, 0..4) => 0,
        (_, 4) => (chance.next() % (request.length / 512 + 1)) * 512,
        _ => request.length,
    }
}

/// Numbers that are the same in every run (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How some cuts ended.
#[derive(Default)]
pub struct Tally {
    pub old: usize,
    pub new: usize,
    pub wrong: Vec<String>,
}

impl Tally {
    /// Takes another one in.
    pub fn add(&mut self, other: Self) {
        self.old += other.old;
        self.new += other.new;
        self.wrong.extend(other.wrong);
    }
}

/// Cuts at every point and says how each ended.
pub fn all(judge: &mut Judge<'_>, points: &[Point], log: &Log) -> Result<Tally> {
    let mut tally = Tally::default();
    for (number, point) in points.iter().enumerate() {
        let torn = match point.seed {
            0 => String::new(),
            _ => format!(", a part of {} writes in flight", in_flight(log, point.flush + 1).count()),
        };
        let name = format!("flush {} ({}{torn})", point.flush, point.label);
        let since = std::time::Instant::now();
        let verdict = judge.cut(point).with_context(|| format!("a power cut at {name}"))?;
        let (count, word) = if verdict.new { (&mut tally.new, "new") } else { (&mut tally.old, "old") };
        let took = seconds(since.elapsed());
        let Some(first) = verdict.wrong.first() else {
            *count += 1;
            say(format_args!("  {}/{} {name}: {word} ({took})", number + 1, points.len()));
            continue;
        };
        say(format_args!("  {}/{} {name}: NEITHER ({took})", number + 1, points.len()));
        for line in verdict.wrong.iter().take(12) {
            say(format_args!("    {line}"));
        }
        tally.wrong.push(format!("{name}: {first}"));
    }
    Ok(tally)
}
