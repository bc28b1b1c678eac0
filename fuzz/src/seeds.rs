//! Inputs to begin with, made from what firstlight really writes.

use crate::foreign;
use crate::memory::Memory;
use firstlight::change::{Change, DirectoryChange, FileChange};
use firstlight::control::{Check, Control, Phase, Proposal};
use firstlight::error::{Error, Result};
use firstlight::node::Node;
use firstlight::objects::ObjectId;
use firstlight::progress::Silent;
use firstlight::transaction::state::{OBJECTS_DIR, TransactionId};
use firstlight::transaction::{Limits, Order, apply, rollback};
use firstlight::{payload, plan};
use std::path::{Path, PathBuf};

/// An input: its target, its name, its bytes.
pub type Seed = (&'static str, String, Vec<u8>);

/// What a transaction left behind.
pub struct Left {
    /// Bytes of its journal.
    pub journal: Vec<u8>,
    /// Bytes of its snapshot.
    pub snapshot: Vec<u8>,
    /// Every object.
    pub objects: Vec<Vec<u8>>,
    /// The node afterwards.
    pub node: Memory,
}

/// A transaction that changes a few files: committed; put back; rolled back.
pub fn transactions() -> Result<[Left; 3]> {
    Ok([run(true, false)?, run(false, false)?, run(true, true)?])
}

fn run(holds: bool, back: bool) -> Result<Left> {
    let node = Memory::default();
    node.put("/etc/passwd", b"root:x:0:0:root:/root:/bin/bash\n");
    node.says("/usr/bin/systemctl", 0, b"");
    node.put("/etc/group", b"root:x:0:\n");
    node.put("/etc/motd", b"welcome\n");
    node.put("/etc/x/odd é%", b"");
    let plan = plan::make(&node, proposal(holds))?;
    let order = Order {
        door: "command",
        source: "answer.toml",
        record: "[firstlight]\nschema = 1\n",
        limits: &Limits::DEFAULT,
    };
    apply(&node, &plan, &order, &mut Silent)?;
    if back {
        rollback(&node, None, false, &mut Silent)?;
    }
    let read = |path: &Path| node.content(path).ok_or_else(|| Error::new("reading", path.display()));
    let journal = read(&TransactionId(1).journal())?;
    let snapshot = read(&TransactionId(1).snapshot())?;
    let names = node.list(Path::new(OBJECTS_DIR))?;
    let objects = names.iter().map(|name| read(&Path::new(OBJECTS_DIR).join(name))).collect::<Result<_>>()?;
    Ok(Left { journal, snapshot, objects, node })
}

fn proposal(holds: bool) -> Proposal {
    let file = |path: &str, content: &str, mode: u32| {
        let (path, content, owner) = (PathBuf::from(path), content.into(), "root".to_owned());
        (Phase::Files, Change::File(FileChange { path, content, mode, owner, public: true }))
    };
    let directory = DirectoryChange { path: "/etc/new".into(), mode: 0o750, owner: "root".into() };
    let changes = vec![
        file("/etc/motd", "hardened\n", 0o644),
        (Phase::Files, Change::Directory(directory)),
        file("/etc/new/file", "x = 1\n", 0o440),
    ];
    let path = PathBuf::from(if holds { "/etc/motd" } else { "/etc/nowhere" });
    let control = Control {
        id: "motd.mode".into(),
        requirement: "J3",
        wanted: "the message is there".into(),
        check: Check::FileMode { path, mode: 0o644 },
        changes: vec![0],
    };
    Proposal {
        changes,
        controls: vec![control],
        warnings: vec!["a warning".into()],
        notes: vec!["a note".into()],
        ..Proposal::default()
    }
}

/// All of them.
pub fn seeds() -> Result<Vec<Seed>> {
    let mut seeds: Vec<Seed> = Vec::new();
    for (left, name) in transactions()?.into_iter().zip(["committed", "reverted", "rolled-back"]) {
        let bodies: Vec<&[u8]> = left.journal.split_inclusive(|byte| *byte == b'\n').collect();
        let bodies: Vec<u8> =
            bodies.iter().flat_map(|line| line.get(17..).unwrap_or_default()).copied().collect();
        seeds.push(("journal", name.to_owned(), [&[0], left.journal.as_slice()].concat()));
        seeds.push(("journal", format!("{name}-bodies"), [&[1], bodies.as_slice()].concat()));
        seeds.push(("manifest", name.to_owned(), [&[0], left.snapshot.as_slice()].concat()));
        let entries: Vec<u8> =
            left.snapshot.split_inclusive(|byte| *byte == b'\n').skip(1).flatten().copied().collect();
        seeds.push(("manifest", format!("{name}-bodies"), [&[1], entries.as_slice()].concat()));
    }
    let hook = b"try\tat=1\tnumber=1\tboot=x\ntry\tat=2\tnumber=2\tboot=y\nended\tat=3\toutcome=gave-up\tmessage=z\n";
    seeds.push(("hook", "tries".to_owned(), [&[1], hook.as_slice()].concat()));
    seeds.push((
        "hook",
        "locks".to_owned(),
        b"\x000001\n1: FLOCK  ADVISORY  WRITE 77 fe:00:9 0 EOF\n".to_vec(),
    ));
    for (target, length) in [("records", 400), ("entries", 200), ("status", 900), ("recovery", 900)] {
        for seed in 0..4_u8 {
            seeds.push((target, format!("any-{seed}"), noise(seed, length)));
        }
    }
    for (kind, name) in [(1, "headers"), (2, "right"), (3, "wrong")] {
        seeds.push((
            "payload",
            name.to_owned(),
            [&[kind, 0, 1, 1, 24], b"[firstlight]\nschema = 1\n".as_slice()].concat(),
        ));
    }
    let mut elf = b"\x7fELF\x02\x01".to_vec();
    elf.resize(64, 0);
    seeds.push(("payload", "raw".to_owned(), [vec![0], payload::seal(&elf, b"x")].concat()));
    for (target, sources) in [
        ("facts", foreign::Sources::Facts),
        ("plan", foreign::Sources::Facts),
        ("observe", foreign::Sources::Observed),
        ("changes", foreign::Sources::Said),
    ] {
        for (place, seed) in foreign::seeds(sources).into_iter().enumerate() {
            seeds.push((target, format!("source-{place:02}"), seed));
        }
    }
    for (place, text) in JSON.iter().enumerate() {
        seeds.push(("json", format!("text-{place}"), text.as_bytes().to_vec()));
    }
    Ok(seeds)
}

/// One of each kind, and what tools write.
const JSON: &[&str] = &[
    "null",
    "[true,false,-1.5e3,0,18446744073709551615,\"a\\u00e9\\ud83d\\ude00\\n\"]",
    "{\"a\":{\"b\":[]},\"a\":{}}",
    "[{\"ifname\":\"vmbr0\",\"addr_info\":[{\"family\":\"inet\",\"local\":\"10.0.20.5\",\"prefixlen\":24}]}]",
];

/// Bytes without a pattern, the same at every call.
fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut name = ObjectId::of(&[seed]).to_string();
    while bytes.len() < length {
        bytes.extend(
            name.as_bytes()
                .chunks_exact(2)
                .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()),
        );
        name = ObjectId::of(name.as_bytes()).to_string();
    }
    bytes
}
