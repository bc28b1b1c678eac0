//! PVE's users and factors in a whole run: where secrets are, what a failure leaves, and a cluster that was joined since.

use super::world;
use crate::answer::{self, Answer};
use crate::bake;
use crate::change::pve::model;
use crate::facts::pve::{Access, FACTORS_PATH, REALMS_PATH, USERS_PATH};
use crate::hook;
use crate::install;
use crate::node::memory::{Ino, Memory, Shell, Tree};
use crate::node::scripted::Scripted;
use crate::node::{Invocation, Node, Output};
use crate::payload;
use crate::plan::{self, show};
use crate::progress::Silent;
use crate::provision;
use crate::report::terminal::Paint;
use crate::transaction::state::{self, PROFILE_PATH};
use crate::transaction::{Limits, Outcome, Stage, recover, rollback};
use crate::{handover, status, totp};
use serde_json::json;
use std::cell::Cell;
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
        let texts = [show::render(&plan, None, Paint::PLAIN), plan::json::value(&plan).to_string()];
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
fn c1_a_baked_secret_is_enrolled_by_the_first_boot_and_is_in_pves_file_alone_afterwards() {
    let node = world::node(&world::fresh());
    let mut answer = answer("totp.secret = \"bake\"");
    let shown = bake::make_secrets(&Scripted::new(), &mut answer).unwrap();
    let first_boot = bake::bake(&answer, &payload::tests::tiny_elf()).ok().unwrap().first_boot;
    let executable = Path::new(world::EXECUTABLE);
    node.remove_file(executable).unwrap();
    node.create(executable, &first_boot, 0o700).unwrap();
    let secrets: Vec<String> = shown.iter().map(|shown| shown.secret.replace(' ', "")).collect();
    assert!(secrets.len() == 2 && secrets[0] != secrets[1]);
    for secret in &secrets {
        assert_eq!(holding(&node, secret), [world::EXECUTABLE]);
        let plan = world::planned(&node, &answer);
        let texts = [show::render(&plan, None, Paint::PLAIN), plan::json::value(&plan).to_string()];
        assert!(!texts.iter().any(|text| text.contains(secret)) && texts[0].contains("when it was baked"));
    }
    let end = hook::run(&node, executable, &mut Silent).unwrap();
    let hook::End::Ran(outcome, _) = end else {
        panic!("{:?}", hook::complaint(&end).map(|e| e.to_string()))
    };
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    let access = Access::read(&node).unwrap();
    for (secret, user) in secrets.iter().zip(["root@pam", "ops@pam"]) {
        assert_eq!(
            holding(&node, secret),
            [FACTORS_PATH],
            "scrubbed with the payload, and not handed over again"
        );
        assert_eq!(totp::secret(&access.factors(user, "totp").next().unwrap().uri), Some(secret.as_str()));
        assert!(!node.ran().iter().any(|line| line.contains(secret)));
    }
    let handed = handover::pending(&node).unwrap();
    assert!(
        handed.len() == 2 && handed.iter().all(|(title, _)| title.starts_with("recovery keys")),
        "{handed:?}"
    );
    // The record has no secret: what is there is kept, and what is gone cannot be made again from it.
    let record = node.read(Path::new(PROFILE_PATH)).unwrap();
    let record = answer::read("record", &record).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(world::planned(&node, &record).steps.is_empty());
    node.shell(|shell| shell.put(FACTORS_PATH, "{}"));
    let provision::Planned::Refused(problems) = provision::plan(&node, &record).unwrap() else { panic!() };
    assert!(problems.to_string().contains("no secret for root@pam came with this answer"), "{problems}");
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

/// A node whose PVE others use: an admin who is switched off, with recovery keys; a guest with permissions, a token and a
/// factor; an entry of root's that looks like ours and does not count.
fn inhabited() -> Tree {
    let node = world::node(&world::fresh());
    let entry = |id: &str, enable: bool| {
        let uri = format!("otpauth://totp/x?secret={id}AAAA");
        json!({"id": id, "created": 1, "description": "firstlight", "enable": enable, "entry": uri})
    };
    let keys = json!({"secret": "00", "entries": ["hash"], "created": 1});
    let factors = json!({"users": {
        "guest@pam": {"totp": [entry("GUEST", true)], "recovery": keys},
        "ops@pam": {"recovery": keys},
        "root@pam": {"totp": [entry("MINE", false)]},
    }});
    node.shell(|shell| {
        // In the model's own order, which a change would bring about.
        let users = "token:guest@pam!backup:0:1::\nuser:guest@pam:1:0:::::x:\nuser:ops@pam:0:1000000000:::::x:\n\
                     user:root@pam:1:0:::admin@example.com::x:\nacl:1:/vms:guest@pam:PVEVMUser:\n\
                     acl:1:/vms:ops@pam:PVEVMUser:\n\n\n\n\n";
        shell.put_as(USERS_PATH, users, (0o640, 0), false);
        shell.put_as(FACTORS_PATH, &factors.to_string(), (0o600, 0), false);
    });
    node.tree()
}

fn everything() -> Answer {
    let text = world::with_everybody(include_str!("../../../answer-files/ufw.toml"));
    answer::read("ufw.toml", text.as_bytes()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn of_pve(node: &Memory) -> [String; 3] {
    node.shell(|shell| [USERS_PATH, FACTORS_PATH, REALMS_PATH].map(|path| shell.text(path)))
}

#[test]
fn j3_a_rollback_leaves_what_others_have_in_pve_as_it_was() {
    let node = world::node(&inhabited());
    let before = of_pve(&node);
    assert!(matches!(apply(&node, &everything()), Outcome::Committed(_)));
    let access = Access::read(&node).unwrap();
    assert!(access.user("ops@pam").unwrap().may_log_in() && access.demanded("pam") == Some("type=oath"));
    assert_eq!((access.totp_count("root@pam"), access.totp_count("ops@pam")), (2, 2));
    assert!(access.tokens.contains(&"ops@pam!ansible".to_owned()));
    let outcome = rollback(&node, None, false, &mut Silent).unwrap();
    assert!(matches!(&outcome, Outcome::Reverted(_, _, kept) if kept.is_empty()), "{outcome:?}");
    assert_eq!(of_pve(&node), before);
}

thread_local! {
    /// Behind how many more calls pmxcfs goes, and whether it is stopped then; otherwise it loses its quorum.
    static GOES: Cell<(usize, bool)> = const { Cell::new((0, false)) };
}

/// All tools; calls are counted from that of the account on, behind which PVE's own come.
fn goes(shell: &mut Shell<'_>, invocation: &Invocation) -> Output {
    let said = world::tools(shell, invocation);
    let (left, stopped) = GOES.get();
    let program = invocation.arguments[0].rsplit('/').next().unwrap();
    if left > 0 && ["useradd", "pveum", "pvesh"].contains(&program) {
        GOES.set((left - 1, stopped));
        match (left, stopped) {
            (1, true) => drop(shell.mount_over("/etc/pve", world::COVERED)),
            (1, false) => shell.lose_quorum("/etc/pve/local"),
            _ => {}
        }
    }
    said
}

/// It comes back, and recovery does the rest; nothing was written into the plain directory below it.
fn recovered(node: &Memory, how: &str, cluster: Ino, before: &[String; 3]) {
    if how == "stopped" {
        let plain = node.shell(|shell| {
            let plain = shell.names("/etc/pve");
            shell.mount_over("/etc/pve", cluster);
            plain
        });
        assert_eq!(plain, [""; 0], "in the plain directory");
    } else {
        node.shell(|shell| shell.regain_quorum("/etc/pve/local"));
    }
    let recovered = recover(node, Stage::Late, &mut Silent).unwrap();
    assert!(
        !matches!(&recovered, Some(Outcome::Stuck(..))) && state::standing(node).unwrap().is_empty(),
        "{how}: {recovered:?}"
    );
    assert_eq!(of_pve(node), *before, "{how}");
    assert!(handover::pending(node).unwrap().is_empty());
}

#[test]
fn j3_pmxcfs_that_goes_between_two_calls_of_pves_tools_takes_nothing_of_others_with_it() {
    let cluster = world::node(&inhabited()).shell(|shell| shell.mount_over("/etc/pve", world::COVERED));
    for how in ["stopped", "without quorum"] {
        for number in 1.. {
            let node = Memory::new(inhabited(), goes);
            let before = of_pve(&node);
            GOES.set((number, how == "stopped"));
            match apply(&node, &everything()) {
                Outcome::Stuck(_, _, left) => {
                    let word = if how == "stopped" { "pmxcfs" } else { "quorum" };
                    assert!(left.contains(word), "{how} behind call {number}: {left}");
                }
                // Nothing of PVE was changed by then.
                Outcome::Reverted(..) => assert_eq!(number, 1, "{how}"),
                // It went behind the last of them, or had not gone yet.
                Outcome::Committed(_) => {
                    assert!(number >= 10, "{how}: {number} calls");
                    break;
                }
                other => panic!("{how} behind call {number}: {other:?}"),
            }
            recovered(&node, how, cluster, &before);
        }
    }
}

#[test]
fn c7_without_a_right_clock_nothing_is_touched_and_the_wait_is_bounded() {
    let node = Memory::new(world::fresh(), |shell, invocation| match invocation.arguments[0].as_str() {
        "/usr/bin/timedatectl" => Output { status: 0, stdout: "no\n".to_owned(), stderr: String::new() },
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
