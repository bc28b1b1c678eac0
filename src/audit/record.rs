//! The result that the timer keeps, and what has turned since the one before it. No secret is in it.

use super::{Audit, State, json};
use crate::error::Result;
use crate::json::Value;
use crate::node::{Node, read_text};
use crate::transaction::state::{prepare, write_atomically};
use std::path::Path;

/// The last result, in the form of `audit --json`.
pub const PATH: &str = "/var/lib/firstlight/audit.json";

/// What `status` says of the last result that was kept, line by line; nothing where there is none that could be read.
pub fn last(node: &dyn Node) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(kept) = read(node)
        && let summary = text(&kept, "summary")
        && !summary.is_empty()
    {
        lines.push([text(&kept, "at"), ": ", summary].concat());
        let notes = kept.get("notes").map(Value::list).unwrap_or_default();
        lines.extend(notes.iter().filter_map(|note| note.text().map(str::to_owned)));
    }
    lines
}

/// Score and findings of the last result that was kept.
pub fn figures(node: &dyn Node) -> Vec<(&'static str, u64)> {
    let Some(kept) = read(node) else { return Vec::new() };
    let number = |name| Some((name, kept.get(name)?.number()?));
    ["score", "findings"].into_iter().filter_map(number).collect()
}

/// Notes what has turned since the last result that was kept.
pub fn compare(node: &dyn Node, audit: &mut Audit) {
    let Some(kept) = read(node) else { return };
    let controls = kept.get("controls").map(Value::list).unwrap_or_default();
    for finding in &audit.findings {
        let before = controls.iter().find(|control| text(control, "control") == finding.id);
        let state = before.map_or("", |control| text(control, "state"));
        let was_red = matches!(state, "fails" | "unseen" | "refused");
        let word = match (was_red, finding.state) {
            (false, state) if state.is_red() => "turned red since ",
            (true, State::Holds) => "turned green since ",
            _ => continue,
        };
        audit.notes.push([word, text(&kept, "at"), ": ", &finding.id].concat());
    }
}

/// Keeps the result, whole or not at all. The caller holds the lock.
pub fn keep(node: &dyn Node, audit: &Audit) -> Result<()> {
    prepare(node)?;
    write_atomically(node, Path::new(PATH), json::value(audit).to_string().as_bytes())
}

fn read(node: &dyn Node) -> Option<Value> {
    Value::read(&read_text(node, Path::new(PATH)).ok()??)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::text).unwrap_or_default()
}
