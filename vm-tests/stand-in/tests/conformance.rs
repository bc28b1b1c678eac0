//! Replays the recorded commands of the real tools against the stand-in, in their order, and compares status class,
//! outputs and files.
//!
//! Every command that is not replayed, or not equal, stands with its reason in `conformance/exceptions.txt`. One that
//! stands there and is equal fails the test, too.

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

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use node::Node;
use transcript::Transcript;

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

/// The listed exceptions: `RECORDING NUMBER reason`.
fn exceptions() -> BTreeMap<(String, usize), String> {
    let text = include_str!("conformance/exceptions.txt");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().unwrap_or_else(|| panic!("exceptions.txt: {line}"));
            let (name, number, reason) = (word(), word(), word());
            ((name.to_owned(), number.parse().expect("a number")), reason.to_owned())
        })
        .collect()
}

#[test]
fn recorded_commands_are_replayed_and_equal() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let exceptions = exceptions();
    let mut wrong = Vec::new();
    let (mut equal, mut recorded) = (0, 0);
    for name in REPLAYED {
        let content = fs::read(directory.join(format!("{name}.txt"))).expect("a recording");
        let transcript = Transcript::read(name, &content);
        let figure = replay(&transcript);
        println!("{name}: {} of {} recorded commands replayed and equal", figure.equal, figure.recorded);
        equal += figure.equal;
        recorded += figure.recorded;
        for item in &transcript.items {
            let listed = exceptions.contains_key(&(name.to_owned(), item.number));
            match figure.different.get(&item.number) {
                Some(found) if !listed => {
                    wrong.push(format!(
                        "{name} [{}] {}\n    {}",
                        item.number,
                        item.argv.join(" "),
                        found.join("\n    ")
                    ));
                }
                None if listed => wrong.push(format!("{name} [{}] is equal, but listed", item.number)),
                _ => {}
            }
        }
    }
    let name = "34-fw-error-catalogue";
    let text = fs::read_to_string(directory.join(format!("{name}.txt"))).expect("the catalogue");
    let (cases, found) = catalogue::replay(&text);
    println!("{name}: {} of {cases} lines read as the real tool read them", cases - found.len());
    equal += cases - found.len();
    recorded += cases;
    wrong.extend(found);
    println!("all: {equal} of {recorded} recorded commands replayed and equal");
    assert!(wrong.is_empty(), "{} commands:\n{}", wrong.len(), wrong.join("\n"));
}
