//! The end of a run, word for word.

use super::*;

fn failure() -> Failure {
    Failure { what: "gate ssh.configuration".into(), message: "line 3: Bad option\x1b[2J".into() }
}

fn report<'a>(occasion: Occasion, outcome: &'a Outcome, warnings: &'a [String]) -> Report<'a> {
    Report { occasion, outcome, warnings, login: None }
}

#[test]
fn j5_every_end_has_its_exit_code() {
    let id = TransactionId(7);
    let kept = vec![PathBuf::from("/etc/hosts")];
    let warning = ["no source answered".to_owned()];
    let (apply, rollback, recover) = (Occasion::Apply, Occasion::Rollback, Occasion::Recover);
    let cases: [(Occasion, Outcome, &[String], u8); 12] = [
        (apply, Outcome::Unchanged, &[], 0),
        (apply, Outcome::Unchanged, &warning, 0),
        (apply, Outcome::Committed(id), &[], 0),
        (apply, Outcome::Committed(id), &warning, 3),
        (apply, Outcome::Untouched(id, failure()), &warning, 1),
        (apply, Outcome::Reverted(id, failure(), kept.clone()), &[], 1),
        (apply, Outcome::Stuck(id, failure(), String::new()), &[], 5),
        (rollback, Outcome::Reverted(id, failure(), Vec::new()), &[], 0),
        (rollback, Outcome::Reverted(id, failure(), kept), &[], 3),
        (rollback, Outcome::Stuck(id, failure(), String::new()), &[], 5),
        (recover, Outcome::Reverted(id, failure(), Vec::new()), &[], 0),
        (recover, Outcome::Untouched(id, failure()), &[], 0),
    ];
    for (place, (occasion, outcome, warnings, code)) in cases.iter().enumerate() {
        assert_eq!(report(*occasion, outcome, warnings).exit_code(), *code, "case {place}");
    }
}

#[test]
fn j5_a_committed_run_says_how_to_log_in_and_how_to_undo_it() {
    let login = Login {
        admin: "ops".into(),
        port: 2222,
        addresses: vec!["10.0.20.5".parse().unwrap(), "2001:db8::5".parse().unwrap()],
        host_keys: vec![("ED25519".into(), "SHA256:abc".into())],
    };
    let outcome = Outcome::Committed(TransactionId(3));
    let mut report = report(Occasion::Apply, &outcome, &[]);
    report.login = Some(&login);
    assert_eq!(
        report.render(Paint::PLAIN),
        "firstlight: done\n  Transaction 0003 is committed; every probe holds.\n\
         \nLog in\n  ssh -p 2222 ops@10.0.20.5\n  ssh -p 2222 ops@2001:db8::5\n\
         \nHost keys\n  ED25519             SHA256:abc\n\
         \nUndo\n  firstlight rollback 0003        puts the node back\n\
         \x20 firstlight snapshots diff 0003  what changed since\n"
    );
}

#[test]
fn j5_a_failure_names_what_failed_in_the_words_of_the_tool_and_sends_no_control_characters() {
    let outcome = Outcome::Reverted(TransactionId(3), failure(), vec!["/etc/hosts".into()]);
    let text = report(Occasion::Apply, &outcome, &[]).render(Paint::PLAIN);
    assert!(text.contains("  gate ssh.configuration\n    line 3: Bad option^[[2J\n"), "{text}");
    assert!(text.contains("put back") && text.contains("\n  /etc/hosts\n"), "{text}");
}

#[test]
fn j3_what_could_not_be_put_back_comes_with_the_commands_for_it() {
    let outcome = Outcome::Stuck(TransactionId(12), failure(), "purging ufw: dpkg is locked".into());
    let text = report(Occasion::Apply, &outcome, &[]).render(Paint::PLAIN);
    for needed in [
        "purging ufw: dpkg is locked",
        "firstlight recover",
        "snapshots diff 0012",
        "/tx/0012/snapshot",
        "ufw disable",
    ] {
        assert!(text.contains(needed), "{needed} is missing in {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}
