//! What is made in PVE, and the way back, against models of PVE's tools.

use super::*;
use crate::change::Change;
use crate::facts::pve::{FACTORS_PATH, REALMS_PATH, USERS_PATH};
use crate::node::scripted::Scripted;
use crate::transaction::record::Inverse;

const USERS: &str = "user:root@pam:1:0:::admin@example.com:::\n\n\n\n\n";

fn node() -> Scripted {
    let node = Scripted::new();
    node.files.put(USERS_PATH, USERS);
    node.files.put(FACTORS_PATH, "{}");
    node.files.directory("/root");
    model::install(&node);
    node
}

fn change(object: PveObject) -> Change {
    Change::Pve(PveChange { object, handover: Handover::Console })
}

fn user() -> PveObject {
    PveObject::User { id: "ops@pam".to_owned(), comment: "Operations: two".to_owned() }
}

fn role() -> PveObject {
    PveObject::Role { user: "ops@pam".to_owned(), role: "Administrator".to_owned(), path: "/".to_owned() }
}

fn totp(second: bool) -> PveObject {
    PveObject::Totp { user: "root@pam".to_owned(), issuer: "pve1".to_owned(), second, secret: String::new() }
}

fn recovery() -> PveObject {
    PveObject::Recovery { user: "root@pam".to_owned() }
}

fn token() -> PveObject {
    PveObject::Token { user: "ops@pam".to_owned(), name: "ansible".to_owned() }
}

/// Does it as a step does, and gives what takes it back.
fn make(node: &Scripted, object: PveObject) -> Inverse {
    let change = change(object);
    assert!(change.need(node).unwrap().is_some());
    let inverse = change.inverse(node, &mut Vec::new()).unwrap();
    change.effect(node).unwrap();
    assert!(change.need(node).unwrap().is_none());
    inverse
}

fn undo(node: &Scripted, inverse: &Inverse) {
    for _ in 0..2 {
        crate::change::undo(node, inverse, false, &mut Vec::new()).unwrap();
    }
}

#[test]
fn a2_the_admin_is_made_in_pve_with_a_role_and_taken_back() {
    let node = node();
    let made = [user(), role(), token()].map(|object| make(&node, object));
    assert_eq!(
        node.ran(),
        [
            "/usr/sbin/pveum user add ops@pam --comment Operations: two",
            "/usr/sbin/pveum acl modify / --users ops@pam --roles Administrator",
            "/usr/sbin/pveum user token add ops@pam ansible --privsep 1 --output-format json",
        ]
    );
    let text = node.files.text(USERS_PATH);
    assert!(
        text.contains("user:ops@pam:1:0::::Operations%3A two::")
            && text.contains("acl:1:/:ops@pam:Administrator:")
    );
    let shown = handover::pending(&node).unwrap();
    assert_eq!(shown.len(), 1);
    assert!(shown[0].1.starts_with("ops@pam!ansible="), "{shown:?}");
    made.iter().rev().for_each(|inverse| undo(&node, inverse));
    assert_eq!(node.files.text(USERS_PATH), USERS);
    assert!(handover::pending(&node).unwrap().is_empty());
}

#[test]
fn a2_what_is_there_already_is_kept_and_stays_on_the_way_back() {
    let node = node();
    node.files
        .put(USERS_PATH, "user:ops@pam:0:0::::::\nuser:root@pam:1:0::::::\nacl:0:/:ops@pam:Administrator:\n");
    let there = [role()].map(|object| change(object).inverse(&node, &mut Vec::new()).unwrap());
    assert!(change(role()).need(&node).unwrap().is_none(), "kept, though it is not handed down");
    let enabled = make(&node, user());
    assert_eq!(node.ran(), ["/usr/sbin/pveum user modify ops@pam --enable 1 --expire 0"]);
    there.iter().for_each(|inverse| undo(&node, inverse));
    undo(&node, &enabled);
    let text = node.files.text(USERS_PATH);
    assert!(
        text.contains("user:ops@pam:0:0::::::") && text.contains("acl:0:/:ops@pam:Administrator:"),
        "{text}"
    );
}

#[test]
fn a2_who_has_expired_may_log_in_again_and_no_longer_on_the_way_back() {
    let past = "1000000000";
    for (was, is) in [
        (format!("1:{past}"), "1:0"),
        (format!("0:{past}"), "1:0"),
        ("0:99999999999".to_owned(), "1:99999999999"),
    ] {
        let node = node();
        let with = |state: &str| format!("user:ops@pam:{state}::::::\n{USERS}");
        node.files.put(USERS_PATH, with(&was));
        let made = make(&node, user());
        assert_eq!(node.files.text(USERS_PATH), with(is), "{was}");
        undo(&node, &made);
        assert_eq!(node.files.text(USERS_PATH), with(&was));
    }
}

#[test]
fn c1_a_secret_of_twenty_bytes_is_enrolled_with_the_code_of_this_moment_and_taken_back() {
    let node = node();
    let made = [totp(false), totp(true), recovery()].map(|object| make(&node, object));
    let access = Access::read(&node).unwrap();
    assert_eq!(access.totp_count("root@pam"), 2);
    let secret = crate::totp::secret(&access.factors[1].uri).unwrap();
    assert_eq!(crate::totp::from_base32(secret).unwrap().len(), 20);
    assert_eq!(node.ran().len(), 3, "one call each");
    let shown = handover::pending(&node).unwrap();
    assert_eq!(shown.len(), 3);
    assert!(shown[0].1.starts_with("otpauth://totp/pve1:root@pam?secret="));
    assert_eq!(shown[2].1.lines().count(), 10);
    made.iter().rev().for_each(|inverse| undo(&node, inverse));
    assert_eq!(node.files.text(USERS_PATH), USERS);
    assert_eq!(node.files.text(FACTORS_PATH), "{}");
}

#[test]
fn c1_no_report_and_no_error_shows_a_secret() {
    let node = node();
    make(&node, totp(false));
    let line = node.ran().remove(0);
    assert!(line.ends_with("--totp … --value …"), "{line}");
    let uri = Access::read(&node).unwrap().factors[0].uri.clone();
    let secret = crate::totp::secret(&uri).unwrap();
    // A tool that fails and repeats what it was given.
    let other = self::node();
    other.on(PVESH, |_, invocation| crate::node::Output {
        status: 2,
        stdout: String::new(),
        stderr: format!("cannot take {}", invocation.arguments.join(" ")),
    });
    let error = enrol(&other, "root@pam", secret, "pve1", false).unwrap_err().to_string();
    assert!(
        !error.contains(secret) && error.contains("cannot take pvesh") || error.contains("cannot take /usr"),
        "{error}"
    );
    assert!(!error.contains(secret), "{error}");
    for text in [change(totp(false)).digest_text(), line] {
        assert!(!text.contains(secret));
    }
}

#[test]
fn c1_the_mark_of_a_failed_enrolment_is_wiped_off() {
    let node = node();
    let change = change(totp(false));
    let inverse = change.inverse(&node, &mut Vec::new()).unwrap();
    // PVE's clock is another one than ours: the code is wrong.
    node.set_clock(4_000_000_000_000);
    let error = change.effect(&node).unwrap_err().to_string();
    assert!(error.contains("failed to verify TOTP challenge"), "{error}");
    assert!(node.files.text(USERS_PATH).contains(":x:"), "PVE leaves it there");
    undo(&node, &inverse);
    assert_eq!(node.files.text(USERS_PATH), USERS);
    assert!(node.ran().contains(&"/usr/sbin/pveum user tfa delete root@pam".to_owned()));
}

#[test]
fn c1_factors_of_others_stay_on_the_way_back() {
    let node = node();
    let theirs = r#"{"users":{"root@pam":{"totp":[{"created":1,"description":"firstlight","enable":false,"entry":"otpauth://totp/x?secret=AAAA","id":"theirs"}]}}}"#;
    node.files.put(FACTORS_PATH, theirs);
    node.files.put(USERS_PATH, USERS.replace("example.com:::", "example.com::x:"));
    let before = node.files.text(USERS_PATH);
    let made = make(&node, totp(false));
    undo(&node, &made);
    let left = Access::read(&node).unwrap().factors;
    assert_eq!(left.len(), 1);
    assert!(left[0].id == "theirs" && !left[0].enabled && left[0].uri.contains("secret=AAAA"));
    assert_eq!(node.files.text(USERS_PATH), before);
}

#[test]
fn c1_whoever_has_a_factor_gets_no_other_one() {
    let node = node();
    node.files.put(FACTORS_PATH, r#"{"users":{"root@pam":{"totp":[{"id":"a","entry":{"totp":"otpauth://totp/x?secret=AAAA","last-count":7}}]}}}"#);
    assert!(change(totp(false)).need(&node).unwrap().is_none());
    assert!(change(totp(true)).need(&node).unwrap().is_some());
}

#[test]
fn c6_a_realm_demands_a_factor_only_while_everybody_has_one() {
    let node = node();
    let change = change(PveObject::Realm { name: "pam".to_owned() });
    let error = change.effect(&node).unwrap_err().to_string();
    assert!(error.contains("root@pam has no second factor"), "{error}");
    assert!(node.ran().is_empty());
    make(&node, totp(false));
    let made = make(&node, PveObject::Realm { name: "pam".to_owned() });
    assert!(
        node.files
            .text(REALMS_PATH)
            .contains("pam: pam\n\tcomment Linux PAM standard authentication\n\ttfa type=oath\n")
    );
    undo(&node, &made);
    assert!(!node.files.text(REALMS_PATH).contains("tfa"));
}

/// Realms and their properties, whose order PVE does not keep.
fn realms(node: &Scripted) -> Vec<String> {
    let text = node.files.text(REALMS_PATH);
    let sections = text.split("\n\n").filter(|section| !section.is_empty());
    let mut found: Vec<String> = sections
        .flat_map(|section| section.lines().map(|line| format!("{} {line}", section.lines().next().unwrap())))
        .collect();
    found.sort();
    found
}

#[test]
fn c6_a_realm_keeps_its_other_properties_on_the_way_there_and_back() {
    let node = node();
    let text = "ldap: house\n\tbase_dn dc=example\n\tserver1 10.0.20.5\n\tcomment The house\n\tdefault 1\n\n\
                  pam: pam\n\tcomment ours\n\ttfa type=yubico,id=1,key=c2VjcmV0\n\n\
                  pve: pve\n\tcomment Proxmox VE authentication server\n\n";
    node.files.put(REALMS_PATH, text);
    let before = realms(&node);
    let made = make(&node, PveObject::Realm { name: "house".to_owned() });
    let mut wanted = before.clone();
    wanted.push("ldap: house \ttfa type=oath".to_owned());
    wanted.sort();
    assert_eq!(realms(&node), wanted, "nothing else is touched");
    undo(&node, &made);
    assert_eq!(realms(&node), before);
    // The demand of somebody else is never replaced, and its key gets into no journal.
    let change = change(PveObject::Realm { name: "pam".to_owned() });
    make(&node, totp(false));
    let inverse = change.inverse(&node, &mut Vec::new()).unwrap();
    assert!(change.effect(&node).unwrap_err().to_string().contains("another kind of factor"));
    let Inverse::Pve(noted) = &inverse else { panic!("not PVE's") };
    assert_eq!(noted.was, [THERE]);
    undo(&node, &inverse);
    assert_eq!(realms(&node), before);
}

#[test]
fn c1_the_way_back_waits_for_the_lock_of_a_run_that_died() {
    let node = node();
    model::install_model(&node);
    let made = make(&node, recovery());
    node.files.directory("/etc/pve/priv/lock/file-priv_tfa_cfg");
    let error = crate::change::undo(&node, &made, false, &mut Vec::new()).err().unwrap().to_string();
    assert!(error.contains("got lock request timeout"), "{error}");
    assert_eq!(node.ran().len(), 1 + 30);
    node.files.remove("/etc/pve/priv/lock/file-priv_tfa_cfg");
    undo(&node, &made);
    assert_eq!(node.files.text(FACTORS_PATH), "{}");
}

#[test]
fn c1_what_a_killed_tool_left_beside_the_secrets_is_removed_under_the_lock() {
    let node = node();
    node.files.put("/proc/self/mounts", "/dev/fuse /etc/pve fuse rw 0 0\n");
    node.mount_cluster();
    node.files.directory("/etc/pve/priv/lock");
    let inverse = change(totp(false)).inverse(&node, &mut Vec::new()).unwrap();
    node.files.put("/etc/pve/priv/tfa.cfg.tmp.4242", "otpauth://totp/x?secret=AAAA");
    node.files.put("/etc/pve/priv/tfa.cfg.bak", "somebody's");
    node.revive();
    undo(&node, &inverse);
    assert!(!node.files.has("/etc/pve/priv/tfa.cfg.tmp.4242"));
    assert!(node.files.has("/etc/pve/priv/tfa.cfg.bak"));
    let trace = node.trace();
    let at = |what: &str| trace.iter().position(|step| step.starts_with(what)).unwrap();
    assert!(
        at("make-directory /etc/pve/priv/lock/file-priv_tfa_cfg") < at("remove /etc/pve/priv/tfa.cfg.tmp")
    );
}
