//! The result that the timer keeps, and what has turned since the one before it. No secret is in it.

use super::{Audit, State, json};
use crate::error::Result;
use crate::json::Value;
use crate::node::{Node, read_text};
use crate::report::json::Json;
use crate::report::terminal::visible;
use crate::transaction::state::{prepare, write_atomically};
use std::path::Path;

/// The last result, in the form of `audit --json`.
pub const PATH: &str = "/var/lib/firstlight/audit.json";

/// Controls that stand otherwise than the last time.
pub struct Drift {
    /// When that was.
    pub since: String,
    /// Red now, and not red then.
    pub red: Vec<String>,
    /// As wanted now, and red then.
    pub green: Vec<String>,
}

impl Drift {
    /// A line for each control.
    pub fn text(&self) -> String {
        let lines = |word: &str, ids: &[String]| -> String {
            ids.iter().map(|id| format!("  turned {word} since {}: {}\n", self.since, visible(id))).collect()
        };
        lines("red", &self.red) + &lines("green", &self.green)
    }

    /// For programs.
    pub fn json(&self) -> Json {
        Json::Object(vec![
            ("since", Json::text(&self.since)),
            ("red", Json::texts(&self.red)),
            ("green", Json::texts(&self.green)),
        ])
    }
}

/// What `status` says of the last result.
pub struct Last {
    /// When it was.
    pub at: String,
    /// The score.
    pub score: Option<u64>,
    /// How many controls needed attention.
    pub findings: u64,
    /// What had turned by then.
    pub drift: Option<Drift>,
}

/// The last result that was kept; `None` where there is none, or none that could be read.
pub fn last(node: &dyn Node) -> Option<Last> {
    let kept = read(node)?;
    let drift = kept.get("drift").filter(|drift| !drift.members().is_empty());
    Some(Last {
        at: text(&kept, "at"),
        score: kept.get("score").and_then(Value::number),
        findings: kept.get("findings").and_then(Value::number)?,
        drift: drift.map(|drift| Drift {
            since: text(drift, "since"),
            red: texts(drift, "red"),
            green: texts(drift, "green"),
        }),
    })
}

/// Notes what has turned since the last result that was kept.
pub fn compare(node: &dyn Node, audit: &mut Audit) {
    let Some(kept) = read(node) else { return };
    let mut then = Vec::new();
    for control in kept.get("controls").map(Value::list).unwrap_or_default() {
        let state = text(control, "state");
        then.push((text(control, "control"), ["fails", "unseen", "refused"].contains(&state.as_str())));
    }
    let was_red = |id: &str| then.iter().any(|(known, red)| known == id && *red);
    let mut drift = Drift { since: text(&kept, "at"), red: Vec::new(), green: Vec::new() };
    for finding in &audit.findings {
        match (was_red(&finding.id), finding.state) {
            (false, state) if state.is_red() => drift.red.push(finding.id.clone()),
            (true, State::Holds) => drift.green.push(finding.id.clone()),
            _ => {}
        }
    }
    audit.drift = Some(drift);
}

/// Keeps the result, whole or not at all. The caller holds the lock.
pub fn keep(node: &dyn Node, audit: &Audit) -> Result<()> {
    prepare(node)?;
    write_atomically(node, Path::new(PATH), json::value(audit).to_string().as_bytes())
}

fn read(node: &dyn Node) -> Option<Value> {
    Value::read(&read_text(node, Path::new(PATH)).ok()??)
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::text).unwrap_or_default().to_owned()
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    let list = value.get(key).map(Value::list).unwrap_or_default();
    list.iter().filter_map(Value::text).map(str::to_owned).collect()
}
