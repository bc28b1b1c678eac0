//! Everything in `/var/lib/firstlight` at once: what `status` says of it, and what recovery does with it.

use crate::input::Input;
use crate::memory::Memory;
use crate::{events, journal, manifest};
use firstlight::hook;
use firstlight::node::Node;
use firstlight::objects::{ObjectId, Objects};
use firstlight::progress::Silent;
use firstlight::report::terminal::Paint;
use firstlight::status::{self, Status};
use firstlight::transaction::record::Record;
use firstlight::transaction::state::{self, HOOK_PATH, LOCK_PATH, OBJECTS_DIR, TransactionId};
use firstlight::transaction::{Outcome, Stage, prune, recover, rollback};
use std::path::Path;

/// Any journals and any journal of the hook, told as text and as JSON.
pub fn status(data: &[u8]) {
    let mut input = Input::new(data);
    let node = Memory::default();
    let how = input.byte();
    for number in 1..=1 + u32::from(how & 3) {
        let length = input.number() as usize % 4096;
        put_journal(&node, number, &mut Input::new(input.bytes(length)), &[ObjectId::of(b"")]);
    }
    node.put("/proc/sys/kernel/random/boot_id", input.text().as_bytes());
    if how & 4 != 0 {
        node.put(status::PENDING_PATH, b"");
    }
    if how & 8 != 0 {
        node.put(LOCK_PATH, b"");
        node.put("/proc/locks", input.text().as_bytes());
    }
    if how & 16 != 0 {
        node.put(HOOK_PATH, &encoded(&events::records(&mut input, &[ObjectId::of(b"")])));
    }
    tell(&node);
}

/// Any bytes as the journal of the hook, the list of locks, and the names of transactions.
pub fn hook(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let node = Memory::default();
    let content = if kind & 1 == 0 { rest.to_vec() } else { journal::summed(rest) };
    node.put(HOOK_PATH, &content);
    if let Ok(records) = hook::records(&node) {
        hook::tries(&records);
    }
    node.put(LOCK_PATH, b"");
    node.put("/proc/locks", rest);
    for name in rest.split(|byte| *byte == b'\n').take(4) {
        if let Ok(name) = std::str::from_utf8(name)
            && !name.contains(['/', '\0'])
            && !matches!(name, "" | "." | "..")
        {
            node.put(format!("{}/{name}/journal", state::TRANSACTIONS_DIR), b"");
        }
    }
    tell(&node);
    // The executable has no answer: whatever the journal says, the hook ends, and only so often.
    node.put("/exe", b"#!");
    for _ in 0..8 {
        let _ = hook::run(&node, Path::new("/exe"), &mut Silent);
    }
    if let Ok(records) = hook::records(&node) {
        assert!(records.len() < 64 + content.len(), "the hook does not stop counting");
    }
}

/// Transactions over a few files, then recovery in both stages, rollback and pruning.
pub fn recovery(data: &[u8]) {
    let mut input = Input::new(data);
    let node = Memory::default();
    let how = input.byte();
    let objects = store(&node, &mut input);
    for content in 0..4 {
        let path = input.known_path();
        if path != Path::new("/etc") && node.lookup(&path).is_ok_and(|found| found.is_none()) {
            node.put(&path, manifest::content_of(content));
        }
    }
    for (line, bit) in [("/usr/bin/", 1), ("/usr/sbin/", 2), ("/usr/bin/dpkg-query", 4)] {
        node.says(line, i32::from(how & bit != 0), input.text().as_bytes());
    }
    for number in 1..=1 + u32::from(how >> 3 & 1) {
        let length = input.number() as usize % 2048;
        put_journal(&node, number, &mut Input::new(input.bytes(length)), &objects);
    }
    let before = status::read(&node).ok().map(|status| status.is_open());
    if how & 16 != 0 {
        let _ = recover(&node, Stage::Early, &mut Silent);
    }
    let recovered = recover(&node, Stage::Late, &mut Silent);
    if matches!(recovered, Ok(None)) {
        let open = status::read(&node).ok().map(|status| status.is_open());
        assert!(
            before != Some(true) || open == Some(false),
            "recovery has nothing to do, and status says it has"
        );
    }
    settled(&node, &recovered);
    if how & 32 != 0 {
        let _ = rollback(&node, None, how & 64 != 0, &mut Silent);
    }
    let _ = prune(&node, usize::from(how >> 7));
    tell(&node);
}

/// Recovery that says it is done has nothing to do when it is asked again, and changes nothing then.
fn settled(node: &Memory, outcome: &firstlight::error::Result<Option<Outcome>>) {
    let done = match outcome {
        Ok(Some(Outcome::Stuck(..))) | Err(_) => false,
        Ok(_) => !status::read(node).is_ok_and(|status| status.is_open()),
    };
    if !done {
        return;
    }
    let etc = node.etc();
    let again = recover(node, Stage::Late, &mut Silent);
    assert!(matches!(again, Ok(None)), "recovery is done, and does something again");
    assert!(node.etc() == etc, "recovery that has nothing to do changes the node");
}

fn store(node: &Memory, input: &mut Input<'_>) -> Vec<ObjectId> {
    let _ = state::prepare(node);
    let mut contents: Vec<Vec<u8>> = (0..4).map(|length| manifest::content_of(length).to_vec()).collect();
    let names: Vec<ObjectId> = (0..3)
        .map(|_| {
            let most = input.below(6);
            let text = manifest::manifest(input, most).encode();
            let name = ObjectId::of(&text);
            contents.push(text);
            name
        })
        .collect();
    let objects = Objects::new(node, Path::new(OBJECTS_DIR));
    if let Ok(mut batch) = objects.batch() {
        for content in &contents {
            let _ = batch.add(content);
        }
        let _ = batch.commit();
    }
    for name in &names {
        assert!(objects.read(name).is_ok(), "what was stored cannot be read");
    }
    names
}

fn put_journal(node: &Memory, number: u32, input: &mut Input<'_>, objects: &[ObjectId]) {
    node.put(TransactionId(number).journal(), &encoded(&events::records(input, objects)));
}

fn encoded(records: &[Record]) -> Vec<u8> {
    records.iter().map(Record::encode).collect::<String>().into_bytes()
}

/// Status as text and JSON: nothing a terminal obeys, and JSON that another reader understands.
fn tell(node: &Memory) {
    match status::read(node) {
        Ok(status) => told(&status),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let _ = status::write_file(node);
}

fn told(status: &Status) {
    let text = status::text::render(status, Paint::PLAIN);
    assert!(crate::is_plain(&text), "a control character on the terminal: {text:?}");
    let json = status::json::value(status).to_string();
    assert!(crate::is_plain(&json), "a control character on the terminal: {json:?}");
    let read: Result<serde_json::Value, _> = serde_json::from_str(&json);
    assert!(read.is_ok(), "no JSON: {json}");
    if let Ok(read) = read {
        assert!(read["outcome"] == status.outcome.word(), "{json}");
        assert!(status.message.is_empty() || read["message"] == status.message.as_str(), "{json}");
    }
}
