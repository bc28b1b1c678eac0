//! The append-only journal of one transaction: a record is durable before what it announces begins.

use super::record::{Event, Record};
use crate::error::{Error, Result};
use crate::node::Node;
use std::path::{Path, PathBuf};

/// The journal of one transaction, open for more records.
pub struct Journal<'a> {
    node: &'a dyn Node,
    path: PathBuf,
}

impl<'a> Journal<'a> {
    /// Starts the journal at `path` with its first record, all of it durable: the directories too.
    pub fn start(node: &'a dyn Node, path: PathBuf, first: Event) -> Result<Self> {
        let journal = Self { node, path };
        let line = Record { at: node.now(), event: first }.encode();
        node.create(&journal.path, line.as_bytes(), 0o600)?;
        node.sync_file(&journal.path)?;
        for directory in journal.path.ancestors().skip(1).take(2) {
            node.sync_directory(directory)?;
        }
        Ok(journal)
    }

    /// Opens an existing journal: returns its records, and cuts off a torn last line.
    ///
    /// # Errors
    /// A damaged record with whole ones behind it: then nothing may be believed.
    pub fn open(node: &'a dyn Node, path: PathBuf) -> Result<(Self, Vec<Record>)> {
        let content = node.read(&path)?;
        let (records, whole) = read(&content, &path)?;
        if whole < content.len() {
            node.truncate(&path, whole as u64)?;
            node.sync_file(&path)?;
        }
        Ok((Self { node, path }, records))
    }

    /// Adds a record and makes it durable.
    pub fn write(&self, event: Event) -> Result<()> {
        self.note(event)?;
        self.node.sync_file(&self.path)
    }

    /// Adds records that only tell the story: durable together with the next one.
    pub fn note(&self, event: Event) -> Result<()> {
        let line = Record { at: self.node.now(), event }.encode();
        let size = self.node.lookup(&self.path)?.map_or(0, |found| found.size);
        self.node.append(&self.path, line.as_bytes()).inspect_err(|_| {
            // Half a line with whole ones behind it would be damage; the error itself is what counts.
            let _ = self.node.truncate(&self.path, size);
        })
    }
}

/// Reads the records of a journal without changing it; a torn last line is left out.
pub fn read_records(node: &dyn Node, path: &Path) -> Result<Vec<Record>> {
    Ok(read(&node.read(path)?, path)?.0)
}

/// The records, and how many bytes of `content` are whole lines of them.
fn read(content: &[u8], path: &Path) -> Result<(Vec<Record>, usize)> {
    let mut records = Vec::new();
    let mut whole = 0;
    let mut damaged = None;
    for (number, line) in content.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let record =
            line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok()).and_then(Record::decode);
        match (record, damaged) {
            (Some(record), None) => {
                records.push(record);
                whole += line.len();
            }
            (None, None) => damaged = Some(number + 1),
            (Some(_), Some(line)) => {
                return Err(Error::new(
                    format!("reading {}", path.display()),
                    format!("line {line} is damaged and whole records follow it"),
                )
                .hint("the journal cannot be trusted; see docs/recovery.md for the way back by hand"));
            }
            (None, Some(_)) => {}
        }
    }
    Ok((records, whole))
}
