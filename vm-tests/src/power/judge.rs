//! One power cut: make the disk, mount it, recover, and compare with the old node or the new one.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::disk::{Disk, in_flight};
use super::journal;
use super::lab::{Lab, Ran};
use super::log::{Log, Request};
use super::points::{Point, Run};
use crate::manifest::{self, Manifest};
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
pub struct State {
    files: Manifest,
    packages: String,
    /// What dpkg has to complain about.
    audit: String,
}

impl State {
    /// What tells a state, for [`Self::read`].
    pub fn questions() -> [String; 3] {
        [
            manifest::command(".", LEFT_OUT),
            "dpkg-query --show --showformat='${Package} ${Version} ${Status}\\n'".to_owned(),
            "dpkg --audit".to_owned(),
        ]
    }

    /// The answers to the questions.
    pub fn read(answers: &[Ran]) -> Result<Self> {
        let [files, packages, audit] = answers else { bail!("{} answers about a state", answers.len()) };
        let known = packages.output.lines().filter(|line| !line.ends_with(" not-installed"));
        Ok(Self {
            files: manifest::parse(&files.output)?,
            packages: known.map(|line| format!("{line}\n")).collect(),
            audit: audit.output.trim().to_owned(),
        })
    }

    /// The mounted node.
    pub fn of(lab: &Lab) -> Result<Self> {
        let questions = Self::questions();
        Self::read(&lab.run_all(&questions.each_ref().map(String::as_str))?)
    }

    /// How another node is not this one, which was there before a run (or after it: the new one).
    pub fn differences(&self, now: &Self, new: bool) -> Vec<String> {
        let (word, may): (_, &dyn Fn(&str) -> bool) =
            if new { ("new", &aftermath) } else { ("old", &installation) };
        let differences = self.files.differences(&now.files, may);
        let mut wrong: Vec<String> =
            differences.into_iter().map(|line| format!("not the {word} node: {line}")).collect();
        if now.packages != self.packages {
            let differ = |all: &str, than: &str| {
                let new: Vec<&str> =
                    all.lines().filter(|line| !than.lines().any(|other| other == *line)).collect();
                new.join(", ")
            };
            wrong.push(format!(
                "not the packages of the {word} node: {} became {}",
                differ(&self.packages, &now.packages),
                differ(&now.packages, &self.packages)
            ));
        }
        if !now.audit.is_empty() {
            wrong.push(format!("dpkg complains: {}", now.audit));
        }
        wrong
    }
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
    /// From this flush on the node must be the new one.
    committed: usize,
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
        Ok(Self { lab, log, disk, old, new, product, committed: run.committed()? })
    }

    /// The points must come in the order of their flushes.
    pub fn cut(&mut self, point: &Point) -> Result<Verdict> {
        self.disk.advance(self.log, point.flush)?;
        let copy = self.lab.file("cut");
        let mut chance = Chance(point.seed);
        self.disk.cut(&copy, self.log, &mut |request| part(point.seed, &mut chance, request))?;
        let mut verdict = self.lab.mounted(&copy, || self.recovered())?;
        if point.flush >= self.committed && !verdict.new {
            verdict.wrong.push("the commit was durable, and is lost".to_owned());
        }
        Ok(verdict)
    }

    fn recovered(&self) -> Result<Verdict> {
        let root = self.lab.root();
        let records = journal::newest(&root)?;
        let new = journal::has(&records, "commit");
        let mut wrong = Vec::new();
        let questions = State::questions();
        let mut lines: Vec<&str> = questions.iter().map(String::as_str).collect();
        let begun = journal::has(&records, "intent");
        if begun {
            wrong.extend(self.installed());
            lines.splice(..0, STAGES.map(|(_, line)| line));
        }
        let ran = self.lab.run_all(&lines)?;
        let (stages, answers) =
            ran.split_at_checked(lines.len() - questions.len()).context("answers are missing")?;
        for ((stage, _), ran) in STAGES.iter().zip(stages) {
            // 3 would be a path that somebody else has changed: here is nobody else.
            if ran.status != 0 {
                wrong.push(format!("{stage} ended with {}: {}", ran.status, ran.output.trim()));
            }
        }
        if let (Some(seen), false) = (stages.get(1), new) {
            wrong.extend(self.early(&seen.output));
        }
        if begun {
            wrong.extend(closed(&root, new)?);
        }
        let reference = if new { &self.new } else { &self.old };
        wrong.extend(reference.differences(&State::read(answers)?, new));
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

    /// Before the network and sshd come up, what lets people in must be what it was.
    fn early(&self, seen: &str) -> Vec<String> {
        let seen: Vec<(&str, &str)> = seen.lines().filter_map(|line| line.split_once(' ')).collect();
        let kept = |path: &str| match seen.iter().find(|(found, _)| *found == path) {
            Some((_, digest)) => self.old.files.has(path) && self.old.files.holds_digest(path, digest),
            None => !self.old.files.has(path),
        };
        let wrong = EARLY.iter().filter(|path| !kept(path));
        wrong.map(|path| format!("{path} is not put back by the early stage")).collect()
    }
}

/// The journal says at the end what has happened.
fn closed(root: &Path, new: bool) -> Result<Option<String>> {
    let records = journal::newest(root)?;
    let last = records.iter().rev().find(|record| record.verb == "closed");
    let outcome = last.and_then(|record| record.field("outcome"));
    Ok(match (new, outcome.as_deref()) {
        (true, None) | (false, Some("reverted")) => None,
        (_, outcome) => Some(format!("the journal was closed as {outcome:?}")),
    })
}

/// What the two units do at a boot, with a look at what the first has done, and what the kernel is told between them; a
/// third call has nothing left to do.
const STAGES: [(&str, &str); 5] = [
    ("the early recovery", "/usr/local/sbin/firstlight recover --early"),
    (
        "looking at it",
        "for path in /etc/ssh/sshd_config /etc/ssh/sshd_config.d/00-firstlight.conf /etc/sudoers.d/firstlight \
         /etc/passwd /etc/shadow /etc/group /etc/gshadow /home/ops; do \
         [ ! -e $path ] || echo $path $(sha256sum < $path 2> /dev/null); done",
    ),
    ("setting the kernel", include_str!("sysctl.sh")),
    ("the late recovery", "/usr/local/sbin/firstlight recover"),
    ("the repeated recovery", "/usr/local/sbin/firstlight recover"),
];

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
    lab.mounted(&copy, || State::of(lab))
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
