//! What firstlight's journals say, read by the harness itself: which records are whole, and what they mean.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// A record that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What happened.
    pub verb: String,
    /// All of the line: no two records are the same.
    pub line: Vec<u8>,
}

impl Record {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<String> {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        line.split('\t').find_map(|part| part.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    }
}

/// The record in a line without its newline, if it is whole: a checksum, a verb, the time, the rest.
pub fn record(line: &[u8]) -> Option<Record> {
    let (sum, body) = line.split_at_checked(16)?;
    let body = body.strip_prefix(b"\t")?;
    let verb = body.get(..body.windows(4).take(24).position(|window| window == b"\tat=")?)?;
    let digest: String = Sha256::digest(body).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let verb = std::str::from_utf8(verb).ok()?;
    (digest.as_bytes() == sum).then(|| Record { verb: verb.to_owned(), line: line.to_vec() })
}

/// The whole records of the newest transaction on a mounted node; none when there is no transaction.
pub fn newest(root: &Path) -> Result<Vec<Record>> {
    let directory = root.join("var/lib/firstlight/tx");
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut journals = Vec::new();
    for entry in fs::read_dir(&directory).context("reading the transactions")? {
        let journal = entry.context("reading the transactions")?.path().join("journal");
        if journal.is_file() {
            journals.push(journal);
        }
    }
    journals.sort();
    let Some(newest) = journals.pop() else { return Ok(Vec::new()) };
    let bytes = fs::read(&newest).with_context(|| format!("reading {}", newest.display()))?;
    // What has no newline was torn.
    let whole =
        bytes.iter().rposition(|byte| *byte == b'\n').and_then(|end| bytes.get(..end)).unwrap_or_default();
    Ok(whole.split(|byte| *byte == b'\n').filter_map(record).collect())
}

/// Whether one of the records has this verb.
pub fn has(records: &[Record], verb: &str) -> bool {
    records.iter().any(|record| record.verb == verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_or_changed_record_is_none() {
        let body = b"commit\tat=1700000000000";
        let sum: String = Sha256::digest(body).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let line = [sum.as_bytes(), b"\t", body].concat();
        let found = record(&line).unwrap();
        assert_eq!((found.verb.as_str(), found.field("at").as_deref()), ("commit", Some("1700000000000")));
        assert!(record(&line[..line.len() - 1]).is_none());
        assert!(record(&[&line[..], b"0"].concat()).is_none());
        assert!(record(b"").is_none());
    }
}
