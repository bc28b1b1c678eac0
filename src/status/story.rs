//! What one transaction's journal tells, as data: a fold over its records.

use crate::transaction::record::{Closing, Event, Record, Waiting};
use crate::transaction::state::TransactionId;
use crate::transaction::{self as engine, Phase};
use std::path::PathBuf;

/// What one journal tells.
pub struct Story {
    /// Number of the transaction.
    pub id: TransactionId,
    /// Version of firstlight that wrote it.
    pub version: String,
    /// `hook`, `wizard` or `command`.
    pub door: String,
    /// Hash of the plan.
    pub plan: String,
    /// Where the answer came from.
    pub source: String,
    /// The boot it began in.
    pub boot: String,
    /// When it began, milliseconds since 1970.
    pub started: u64,
    /// When it was committed, or when the way back was over.
    pub ended: Option<u64>,
    /// How it stands.
    pub standing: Standing,
    /// What failed and why, or why it was put back; empty when all went well.
    pub message: String,
    /// In the order of the plan.
    pub steps: Vec<StepStory>,
    /// In the order they were asked.
    pub gates: Vec<Checked>,
    /// In the order they were looked at.
    pub probes: Vec<Checked>,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// What the operator may want to know.
    pub notes: Vec<String>,
    /// Paths that belong to somebody else by now.
    pub kept: Vec<PathBuf>,
    /// Entries of the snapshot, once it is complete.
    pub entries: Option<usize>,
    /// The boot in which the dead-man timer was armed; empty when it never was.
    pub armed: String,
    /// Whose login the commit waits for, or waited for.
    pub waiting: Option<Waiting>,
}

/// How a transaction stands.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Standing {
    /// Neither committed nor put back.
    Open,
    /// Applied, and waiting for confirmation.
    Waiting,
    /// The new node is the node.
    Committed,
    /// The way back is over.
    Closed(Closing),
    /// The journal cannot be believed.
    Damaged,
}

impl Standing {
    fn of(story: &engine::Story) -> Self {
        match (story.phase(), story.closed) {
            (Phase::Committed, _) => Self::Committed,
            (_, Some(closing)) => Self::Closed(closing),
            (_, None) if story.waits() => Self::Waiting,
            (_, None) => Self::Open,
        }
    }
}

/// One step of the plan.
pub struct StepStory {
    /// As `plan` shows it.
    pub title: String,
    /// How far it came.
    pub outcome: StepOutcome,
    /// How long it took, if it ended.
    pub milliseconds: Option<u64>,
    began: u64,
}

/// How far a step came.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum StepOutcome {
    /// Not begun.
    Waiting,
    /// Begun, and not seen to end.
    Started,
    /// Made.
    Done,
    /// Failed; taken back if the transaction was put back.
    Failed,
    /// Made, and taken back.
    Reverted,
    /// Taking it back did not end.
    Stuck,
}

impl StepOutcome {
    /// As the JSON spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Started => "started",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Reverted => "reverted",
            Self::Stuck => "stuck",
        }
    }
}

/// A gate or a control that was asked.
pub struct Checked {
    /// Its id.
    pub id: String,
    /// Whether the tool agreed, or the statement holds.
    pub passed: bool,
    /// What was said otherwise.
    pub message: String,
    /// How long it took; unknown for a probe.
    pub milliseconds: Option<u64>,
}

impl Story {
    /// Reads the records of transaction `id`.
    pub fn read(id: TransactionId, records: &[Record]) -> Self {
        let mut story = Self::empty(id);
        if let Some(first) = records.first() {
            story.started = first.at;
        }
        for record in records {
            story.take(record);
        }
        // How it stands is what recovery goes by, whatever the order of the records.
        story.standing = Standing::of(&engine::Story::of(records));
        if matches!(story.standing, Standing::Open | Standing::Waiting) {
            story.ended = None;
        }
        if story.standing == Standing::Closed(Closing::Stuck) {
            for step in &mut story.steps {
                if matches!(step.outcome, StepOutcome::Started) {
                    step.outcome = StepOutcome::Stuck;
                }
            }
        }
        story
    }

    /// The story of a journal that cannot be believed.
    pub fn damaged(id: TransactionId, message: String) -> Self {
        Self { standing: Standing::Damaged, message, ..Self::empty(id) }
    }

    /// How long it took, if it is over.
    pub fn milliseconds(&self) -> Option<u64> {
        self.ended.map(|ended| ended.saturating_sub(self.started))
    }

    /// The step that was begun last and has not ended: its place from 1, and its title.
    pub fn current(&self) -> Option<(usize, &str)> {
        let place = self.steps.iter().rposition(|step| step.outcome == StepOutcome::Started)?;
        Some((place + 1, self.steps.get(place)?.title.as_str()))
    }

    fn empty(id: TransactionId) -> Self {
        Self {
            id,
            version: String::new(),
            door: String::new(),
            plan: String::new(),
            source: String::new(),
            boot: String::new(),
            started: 0,
            ended: None,
            standing: Standing::Open,
            message: String::new(),
            steps: Vec::new(),
            gates: Vec::new(),
            probes: Vec::new(),
            warnings: Vec::new(),
            notes: Vec::new(),
            kept: Vec::new(),
            entries: None,
            armed: String::new(),
            waiting: None,
        }
    }

    fn take(&mut self, record: &Record) {
        let at = record.at;
        match &record.event {
            Event::Begin { version, door, plan, source, boot, .. } => {
                self.version.clone_from(version);
                self.door.clone_from(door);
                self.plan.clone_from(plan);
                self.source.clone_from(source);
                self.boot.clone_from(boot);
            }
            Event::Step { title, .. } => self.steps.push(StepStory {
                title: title.clone(),
                outcome: StepOutcome::Waiting,
                milliseconds: None,
                began: 0,
            }),
            Event::Snapshot { entries } => self.entries = Some(*entries),
            Event::Gate { id, passed, message, milliseconds } => self.gates.push(Checked {
                id: id.clone(),
                passed: *passed,
                message: message.clone(),
                milliseconds: Some(*milliseconds),
            }),
            Event::Probe { control, holds, message } => self.probes.push(Checked {
                id: control.clone(),
                passed: *holds,
                message: message.clone(),
                milliseconds: None,
            }),
            Event::Warning { text } => self.warnings.push(text.clone()),
            Event::Note { text } => self.notes.push(text.clone()),
            Event::Intent { step, .. } => self.begin(*step, at),
            Event::Done { step, milliseconds } => self.end(*step, StepOutcome::Done, Some(*milliseconds)),
            Event::Failed { what, message } => self.fail(what, message, at),
            Event::Reverting { step, .. } => self.take_back(*step),
            Event::Reverted { step, kept } => self.taken_back(*step, kept),
            Event::Waiting(waiting) => self.waiting = Some(waiting.clone()),
            Event::Commit => {
                self.ended = Some(at);
                self.message.clear();
            }
            Event::Revert { reason, .. } => self.revert(reason),
            Event::Closed { message, .. } => {
                self.ended = Some(at);
                self.add_message(message);
            }
            Event::Armed(armed) => self.armed.clone_from(&armed.boot),
            Event::Observed { .. } | Event::Try { .. } | Event::Ended { .. } => {}
        }
    }

    fn begin(&mut self, step: usize, at: u64) {
        if let Some(step) = self.steps.get_mut(step) {
            step.outcome = StepOutcome::Started;
            step.began = at;
        }
    }

    fn end(&mut self, step: usize, outcome: StepOutcome, milliseconds: Option<u64>) {
        if let Some(step) = self.steps.get_mut(step) {
            step.outcome = outcome;
            step.milliseconds = milliseconds;
        }
    }

    /// The step that failed is the one of that title that was begun; a gate or a control is no step.
    fn fail(&mut self, what: &str, message: &str, at: u64) {
        let failed =
            self.steps.iter_mut().rfind(|step| step.outcome == StepOutcome::Started && step.title == what);
        if let Some(step) = failed {
            step.outcome = StepOutcome::Failed;
            step.milliseconds = Some(at.saturating_sub(step.began));
        }
        self.message.clear();
        self.add_message(what);
        if !message.is_empty() {
            self.message.push_str(": ");
            self.message.push_str(message);
        }
    }

    /// Why it was put back counts only when nothing else failed.
    fn revert(&mut self, reason: &str) {
        if self.message.is_empty() {
            self.add_message(reason);
        }
    }

    fn take_back(&mut self, step: usize) {
        if let Some(step) = self.steps.get_mut(step)
            && step.outcome == StepOutcome::Done
        {
            step.outcome = StepOutcome::Started;
        }
    }

    fn taken_back(&mut self, step: usize, kept: &[PathBuf]) {
        for path in kept {
            if !self.kept.contains(path) {
                self.kept.push(path.clone());
            }
        }
        if let Some(step) = self.steps.get_mut(step)
            && step.outcome != StepOutcome::Failed
        {
            step.outcome = StepOutcome::Reverted;
        }
    }

    fn add_message(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if !self.message.is_empty() {
            self.message.push('\n');
        }
        self.message.push_str(text);
    }
}
