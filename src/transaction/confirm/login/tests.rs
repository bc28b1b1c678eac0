//! Only a new login of the admin, with one of their keys, from another machine, as sshd tells it.

use super::*;
use crate::node::scripted::Scripted;
use serde_json::{Value, json};

const KEY: &str = "SHA256:nfpypaYnieR5phm1zXR+7ucjPejKembKn2GlPlb7pfc";

fn waiting() -> Waiting {
    Waiting {
        boot: "b00t".into(),
        until: 600_000,
        admin: "ops".into(),
        keys: vec!["SHA256:other".into(), KEY.into()],
        not_from: vec!["10.0.20.10".into(), "fd00::10".into()],
        factors: Vec::new(),
        cursor: "s=end".into(),
    }
}

fn message(name: &str, address: &str, key: &str) -> String {
    format!("Accepted publickey for {name} from {address} port 40512 ssh2: ED25519 {key}")
}

fn login(entry: &Value, waiting: &Waiting) -> Option<String> {
    super::login(&crate::json::Value::read(&entry.to_string()).unwrap(), waiting)
}

/// As Debian 13 writes it.
fn entry(message: &str) -> Value {
    json!({
        "MESSAGE": message,
        "SYSLOG_IDENTIFIER": "sshd-session",
        "_UID": "0",
        "_COMM": "sshd-session",
        "_EXE": "/usr/lib/openssh/sshd-session",
        "__CURSOR": "s=next",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut entry = entry(&message("ops", "10.0.20.5", KEY));
    entry[name] = value;
    entry
}

#[test]
fn j3_a_new_login_of_the_admin_confirms_on_debian_13_and_12() {
    let by = "a login of ops from 10.0.20.5";
    assert_eq!(login(&entry(&message("ops", "10.0.20.5", KEY)), &waiting()).as_deref(), Some(by));
    let mut older = with("_COMM", json!("sshd"));
    older["_EXE"] = json!("/usr/sbin/sshd");
    assert_eq!(login(&older, &waiting()).as_deref(), Some(by));
    assert!(login(&entry(&message("ops", "2001:db8::5", KEY)), &waiting()).is_some());
    assert!(login(&entry(&message("ops", "10.0.20.5", "SHA256:other")), &waiting()).is_some());
}

#[test]
fn j3_local_logins_other_users_and_other_keys_do_not_confirm() {
    let does_not = [
        message("ops", "127.0.0.1", KEY),
        message("ops", "::1", KEY),
        message("ops", "::ffff:127.0.0.1", KEY),
        message("ops", "10.0.20.10", KEY),
        message("ops", "::ffff:10.0.20.10", KEY),
        message("ops", "fd00:0::10", KEY),
        message("root", "10.0.20.5", KEY),
        message("ops2", "10.0.20.5", KEY),
        message("ops", "10.0.20.5", "SHA256:probe"),
        message("ops", "10.0.20.5", &KEY[..40]),
        message("ops", "UNKNOWN", KEY),
        message("invalid user ops", "10.0.20.5", KEY),
        message("ops", "10.0.20.5", KEY).replace("Accepted", "Failed"),
        message("ops", "10.0.20.5", KEY).replace("Accepted", "Postponed"),
        message("ops", "10.0.20.5", KEY).replace("publickey", "password"),
        "Accepted password for ops from 10.0.20.5 port 40512 ssh2".to_owned(),
        "pam_unix(sshd:session): session opened for user ops(uid=1000) by ops(uid=0)".to_owned(),
        format!(
            "Accepted publickey for ops from 10.0.20.5 port 1 ssh2: ED25519-CERT {KEY} ID x (serial 0) CA ED25519 {KEY}"
        ),
        String::new(),
    ];
    for message in does_not {
        assert_eq!(login(&entry(&message), &waiting()), None, "{message}");
    }
}

#[test]
fn j3_a_line_that_anybody_can_write_does_not_confirm() {
    // `logger -t sshd-session`, as a user and as root; a program that took sshd's name; a process that journald could
    // not look at any more; a field that was given twice.
    let forged = [
        with("_UID", json!("1000")),
        with("_COMM", json!("logger")),
        with("_EXE", json!("/usr/bin/logger")),
        with("_EXE", json!("/tmp/sshd-session")),
        with("_COMM", json!("sshd")),
        with("_EXE", Value::Null),
        with("_UID", Value::Null),
        with("_UID", json!(["0", "1000"])),
        with("MESSAGE", json!([65, 99])),
    ];
    for entry in forged {
        assert_eq!(login(&entry, &waiting()), None, "{entry}");
    }
}

#[test]
fn j3_every_look_begins_where_the_last_one_ended_and_one_that_fails_is_repeated() {
    let node = Scripted::new();
    let look = |cursor: &str| {
        format!(
            "/usr/bin/journalctl --quiet --no-pager --output=json --cursor={cursor} _UID=0 _COMM=sshd \
             _COMM=sshd-session"
        )
    };
    let mut cursor = None;
    node.refuses(&look("s=end"), 1, "Failed to seek to cursor");
    assert_eq!(seen(&node, &waiting(), &mut cursor), None);
    node.says(&look("s=end"), &format!("{}\nno json\n", entry("Server listening on 0.0.0.0 port 22.")));
    assert_eq!(seen(&node, &waiting(), &mut cursor), None);
    assert_eq!(cursor.as_deref(), Some("s=next"));
    // The place itself is shown, too: a login that was the last thing before this run is old.
    let at = |cursor: &str| {
        let mut entry = entry(&message("ops", "10.0.20.5", KEY));
        entry["__CURSOR"] = json!(cursor);
        entry.to_string() + "\n"
    };
    node.says(&look("s=next"), &at("s=next"));
    assert_eq!(seen(&node, &waiting(), &mut cursor), None);
    node.says(&look("s=next"), &(at("s=next") + &at("s=new")));
    assert!(seen(&node, &waiting(), &mut cursor).is_some());
    let blind = Waiting { cursor: String::new(), ..waiting() };
    let ran = node.ran().len();
    assert_eq!(seen(&node, &blind, &mut None), None);
    assert_eq!(node.ran().len(), ran, "without a place to begin at, nothing is new");
}
