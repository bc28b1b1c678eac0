//! Words to commands, and the sentence for every wrong word.

use super::*;

fn words(line: &str) -> Result<Command, Usage> {
    parse(line.split_whitespace().map(OsString::from).collect())
}

fn answer() -> Option<PathBuf> {
    Some("a.toml".into())
}

const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn j2_every_command_is_read() {
    let id = TransactionId(3);
    let lines = [
        ("check a.toml", Command::Check { answer: "a.toml".into(), node: None }),
        ("check -- -a.toml", Command::Check { answer: "-a.toml".into(), node: None }),
        (
            "bake a.toml --out d",
            Command::Bake { answer: "a.toml".into(), out: "d".into(), executable: None, node: None },
        ),
        (
            "bake --exe=f --out=d a.toml",
            Command::Bake {
                answer: "a.toml".into(),
                out: "d".into(),
                executable: Some("f".into()),
                node: None,
            },
        ),
        ("plan", Command::Plan { answer: None, json: false }),
        ("plan a.toml --json", Command::Plan { answer: answer(), json: true }),
        ("apply a.toml", Command::Apply { answer: answer(), plan: None, confirm: None }),
        ("apply --confirm none", Command::Apply { answer: None, plan: None, confirm: Some(Confirm::None) }),
        ("apply --confirm=login", Command::Apply { answer: None, plan: None, confirm: Some(Confirm::Login) }),
        ("confirm", Command::Confirm),
        ("recover --deadline", Command::Deadline),
        ("status", Command::Status { wait: None, json: false }),
        ("status --json --wait", Command::Status { wait: Some(1800), json: true }),
        ("status --wait=90", Command::Status { wait: Some(90), json: false }),
        ("rollback", Command::Rollback(Rollback::default())),
        (
            "rollback 0003 --force",
            Command::Rollback(Rollback { id: Some(id), force: true, ..Rollback::default() }),
        ),
        (
            "rollback --to 3 --dry-run --json",
            Command::Rollback(Rollback { id: Some(id), to: true, dry_run: true, json: true, force: false }),
        ),
        ("snapshots list", Command::Snapshots(Snapshots::List)),
        ("snapshots show 3", Command::Snapshots(Snapshots::Show { id, path: None })),
        (
            "snapshots diff 3 /etc/x",
            Command::Snapshots(Snapshots::Diff { id, other: None, path: Some("/etc/x".into()), json: false }),
        ),
        (
            "snapshots diff 3 4 /etc/x --json",
            Command::Snapshots(Snapshots::Diff {
                id,
                other: Some(TransactionId(4)),
                path: Some("/etc/x".into()),
                json: true,
            }),
        ),
        ("snapshots prune", Command::Snapshots(Snapshots::Prune { keep: 10 })),
        ("snapshots prune --keep 2", Command::Snapshots(Snapshots::Prune { keep: 2 })),
        ("bundle b.txt", Command::Bundle { file: "b.txt".into() }),
        ("install", Command::Install),
        ("uninstall", Command::Uninstall),
        ("recover", Command::Recover { early: false }),
        ("recover --early", Command::Recover { early: true }),
        ("--version", Command::Version),
        ("-V", Command::Version),
        ("before-network", Command::Hook("before-network".into())),
        ("network-online", Command::Hook("network-online".into())),
        ("fully-up", Command::Hook("fully-up".into())),
    ];
    for (line, command) in lines {
        assert_eq!(words(line), Ok(command), "{line}");
    }
    let upper = format!("apply --plan {}", HASH.to_uppercase());
    assert_eq!(words(&upper), Ok(Command::Apply { answer: None, plan: Some(HASH.into()), confirm: None }));
}

#[test]
fn j2_wrong_words_are_named_with_what_would_be_right() {
    let lines = [
        ("aply a.toml", "unknown command `aply`; did you mean `apply`?"),
        ("statsu", "unknown command `statsu`; did you mean `status`?"),
        ("frobnicate", "unknown command `frobnicate`"),
        ("--json", "unknown option `--json`"),
        ("plan --jsn", "`plan` has no option `--jsn`; did you mean `--json`?"),
        ("plan -j", "`plan` has no option `-j`"),
        ("check --json a", "`check` has no option `--json`"),
        ("check", "ANSWER is missing"),
        ("check a b", "`b` is one word too many"),
        ("fully-up now", "unknown command `fully-up`"),
        ("bake a.toml", "`bake` needs --out DIR"),
        ("plan --json --json", "--json is given twice"),
        ("apply --plan abc", "--plan takes the 64 hexadecimal digits that `plan` prints"),
        ("apply --confirm maybe", "--confirm takes login or none, not `maybe`"),
        ("status --wait=soon", "--wait takes seconds, not `soon`"),
        ("status --wait 90", "`90` is one word too many"),
        ("rollback last", "`last` is no transaction; `snapshots list` names them"),
        ("rollback 3 --to 2", "ID and --to ID exclude each other"),
        ("rollback --json", "--json needs --dry-run"),
        ("snapshots diff 3 /etc/x /etc/y", "`/etc/y` is one word too many"),
        ("snapshots", "`snapshots` needs one of list, show, diff, prune"),
        ("snapshots lst", "unknown command `snapshots lst`; did you mean `snapshots list`?"),
        ("snapshots show 1 etc/x", "`etc/x` must be an absolute path"),
        ("snapshots prune --keep 0", "--keep takes a number from 1, not `0`"),
        ("bundle", "FILE is missing"),
        ("totp", "`totp` needs one of show, verify, reset"),
        ("totp show", "USER is missing"),
        ("totp show root", "`root` is no user of PVE: they have a realm, as in root@pam"),
    ];
    for (line, message) in lines {
        assert_eq!(words(line), Err(Usage(message.into())), "{line}");
    }
    assert!(matches!(words("plan --json=yes"), Err(Usage(text)) if text.contains("--json")));
    assert!(matches!(words("bake a --out"), Err(Usage(text)) if text.contains("--out")));
}

#[test]
fn j2_help_is_there_for_every_command_and_fits_eighty_columns() {
    for name in form::names().into_iter().chain([""]) {
        let Ok(Command::Help(text)) = words(&format!("{name} --help")) else { panic!("{name}") };
        assert!(text.contains("exit codes"), "{name}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{name}: {text}");
        if !name.is_empty() {
            assert!(text.starts_with("usage: firstlight "), "{name}: {text}");
            assert!(text.contains(name), "{name}: {text}");
        }
    }
    assert_eq!(words(""), Ok(Command::Help(help(""))));
    assert_eq!(words("help status"), Ok(Command::Help(help("status"))));
    assert_eq!(words("snapshots --help"), Ok(Command::Help(help("snapshots"))));
    assert_eq!(super::where_to_look("bake"), "firstlight bake --help");
    assert_eq!(super::where_to_look("bak"), "firstlight --help");
}

#[test]
fn i1_an_audit_is_for_people_for_programs_or_kept() {
    let audit = |answer, form| Command::Audit { answer, form };
    for (line, command) in [
        ("audit", audit(None, AuditForm::Text)),
        ("audit a.toml", audit(answer(), AuditForm::Text)),
        ("audit --json", audit(None, AuditForm::Json)),
        ("audit a.toml --junit", audit(answer(), AuditForm::Junit)),
        ("audit --record", audit(None, AuditForm::Record)),
    ] {
        assert_eq!(words(line), Ok(command), "{line}");
    }
    for line in ["audit --json --junit", "audit --record --json", "audit a.toml --junit --record"] {
        let wrong = "--json, --junit and --record exclude each other".to_owned();
        assert_eq!(words(line), Err(Usage(wrong)));
    }
}
