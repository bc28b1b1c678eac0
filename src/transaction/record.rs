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
use fields::{Fields, checksum, escape, flag, unescape};
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
        let (verb, fields) = self.event.fields();
        let mut body = format!("{verb}\tat={}", self.at);
        for (key, value) in fields {
            body.push('\t');
            body.push_str(key);
            body.push('=');
            escape(&value, &mut body);
        }
        format!("{}\t{body}\n", checksum(&body))
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
        let fields = Fields(fields);
        Some(Self { at: fields.number("at")?, event: Event::parse(verb, &fields)? })
    }
}

impl Event {
    /// Whether it only tells the story: nothing is decided by it.
    pub fn is_note(&self) -> bool {
        matches!(self, Self::Step { .. } | Self::Warning { .. } | Self::Note { .. } | Self::Probe { .. })
    }

    fn fields(&self) -> (&'static str, Vec<(&'static str, String)>) {
        match self {
            Self::Begin { format, version, door, plan, source, boot, cluster } => (
                "begin",
                vec![
                    ("format", format.to_string()),
                    ("version", version.clone()),
                    ("door", door.clone()),
                    ("plan", plan.clone()),
                    ("source", source.clone()),
                    ("boot", boot.clone()),
                    ("cluster", cluster.clone()),
                ],
            ),
            Self::Step { step, title } => {
                ("step", vec![("step", step.to_string()), ("title", title.clone())])
            }
            Self::Snapshot { entries } => ("snapshot", vec![("entries", entries.to_string())]),
            Self::Armed(armed) => ("armed", armed.fields()),
            Self::Waiting(waiting) => ("waiting", waiting.fields()),
            Self::Gate { id, passed, message, milliseconds } => (
                "gate",
                vec![
                    ("id", id.clone()),
                    ("passed", flag(*passed)),
                    ("message", message.clone()),
                    ("ms", milliseconds.to_string()),
                ],
            ),
            Self::Warning { text } => ("warning", vec![("text", text.clone())]),
            Self::Note { text } => ("note", vec![("text", text.clone())]),
            Self::Intent { step, inverse, scopes, before } => {
                let mut fields = vec![("step", step.to_string()), ("before", before.to_string())];
                inverse.push(&mut fields);
                fields.extend(scopes.iter().map(|scope| match scope {
                    Scope::Entry(path) => ("entry", path.to_string_lossy().into_owned()),
                    Scope::Children(path) => ("children", path.to_string_lossy().into_owned()),
                    Scope::Tree(path) => ("tree", path.to_string_lossy().into_owned()),
                }));
                ("intent", fields)
            }
            Self::Observed { step, after } => {
                ("observed", vec![("step", step.to_string()), ("after", after.to_string())])
            }
            Self::Done { step, milliseconds } => {
                ("done", vec![("step", step.to_string()), ("ms", milliseconds.to_string())])
            }
            Self::Failed { what, message } => {
                ("failed", vec![("what", what.clone()), ("message", message.clone())])
            }
            Self::Probe { control, holds, message } => (
                "probe",
                vec![("control", control.clone()), ("holds", flag(*holds)), ("message", message.clone())],
            ),
            Self::Commit => ("commit", Vec::new()),
            Self::Revert { reason, force, ufw_stays } => (
                "revert",
                vec![("reason", reason.clone()), ("force", flag(*force)), ("ufw-stays", flag(*ufw_stays))],
            ),
            Self::Reverting { step, foreign } => {
                ("reverting", vec![("step", step.to_string()), ("foreign", foreign.to_string())])
            }
            Self::Reverted { step, kept } => {
                let mut fields = vec![("step", step.to_string())];
                fields.extend(kept.iter().map(|path| ("kept", path.to_string_lossy().into_owned())));
                ("reverted", fields)
            }
            Self::Try { number, boot } => {
                ("try", vec![("number", number.to_string()), ("boot", boot.clone())])
            }
            Self::Ended { outcome, message } => {
                ("ended", vec![("outcome", outcome.clone()), ("message", message.clone())])
            }
            Self::Closed { outcome, message } => {
                ("closed", vec![("outcome", outcome.word().to_owned()), ("message", message.clone())])
            }
        }
    }

    fn parse(verb: &str, fields: &Fields<'_>) -> Option<Self> {
        let step = || fields.number("step").and_then(|number| usize::try_from(number).ok());
        Some(match verb {
            "begin" => Self::Begin {
                format: fields.number("format")?.try_into().ok()?,
                version: fields.text("version")?,
                door: fields.text("door")?,
                plan: fields.text("plan")?,
                source: fields.text("source")?,
                boot: fields.text("boot")?,
                cluster: fields.text("cluster")?,
            },
            "step" => Self::Step { step: step()?, title: fields.text("title")? },
            "snapshot" => Self::Snapshot { entries: fields.number("entries")?.try_into().ok()? },
            "armed" => Self::Armed(Armed::parse(fields)?),
            "waiting" => Self::Waiting(Waiting::parse(fields)?),
            "gate" => Self::Gate {
                id: fields.text("id")?,
                passed: fields.flag("passed")?,
                message: fields.text("message")?,
                milliseconds: fields.number("ms")?,
            },
            "warning" => Self::Warning { text: fields.text("text")? },
            "note" => Self::Note { text: fields.text("text")? },
            "intent" => Self::Intent {
                step: step()?,
                inverse: Inverse::parse(fields)?,
                scopes: fields.scopes(),
                before: fields.object("before")?,
            },
            "observed" => Self::Observed { step: step()?, after: fields.object("after")? },
            "done" => Self::Done { step: step()?, milliseconds: fields.number("ms")? },
            "failed" => Self::Failed { what: fields.text("what")?, message: fields.text("message")? },
            "probe" => Self::Probe {
                control: fields.text("control")?,
                holds: fields.flag("holds")?,
                message: fields.text("message")?,
            },
            "commit" => Self::Commit,
            "revert" => Self::Revert {
                reason: fields.text("reason")?,
                force: fields.flag("force")?,
                // Older versions did not write it.
                ufw_stays: fields.flag("ufw-stays").unwrap_or_default(),
            },
            "reverting" => Self::Reverting { step: step()?, foreign: fields.object("foreign")? },
            "reverted" => Self::Reverted { step: step()?, kept: fields.paths("kept") },
            "try" => {
                Self::Try { number: fields.number("number")?.try_into().ok()?, boot: fields.text("boot")? }
            }
            "ended" => Self::Ended { outcome: fields.text("outcome")?, message: fields.text("message")? },
            "closed" => Self::Closed {
                outcome: Closing::parse(&fields.text("outcome")?)?,
                message: fields.text("message")?,
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
