//! Records of the journal ↔ lines of text.
//!
//! A line is `CHECKSUM VERB KEY=VALUE …`, separated by tabs, values percent-escaped, the checksum being the first
//! 16 hexadecimal digits of the SHA-256 of the rest. Everything that recovery or `status` needs stands here.

use crate::manifest::Scope;
use crate::objects::ObjectId;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

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

/// What takes a step back, beside restoring the paths of its scope.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub enum Inverse {
    /// The paths are all.
    Paths,
    /// Purge these packages: they were not there before.
    Packages(Vec<String>),
    /// The account was made (true) or changed (false).
    Account {
        /// Login name.
        name: String,
        /// Whether it is new.
        created: bool,
    },
    /// Bring the unit's run-time state back.
    Unit {
        /// Full name.
        name: String,
        /// Whether it ran before.
        active: bool,
    },
    /// Reload the unit again once the files are back.
    Reload(String),
    /// Bring a kernel setting back.
    Kernel {
        /// Dotted name.
        name: String,
        /// What it was.
        value: String,
    },
    /// Bring UFW's run-time state back.
    Ufw {
        /// Whether it filtered before.
        active: bool,
    },
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

    /// Reads a line without its newline; `None` when it is torn or damaged.
    pub fn decode(line: &str) -> Option<Self> {
        let (sum, body) = line.split_once('\t')?;
        if checksum(body) != sum {
            return None;
        }
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
            Self::Revert { reason, force } => {
                ("revert", vec![("reason", reason.clone()), ("force", flag(*force))])
            }
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
            "revert" => Self::Revert { reason: fields.text("reason")?, force: fields.flag("force")? },
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

impl Inverse {
    /// Whether restoring the paths is all there is to do.
    pub fn is_paths_alone(&self) -> bool {
        matches!(self, Self::Paths)
    }

    fn push(&self, fields: &mut Vec<(&'static str, String)>) {
        match self {
            Self::Paths => fields.push(("inverse", "paths".to_owned())),
            Self::Packages(names) => {
                fields.push(("inverse", "packages".to_owned()));
                fields.extend(names.iter().map(|name| ("name", name.clone())));
            }
            Self::Account { name, created } => {
                fields.push(("inverse", "account".to_owned()));
                fields.push(("name", name.clone()));
                fields.push(("created", flag(*created)));
            }
            Self::Unit { name, active } => {
                fields.push(("inverse", "unit".to_owned()));
                fields.push(("name", name.clone()));
                fields.push(("active", flag(*active)));
            }
            Self::Reload(name) => {
                fields.push(("inverse", "reload".to_owned()));
                fields.push(("name", name.clone()));
            }
            Self::Kernel { name, value } => {
                fields.push(("inverse", "kernel".to_owned()));
                fields.push(("name", name.clone()));
                fields.push(("value", value.clone()));
            }
            Self::Ufw { active } => {
                fields.push(("inverse", "ufw".to_owned()));
                fields.push(("active", flag(*active)));
            }
        }
    }

    fn parse(fields: &Fields<'_>) -> Option<Self> {
        Some(match fields.text("inverse")?.as_str() {
            "paths" => Self::Paths,
            "packages" => Self::Packages(fields.all("name")),
            "account" => Self::Account { name: fields.text("name")?, created: fields.flag("created")? },
            "unit" => Self::Unit { name: fields.text("name")?, active: fields.flag("active")? },
            "reload" => Self::Reload(fields.text("name")?),
            "kernel" => Self::Kernel { name: fields.text("name")?, value: fields.text("value")? },
            "ufw" => Self::Ufw { active: fields.flag("active")? },
            _ => return None,
        })
    }
}

struct Fields<'a>(Vec<(&'a str, String)>);

impl Fields<'_> {
    fn text(&self, key: &str) -> Option<String> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone())
    }

    fn all(&self, key: &str) -> Vec<String> {
        self.0.iter().filter(|(name, _)| *name == key).map(|(_, value)| value.clone()).collect()
    }

    fn scopes(&self) -> Vec<Scope> {
        let scope = |(key, path): &(&str, String)| match *key {
            "entry" => Some(Scope::Entry(path.into())),
            "children" => Some(Scope::Children(path.into())),
            "tree" => Some(Scope::Tree(path.into())),
            _ => None,
        };
        self.0.iter().filter_map(scope).collect()
    }

    fn paths(&self, key: &str) -> Vec<PathBuf> {
        self.all(key).into_iter().map(PathBuf::from).collect()
    }

    fn object(&self, key: &str) -> Option<ObjectId> {
        ObjectId::parse(self.text(key)?.as_bytes())
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }

    fn flag(&self, key: &str) -> Option<bool> {
        match self.text(key)?.as_str() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        }
    }
}

fn flag(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn checksum(body: &str) -> String {
    let digest = Sha256::digest(body.as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Escapes what would break a line or a field: `%`, tab, newline and other control characters.
fn escape(value: &str, into: &mut String) {
    for character in value.chars() {
        if character == '%' || character.is_ascii_control() {
            into.push_str(&format!("%{:02x}", u32::from(character)));
        } else {
            into.push(character);
        }
    }
}

fn unescape(value: &str) -> Option<String> {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(place) = rest.find('%') {
        text.push_str(rest.get(..place)?);
        let digits = rest.get(place + 1..place + 3)?;
        text.push(char::from(u8::from_str_radix(digits, 16).ok()?));
        rest = rest.get(place + 3..)?;
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> Vec<Event> {
        let id = ObjectId::of(b"x");
        let inverses = [
            Inverse::Paths,
            Inverse::Packages(vec!["sudo".into(), "ufw".into()]),
            Inverse::Account { name: "ops".into(), created: true },
            Inverse::Unit { name: "ssh.service".into(), active: false },
            Inverse::Reload("ssh.service".into()),
            Inverse::Ufw { active: true },
            Inverse::Kernel { name: "net.x".into(), value: "1 2".into() },
        ];
        let mut events: Vec<Event> = inverses
            .into_iter()
            .map(|inverse| {
                let scopes = vec![
                    Scope::Entry("/etc/a=b".into()),
                    Scope::Children("/x".into()),
                    Scope::Tree("/etc/x y".into()),
                ];
                Event::Intent { step: 3, inverse, scopes, before: id }
            })
            .collect();
        events.extend([
            Event::Begin {
                format: FORMAT,
                version: "0.1.0".into(),
                door: "hook".into(),
                plan: "abc".into(),
                source: "a=b\tc".into(),
                boot: String::new(),
                cluster: "rack 1".into(),
            },
            Event::Step { step: 0, title: "100 % of\nit".into() },
            Event::Snapshot { entries: 1200 },
            Event::Gate { id: "ssh".into(), passed: false, message: "no\r\nway".into(), milliseconds: 7 },
            Event::Warning { text: "é%41".into() },
            Event::Note { text: "n".into() },
            Event::Observed { step: 1, after: id },
            Event::Done { step: 1, milliseconds: 12 },
            Event::Failed { what: "x".into(), message: String::new() },
            Event::Probe { control: "ssh.port".into(), holds: true, message: String::new() },
            Event::Commit,
            Event::Revert { reason: "because".into(), force: true },
            Event::Reverting { step: 2, foreign: id },
            Event::Reverted { step: 2, kept: vec!["/etc/c".into()] },
            Event::Try { number: 2, boot: "b".into() },
            Event::Ended { outcome: "gave-up".into(), message: "three tries".into() },
            Event::Closed { outcome: Closing::Stuck, message: "oh".into() },
        ]);
        events
    }

    #[test]
    fn j3_every_record_survives_its_line() {
        for event in examples() {
            let record = Record { at: 1_795_000_000_123, event };
            let line = record.encode();
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert_eq!(Record::decode(line.trim_end_matches('\n')), Some(record));
        }
    }

    #[test]
    fn j3_a_torn_or_flipped_line_is_no_record() {
        for event in examples() {
            let line = Record { at: 5, event }.encode();
            let line = line.trim_end_matches('\n');
            for end in 0..line.len() {
                if let Some(torn) = line.get(..end) {
                    assert_eq!(Record::decode(torn), None, "{torn}");
                }
            }
            for place in 0..line.len() {
                let mut flipped = line.as_bytes().to_vec();
                flipped[place] ^= 1;
                if let Ok(text) = std::str::from_utf8(&flipped) {
                    assert_eq!(Record::decode(text), None, "{text}");
                }
            }
        }
    }
}
