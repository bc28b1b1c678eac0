//! A manifest as text: a line per entry, fields separated by spaces, the SHA-256 of the rest at the end.
//!
//! `f 644 0 0 1700000000.5 0 /etc/passwd 1234 HEX user.note=hello`: type, mode, owner, group, time, name group,
//! path; size and content of a file, target of a link; attributes. Odd bytes are written as `%hh`.

use super::entries::Like;
use super::{Attributes, Entry, Manifest, State};
use crate::error::{Error, Result};
use crate::objects::ObjectId;
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const FIRST: &[u8] = b"firstlight manifest 1\n";
const LAST: &[u8] = b"sha256 ";
/// How much text is written at once.
const PIECE: usize = 64 * 1024;
/// `sha256 `, 64 digits, newline.
const LAST_LENGTH: usize = 7 + 64 + 1;

impl Manifest {
    /// The manifest as text that [`decode`](Self::decode) reads.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // A vector takes everything.
        let _ = self.write_pieces(&mut |piece| {
            text.extend_from_slice(piece);
            Ok(())
        });
        text
    }

    fn write_pieces(&self, write: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut text = Writer::new(write);
        for (path, entry) in self.entries.iter() {
            text.entry(path, entry)?;
        }
        text.finish()
    }

    /// Reads a manifest; one that is torn, changed or of another version is refused.
    pub fn decode(text: &[u8]) -> Result<Self> {
        Self::take(text.to_vec(), None)
    }

    /// The same, in the memory of `like` as far as nothing differs from it.
    pub fn take(text: Vec<u8>, like: Option<&Self>) -> Result<Self> {
        let (mut like, mut manifest) = (Like::new(like), Self::default());
        read_entries(text, &mut |path, entry| like.push(&mut manifest.entries, path, entry))?;
        manifest.entries.reverse();
        manifest.entries.sort();
        // Whoever wrote entry by entry could not know which names stay alone.
        manifest.forget_single_names();
        Ok(manifest)
    }
}

/// Reads a manifest entry by entry, last first; the text is given back as it is read.
pub fn read_entries(mut text: Vec<u8>, take: &mut dyn FnMut(PathBuf, Entry)) -> Result<()> {
    let refuse = |because: &str| Error::new("reading a manifest", because);
    let (body, last) =
        text.split_at_checked(text.len().wrapping_sub(LAST_LENGTH)).ok_or_else(|| refuse("it is cut off"))?;
    let sum = last.strip_prefix(LAST).and_then(|rest| rest.strip_suffix(b"\n")).and_then(ObjectId::parse);
    if sum != Some(ObjectId::of(body)) {
        return Err(refuse("it is damaged: the SHA-256 at its end is not that of the rest"));
    }
    if !body.starts_with(FIRST) {
        return Err(refuse("it has a version this firstlight does not know"));
    }
    let mut end = body.len();
    while let Some(body) = text.get(FIRST.len()..end).filter(|body| !body.is_empty()) {
        let before = body.iter().rposition(|byte| *byte == b'\n');
        let line = body.get(before.map_or(0, |at| at + 1)..).unwrap_or_default();
        if !line.is_empty() {
            let (path, entry) = read_entry(line).ok_or_else(|| refuse("a line of it is no entry"))?;
            take(path, entry);
        }
        end = FIRST.len() + before.unwrap_or_default();
        if text.len() - end > PIECE * 8 {
            text.truncate(end);
            text.shrink_to_fit();
        }
    }
    Ok(())
}

/// The text of a manifest, entry by entry.
pub(super) struct Writer<'a> {
    write: &'a mut dyn FnMut(&[u8]) -> Result<()>,
    piece: Vec<u8>,
    sum: Sha256,
}

impl<'a> Writer<'a> {
    pub(super) fn new(write: &'a mut dyn FnMut(&[u8]) -> Result<()>) -> Self {
        Self { write, piece: FIRST.to_vec(), sum: Sha256::new() }
    }

    pub(super) fn entry(&mut self, path: &Path, entry: &Entry) -> Result<()> {
        write_entry(&mut self.piece, path.as_os_str().as_bytes(), entry);
        if self.piece.len() > PIECE {
            self.sum.update(&self.piece);
            (self.write)(&self.piece)?;
            self.piece.clear();
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.sum.update(&self.piece);
        self.piece.extend_from_slice(LAST);
        self.piece.extend_from_slice(ObjectId::from(self.sum).to_string().as_bytes());
        self.piece.push(b'\n');
        (self.write)(&self.piece)
    }
}

fn write_entry(text: &mut Vec<u8>, path: &[u8], entry: &Entry) {
    let kind = match entry.state {
        State::File { .. } => 'f',
        State::Directory => 'd',
        State::Link { .. } => 'l',
        State::Other => 'o',
        State::Absent => 'a',
    };
    let Entry { mode, uid, gid, modified: (seconds, nanoseconds), name_group, .. } = entry;
    let start = format!("{kind} {mode:o} {uid} {gid} {seconds}.{nanoseconds} {name_group} ");
    text.extend_from_slice(start.as_bytes());
    escape(text, path);
    match &entry.state {
        State::File { content, size } => text.extend_from_slice(format!(" {size} {content}").as_bytes()),
        State::Link { target } => {
            text.push(b' ');
            escape(text, target.as_os_str().as_bytes());
        }
        State::Directory | State::Other | State::Absent => {}
    }
    for (name, value) in &entry.attributes {
        text.push(b' ');
        escape(text, name.as_bytes());
        text.push(b'=');
        escape(text, value);
    }
    text.push(b'\n');
}

fn read_entry(line: &[u8]) -> Option<(PathBuf, Entry)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let kind = fields.next()?;
    let mode = u32::from_str_radix(std::str::from_utf8(fields.next()?).ok()?, 8).ok()?;
    let uid = number(fields.next()?)?;
    let gid = number(fields.next()?)?;
    let (seconds, nanoseconds) = std::str::from_utf8(fields.next()?).ok()?.split_once('.')?;
    let modified = (seconds.parse().ok()?, nanoseconds.parse().ok()?);
    let name_group = number(fields.next()?)?;
    let path = unescape_path(fields.next()?)?;
    let state = match kind {
        b"f" => {
            let size = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
            State::File { size, content: ObjectId::parse(fields.next()?)? }
        }
        b"l" => State::Link { target: unescape_path(fields.next()?)? },
        b"d" => State::Directory,
        b"o" => State::Other,
        b"a" => State::Absent,
        _ => return None,
    };
    let mut attributes = Vec::new();
    for field in fields {
        let at = field.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (field.get(..at)?, field.get(at + 1..)?);
        let name = String::from_utf8(unescape(name)?).ok()?;
        attributes.push((name.into_boxed_str(), unescape(value)?.into_boxed_slice()));
    }
    let attributes = Attributes::from(attributes);
    Some((path, Entry { state, mode, uid, gid, name_group, modified, attributes }))
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Bytes that separate something, or that no terminal shows, become `%hh`.
fn escape(text: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for &byte in bytes {
        if byte.is_ascii_graphic() && byte != b'%' && byte != b'=' {
            text.push(byte);
        } else {
            text.push(b'%');
            text.extend([byte >> 4, byte & 15].iter().filter_map(|nibble| DIGITS.get(usize::from(*nibble))));
        }
    }
}

fn unescape(field: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [*rest.next()?, *rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    Some(bytes)
}

fn unescape_path(field: &[u8]) -> Option<PathBuf> {
    Some(OsString::from_vec(unescape(field)?).into())
}
