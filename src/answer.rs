//! The answer: bytes in, a [`Profile`] out, or every problem with its place. Reads nothing but its input.
//!
//! PVE's own tables and ours stand in one file; `bake` splits it. What the node alone knows is checked later,
//! by the areas ([`crate::areas::propose_all`]); [`Answer::problem_at`] gives their refusals a place.

mod admin;
mod areas;
pub mod base64;
mod bytes;
mod files;
mod firewall;
mod firstlight;
mod forms;
mod hash;
mod key;
mod nearest;
mod overlay;
mod place;
mod pve;
mod rules;
mod table;
#[cfg(test)]
mod tests;
mod write;

pub use key::public_key;
pub use overlay::Identity;
pub use pve::PveAnswer;
pub use write::quoted;

use crate::profile::Profile;
use std::fmt;
use table::{Note, Notes, Table};
use toml::Spanned;
use toml::de::{DeTable, Error};

/// One mistake of an answer.
#[cfg_attr(test, derive(Debug))]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Dotted path of the key; empty where the file as a whole is meant.
    pub key: String,
    /// What is wrong and what would be right; never the value of a secret.
    pub message: String,
}

/// Every mistake of an answer, sorted by place.
#[cfg_attr(test, derive(Debug))]
pub struct Problems {
    /// Name of the file, or where else the answer came from.
    pub source: String,
    /// At least one.
    pub list: Vec<Problem>,
}

impl Problems {
    /// Sorts `list` by place.
    pub fn new(source: &str, list: Vec<Problem>) -> Self {
        // An answer has at most 2^20 bytes, so neither number reaches into the other.
        let list = place::in_order(list, &|problem| (problem.line << 24) + problem.column);
        Self { source: source.to_owned(), list }
    }

    fn one(source: &str, problem: Problem) -> Self {
        Self::new(source, vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { line, column, key, message }) in self.list.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            let colon = if key.is_empty() { "" } else { ": " };
            write!(formatter, "{}:{line}:{column}: {key}{colon}{message}", self.source)?;
        }
        Ok(())
    }
}

/// A valid answer.
pub struct Answer {
    /// What the operator wants.
    pub profile: Profile,
    /// PVE's part, when any of its tables is there.
    pub pve: Option<PveAnswer>,
    /// The profile of record: our part as TOML without secrets, the keys of root folded in.
    pub record: String,
    /// Like `record`, with secrets: what `bake` seals into the executable.
    pub(crate) sealed: String,
    /// How many nodes it tells apart; 0 where it does not.
    pub nodes: usize,
    places: Vec<place::Place>,
}

impl Answer {
    /// Takes secrets that `bake` has made into what it seals.
    pub fn take_secrets(&mut self, secrets: Vec<(String, String)>) {
        self.sealed = firstlight::with_secrets(&self.sealed, &secrets);
        self.profile.totp.secrets = secrets;
    }

    /// Takes the public key of a pair that `bake` has made into what it seals; or says what is wrong with the line.
    pub fn take_key(&mut self, line: &str) -> Result<(), String> {
        self.sealed = firstlight::with_key(&self.sealed, &public_key(line)?.line());
        Ok(())
    }

    /// A problem with `key` (dotted path) that shows only on the node, at the key's place in the answer or,
    /// when it is missing, at its table's.
    pub fn problem_at(&self, key: &str, message: impl Into<String>) -> Problem {
        let mut path = key;
        let place = loop {
            match (self.places.iter().find(|place| place.key == path), path.rsplit_once('.')) {
                (Some(place), _) => break (place.line, place.column),
                (None, Some((table, _))) => path = table,
                (None, None) => break (1, 1),
            }
        };
        Problem { line: place.0, column: place.1, key: key.to_owned(), message: message.into() }
    }
}

/// Reads an answer; `source` names it in problems and reports. One that tells nodes apart is read for each of them, and
/// what comes of it is for the first.
pub fn read(source: &str, bytes: &[u8]) -> Result<Answer, Problems> {
    read_for(source, bytes, None)
}

/// The same for one node: who it is, is asked only where the answer tells nodes apart.
pub fn read_for(source: &str, bytes: &[u8], who: Option<&dyn Fn() -> Identity>) -> Result<Answer, Problems> {
    let text = bytes::text(bytes).map_err(|problem| Problems::one(source, problem))?;
    let parsed = parse(text).map_err(|error| Problems::one(source, syntax(text, &error)))?;
    let (notes, root) = (Notes::default(), parsed.get_ref());
    let nodes = overlay::count(root);
    let mut merged = Vec::new();
    for index in
        nodes.map(|_| overlay::chosen(root, &notes, who.map(|who| who()).as_ref())).unwrap_or_default()
    {
        // Once more, so that nothing has to be copied.
        if let Ok(mut again) = parse(text) {
            overlay::merge_node(again.get_mut(), index);
            merged.push(again);
        }
    }
    let mut found = None;
    for table in merged.iter().rev().chain(nodes.is_none().then_some(&parsed)) {
        let table = table.get_ref();
        found = Some((table, collect(&notes, table, source)));
    }
    let list = notes.list.take();
    match (found, list.is_empty()) {
        (Some((table, (Some(profile), pve))), true) => Ok(Answer {
            record: firstlight::written(table, &profile, firstlight::Secrets::Dropped),
            sealed: firstlight::written(
                if who.is_none() { root } else { table },
                &profile,
                firstlight::Secrets::Kept,
            ),
            places: place::places(text, table),
            nodes: nodes.unwrap_or_default(),
            profile,
            pve,
        }),
        _ => Err(Problems::new(source, placed(text, list))),
    }
}

#[inline(never)]
fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, Error> {
    DeTable::parse(text)
}

fn collect(notes: &Notes, parsed: &DeTable<'_>, source: &str) -> (Option<Profile>, Option<PveAnswer>) {
    let root = Table::new(notes, parsed, NO_TABLE);
    let pve = pve::read(&root);
    let profile = firstlight::read(&root, source, pve.as_ref());
    root.finish();
    (profile, pve)
}

const NO_TABLE: &str = "is neither firstlight's nor a table of PVE's answer file as of 9.2";

fn placed(text: &str, notes: Vec<Note>) -> Vec<Problem> {
    let mut notes = place::in_order(notes, &|note| note.at);
    // A table of the wrong type may be looked at twice.
    notes.dedup_by(|again, first| {
        again.at == first.at && again.key == first.key && again.message == first.message
    });
    let mut cursor = place::Cursor::new(text);
    let problem = |Note { at, key, message }| {
        let (line, column) = cursor.at(at);
        Problem { line, column, key, message }
    };
    notes.into_iter().map(problem).collect()
}

/// The parser's own sentence says what it expected, never what it found: that may be a secret.
fn syntax(text: &str, error: &Error) -> Problem {
    let span = error.span().unwrap_or_default();
    let (line, column) = place::Cursor::new(text).at(span.start);
    let mut problem =
        Problem { line, column, key: String::new(), message: format!("is not TOML: {}", error.message()) };
    if error.message() == "duplicate key" {
        problem.key = path_of(text, span.start, span.end);
        problem.message = "stands here a second time; remove one of the two".to_owned();
    }
    problem
}

/// Dotted path of the key from `start` to `end` in a text that is no TOML: the header above it, and the key.
fn path_of(text: &str, start: usize, end: usize) -> String {
    let (above, key) = (text.get(..start).unwrap_or_default(), text.get(start..end).unwrap_or_default());
    let (header, key) = match above.rsplit_once('\n').unwrap_or(("", above)) {
        // The key is itself (part of) a header.
        (_, line) if line.starts_with('[') => (line, key),
        (lines, line) => {
            let header = lines.lines().rfind(|line| line.starts_with('[')).unwrap_or_default();
            let header = header.split_once(']').map_or(header, |(header, _)| header);
            let before = line.trim_start();
            // `name.` of `name.first` belongs to the key; what stands before an inline table does not.
            (
                header,
                if before.ends_with('.') { text.get(start - before.len()..end).unwrap_or(key) } else { key },
            )
        }
    };
    let header = header.trim_matches(['[', '.', ' ']);
    let mut path = header.to_owned();
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
    // Quoted keys stand here as they were typed, and may hold what a terminal obeys.
    path.retain(|character| !character.is_control());
    path
}
