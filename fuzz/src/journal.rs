//! The journal: any bytes, bytes with right checksums, and a written journal with a bit flipped or its end cut off.

use crate::events;
use crate::input::Input;
use crate::memory::Memory;
use firstlight::node::Node;
use firstlight::objects::ObjectId;
use firstlight::status;
use firstlight::transaction::Story;
use firstlight::transaction::journal::{Journal, read_records};
use firstlight::transaction::record::{Event, Record};
use firstlight::transaction::state::TransactionId;
use std::path::Path;

const PATH: &str = "/journal";

/// Any bytes. The first says whether each line gets the checksum that it needs to be read further.
pub fn bytes(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let content = if kind & 1 == 0 { rest.to_vec() } else { summed(rest) };
    let Some(records) = consistent(&content) else { return };
    for record in &records {
        // What was read is written so that it reads the same.
        let line = record.encode();
        let again = Record::decode(line.trim_end_matches('\n')).map(|record| record.encode());
        assert!(again.as_ref() == Some(&line), "{line} is read as another record");
    }
}

/// Records, written and read back; then the same bytes with a bit flipped, or cut off.
pub fn records(data: &[u8]) {
    let mut input = Input::new(data);
    let (how, place) = (input.byte(), input.number());
    let objects = [ObjectId::of(b""), ObjectId::of(b"x")];
    let written: Vec<String> =
        events::records(&mut input, &objects).iter().map(|record| known(record).encode()).collect();
    let whole: String = written.concat();
    let read = consistent(whole.as_bytes());
    assert!(
        read.is_some_and(|read| lines(&read) == written),
        "a journal does not read back as it was written"
    );
    let mut damaged = whole.into_bytes();
    let place = usize::try_from(place).unwrap_or(0).checked_rem(damaged.len()).unwrap_or(0);
    if how & 1 == 0 {
        damaged.truncate(place);
    } else if let Some(byte) = damaged.get_mut(place) {
        *byte ^= 1 << (how >> 1 & 7);
    }
    let Some(read) = consistent(&damaged) else { return };
    let read = lines(&read);
    assert!(written.starts_with(&read), "a damaged journal tells what was never written");
    if how & 1 == 1 {
        assert!(read == written, "a flipped bit is taken for the end of the journal");
    }
}

/// A format that this version reads: another one is refused as a whole.
fn known(record: &Record) -> Record {
    let mut record = record.clone();
    if let Event::Begin { format, .. } = &mut record.event {
        *format = firstlight::transaction::record::FORMAT;
    }
    record
}

fn lines(records: &[Record]) -> Vec<String> {
    records.iter().map(Record::encode).collect()
}

/// Reads, opens, writes on: all of it must tell the same. `None` when the journal is refused.
fn consistent(content: &[u8]) -> Option<Vec<Record>> {
    let node = Memory::default();
    node.put(PATH, content);
    let records = match read_records(&node, Path::new(PATH)) {
        Ok(records) => records,
        Err(error) => {
            assert!(
                !error.because.is_empty() && !error.hint.is_empty(),
                "refused without a reason or a hint"
            );
            assert!(Journal::open(&node, PATH.into()).is_err(), "opened what cannot be read");
            assert!(node.content(PATH).as_deref() == Some(content), "a refused journal was changed");
            return None;
        }
    };
    Story::of(&records).phase();
    status::Story::read(TransactionId(1), &records);
    let opened = Journal::open(&node, PATH.into());
    assert!(opened.is_ok(), "what can be read cannot be opened");
    if let Ok((journal, opened)) = opened {
        assert!(lines(&opened) == lines(&records), "reading and opening differ");
        let kept = node.read(Path::new(PATH)).unwrap_or_default();
        assert!(content.starts_with(&kept), "opening did more than cut off the end");
        assert!(journal.write(Event::Commit).is_ok());
        let after = read_records(&node, Path::new(PATH)).map(|read| read.len()).ok();
        assert!(after == Some(records.len() + 1), "a journal that was opened cannot be written on");
    }
    Some(records)
}

/// Every line with its checksum in front.
pub fn summed(text: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let body = line.strip_suffix(b"\n").unwrap_or(line);
        let sum = ObjectId::of(body).to_string();
        whole.extend_from_slice(sum.get(..16).unwrap_or_default().as_bytes());
        whole.push(b'\t');
        whole.extend_from_slice(line);
    }
    whole
}
