//! The admin's key pair that is made on the node (row A3), in a whole run: where the private key is, what a failure and a
//! rollback leave, and that a second run makes none.

use super::factors::{answer as with, apply, holding};
use super::world::{self, PRIVATE, PUBLIC};
use crate::answer::{self, Answer};
use crate::facts::{authorized_blob, fingerprint};
use crate::node::memory::Memory;
use crate::plan::{json, show};
use crate::progress::Silent;
use crate::report::terminal::Paint;
use crate::transaction::{Confirmation, Limits, Outcome, rollback};
use crate::{handover, install, provision, status};
use std::path::Path;

const KEYS: &str = "/home/ops/.ssh/authorized_keys";
/// A line of it that nothing else holds.
const SECRET: &str = "b3BlbnNzaC1rZXktdjEA";

fn answer(more: &str) -> Answer {
    let text = include_str!("../../../answer-files/ufw.toml")
        .replace("schema = 1\n", &format!("schema = 1\n{more}\n"))
        .replace("sudo = \"password\"\n", "sudo = \"password\"\nssh-key-pair = \"node\"\n");
    answer::read("ufw.toml", text.as_bytes()).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn a3_the_private_key_is_in_the_hand_over_and_nowhere_else() {
    for (more, place) in [("", handover::RUN_PATH), ("handover = \"file\"", handover::FILE_PATH)] {
        let node = world::node(&world::fresh());
        let answer = answer(more);
        let plan = world::planned(&node, &answer);
        let texts = [show::render(&plan, None, Paint::PLAIN), json::value(&plan).to_string()];
        assert!(texts[0].contains("SSH key of ops: new"), "{}", texts[0]);
        assert!(matches!(apply(&node, &answer), Outcome::Committed(_)));
        assert_eq!(holding(&node, SECRET), [place]);
        let (text, lines) = node.shell(|shell| (shell.text(place), shell.text(KEYS)));
        assert!(text.contains(&format!("## SSH key of ops\n\n{PRIVATE}")), "{text}");
        assert!(lines.lines().count() == 2, "the given key stays: {lines}");
        assert!(lines.ends_with(&format!("{PUBLIC} ops@pve1 (made by firstlight)\n")), "{lines}");
        assert!(!node.shell(|shell| shell.has("/run/firstlight/pair")));
        let status = status::json::value(&status::read(&node).unwrap()).to_string();
        for text in texts.iter().chain([&status]).chain(&node.ran()) {
            assert!(!text.contains(SECRET), "{text}");
        }
        assert!(world::planned(&node, &answer).steps.is_empty(), "a second run has nothing to do");
        assert!(handover::unacknowledged(&node).unwrap().iter().all(|heading| !heading.starts_with("SSH")));
        if place == handover::RUN_PATH {
            // Who has verified their factor has seen the console.
            handover::seen(&node, "root@pam").unwrap();
            assert_eq!(holding(&node, SECRET), [place]);
            handover::seen(&node, "ops@pam").unwrap();
            assert!(holding(&node, SECRET).is_empty());
        }
        rollback(&node, None, false, &mut Silent).unwrap();
        assert!(holding(&node, SECRET).is_empty() && !node.shell(|shell| shell.has(KEYS)));
    }
}

#[test]
fn a3_without_a_pair_in_the_answer_none_is_made() {
    let node = world::node(&world::fresh());
    assert!(matches!(apply(&node, &with("")), Outcome::Committed(_)));
    assert!(!node.ran().iter().any(|line| line.contains(" -a 100 ")), "{:?}", node.ran());
}

#[test]
fn a3_a_pair_that_cannot_be_made_leaves_nothing_behind() {
    // The private key is there, and the call says that it failed.
    let node = Memory::new(world::fresh(), |shell, invocation| {
        let output = world::tools(shell, invocation);
        match invocation.arguments.iter().any(|word| word == "100") {
            true => crate::node::Output { status: 1, stdout: String::new(), stderr: "no".to_owned() },
            false => output,
        }
    });
    let outcome = apply(&node, &answer(""));
    assert!(
        matches!(&outcome, Outcome::Reverted(_, failure, kept) if failure.what.contains("SSH key of ops") && kept.is_empty()),
        "{outcome:?}"
    );
    assert!(holding(&node, SECRET).is_empty() && !node.shell(|shell| shell.has(KEYS)));
    assert!(!node.shell(|shell| shell.has("/run/firstlight/pair")));
}

#[test]
fn j3_a_login_with_the_key_that_was_made_confirms_a_run() {
    let node = world::node(&world::fresh());
    let answer = answer("");
    let plan = world::planned(&node, &answer);
    install::install(&node, Path::new(world::EXECUTABLE)).unwrap();
    let confirmation =
        Confirmation { minutes: 10, admin: "ops".to_owned(), keys: Vec::new(), not_from: Vec::new() };
    let limits = Limits { minutes: 60, confirm: Some(confirmation) };
    let outcome = provision::apply(&node, &plan, &answer, "command", &limits, &mut Silent).unwrap();
    let Outcome::Waiting(id, _) = outcome else { panic!("{outcome:?}") };
    let journal = node.shell(|shell| shell.text(&id.journal().to_string_lossy()));
    let key = authorized_blob(PUBLIC).and_then(fingerprint).unwrap();
    assert!(journal.contains(&format!("key={key}")), "{journal}");
}
