//! Records of the journal ↔ lines of text.
//!
//! A line is `CHECKSUM VERB KEY=VALUE …`, separated by tabs, values percent-escaped, the checksum being the first
//! 16 hexadecimal digits of the SHA-256 of the rest. Everything that recovery or `status` needs stands here.

mod deadline;
mod fields;
mod inverse;
#[cfg(test)]
mod tests;

use crate::manifest::Scope;
use crate::objects::ObjectId;
use fields::{Fields, Line, checksum, unescape};
use std::path::PathBuf;

pub use deadline::{Armed, Waiting};
pub use inverse::{Inverse, PveInverse};

/// The version of the format, in every [`Event::Begin`].
pub const FORMAT: u32 = 1;

/// One line of the journal.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Record {
    /// Wall clock, milliseconds since 1970.
    pub at: u64,
    /// What happened, or is about to.
    pub event: Event,
}

/// What happened, or is about to.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub enum Event {
    /// A transaction starts.
    Begin {
        /// Format of this journal.
        format: u32,
        /// Version of firstlight.
        version: String,
        /// `hook`, `wizard` or `command`.
        door: String,
        /// Hash of the plan.
        plan: String,
        /// Where the answer came from.
        source: String,
        /// Kernel's boot id.
        boot: String,
        /// Name of the node's PVE cluster; empty when standalone.
        cluster: String,
    },
    /// One step of the plan, in order; number from 0.
    Step {
        /// Place in the plan.
        step: usize,
        /// As `plan` shows it.
        title: String,
    },
    /// The snapshot is complete and durable.
    Snapshot {
        /// Entries in it.
        entries: usize,
    },
    /// The dead-man timer runs: from here on somebody else puts the node back if this process does not.
    Armed(Armed),
    /// Applied; the commit waits for somebody who proves that they still get in.
    Waiting(Waiting),
    /// A gate was asked.
    Gate {
        /// Its id.
        id: String,
        /// Whether the tool agreed.
        passed: bool,
        /// What the tool said otherwise.
        message: String,
        /// How long it took.
        milliseconds: u64,
    },
    /// Something the operator should know.
    Warning {
        /// A sentence.
        text: String,
    },
    /// Something the operator may want to know.
    Note {
        /// A sentence.
        text: String,
    },
    /// A step is about to be made; from here on it may have happened.
    Intent {
        /// Place in the plan.
        step: usize,
        /// What takes it back beside the paths.
        inverse: Inverse,
        /// The paths it may touch.
        scopes: Vec<Scope>,
        /// Manifest of these paths as they are now.
        before: ObjectId,
    },
    /// What a step left behind, seen after it (or after a crash inside it).
    Observed {
        /// Place in the plan.
        step: usize,
        /// Manifest of the same paths.
        after: ObjectId,
    },
    /// A step was made.
    Done {
        /// Place in the plan.
        step: usize,
        /// How long it took.
        milliseconds: u64,
    },
    /// A step, gate or probe failed; the transaction will be put back.
    Failed {
        /// What failed: a step's title, a gate, a control.
        what: String,
        /// The reason.
        message: String,
    },
    /// A control was looked at after the last step.
    Probe {
        /// Its id.
        control: String,
        /// Whether it holds.
        holds: bool,
        /// What is true instead.
        message: String,
    },
    /// The new node is the node. Wins every race.
    Commit,
    /// The way back begins.
    Revert {
        /// Why.
        reason: String,
        /// What somebody else changed since is put back too.
        force: bool,
        /// UFW stays as it is, because PVE's firewall cannot be switched back.
        ufw_stays: bool,
    },
    /// A step is about to be taken back; these paths are somebody else's by now and stay as they are.
    Reverting {
        /// Place in the plan.
        step: usize,
        /// Manifest of these paths, contents included: what stays.
        foreign: ObjectId,
    },
    /// A step was taken back.
    Reverted {
        /// Place in the plan.
        step: usize,
        /// Paths that the step had changed and that stay as somebody else left them.
        kept: Vec<PathBuf>,
    },
    /// The first-boot hook starts a try; in the hook's own journal.
    Try {
        /// From 1.
        number: u32,
        /// Kernel's boot id.
        boot: String,
    },
    /// The hook ended without a transaction of its own, for good; in the hook's own journal.
    Ended {
        /// `bad-input`, `gave-up` or `no-answer`.
        outcome: String,
        /// The reason, for a person.
        message: String,
    },
    /// The way back is over.
    Closed {
        /// How it ended.
        outcome: Closing,
        /// Details for a person; may be empty.
        message: String,
    },
}

/// How a transaction that was not committed, or was rolled back, ended.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Closing {
    /// Nothing had been touched.
    Untouched,
    /// Everything was put back.
    Reverted,
    /// Rolled back on request after a commit.
    RolledBack,
    /// Something could not be put back.
    Stuck,
}

impl Record {
    /// The line, with newline.
    pub fn encode(&self) -> String {
        let mut line = Line::new(self.at);
        self.event.write(&mut line);
        line.finish()
    }

    /// Whether a line without its newline has its checksum, whatever it says.
    pub fn is_whole(line: &str) -> bool {
        line.split_once('\t').is_some_and(|(sum, body)| checksum(body) == sum)
    }

    /// Reads a line without its newline; `None` when it is torn or damaged, or from another version.
    pub fn decode(line: &str) -> Option<Self> {
        if !Self::is_whole(line) {
            return None;
        }
        let (_, body) = line.split_once('\t')?;
        let mut parts = body.split('\t');
        let verb = parts.next()?;
        let mut fields = Vec::new();
        for part in parts {
            let (key, value) = part.split_once('=')?;
            fields.push((key, unescape(value)?));
        }
        let fields = Fields::new(fields);
        let record = Self { at: fields.number("at"), event: Event::parse(verb, &fields)? };
        fields.is_whole().then_some(record)
    }
}

impl Event {
    /// Whether it only tells the story: nothing is decided by it.
    pub fn is_note(&self) -> bool {
        matches!(self, Self::Step { .. } | Self::Warning { .. } | Self::Note { .. } | Self::Probe { .. })
    }

    fn write(&self, line: &mut Line) {
        match self {
            Self::Begin { format, version, door, plan, source, boot, cluster } => {
                line.verb("begin").number("format", (*format).into()).text("version", version);
                line.text("door", door).text("plan", plan).text("source", source);
                line.text("boot", boot).text("cluster", cluster)
            }
            Self::Step { step, title } => line.verb("step").step(*step).text("title", title),
            Self::Snapshot { entries } => line.verb("snapshot").number("entries", *entries as u64),
            Self::Armed(armed) => {
                armed.write(line);
                line
            }
            Self::Waiting(waiting) => {
                waiting.write(line);
                line
            }
            Self::Gate { id, passed, message, milliseconds } => {
                line.verb("gate").text("id", id).flag("passed", *passed);
                line.text("message", message).number("ms", *milliseconds)
            }
            Self::Warning { text } => line.verb("warning").text("text", text),
            Self::Note { text } => line.verb("note").text("text", text),
            Self::Intent { step, inverse, scopes, before } => {
                line.verb("intent").step(*step).object("before", before);
                inverse.write(line);
                for scope in scopes {
                    match scope {
                        Scope::Entry(path) => line.path("entry", path),
                        Scope::Children(path) => line.path("children", path),
                        Scope::Tree(path) => line.path("tree", path),
                    };
                }
                line
            }
            Self::Observed { step, after } => line.verb("observed").step(*step).object("after", after),
            Self::Done { step, milliseconds } => line.verb("done").step(*step).number("ms", *milliseconds),
            Self::Failed { what, message } => line.verb("failed").text("what", what).text("message", message),
            Self::Probe { control, holds, message } => {
                line.verb("probe").text("control", control).flag("holds", *holds).text("message", message)
            }
            Self::Commit => line.verb("commit"),
            Self::Revert { reason, force, ufw_stays } => {
                line.verb("revert").text("reason", reason).flag("force", *force).flag("ufw-stays", *ufw_stays)
            }
            Self::Reverting { step, foreign } => {
                line.verb("reverting").step(*step).object("foreign", foreign)
            }
            Self::Reverted { step, kept } => {
                line.verb("reverted").step(*step);
                for path in kept {
                    line.path("kept", path);
                }
                line
            }
            Self::Try { number, boot } => {
                line.verb("try").number("number", (*number).into()).text("boot", boot)
            }
            Self::Ended { outcome, message } => {
                line.verb("ended").text("outcome", outcome).text("message", message)
            }
            Self::Closed { outcome, message } => {
                line.verb("closed").text("outcome", outcome.word()).text("message", message)
            }
        };
    }

    /// What the fields say, if there is such a verb; whether they are whole is asked afterwards.
    fn parse(verb: &str, fields: &Fields<'_>) -> Option<Self> {
        Some(match verb {
            "begin" => Self::Begin {
                format: fields.small("format"),
                version: fields.text("version"),
                door: fields.text("door"),
                plan: fields.text("plan"),
                source: fields.text("source"),
                boot: fields.text("boot"),
                cluster: fields.text("cluster"),
            },
            "step" => Self::Step { step: fields.step(), title: fields.text("title") },
            "snapshot" => Self::Snapshot { entries: fields.size("entries") },
            "armed" => Self::Armed(Armed::parse(fields)),
            "waiting" => Self::Waiting(Waiting::parse(fields)),
            "gate" => Self::Gate {
                id: fields.text("id"),
                passed: fields.flag("passed"),
                message: fields.text("message"),
                milliseconds: fields.number("ms"),
            },
            "warning" => Self::Warning { text: fields.text("text") },
            "note" => Self::Note { text: fields.text("text") },
            "intent" => {
                let before = fields.object("before")?;
                let inverse = Inverse::parse(fields)?;
                Self::Intent { step: fields.step(), inverse, scopes: fields.scopes(), before }
            }
            "observed" => Self::Observed { after: fields.object("after")?, step: fields.step() },
            "done" => Self::Done { step: fields.step(), milliseconds: fields.number("ms") },
            "failed" => Self::Failed { what: fields.text("what"), message: fields.text("message") },
            "probe" => Self::Probe {
                control: fields.text("control"),
                holds: fields.flag("holds"),
                message: fields.text("message"),
            },
            "commit" => Self::Commit,
            "revert" => Self::Revert {
                reason: fields.text("reason"),
                force: fields.flag("force"),
                ufw_stays: fields.flag("ufw-stays"),
            },
            "reverting" => Self::Reverting { foreign: fields.object("foreign")?, step: fields.step() },
            "reverted" => Self::Reverted { step: fields.step(), kept: fields.paths("kept") },
            "try" => Self::Try { number: fields.small("number"), boot: fields.text("boot") },
            "ended" => Self::Ended { outcome: fields.text("outcome"), message: fields.text("message") },
            "closed" => Self::Closed {
                outcome: Closing::parse(&fields.text("outcome"))?,
                message: fields.text("message"),
            },
            _ => return None,
        })
    }
}

impl Closing {
    fn word(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Reverted => "reverted",
            Self::RolledBack => "rolled-back",
            Self::Stuck => "stuck",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Untouched, Self::Reverted, Self::RolledBack, Self::Stuck]
            .into_iter()
            .find(|closing| closing.word() == word)
    }
}
