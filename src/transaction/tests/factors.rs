//! PVE's users and factors in a whole run: where secrets are, what a failure leaves, and a cluster that was joined since.

use super::world;
use crate::answer::{self, Answer};
use crate::change::pve::model;
use crate::facts::pve::{Access, FACTORS_PATH, USERS_PATH};
use crate::install;
use crate::node::memory::Memory;
use crate::plan::{json, show};
use crate::progress::Silent;
use crate::provision;
use crate::report::terminal::Paint;
use crate::transaction::{Limits, Outcome, rollback};
use crate::{handover, status, totp};
use std::path::Path;

pub fn answer(more: &str) -> Answer {
    let text = include_str!("../../../answer-files/ufw.toml")
        .replace("schema = 1\n", &format!("schema = 1\n{more}\n"));
    answer::read("ufw.toml", text.as_bytes()).unwrap_or_else(|problems| panic!("{problems}"))
}

pub fn apply(node: &Memory, answer: &Answer) -> Outcome {
    let plan = world::planned(node, answer);
    install::install(node, Path::new(world::EXECUTABLE)).unwrap();
    provision::apply(node, &plan, answer, "command", &Limits::DEFAULT, &mut Silent).unwrap()
}

/// Paths of all files that hold this.
pub fn holding(node: &Memory, secret: &str) -> Vec<String> {
    let tree = node.tree();
    let found = tree.visit(&|_| true).into_iter().filter(|(_, ino)| {
        let data = &tree.inodes[*ino].as_ref().unwrap().data;
        data.windows(secret.len()).any(|window| window == secret.as_bytes())
    });
    found.map(|(path, _)| path.display().to_string()).collect()
}

#[test]
fn c1_secrets_are_in_pves_file_and_in_the_hand_over_and_nowhere_else() {
    for (more, place) in [("", handover::RUN_PATH), ("handover = \"file\"", handover::FILE_PATH)] {
        let node = world::node(&world::fresh());
        let answer = answer(more);
        let plan = world::planned(&node, &answer);
        let texts = [show::render(&plan, None, Paint::PLAIN), json::value(&plan).to_string()];
        assert!(matches!(apply(&node, &answer), Outcome::Committed(_)));
        let access = Access::read(&node).unwrap();
        for user in ["root@pam", "ops@pam"] {
            let factor = access.factors(user, "totp").next().unwrap();
            let secret = totp::secret(&factor.uri).unwrap();
            assert_eq!(holding(&node, secret), [FACTORS_PATH, place]);
            let status = status::json::value(&status::read(&node).unwrap()).to_string();
            assert!(status.contains(&format!("\"{user}\"")), "unverified: {status}");
            for text in texts.iter().chain([&status]).chain(&node.ran()) {
                assert!(!text.contains(secret), "{text}");
            }
        }
        assert_eq!(holding(&node, "1876-1e04-2308-0003"), [place], "recovery keys");
        assert!(world::planned(&node, &answer).steps.is_empty(), "a second run has nothing to do");
        // Two for the user and the role, two each for the factors.
        let calls =
            node.ran().iter().filter(|line| line.contains("/pvesh ") || line.contains("/pveum ")).count();
        assert_eq!(calls, 6, "three for each user");
        rollback(&node, None, false, &mut Silent).unwrap();
        assert_eq!(node.shell(|shell| shell.text(FACTORS_PATH)), "{}");
        assert!(holding(&node, "1876-1e04-2308-0003").is_empty());
        assert!(holding(&node, "otpauth://").is_empty());
    }
}

#[test]
fn j3_a_cluster_that_was_joined_since_keeps_its_users_and_they_are_listed() {
    let node = world::node(&world::fresh());
    assert!(matches!(apply(&node, &answer("")), Outcome::Committed(_)));
    let before = node.shell(|shell| (shell.text(USERS_PATH), shell.text(FACTORS_PATH)));
    node.shell(|shell| shell.put("/etc/pve/corosync.conf", "totem {\n  cluster_name: house\n}\n"));
    let ran = node.ran().len();
    let outcome = rollback(&node, None, true, &mut Silent).unwrap();
    let Outcome::Reverted(_, _, kept) = outcome else { panic!("{outcome:?}") };
    for kept_one in ["PVE user ops@pam", "TOTP of root@pam", "recovery keys of ops@pam"] {
        assert!(kept.iter().any(|path| path == Path::new(kept_one)), "{kept:?}");
    }
    assert_eq!(node.shell(|shell| (shell.text(USERS_PATH), shell.text(FACTORS_PATH))), before);
    assert!(!node.ran()[ran..].iter().any(|line| line.contains("/pvesh ") || line.contains("/pveum ")));
}

#[test]
fn c7_without_a_right_clock_nothing_is_touched_and_the_wait_is_bounded() {
    let node = Memory::new(world::fresh(), |shell, invocation| match invocation.arguments[0].as_str() {
        "/usr/bin/timedatectl" => {
            crate::node::Output { status: 0, stdout: "no\n".to_owned(), stderr: String::new() }
        }
        _ => world::tools(shell, invocation),
    });
    let outcome = apply(&node, &answer(""));
    let Outcome::Untouched(_, failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.what, "gate totp.clock");
    assert!(failure.message.contains("not synchronised after 120 s"), "{}", failure.message);
    let asked = node.ran().iter().filter(|line| line.contains("timedatectl")).count();
    assert_eq!(asked, 61);
}

#[test]
fn c1_an_enrolment_that_pve_refuses_puts_the_node_back_without_the_mark() {
    // PVE's clock is an hour off.
    let node = Memory::new(world::fresh(), |shell, invocation| {
        let mut other = invocation.clone();
        if let Some(place) = other.arguments.iter().position(|word| word == "--value")
            && other.arguments.contains(&"totp".to_owned())
        {
            other.arguments[place + 1] = "000000".to_owned();
        }
        match invocation.arguments[0].as_str() {
            "/usr/bin/pvesh" => model::run(shell, &other),
            _ => world::tools(shell, invocation),
        }
    });
    let before = node.shell(|shell| shell.text(USERS_PATH));
    let outcome = apply(&node, &answer(""));
    let Outcome::Reverted(_, failure, kept) = outcome else { panic!("{outcome:?}") };
    assert!(
        failure.message.contains("failed to verify TOTP challenge") && kept.is_empty(),
        "{failure:?} {kept:?}"
    );
    assert_eq!(node.shell(|shell| shell.text(USERS_PATH)), before, "no mark, and no user");
}
