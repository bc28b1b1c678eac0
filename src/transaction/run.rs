//! The way forward: snapshot, gates, steps, probes, commit.

mod firewall;
mod reach;
mod step;

use super::journal::Journal;
use super::record::{Closing, Event, FORMAT};
use super::revert::Way;
use super::state::{self, INDEX_PATH, OBJECTS_DIR, RUN_DIR, STATE_DIR, TRANSACTIONS_DIR, TransactionId};
use super::{Failure, Order, Outcome, Stage, confirm, deadline};
use crate::change::{self, Change};
use crate::control::{Control, Gate};
use crate::error::{Error, Result};
use crate::facts::pmxcfs;
use crate::gate::{self, Verdict};
use crate::manifest::{self, Scope, Wants};
use crate::node::{Node, boot_id, exists};
use crate::objects::{ObjectId, Objects};
use crate::observe::{self, Observer};
use crate::plan::Plan;
use crate::progress::{Ending, Importance, Watch};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use firewall::confirm as confirm_firewall;
pub use step::Hand;

/// Room for the records of a way back, beside what it writes of the paths it finds.
const BALLAST_BYTES: u64 = 128 * 1024;
const BALLAST_PIECE: u64 = 64 * 1024;
/// How often, and how far apart, controls are looked at until they hold.
const PROBE_ROUNDS: u32 = 8;
const PROBE_PAUSE: Duration = Duration::from_secs(2);

/// Left out of every snapshot: `/etc/pve`, a file system of its own that is shared with the cluster, and our own
/// state.
pub fn skipped() -> [PathBuf; 2] {
    [PathBuf::from("/etc/pve"), PathBuf::from(STATE_DIR)]
}

/// Makes the plan true, or puts the node back. The caller holds the lock and has recovered.
pub fn apply(node: &dyn Node, plan: &Plan, order: &Order<'_>, watch: &mut dyn Watch) -> Result<Outcome> {
    if plan.steps.is_empty() {
        return Ok(Outcome::Unchanged);
    }
    let (id, journal) = begin(node, plan, order)?;
    let objects = Objects::remembering(node, Path::new(OBJECTS_DIR), Path::new(INDEX_PATH));
    let mut run =
        Run { node, plan, journal: &journal, objects: &objects, watch, touched: false, asked: Vec::new() };
    let outcome = run.forward(id, order);
    let touched = run.touched;
    // Without it the next run reads everything once more.
    let _ = objects.save_index();
    match outcome {
        Ok(Some(minutes)) => Ok(Outcome::Waiting(id, minutes)),
        Ok(None) => {
            // Committed is committed: whatever command comes next finishes what fails here.
            if let Err(error) = state::finish_commit(node) {
                watch.say(Importance::Warning, &error.to_string());
            }
            super::prune::tidy_or_say(node, watch);
            Ok(Outcome::Committed(id))
        }
        Err(failure) => {
            // On a full disk the way back matters, not its reason.
            let _ =
                journal.write(Event::Failed { what: failure.what.clone(), message: failure.message.clone() });
            watch.say(Importance::Error, &format!("{}: {}", failure.what, failure.message));
            if touched {
                // One without a memory: the way back believes what it sees.
                let objects = Objects::new(node, Path::new(OBJECTS_DIR));
                let reason = format!("{} failed", failure.what);
                let way = Way { node, id, journal: &journal, objects: &objects, watch: &mut *watch };
                let ended = way.back(failure.clone(), &reason, Stage::Late, false).unwrap_or_else(|error| {
                    let left =
                        confirm::uncertain(node, id).map(|left| format!("{left}\n")).unwrap_or_default();
                    Outcome::Stuck(id, failure, format!("{left}{error}"))
                });
                super::prune::tidy_or_say(node, watch);
                return Ok(ended);
            }
            Ok(untouched(node, id, &journal, failure))
        }
    }
}

/// Nothing was changed, and that stays true where not even that can be written down: recovery closes the journal then.
fn untouched(node: &dyn Node, id: TransactionId, journal: &Journal<'_>, failure: Failure) -> Outcome {
    let _ = state::free_ballast(node, id);
    let _ = journal.write(Event::Closed { outcome: Closing::Untouched, message: String::new() });
    let _ = super::prune::tidy(node);
    Outcome::Untouched(id, failure)
}

/// A new journal under the next free number, with the plan's story at its head.
fn begin<'a>(node: &'a dyn Node, plan: &Plan, order: &Order<'_>) -> Result<(TransactionId, Journal<'a>)> {
    state::prepare(node)?;
    let last = node
        .list(Path::new(TRANSACTIONS_DIR))?
        .iter()
        .filter_map(|name| name.to_str().and_then(TransactionId::parse))
        .max();
    let id = TransactionId(last.map_or(1, |last| last.0.saturating_add(1)));
    node.make_directory(&id.directory(), 0o700)?;
    let first = Event::Begin {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        door: order.door.to_owned(),
        plan: plan.hash.clone(),
        source: order.source.to_owned(),
        boot: boot_id(node),
        cluster: pmxcfs::cluster_name(node).unwrap_or_default(),
    };
    node.create(&state::ballast_path(id), b"", 0o600)?;
    set_aside(node, id, BALLAST_BYTES)?;
    let journal = Journal::start(node, id.journal(), first)?;
    for (step, title) in plan.steps.iter().map(|step| step.title.clone()).enumerate() {
        journal.note(Event::Step { step, title })?;
    }
    for text in plan.warnings.iter().cloned() {
        journal.note(Event::Warning { text })?;
    }
    for text in plan.notes.iter().cloned() {
        journal.note(Event::Note { text })?;
    }
    Ok((id, journal))
}

/// Adds so many bytes to the ballast, rounded up. Nothing that a file system could compress: it gives its room back.
fn set_aside(node: &dyn Node, id: TransactionId, bytes: u64) -> Result<()> {
    let path = state::ballast_path(id);
    for _ in 0..bytes.div_ceil(BALLAST_PIECE) {
        node.append(&path, &node.random(BALLAST_PIECE as usize)?)?;
    }
    node.sync_file(&path)
}

struct Run<'a> {
    node: &'a dyn Node,
    plan: &'a Plan,
    journal: &'a Journal<'a>,
    objects: &'a Objects<'a>,
    watch: &'a mut dyn Watch,
    /// An intent is on disk: from here on a failure means putting back.
    touched: bool,
    /// Gates already asked.
    asked: Vec<&'static str>,
}

/// A failure inside the run, with the name of what failed.
fn named(what: &str) -> impl Fn(Error) -> Failure + '_ {
    move |error| Failure { what: what.to_owned(), message: error.to_string() }
}

impl Run<'_> {
    /// Up to the commit, or up to the minutes that it waits for somebody to confirm.
    fn forward(&mut self, id: TransactionId, order: &Order<'_>) -> std::result::Result<Option<u64>, Failure> {
        self.snapshot(id).map_err(named("snapshot"))?;
        deadline::arm(self.node, self.journal, order.limits.minutes).map_err(named("dead-man timer"))?;
        self.gates(false)?;
        let total = self.plan.steps.len();
        let plan = self.plan;
        for (number, step) in plan.steps.iter().enumerate() {
            if !matches!(step.change, Change::Packages(_)) {
                self.gates(true)?;
            }
            self.not_interrupted()?;
            self.watch.begin(number + 1, total, &step.title);
            let started = self.node.now();
            let result = self.step(number, &step.change);
            let milliseconds = self.node.now().saturating_sub(started);
            self.watch.end(if result.is_ok() { Ending::Done } else { Ending::Failed }, milliseconds);
            result.map_err(named(&step.title))?;
            self.journal.write(Event::Done { step: number, milliseconds }).map_err(named("journal"))?;
        }
        self.gates(true)?;
        self.probes()?;
        self.reach(id)?;
        self.not_interrupted()?;
        self.keep_firewall(order.limits)?;
        state::write_atomically(self.node, &state::record_path(id), order.record.as_bytes())
            .and_then(|()| confirm::commit_or_wait(self.node, self.journal, order.limits))
            .map_err(named("commit"))
    }

    fn not_interrupted(&self) -> std::result::Result<(), Failure> {
        if self.node.interrupted() {
            let message = "asked to stop (Ctrl-C or SIGTERM)".to_owned();
            return Err(Failure { what: "interrupted".to_owned(), message });
        }
        Ok(())
    }

    /// `/etc` and every path outside it that a step may touch, contents included, durable before the first effect.
    fn snapshot(&mut self, id: TransactionId) -> Result<()> {
        let mut scopes = vec![Scope::Tree("/etc".into())];
        for step in &self.plan.steps {
            scopes.extend(step.change.scopes(self.node)?.into_iter().filter(|scope| outside(scope.path())));
        }
        let waiting = id.snapshot().with_extension("new");
        self.node.create(&waiting, b"", 0o600)?;
        let mut batch = self.objects.batch()?;
        let mut write = |piece: &[u8]| self.node.append(&waiting, piece);
        let entries = manifest::record(self.node, &scopes, &skipped(), (&mut batch, &|_| true), &mut write)?;
        batch.commit_with(Some(&waiting))?;
        self.node.rename(&waiting, &id.snapshot())?;
        self.node.sync_directory(&id.directory())?;
        // A way back out of the middle of dpkg writes once more what stands in all of these places.
        let size = self.node.lookup(&id.snapshot())?.map_or(0, |found| found.size);
        set_aside(self.node, id, size)?;
        self.journal.write(Event::Snapshot { entries })
    }

    /// Asks every gate whose tool is there; `all`: the packages are installed, none may be missing any more.
    fn gates(&mut self, all: bool) -> std::result::Result<(), Failure> {
        let plan = self.plan;
        for gate in &plan.gates {
            let id = gate.id;
            if self.asked.contains(&id) {
                continue;
            }
            if !exists(self.node, Path::new(gate.tool)).map_err(named(id))? {
                if all {
                    return Err(Failure {
                        what: format!("gate {id}"),
                        message: format!("{} is missing", gate.tool),
                    });
                }
                continue;
            }
            self.asked.push(id);
            let started = self.node.now();
            let verdict = self.ask(gate).map_err(named(&format!("gate {id}")))?;
            let milliseconds = self.node.now().saturating_sub(started);
            let (passed, message) = match verdict {
                Verdict::Passed => (true, String::new()),
                Verdict::Failed(message) => (false, message),
            };
            let event = Event::Gate { id: id.to_owned(), passed, message: message.clone(), milliseconds };
            self.journal.write(event).map_err(named("journal"))?;
            if !passed {
                return Err(Failure { what: format!("gate {id}"), message });
            }
        }
        Ok(())
    }

    fn ask(&self, gate: &Gate) -> Result<Verdict> {
        let stage = Path::new(RUN_DIR).join("stage");
        state::remove_tree(self.node, &stage)?;
        state::make_directories(self.node, &stage)?;
        let verdict = gate::run(self.node, gate, &stage);
        state::remove_tree(self.node, &stage)?;
        verdict
    }

    fn step(&mut self, number: usize, change: &Change) -> Result<()> {
        let Self { node, journal, objects, .. } = *self;
        Hand { node, journal, objects }.perform(number, change, self.watch, &mut self.touched)
    }

    fn capture(&self, scopes: &[Scope], contents: Wants<'_>) -> Result<ObjectId> {
        capture(self.node, self.objects, scopes, contents)
    }

    /// Every control that this plan can bring about must hold in effective state; daemons get some time to follow
    /// (pve-firewall looks at its file every 10 s). A control without changes is a finding, not a failure.
    fn probes(&mut self) -> std::result::Result<(), Failure> {
        let mut open: Vec<(&Control, String)> =
            self.plan.controls.iter().map(|control| (control, String::new())).collect();
        for round in 0..PROBE_ROUNDS {
            self.not_interrupted()?;
            if round > 0 {
                self.node.sleep(PROBE_PAUSE);
            }
            open = self.look(open)?;
            if open.iter().all(|(control, _)| control.changes.is_empty()) {
                break;
            }
        }
        let mut failed = None;
        for (control, message) in open {
            let what = format!("control {}", control.id);
            if control.changes.is_empty() {
                let text = format!("{what}: {message}");
                self.watch.say(Importance::Warning, &text);
                self.journal.note(Event::Warning { text }).map_err(named("journal"))?;
            } else if failed.is_none() {
                failed = Some(Failure { what, message: message.clone() });
            }
            let event = Event::Probe { control: control.id.to_string(), holds: false, message };
            self.journal.note(event).map_err(named("journal"))?;
        }
        failed.map_or(Ok(()), Err)
    }

    /// Looks at each control once; those that hold are noted, the others are returned.
    fn look<'c>(
        &self,
        controls: Vec<(&'c Control, String)>,
    ) -> std::result::Result<Vec<(&'c Control, String)>, Failure> {
        let mut observer = Observer::new(self.node);
        let mut open = Vec::new();
        for (control, _) in controls {
            match observer.evaluate(&control.check) {
                Ok(observe::Verdict::Fails(message)) => open.push((control, message)),
                // A tool that cannot be asked yet is asked again like one that gives the wrong answer.
                Err(error) => open.push((control, error.to_string())),
                Ok(observe::Verdict::Holds) => {
                    let control = control.id.to_string();
                    let event = Event::Probe { control, holds: true, message: String::new() };
                    self.journal.note(event).map_err(named("journal"))?;
                }
            }
        }
        Ok(open)
    }
}

/// What the tree of `/etc` does not hold.
fn outside(path: &Path) -> bool {
    !path.starts_with("/etc") || path.starts_with("/etc/pve")
}

/// Captures `scopes` and stores the manifest, and what those files hold that `contents` likes; all durable.
pub fn capture(
    node: &dyn Node,
    objects: &Objects<'_>,
    scopes: &[Scope],
    contents: Wants<'_>,
) -> Result<ObjectId> {
    if scopes.iter().any(|scope| scope.path().starts_with(pmxcfs::MOUNT_POINT)) {
        change::pmxcfs_mounted(node, "looking at /etc/pve")?;
    }
    let mut batch = objects.batch()?;
    let growing = objects.growing();
    // The first piece is all of nearly every manifest.
    let (mut first, mut sum, mut grows) = (Vec::new(), Sha256::new(), false);
    let mut write = |piece: &[u8]| {
        sum.update(piece);
        if first.is_empty() {
            first.extend_from_slice(piece);
            return Ok(());
        }
        if !grows {
            manifest::make_room(node, &growing)?;
            node.create(&growing, &first, 0o600)?;
            grows = true;
        }
        node.append(&growing, piece)
    };
    manifest::record(node, scopes, &skipped(), (&mut batch, contents), &mut write)?;
    let id = if grows { ObjectId::from(sum) } else { batch.add(&first)? };
    if grows {
        batch.add_grown(id)?;
    }
    batch.commit()?;
    Ok(id)
}
