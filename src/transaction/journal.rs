//! The append-only journal of one transaction: a record is durable before what it announces begins.

use super::record::{Event, FORMAT, Record};
use crate::error::{Error, Result};
use crate::node::Node;
use crate::sabotage;
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// The journal of one transaction, open for more records.
pub struct Journal<'a> {
    node: &'a dyn Node,
    path: PathBuf,
    /// Records that only tell the story were added since the last sync.
    noted: Cell<bool>,
}

impl<'a> Journal<'a> {
    /// Starts the journal at `path` with its first record, all of it durable: the directories too.
    pub fn start(node: &'a dyn Node, path: PathBuf, first: Event) -> Result<Self> {
        let journal = Self { node, path, noted: Cell::new(false) };
        let line = Record { at: node.now(), event: first }.encode();
        node.create(&journal.path, line.as_bytes(), 0o600)?;
        node.sync_file(&journal.path)?;
        for directory in journal.path.ancestors().skip(1).take(2) {
            node.sync_directory(directory)?;
        }
        Ok(journal)
    }

    /// Opens an existing journal: returns its records, and cuts off what a power cut left of those at its end.
    ///
    /// # Errors
    /// Any other damage, and records of another version: then nothing may be believed.
    pub fn open(node: &'a dyn Node, path: PathBuf) -> Result<(Self, Vec<Record>)> {
        let content = node.read(&path)?;
        let (records, whole) = read(&content, &path)?;
        if whole < content.len() {
            node.truncate(&path, whole as u64)?;
            node.sync_file(&path)?;
        }
        Ok((Self { node, path, noted: Cell::new(false) }, records))
    }

    /// Adds a record and makes it durable. What was noted before is made durable first: a power cut may lose any
    /// page that is not, and in front of a record that counts a hole would be damage.
    pub fn write(&self, event: Event) -> Result<()> {
        if self.noted.get() {
            self.node.sync_file(&self.path)?;
            self.noted.set(false);
        }
        self.add(event)?;
        if sabotage::leaves_out("journal-fsync") {
            return Ok(());
        }
        self.node.sync_file(&self.path)
    }

    /// Adds a record that only tells the story: durable before the next one that counts.
    pub fn note(&self, event: Event) -> Result<()> {
        debug_assert!(event.is_note());
        self.noted.set(true);
        self.add(event)
    }

    fn add(&self, event: Event) -> Result<()> {
        let line = Record { at: self.node.now(), event }.encode();
        let size = self.node.lookup(&self.path)?.map_or(0, |found| found.size);
        self.node.append(&self.path, line.as_bytes()).inspect_err(|_| {
            // Half a line with whole ones behind it would be damage; the error itself is what counts.
            let _ = self.node.truncate(&self.path, size);
        })
    }
}

/// Reads the records of a journal without changing it; a torn end is left out.
pub fn read_records(node: &dyn Node, path: &Path) -> Result<Vec<Record>> {
    Ok(read(&node.read(path)?, path)?.0)
}

/// The records, and how many bytes of `content` are whole lines of them.
///
/// What a power cut leaves at the end was never durable, so that nothing it announces has begun: it is left out. Any
/// other damage is no end: the record it hit may be the intent of a step that was made.
fn read(content: &[u8], path: &Path) -> Result<(Vec<Record>, usize)> {
    let mut records = Vec::new();
    let mut whole = 0;
    for (number, line) in content.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
        match text.and_then(Record::decode) {
            Some(Record { event: Event::Begin { format, .. }, .. }) if format != FORMAT => {
                return Err(foreign(path, number));
            }
            Some(record) => {
                records.push(record);
                whole += line.len();
            }
            None if text.is_some_and(Record::is_whole) => return Err(foreign(path, number)),
            None if is_torn(line, content.get(whole + line.len()..).unwrap_or_default()) => break,
            None => {
                return Err(Error::new(
                    format!("reading {}", path.display()),
                    format!("line {} is damaged, and not by a power cut", number + 1),
                )
                .hint("the journal cannot be trusted; see docs/recovery.md for the way back by hand"));
            }
        }
    }
    Ok((records, whole))
}

#[cold]
fn foreign(path: &Path, number: usize) -> Error {
    let because = format!("line {} was written by another version of firstlight", number + 1);
    Error::new(format!("reading {}", path.display()), because).hint("use the version that wrote it")
}

/// Whether a line that is no record is what a power cut leaves of records that were not durable yet: cut short, or
/// with a hole of zeros where a sector is missing. No single flipped bit looks like either. Behind a hole nothing may
/// stand but notes: a record that counts was not begun before they were durable.
fn is_torn(line: &[u8], behind: &[u8]) -> bool {
    let hole = line.starts_with(b"\0") || line.windows(2).any(|pair| pair == b"\0\0");
    if hole || line.ends_with(b"\0") {
        let mut lines = behind.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        return lines.all(|line| Record::decode(line).is_none_or(|record| record.event.is_note()));
    }
    let Some((last, record)) = line.split_last() else { return true };
    // A whole record with another byte in the place of its newline was not cut.
    *last != b'\n' && !std::str::from_utf8(record).is_ok_and(Record::is_whole)
}
