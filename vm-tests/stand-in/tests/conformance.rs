//! Replays the recorded commands of the real tools against the stand-in, in their order, and compares status class,
//! outputs and files.
//!
//! Every command that is not replayed, or not equal, stands with its reason in `conformance/exceptions.txt`. One that
//! stands there and is equal fails the test, too.

#![allow(clippy::expect_used, clippy::panic)]

#[path = "conformance/catalogue.rs"]
mod catalogue;
#[path = "conformance/clock.rs"]
mod clock;
#[path = "conformance/compare.rs"]
mod compare;
#[path = "conformance/node.rs"]
mod node;
#[path = "conformance/transcript.rs"]
mod transcript;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use node::{Node, Outcome};
use transcript::{File, Transcript};

/// What the replay of a recording gave.
#[derive(Default)]
struct Figure {
    equal: usize,
    recorded: usize,
    /// Commands that are not equal: by number, how they differ.
    different: BTreeMap<usize, Vec<String>>,
}

/// The recordings whose commands are replayed; those of pmxcfs itself have their own test.
const REPLAYED: [&str; 14] = [
    "20-users-acl",
    "21-tfa",
    "22-tfa-window-update",
    "23-realms",
    "24-wrong-forms",
    "25-tools-no-quorum-down-unprivileged",
    "30-fw-options",
    "31-fw-ipset-alias",
    "32-fw-rules",
    "33-fw-compile-errors",
    "35-fw-daemon",
    "36-fw-apply-failures",
    "37-fw-enable-2-dport-0",
    "40-timing",
];

fn replay(transcript: &Transcript) -> Figure {
    let mut node = Node::new(&transcript.initial);
    // At these times somebody had asked the kernel for its bridge tables, which makes them.
    if ["25-", "40-"].iter().any(|start| transcript.name.starts_with(start)) {
        node.set_kernel("ebtables-save", "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n");
    }
    let times = clock::times(transcript);
    let mut figure = Figure { recorded: transcript.items.len(), ..Figure::default() };
    for (item, time) in transcript.items.iter().zip(times) {
        let found = match node.replay(item, time) {
            Some(outcome) => compare::differences(item, &outcome),
            None => vec![format!("not replayed: {}", item.argv.join(" "))],
        };
        if found.is_empty() {
            figure.equal += 1;
        } else {
            figure.different.insert(item.number, found);
        }
        node.restore(&item.after);
        follow(&node, &transcript.name, item.number);
    }
    figure
}

/// What recorded shell lines did to pmxcfs.
fn follow(node: &Node, transcript: &str, number: usize) {
    if transcript.starts_with("25-") {
        match number {
            1 => node.set_pmxcfs(true, false),
            12 => node.set_pmxcfs(false, true),
            19 => node.set_pmxcfs(true, true),
            _ => {}
        }
    }
}

/// The listed exceptions: `RECORDING NUMBER reason`. A recording as a whole has `*` for its number; here it is 0.
fn exceptions() -> BTreeSet<(String, usize)> {
    let text = include_str!("conformance/exceptions.txt");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().unwrap_or_else(|| panic!("exceptions.txt: {line}"));
            let (name, number, _reason) = (word(), word(), word());
            (name.to_owned(), if number == "*" { 0 } else { number.parse().expect("a number") })
        })
        .collect()
}

/// Every recording is replayed, or listed as a whole.
fn unlisted_recordings(exceptions: &BTreeSet<(String, usize)>) -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let files = fs::read_dir(directory).expect("the recordings").map(|entry| entry.expect("an entry").path());
    let names = files.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned());
    names
        .filter(|name| {
            let replayed = name == CATALOGUE || REPLAYED.contains(&name.as_str());
            replayed == exceptions.contains(&(name.clone(), 0))
        })
        .collect()
}

/// The commands of a recording that differ, with what was run.
struct Replayed {
    name: &'static str,
    commands: Vec<(usize, String)>,
    figure: Figure,
}

fn all() -> Vec<Replayed> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let read = |name: &str| fs::read(directory.join(format!("{name}.txt"))).expect("a recording");
    let mut all: Vec<Replayed> = REPLAYED
        .iter()
        .map(|name| {
            let transcript = Transcript::read(name, &read(name));
            let commands = transcript.items.iter().map(|item| (item.number, item.argv.join(" "))).collect();
            Replayed { name, commands, figure: replay(&transcript) }
        })
        .collect();
    let cases = catalogue::read(&String::from_utf8_lossy(&read(CATALOGUE)));
    let mut figure = Figure { recorded: cases.len(), ..Figure::default() };
    for case in &cases {
        let found = case.differences();
        if found.is_empty() {
            figure.equal += 1;
        } else {
            figure.different.insert(case.number, found);
        }
    }
    let commands = cases.iter().map(|case| (case.number, "pve-firewall compile".to_owned())).collect();
    all.push(Replayed { name: CATALOGUE, commands, figure });
    all
}

/// One bad line at a time: recorded in a form of its own.
const CATALOGUE: &str = "34-fw-error-catalogue";

#[test]
fn recorded_commands_are_replayed_and_equal() {
    let exceptions = exceptions();
    assert_eq!(
        unlisted_recordings(&exceptions),
        Vec::<String>::new(),
        "neither replayed nor listed, or both"
    );
    let mut wrong = Vec::new();
    let (mut equal, mut recorded) = (0, 0);
    for Replayed { name, commands, figure } in all() {
        println!("{name}: {} of {} recorded commands replayed and equal", figure.equal, figure.recorded);
        equal += figure.equal;
        recorded += figure.recorded;
        for (number, command) in &commands {
            let listed = exceptions.contains(&(name.to_owned(), *number));
            match figure.different.get(number) {
                Some(found) if !listed => {
                    wrong.push(format!("{name} [{number}] {command}\n    {}", found.join("\n    ")));
                }
                None if listed => wrong.push(format!("{name} [{number}] is equal, but listed")),
                _ => {}
            }
        }
    }
    println!("all: {equal} of {recorded} recorded commands replayed and equal");
    assert!(wrong.is_empty(), "{} commands:\n{}", wrong.len(), wrong.join("\n"));
    assert!(equal >= 400, "at least 400 are asked for");
}

/// A comparison that is blind would make every figure above worthless.
#[test]
fn the_comparison_sees_what_differs() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let read = |name: &str| {
        Transcript::read(name, &fs::read(directory.join(format!("{name}.txt"))).expect("a recording"))
    };
    let mut seen = 0;
    for name in REPLAYED {
        for item in &read(name).items {
            let equal = || Outcome {
                status: u8::try_from(item.exit).unwrap_or(255),
                stdout: item.stdout.clone(),
                stderr: item.stderr.clone(),
                files: item.after.clone(),
            };
            assert!(compare::differences(item, &equal()).is_empty(), "{name} [{}]", item.number);
            let mut wrong = vec![Outcome { status: u8::from(item.exit == 0), ..equal() }];
            // One letter of what is not random: the first one.
            wrong.extend(changed(&item.stdout).map(|stdout| Outcome { stdout, ..equal() }));
            wrong.push(Outcome { stderr: [b"and more\n", item.stderr.as_slice()].concat(), ..equal() });
            for (path, file) in &item.after {
                let other = match file {
                    Some(file) => changed(&file.content).map(|content| File { content, ..file.clone() }),
                    None => Some(File { mode: "-rw-r-----".to_owned(), content: Vec::new() }),
                };
                let mut outcome = equal();
                outcome.files.insert(path.clone(), other);
                wrong.push(outcome);
            }
            for outcome in &wrong {
                assert!(!compare::differences(item, outcome).is_empty(), "{name} [{}]", item.number);
            }
            seen += wrong.len();
        }
    }
    assert!(seen > 3000, "{seen} differences were looked for");
}

/// The text with its first letter changed.
fn changed(text: &[u8]) -> Option<Vec<u8>> {
    let at = text.iter().position(u8::is_ascii_alphabetic)?;
    let mut changed = text.to_vec();
    changed[at] = if changed[at] == b'z' { b'y' } else { b'z' };
    Some(changed)
}
