//! `firstlight snapshots`: what stood in /etc before each transaction.

use super::{Ended, Stop, engine, entry, lock};
use crate::cli::Snapshots;
use crate::error::Result;
use crate::manifest::{Difference, Entry, Manifest, State};
use crate::node::Node;
use crate::objects::ObjectId;
use crate::plan::{diff, show};
use crate::report::json::Json;
use crate::report::terminal::{Colour, Paint, print, print_bytes, visible};
use crate::status;
use crate::transaction::state::TransactionId;
use std::path::Path;

/// Does what was asked.
pub fn run(node: &dyn Node, what: &Snapshots) -> Ended {
    match what {
        Snapshots::List => list(node),
        Snapshots::Show { id, path: None } => entries(node, *id),
        Snapshots::Show { id, path: Some(path) } => content(node, *id, path),
        Snapshots::Diff { id, other, path, json } => compare(node, (*id, *other), path.as_deref(), *json),
        Snapshots::Prune { keep } => prune(node, *keep),
    }
}

fn list(node: &dyn Node) -> Ended {
    let status = status::read(node)?;
    let mut text = String::new();
    for story in &status.stories {
        let entries = match story.entries {
            Some(entries) => format!("{entries} entries"),
            None => "no snapshot".to_owned(),
        };
        text.push_str(&format!("{:<48}{entries}\n", status::text::summary(story.id, story)));
    }
    print(if text.is_empty() { "no transaction yet\n" } else { &text });
    Ok(0)
}

fn entries(node: &dyn Node, id: TransactionId) -> Ended {
    let snapshot = engine::snapshot(node, id)?;
    print(&snapshot.entries.iter().map(|(path, entry)| line(path, entry)).collect::<String>());
    Ok(0)
}

/// One file as it was: the bytes and nothing else, so that it can be put back by hand.
fn content(node: &dyn Node, id: TransactionId, path: &Path) -> Ended {
    let snapshot = engine::snapshot(node, id)?;
    let Some(entry) = snapshot.get(path) else {
        return Err(Stop::refusal(format!("{} is not in the snapshot of {id}", path.display())));
    };
    match &entry.state {
        State::File { content, .. } => print_bytes(&engine::content(node, content)?),
        State::Directory => {
            let below = snapshot.entries.iter().filter(|(other, _)| other.starts_with(path));
            print(&below.map(|(path, entry)| line(path, entry)).collect::<String>());
        }
        _ => print(&line(path, entry)),
    }
    Ok(0)
}

/// A snapshot, and another one or nothing for the node as it is.
type Pair = (TransactionId, Option<TransactionId>);

fn compare(node: &dyn Node, pair: Pair, path: Option<&Path>, as_json: bool) -> Ended {
    if as_json {
        print(&json(node, pair, path)?.to_string());
        return Ok(0);
    }
    let text = comparison(node, pair, path)?;
    print(if text.is_empty() { "no difference\n" } else { &text });
    Ok(0)
}

/// Every difference between the two, at `path` and below it.
pub(super) fn comparison(
    node: &dyn Node,
    pair: Pair,
    path: Option<&Path>,
) -> std::result::Result<String, Stop> {
    let sides = Sides::read(node, pair, path)?;
    let mut text = String::new();
    for difference in sides.differences(path) {
        text.push_str(&changed(node, &sides, &difference)?);
    }
    Ok(text)
}

/// The same for programs; docs/json.md describes it.
pub(super) fn json(node: &dyn Node, pair: Pair, path: Option<&Path>) -> std::result::Result<Json, Stop> {
    let sides = Sides::read(node, pair, path)?;
    let paths = sides.differences(path).into_iter().map(|difference| {
        Json::Object(vec![
            ("path", Json::text(&difference.path.to_string_lossy())),
            ("what", Json::Text(what(&difference))),
            ("before", entry::json(difference.before)),
            ("after", entry::json(difference.after)),
        ])
    });
    Ok(Json::Object(vec![
        ("format", Json::Number(crate::plan::json::FORMAT)),
        ("version", Json::text(env!("CARGO_PKG_VERSION"))),
        ("before", Json::Text(pair.0.to_string())),
        ("after", pair.1.map_or(Json::Null, |id| Json::Text(id.to_string()))),
        ("paths", Json::List(paths.collect())),
    ]))
}

/// Both sides of a comparison.
struct Sides {
    before: Manifest,
    after: Manifest,
    /// The second side is a snapshot too, not the node.
    stored: bool,
}

impl Sides {
    fn read(node: &dyn Node, pair: Pair, path: Option<&Path>) -> std::result::Result<Self, Stop> {
        let before = engine::snapshot(node, pair.0)?;
        let after = match pair.1 {
            Some(other) => engine::snapshot(node, other)?,
            None => engine::current(node, &before)?,
        };
        if let Some(path) = path
            && before.get(path).is_none()
            && after.get(path).is_none()
        {
            let other = pair.1.map_or("on the node".to_owned(), |other| format!("in {other}"));
            return Err(Stop::refusal(format!("{} is neither in {} nor {other}", path.display(), pair.0)));
        }
        Ok(Self { before, after, stored: pair.1.is_some() })
    }

    /// Outside of /etc each snapshot holds what its own transaction touched: only what both hold is compared.
    fn differences(&self, path: Option<&Path>) -> Vec<Difference<'_>> {
        let mut all = self.before.differences(&self.after);
        let both =
            |path: &Path| self.before.entries.contains_key(path) && self.after.entries.contains_key(path);
        all.retain(|difference| {
            path.is_none_or(|path| difference.path.starts_with(path))
                && (!self.stored || difference.path.starts_with("/etc") || both(difference.path))
        });
        all
    }
}

fn prune(node: &dyn Node, keep: usize) -> Ended {
    let _lock = lock(node)?;
    let (forgotten, objects) = engine::prune(node, keep)?;
    let mut text: String = forgotten.iter().map(|id| format!("{id} forgotten\n")).collect();
    text.push_str(&format!("{objects} contents removed\n"));
    print(&text);
    Ok(0)
}

/// One entry as `ls -l` would have it.
fn line(path: &Path, entry: &Entry) -> String {
    let (letter, end) = match &entry.state {
        State::File { size, .. } => ('-', format!(", {size} bytes")),
        State::Directory => ('d', String::new()),
        State::Link { target } => ('l', format!(" -> {}", target.display())),
        State::Other => ('?', String::new()),
        State::Absent => (' ', ", nothing there".to_owned()),
    };
    let path = visible(&path.to_string_lossy());
    format!("{letter}{:04o} {:>5} {:>5}  {path}{}\n", entry.mode, entry.uid, entry.gid, visible(&end))
}

/// One difference: what it is, and the diff where everybody may read both sides.
fn changed(node: &dyn Node, sides: &Sides, difference: &Difference<'_>) -> Result<String> {
    let (path, paint) = (difference.path, Paint::of_output());
    let title = format!("{}: {}", visible(&path.to_string_lossy()), what(difference));
    let mut text = paint.paint(Colour::Bold, &title) + "\n";
    let state = |entry: Option<&Entry>| entry.map(|entry| entry.state.clone());
    if state(difference.before) == state(difference.after) {
        return Ok(text);
    }
    let before = public(&sides.before, path, difference.before);
    let after = public(&sides.after, path, difference.after);
    let (Public::Yes(before), Public::Yes(after)) = (before, after) else {
        let (old, new) = (entry::words(difference.before), entry::words(difference.after));
        text.push_str(&format!("  was {old}; is {new}; content not shown\n"));
        return Ok(text);
    };
    let old = before.map(|id| engine::content(node, &id)).transpose()?;
    let read = |id| if sides.stored { engine::content(node, &id) } else { node.read(path) };
    let new = after.map(read).transpose()?.unwrap_or_default();
    if diff::is_text(&new) && old.as_deref().is_none_or(diff::is_text) {
        let lines = diff::unified(&path.to_string_lossy(), old.as_deref(), &new);
        text.push_str(&show::coloured(&lines, paint));
    }
    Ok(text)
}

/// The kind of a difference, in words.
fn what(difference: &Difference<'_>) -> String {
    let (Some(before), Some(after)) = (difference.before, difference.after) else {
        return if difference.before.is_none() { "new since" } else { "gone since" }.to_owned();
    };
    let mut parts = Vec::new();
    if before.state != after.state {
        parts.push("changed".to_owned());
    }
    if before.mode != after.mode {
        parts.push(format!("mode {:04o}, was {:04o}", after.mode, before.mode));
    }
    if (before.uid, before.gid) != (after.uid, after.gid) {
        parts.push(format!("owner {}:{}, was {}:{}", after.uid, after.gid, before.uid, before.gid));
    }
    if before.attributes != after.attributes {
        parts.push("other attributes".to_owned());
    }
    if parts.is_empty() {
        parts.push("written again, or under other names, with the same content".to_owned());
    }
    parts.join("; ")
}

/// Whether a content may be shown, and which it is; `None` where there is no file.
enum Public {
    Yes(Option<ObjectId>),
    No,
}

/// Everybody may read the file, and reach it: a readable file in a closed directory is none.
fn public(manifest: &Manifest, path: &Path, entry: Option<&Entry>) -> Public {
    let Some(entry) = entry else { return Public::Yes(None) };
    let State::File { content, .. } = entry.state else { return Public::No };
    let mut parents = path.ancestors().skip(1).filter_map(|parent| manifest.get(parent));
    if entry.mode & 0o004 != 0 && parents.all(|parent| parent.mode & 0o001 != 0) {
        Public::Yes(Some(content))
    } else {
        Public::No
    }
}
