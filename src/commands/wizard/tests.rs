//! The whole conversation with the model of a node of PVE, from the first question to the last code.

mod terminal;

use super::*;
use crate::answer;
use crate::ask::script::Script;
use crate::factor;
use crate::facts::pve::Access;
use crate::node::memory::{Event, Memory};
use crate::node::scripted::Scripted;
use crate::profile::Profile;
use crate::provision::{self, Planned};
use crate::totp;
use crate::transaction::record::Event as RecordEvent;
use crate::transaction::state::PROFILE_PATH;
use crate::transaction::tests::world;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICSRnhZczuItvkC4OIHjiTlZfkL7tay9kjZQKYGK4cdl me@desk";
const PASSWORD: &str = "four words on paper";
const SAVED: &str = "/root/wizard.toml";
const ISSUE: &str = "/etc/issue.d/firstlight.issue";
/// Every question of a node of PVE, up to the plan.
const QUESTIONS: [&str; 10] = ["ops", KEY, "", PASSWORD, PASSWORD, "", "", "", "", ""];

/// A node as PVE's installer leaves it, with this program on it, and the hook's line on its login screen.
fn fresh() -> Memory {
    let node = world::node(&world::untouched());
    node.shell(|shell| {
        let own = engine::own_executable().unwrap();
        shell.put(&own.to_string_lossy(), "ELF");
        shell.put(ISSUE, "firstlight is installed and has no answer\n");
    });
    node
}

fn typed(then: &[&str]) -> Vec<&'static str> {
    QUESTIONS.into_iter().chain(then.iter().map(|line| &*line.to_string().leak())).collect()
}

/// What the phone shows for the secret that is on offer.
fn phone(node: &dyn Node) -> String {
    let offered = factor::pending(node).unwrap();
    let offered = offered.iter().rfind(|shown| shown.title.contains("not enrolled")).unwrap();
    let key = totp::from_base32(totp::secret(&offered.uri).unwrap()).unwrap();
    totp::code(&key, node.now(), 0)
}

/// Somebody with a phone, whose codes are right.
fn person<'a>(node: &'a Memory, typed: &[&str]) -> Script<'a> {
    let mut script = Script::new(typed);
    script.knows = Box::new(|prompt| prompt.starts_with("Code of").then(|| phone(node)));
    script
}

/// How it ends where nobody answers any more, or where it refuses.
fn stopped(node: &dyn Node, save: Option<&Path>, script: &mut Script<'_>) -> (u8, String) {
    let talk = std::panic::AssertUnwindSafe(|| with(node, save, script));
    match std::panic::catch_unwind(talk) {
        Ok(Ok(code)) => panic!("ended with {code}"),
        Ok(Err(stop)) => (stop.code, stop.text),
        Err(payload) => match payload.downcast::<Standing>() {
            Ok(stands) => (stands.0, stands.1.to_owned()),
            Err(payload) => std::panic::resume_unwind(payload),
        },
    }
}

fn change(event: &Event) -> Option<String> {
    if let Event::Change(entry) = event { Some(entry.text.clone()) } else { None }
}

/// A new login, as the keeper of the deadline takes it.
fn logs_in(node: &Memory) {
    crate::transaction::confirm(node, "a login").unwrap().unwrap();
    engine::clear_notes(node).unwrap();
}

#[test]
fn j2_from_the_first_question_to_the_last_code() {
    let node = fresh();
    let before = node.tree();
    let mut script = person(&node, &typed(&["apply", "kept", "n", "not yet", "kept", "y"]));
    script.meanwhile = Box::new(|wait| {
        if wait == 3 {
            logs_in(&node);
        }
        None
    });
    let code = with(&node, Some(Path::new(SAVED)), &mut script);
    let seen = std::mem::take(&mut script.seen);
    drop(script);
    assert!(matches!(code, Ok(0 | 3)), "{:?} {seen}", code.err().map(|stop| stop.text));
    let access = Access::read(&node).unwrap();
    assert_eq!((access.totp_count("root@pam"), access.totp_count("ops@pam")), (1, 2));
    assert!(
        factor::unverified(&node).is_empty() && factor::pending(&node).unwrap().is_empty(),
        "seen and kept"
    );
    assert!(!exists(&node, Path::new(ISSUE)).unwrap(), "the line on the login screen is gone");
    snapshot("main-path", &seen);
    let wide = |line: &&str| line.chars().count() > 79 && !line.starts_with("Public key: ");
    assert_eq!(seen.lines().find(wide), None);
    assert!(!seen.contains(PASSWORD));

    // What was asked for was done, by the door that is named, and the file says the same.
    let status = status::read(&node).unwrap();
    let story = status.story().unwrap();
    assert_eq!((story.door.as_str(), story.source.as_str()), ("wizard", "wizard"));
    let saved = node.read(Path::new(SAVED)).unwrap();
    assert_eq!(node.lookup(Path::new(SAVED)).unwrap().unwrap().mode, 0o600);
    let text = String::from_utf8(saved.clone()).unwrap();
    assert!(text.contains("password-hash = \"$y$j9T$") && !text.contains(PASSWORD), "{text}");
    let again = world::node(&before);
    let answer = answer::read(SAVED, &saved).unwrap();
    assert_eq!(world::planned(&again, &answer).hash, story.plan, "the same plan, unattended");
    assert!(world::planned(&node, &answer).steps.is_empty(), "and nothing is left to do");
}

#[test]
fn j2_nothing_is_touched_before_apply_whatever_is_typed_and_wherever_it_ends() {
    let lines = typed(&["?", "d", "x", "yes", "Apply", "<", ""]);
    for end in 0..=lines.len() {
        for last in [None, Some("^C")] {
            let node = fresh();
            node.record();
            node.record();
            let typed: Vec<&str> = lines.iter().take(end).copied().chain(last).collect();
            let mut script = Script::new(&typed);
            let (code, text) = stopped(&node, None, &mut script);
            assert_eq!((code, text), (2, "the wizard was ended, nothing was changed".to_owned()));
            let done: Vec<String> = node.record().iter().filter_map(change).collect();
            assert!(done.is_empty(), "{end}: {done:?}");
        }
    }
}

#[test]
fn j2_the_plan_is_shown_in_words_and_its_diffs_on_request() {
    let node = fresh();
    let mut script = Script::new(&typed(&["d", "^C"]));
    stopped(&node, None, &mut script);
    for part in [
        "The plan; nothing has been touched yet.",
        "admin ops (sudo with password)",
        "firewall pve (management from 10.0.20.0/24)",
        "- file /etc/ssh/sshd_config.d/00-firstlight.conf: new",
        "+PasswordAuthentication no",
    ] {
        assert!(script.seen.contains(part), "{part}: {}", script.seen);
    }
    assert!(!script.seen.contains("$y$"), "{}", script.seen);
}

#[test]
fn j2_two_passwords_that_differ_are_asked_for_again_and_never_leave_by_the_command_line() {
    let node = fresh();
    let mut lines: Vec<&str> = QUESTIONS[..3].to_vec();
    lines.extend(["?", "one", "two", PASSWORD, PASSWORD, "<", "", "^C"]);
    let mut script = Script::new(&lines);
    stopped(&node, None, &mut script);
    assert!(
        script.seen.contains("The two differ.") && script.seen.contains("Nothing is shown while you type")
    );
    assert!(script.seen.contains("Password [as before]: \n"), "{}", script.seen);
    let ran = node.ran();
    assert_eq!(ran.iter().filter(|line| line.starts_with("/usr/bin/perl")).count(), 1);
    assert!(ran.iter().all(|line| !line.contains(PASSWORD)));
}

#[test]
fn a5_the_hash_is_one_that_this_machines_own_libcrypt_verifies() {
    let machine = engine::node().unwrap();
    let [one, two] = [(); 2].map(|()| before::hash(&*machine, PASSWORD).ok().unwrap());
    assert!(one != two && one.starts_with("$y$j9T$"), "another salt each time: {one}");
    let verifies = "chomp(my ($word, $hash) = <STDIN>); print crypt($word, $hash) eq $hash ? 'yes' : 'no'";
    for (password, answer) in [(PASSWORD, "yes"), ("four words on papes", "no")] {
        let ask = crate::node::Invocation::new("/usr/bin/perl", &["-e", verifies]);
        let output = machine.run(&ask.input(format!("{password}\n{one}\n").into_bytes())).unwrap();
        assert_eq!(output.stdout, answer);
    }
    let text = format!(
        "[firstlight]\nschema = 1\n[firstlight.admin]\nname = \"ops\"\nssh-keys = [\"{KEY}\"]\npassword-hash = \"{one}\"\n"
    );
    assert!(answer::read("a", text.as_bytes()).is_ok());
}

#[test]
fn j2_a_file_that_is_there_is_not_written_over() {
    let node = fresh();
    node.shell(|shell| shell.put(SAVED, "mine"));
    let (code, text) = stopped(&node, Some(Path::new(SAVED)), &mut Script::new(&[]));
    let refused = "--save takes a new file in a directory that is there, not ";
    assert_eq!((code, text), (2, format!("{refused}{SAVED}")));
    let (code, text) = stopped(&node, Some(Path::new("/nowhere/w.toml")), &mut Script::new(&[]));
    assert_eq!((code, text), (2, format!("{refused}/nowhere/w.toml")));
}

#[test]
fn j2_a_run_that_was_cut_off_is_told_and_has_to_be_put_back_first() {
    let node = Scripted::new();
    let intent = RecordEvent::Warning { text: "half".to_owned() };
    crate::commands::tests::journal(&node, vec![intent]);
    let mut script = Script::new(&[]);
    let (code, text) = stopped(&node, None, &mut script);
    assert_eq!((code, text.as_str()), (2, "that run has to end first, see above"));
    assert!(script.seen.contains("firstlight: unfinished\n  cut off\n"), "{}", script.seen);
}

#[test]
fn j2_a_run_that_fails_is_put_back_and_no_second_factor_is_offered() {
    let node = fresh();
    let mut script = person(&node, &typed(&["apply"]));
    // A gate whose tool is missing.
    node.shell(|shell| shell.remove("/usr/sbin/sshd"));
    let code = with(&node, None, &mut script);
    let seen = std::mem::take(&mut script.seen);
    drop(script);
    assert!(!seen.contains("take the phone"), "{seen}");
    assert_eq!(code.map_err(|stop| stop.text), Ok(1));
    assert_eq!(Access::read(&node).unwrap().totp_count("root@pam"), 0);
    assert!(exists(&node, Path::new(ISSUE)).unwrap());
}

#[test]
fn j2_while_it_waits_a_word_keeps_it_or_puts_it_back() {
    for (word, kept) in [("confirm", true), ("undo", false)] {
        let node = fresh();
        let mut script = Script::new(&typed(&["apply"]));
        script.meanwhile = Box::new(move |wait| (wait == 2).then(|| word.to_owned()));
        script.knows = Box::new(|prompt| prompt.starts_with("Code of").then(String::new));
        let ended = with(&node, None, &mut script);
        drop(script);
        assert!(matches!(ended, Ok(0..=3)), "{word}");
        assert_eq!(exists(&node, Path::new(PROFILE_PATH)).unwrap(), kept, "{word}");
        assert_eq!(!exists(&node, Path::new("/etc/sudoers.d/firstlight")).unwrap(), !kept, "{word}");
    }
}

#[test]
fn j2_a_dropped_line_while_it_waits_says_so_and_a_resumed_wizard_goes_on_from_there() {
    let node = fresh();
    let mut script = Script::new(&typed(&["apply"]));
    script.meanwhile = Box::new(|wait| (wait == 2).then(|| "^C".to_owned()));
    let (code, text) = stopped(&node, None, &mut script);
    assert_eq!(code, 4);
    assert!(text.starts_with("the changes wait for a new login"), "{text}");
    drop(script);

    let mut script = person(&node, &["^C"]);
    script.meanwhile = Box::new(|_| {
        logs_in(&node);
        None
    });
    script.knows = Box::new(|_| None);
    let (code, text) = stopped(&node, None, &mut script);
    assert!(script.seen.contains("waiting for confirmation"), "{}", script.seen);
    assert!(script.seen.contains("Second factor of root@pam: take the phone."), "{}", script.seen);
    assert_eq!(
        (code, text.contains("the node is hardened; second factors are missing")),
        (0, true),
        "{text}"
    );
    drop(script);

    // And once more: what is missing is offered first.
    let mut script = person(&node, &["e", "kept", "n", "kept", "n"]);
    assert_eq!(with(&node, None, &mut script).ok(), Some(0));
    assert!(script.seen.contains("Second factors are missing."), "{}", script.seen);
    drop(script);
    let access = Access::read(&node).unwrap();
    assert_eq!((access.totp_count("root@pam"), access.totp_count("ops@pam")), (1, 1));
    let mut script = Script::new(&["^C"]);
    stopped(&node, None, &mut script);
    assert!(script.seen.contains("1. Admin") && !script.seen.contains("missing"), "{}", script.seen);
}

#[test]
fn c3_a_wrong_code_enrols_nobody_and_nothing_typed_leaves_it_for_later() {
    let node = fresh();
    let mut script = Script::new(&typed(&["apply", "?", "000000", "s", "", ""]));
    script.meanwhile = Box::new(|_| Some("confirm".to_owned()));
    let ended = with(&node, None, &mut script);
    assert!(matches!(ended, Ok(0 | 3)));
    assert!(script.seen.contains("Not one of this secret's.") && script.seen.contains("The six digits that"));
    drop(script);
    let access = Access::read(&node).unwrap();
    assert_eq!((access.totp_count("root@pam"), access.totp_count("ops@pam")), (0, 0));
}

#[test]
fn j2_a_node_that_changed_under_the_plan_is_not_touched() {
    let node = fresh();
    let mut script = Script::new(&typed(&["apply"]));
    script.knows = Box::new(|prompt| {
        if prompt.starts_with("Type apply") {
            let others = "[RULES]\n\nIN ACCEPT -p tcp -dport 9999\n";
            node.shell(|shell| shell.put("/etc/pve/firewall/cluster.fw", others));
        }
        None
    });
    let (code, text) = stopped(&node, None, &mut script);
    assert!(code == 2 && text.starts_with("the plan is another one by now"), "{text}");
}

/// The answer of a default run and the one by hand want the same.
#[test]
fn j2_the_wizards_answer_is_an_answer_like_any_other() {
    let node = fresh();
    let mut script = Script::new(&typed(&["^C"]));
    stopped(&node, Some(Path::new(SAVED)), &mut script);
    let answer = answer::read(SAVED, &node.read(Path::new(SAVED)).unwrap()).unwrap();
    let Profile { confirm, .. } = &answer.profile;
    assert!(confirm.is_none(), "the door decides: unattended nobody would confirm it");
    assert!(matches!(provision::plan(&node, &answer).unwrap(), Planned::Plan(..)));
}

/// Holds a text against `src/commands/wizard/NAME.txt`; `FIRSTLIGHT_BLESS=1` writes it.
fn snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/commands/wizard/{name}.txt"));
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let text = unsteady(&text);
    if std::env::var_os("FIRSTLIGHT_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, known, "FIRSTLIGHT_BLESS=1 writes {}", path.display());
}

/// Six digits of a phone are others each time.
fn unsteady(text: &str) -> String {
    let code = |line: &str| match line.split_once(": ") {
        Some((prompt, code)) if prompt.starts_with("Code of") && code.len() == 6 => {
            format!("{prompt}: 123456")
        }
        _ => line.to_owned(),
    };
    text.lines().map(|line| code(line) + "\n").collect()
}
