//! Logging in, locks, and several processes at once: what a recording cannot show.

#![allow(clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use stand_in::access::{ticket, totp::Totp};
use stand_in::context::{Captured, Context};

const URI: &str = "otpauth://totp/x?secret=MFRGGZDFMZTWQ2LKMFRGGZDFMZTWQ2LK";
const NOW: u64 = 1_795_325_400;

/// A node with one user, `ops@pve`, whose password is `testops12`.
struct Node {
    root: tempfile::TempDir,
    output: Captured,
    warnings: Captured,
    context: Context,
}

impl Node {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(root.path().join("etc/pve/priv/lock")).expect("a directory");
        let (output, warnings) = (Captured::default(), Captured::default());
        let context = Context::replay(root.path(), "pve1", NOW, output.clone(), warnings.clone());
        let node = Self { root, output, warnings, context };
        node.done(&["pveum", "user", "add", "ops@pve", "--password", "testops12"]);
        node
    }

    fn run(&self, line: &[&str]) -> (u8, String, String) {
        let arguments: Vec<String> = line[1..].iter().map(|word| (*word).to_owned()).collect();
        let status = stand_in::run(line[0], &arguments, &self.context);
        let text = |captured: &Captured| String::from_utf8_lossy(&captured.take()).into_owned();
        (status, text(&self.output), text(&self.warnings))
    }

    fn done(&self, line: &[&str]) -> String {
        let (status, output, warnings) = self.run(line);
        assert_eq!((status, warnings.as_str()), (0, ""), "{line:?}");
        output
    }

    fn enrol(&self) {
        let code = code(self.context.now());
        self.done(&[
            "pvesh",
            "create",
            "/access/tfa/ops@pve",
            "--type",
            "totp",
            "--totp",
            URI,
            "--value",
            &code,
            "--description",
            "one",
        ]);
    }

    fn recovery_keys(&self) -> Vec<String> {
        let output = self.done(&[
            "pvesh",
            "create",
            "/access/tfa/ops@pve",
            "--type",
            "recovery",
            "--output-format",
            "json",
        ]);
        let answer: Value = serde_json::from_str(&output).expect("JSON");
        let keys = answer.get("recovery").and_then(Value::as_array).expect("keys");
        keys.iter().map(|key| key.as_str().expect("a key").to_owned()).collect()
    }

    /// The whole login; the reason if it is refused.
    fn log_in(&self, second: Option<&str>) -> Result<Value, String> {
        let refused = |refused: stand_in::access::login::Refused| {
            [refused.log, vec![refused.reason]].concat().join("; ")
        };
        let first = ticket::log_in(&self.context, "ops@pve", "testops12", None).map_err(refused)?;
        let challenge = first.get("ticket").and_then(Value::as_str).expect("a ticket").to_owned();
        match second {
            Some(answer) => {
                assert_eq!(first.get("NeedTFA"), Some(&Value::from(1)), "a second factor is asked for");
                ticket::log_in(&self.context, "ops@pve", answer, Some(&challenge)).map_err(refused)
            }
            None => Ok(first),
        }
    }

    fn file(&self, path: &str) -> String {
        fs::read_to_string(self.root.path().join(path)).expect("a file")
    }

    fn hold(&self, lock: &str) {
        fs::create_dir(self.root.path().join("etc/pve/priv/lock").join(lock)).expect("a lock");
    }
}

fn code(now: u64) -> String {
    let Ok(totp) = Totp::read(URI) else { panic!("a URI") };
    totp.code(now)
}

#[test]
fn a_login_without_factors_gives_a_ticket_that_names_the_user() {
    let node = Node::new();
    let answer = node.log_in(None).expect("a login");
    assert_eq!(answer.get("NeedTFA"), None);
    let text = answer.get("ticket").and_then(Value::as_str).expect("a ticket");
    assert_eq!(ticket::user(&node.context, text).as_deref(), Some("ops@pve"));
    let token = answer.get("CSRFPreventionToken").and_then(Value::as_str).expect("a token");
    assert!(ticket::is_csrf_token(&node.context, "ops@pve", token));
    assert!(!ticket::is_csrf_token(&node.context, "root@pam", token));
    assert_eq!(ticket::user(&node.context, &text.replace("ops@pve", "root@pam")), None);
    node.context.set_time(NOW + 3 * 3600);
    assert_eq!(ticket::user(&node.context, text), None, "too old");
}

#[test]
fn a_wrong_password_is_refused() {
    let node = Node::new();
    let refused = ticket::log_in(&node.context, "ops@pve", "testops13", None).expect_err("refused");
    assert_eq!(refused.reason, "invalid credentials");
    node.done(&["pveum", "user", "modify", "ops@pve", "--enable", "0"]);
    assert_eq!(node.log_in(None), Err("user 'ops@pve' is disabled".to_owned()));
}

#[test]
fn a_ticket_of_the_first_step_alone_opens_nothing() {
    let node = Node::new();
    node.enrol();
    let answer = node.log_in(None).expect("a first step");
    let text = answer.get("ticket").and_then(Value::as_str).expect("a ticket");
    assert_eq!(ticket::user(&node.context, text), None);
}

#[test]
fn a_code_is_accepted_once_and_raises_the_last_count() {
    let node = Node::new();
    node.enrol();
    let response = format!("totp:{}", code(NOW));
    node.log_in(Some(&response)).expect("a login");
    assert!(node.file("etc/pve/priv/tfa.cfg").contains(&format!("\"last-count\":{}", NOW / 30)));
    let again = node.log_in(Some(&response)).expect_err("refused");
    assert!(again.contains("rejecting reused TOTP value"), "{again}");
    node.context.set_time(NOW + 30);
    node.log_in(Some(&format!("totp:{}", code(NOW + 30)))).expect("the next one");
}

#[test]
fn eight_wrong_codes_lock_and_an_unlock_frees() {
    let node = Node::new();
    node.enrol();
    let right = format!("totp:{}", code(NOW));
    for count in 1..=8 {
        let refused = node.log_in(Some("totp:000000")).expect_err("refused");
        let locked = refused.ends_with("failed 2nd factor: TOTP limit reached, locked");
        assert_eq!(locked, count == 8, "{count}: {refused}");
    }
    assert!(node.file("etc/pve/priv/tfa.cfg").contains("\"totp-locked\":true"));
    let refused = node.log_in(Some(&right)).expect_err("locked");
    assert!(refused.starts_with("TOTP of user 'ops@pve' is locked"), "{refused}");
    assert!(
        node.done(&["pvesh", "get", "/access/tfa", "--output-format", "json"]).contains("\"totp-locked\":1")
    );
    node.done(&["pveum", "user", "tfa", "unlock", "ops@pve"]);
    node.log_in(Some(&right)).expect("free again");
}

#[test]
fn a_recovery_key_works_once_and_frees_what_was_locked() {
    let node = Node::new();
    node.enrol();
    let keys = node.recovery_keys();
    assert_eq!(keys.len(), 10);
    for _ in 0..8 {
        node.log_in(Some("totp:000000")).expect_err("refused");
    }
    let key = format!("recovery:{}", keys[3]);
    node.log_in(Some(&key)).expect("a login");
    assert!(!node.file("etc/pve/priv/tfa.cfg").contains("totp-locked"));
    assert!(node.file("etc/pve/priv/tfa.cfg").contains(",null,"), "the place of the key stays");
    let again = node.log_in(Some(&key)).expect_err("used up");
    assert!(again.contains("recovery verification failed"), "{again}");
    node.log_in(Some(&format!("totp:{}", code(NOW)))).expect("codes again");
}

#[test]
fn a_realm_that_requires_a_factor_locks_out_who_has_none() {
    let node = Node::new();
    node.done(&["pveum", "realm", "modify", "pve", "--tfa", "type=oath"]);
    assert_eq!(node.log_in(None), Err("missing required 2nd keys".to_owned()));
    node.enrol();
    node.log_in(Some(&format!("totp:{}", code(NOW)))).expect("a login");
    node.done(&["pveum", "realm", "modify", "pve", "--delete", "tfa"]);
}

#[test]
fn old_keys_count_where_the_realm_gives_them_a_meaning() {
    let node = Node::new();
    node.done(&["pveum", "user", "modify", "ops@pve", "--keys", "MFRGGZDFMZTWQ2LK"]);
    node.log_in(None).expect("without a meaning");
    node.done(&["pveum", "realm", "modify", "pve", "--tfa", "type=oath"]);
    let Ok(totp) = Totp::read("otpauth://totp/x?secret=MFRGGZDFMZTWQ2LK") else { panic!("a URI") };
    node.log_in(Some(&format!("totp:{}", totp.code(NOW)))).expect("the old key");
}

#[test]
fn codes_are_those_of_rfc_6238() {
    // The test vectors of the RFC's appendix B: secret, algorithm, code at the second 59.
    let vectors = [
        ("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "SHA1", "94287082"),
        ("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA", "SHA256", "46119246"),
    ];
    for (secret, algorithm, expected) in vectors {
        let uri = format!("otpauth://totp/x?secret={secret}&digits=8&algorithm={algorithm}");
        let Ok(totp) = Totp::read(&uri) else { panic!("{uri}") };
        assert_eq!(totp.code(59), expected);
    }
}

#[test]
fn a_held_lock_is_waited_for_ten_seconds() {
    let node = Node::new();
    node.hold("file-user_cfg");
    let (status, _, warnings) = node.run(&["pveum", "user", "add", "lk@pam"]);
    assert_eq!(status, 17);
    let lines: Vec<&str> = warnings.lines().collect();
    assert_eq!(lines.len(), 10);
    assert!(lines[..9].iter().all(|line| *line == "trying to acquire cfs lock 'file-user_cfg' ..."));
    assert_eq!(lines[9], "create user failed: cfs-lock 'file-user_cfg' error: got lock request timeout");
    assert_eq!(node.context.now(), NOW + 10);
}

/// tfa.cfg outside, user.cfg inside (transcript 25, item 28).
#[test]
fn an_enrolment_takes_both_locks_one_in_the_other() {
    let line = ["pvesh", "create", "/access/tfa/ops@pve", "--type", "recovery"];
    let node = Node::new();
    node.hold("file-priv_tfa_cfg");
    let (status, _, warnings) = node.run(&line);
    assert_eq!(status, 17);
    assert!(
        warnings.ends_with("\ncfs-lock 'file-priv_tfa_cfg' error: got lock request timeout\n"),
        "{warnings}"
    );
    let node = Node::new();
    node.hold("file-user_cfg");
    let (_, _, warnings) = node.run(&line);
    let text = "enabling TFA for the user failed: cfs-lock 'file-user_cfg' error: got lock request timeout\n";
    assert!(warnings.ends_with(text), "{warnings}");
    assert!(!node.root.path().join("etc/pve/priv/lock/file-priv_tfa_cfg").exists(), "given back");
    assert!(!node.root.path().join("etc/pve/priv/tfa.cfg").exists(), "nothing written");
}

#[test]
fn a_failed_enrolment_leaves_keys_behind() {
    let node = Node::new();
    let (status, _, _) = node.run(&[
        "pvesh",
        "create",
        "/access/tfa/ops@pve",
        "--type",
        "totp",
        "--totp",
        URI,
        "--value",
        "000000",
        "--description",
        "one",
    ]);
    assert_ne!(status, 0);
    assert!(node.file("etc/pve/user.cfg").contains("user:ops@pve:1:0:::::x:"));
    node.log_in(None).expect("without a second factor");
    node.done(&["pveum", "user", "tfa", "delete", "ops@pve"]);
    assert!(node.file("etc/pve/user.cfg").contains("user:ops@pve:1:0::::::"));
}

/// The program itself, as the product runs it: a link with the tool's name.
fn process(root: &Path, line: &[&str]) -> Command {
    let link = root.join(line[0]);
    let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_stand-in"), &link);
    let mut command = Command::new(link);
    command.args(&line[1..]).env("PVE_STAND_IN_ROOT", root);
    command
}

/// Transcript 25, item 29.
#[test]
fn six_processes_at_once_all_succeed() {
    let node = Node::new();
    let root = node.root.path();
    let children: Vec<_> = (1..=6)
        .map(|number| {
            let user = format!("par{number}@pam");
            process(root, &["pveum", "user", "add", &user]).stderr(Stdio::null()).spawn().expect("a process")
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("its end").success());
    }
    let users = node.file("etc/pve/user.cfg");
    assert!((1..=6).all(|number| users.contains(&format!("user:par{number}@pam:1:0::::::\n"))), "{users}");
}

/// Transcript 25, item 31.
#[test]
fn an_output_that_takes_nothing_is_a_failure() {
    let node = Node::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let mut command = process(node.root.path(), &["pvesh", "get", "/version"]);
    let output = command.stdout(full).stderr(Stdio::piped()).spawn().expect("a process").wait_with_output();
    let output = output.expect("its end");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "Unable to flush stdout: No space left on device\n");
}

#[test]
fn a_call_takes_about_a_second_where_that_is_asked_for() {
    let node = Node::new();
    let switch = node.root.path().join("etc/pve-stand-in");
    fs::create_dir_all(&switch).expect("a directory");
    fs::write(switch.join("slow"), "").expect("a file");
    let begun = std::time::Instant::now();
    let status = process(node.root.path(), &["pveum", "user", "list"]).stdout(Stdio::null()).status();
    assert!(status.expect("its end").success());
    assert!(begun.elapsed().as_millis() >= 900);
}

/// The release before the recorded one, where its source differs (pve-contract 0 and 2.4).
#[test]
fn on_pve_8_pveum_leaves_the_mark_of_a_factor_and_the_versions_are_those_of_8() {
    for (eight, version, marked) in [(false, "9.2.11", false), (true, "8.4.21", true)] {
        let node = Node::new();
        if eight {
            fs::create_dir_all(node.root.path().join("etc/pve-stand-in")).expect("a directory");
            fs::write(node.root.path().join("etc/pve-stand-in/pve-8"), "").expect("a switch");
        }
        assert!(node.done(&["pveversion"]).starts_with(&format!("pve-manager/{version}/")));
        assert!(node.done(&["pvesh", "get", "/version", "--output-format", "json"]).contains(version));
        node.enrol();
        node.done(&["pveum", "user", "tfa", "delete", "ops@pve"]);
        assert!(!node.file("etc/pve/priv/tfa.cfg").contains("totp\":[{"), "the factor is gone");
        assert_eq!(node.file("etc/pve/user.cfg").contains(":x:"), marked);
    }
}
