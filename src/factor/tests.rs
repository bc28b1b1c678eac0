//! Showing, verifying and replacing, against models of PVE's tools.

use super::*;
use crate::change::pve::model;
use crate::facts::pve::{FACTORS_PATH, USERS_PATH};
use crate::node::scripted::Scripted;
use std::os::unix::fs::symlink;

const USER: &str = "root@pam";

fn node() -> Scripted {
    let node = Scripted::new();
    node.files.put("/etc/hostname", "pve1\n");
    node.files.put("/proc/self/mounts", "/dev/fuse /etc/pve fuse rw 0 0\n");
    node.files.directory("/etc/pve/nodes/pve1");
    symlink("nodes/pve1", node.files.host("/etc/pve/local")).unwrap();
    node.files.put(FACTORS_PATH, "{}");
    model::install(&node);
    node
}

fn secret(shown: &[Shown]) -> String {
    totp::secret(&shown.last().unwrap().uri).unwrap().to_owned()
}

fn code(node: &Scripted, secret: &str) -> String {
    totp::code(&totp::from_base32(secret).unwrap(), node.now(), 0)
}

#[test]
fn c3_on_verify_nothing_is_enrolled_until_a_right_code_was_seen() {
    let node = node();
    let shown = show(&node, USER).unwrap();
    assert_eq!(secret(&shown), secret(&show(&node, USER).unwrap()), "the same one again");
    assert!(matches!(verify(&node, USER, "000000").unwrap(), Verified::Wrong));
    assert!(node.ran().is_empty());
    let right = code(&node, &secret(&shown));
    assert!(matches!(verify(&node, USER, &format!(" {right}\n")).unwrap(), Verified::Enrolled));
    assert_eq!(Access::read(&node).unwrap().totp_count(USER), 1);
    assert!(unverified(&node).is_empty());
    let keys = pending(&node).unwrap();
    assert_eq!((keys.len(), keys[0].keys.len()), (1, 10));
    assert_eq!(node.ran().len(), 2, "one call each");
}

#[test]
fn c3_a_factor_is_unverified_until_we_or_pve_saw_a_code() {
    let node = node();
    enrol_with(&node, USER, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", false).unwrap();
    assert_eq!(unverified(&node), [USER]);
    assert_eq!(show(&node, USER).unwrap()[0].secret, "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
    assert!(matches!(verify(&node, USER, "123").unwrap(), Verified::Wrong));
    let text = node.files.text(FACTORS_PATH);
    let right = code(&node, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    assert!(matches!(verify(&node, USER, &right).unwrap(), Verified::Right));
    assert!(unverified(&node).is_empty());
    assert!(pending(&node).unwrap().is_empty(), "seen, so no longer kept");
    node.files.remove(VERIFIED_PATH);
    let entry = text.find("\"otpauth").unwrap();
    let end = entry + text[entry + 1..].find('"').unwrap() + 2;
    let used =
        format!("{}{{\"totp\":{},\"last-count\":5}}{}", &text[..entry], &text[entry..end], &text[end..]);
    node.files.put(FACTORS_PATH, used);
    assert!(unverified(&node).is_empty(), "somebody has logged in with it");
}

#[test]
fn c4_a_right_code_takes_nothing_out_of_the_file_that_the_answer_asked_for() {
    let node = node();
    node.files.directory("/root");
    enrol(&node, USER, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", false).unwrap();
    for shown in handover::pending(&node).unwrap() {
        handover::add(&node, Handover::File, &shown.0, &shown.1).unwrap();
    }
    let kept = node.files.text(handover::FILE_PATH);
    assert!(kept.contains("## recovery keys of root@pam") && kept.contains("## TOTP of root@pam"), "{kept}");
    let right = code(&node, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    assert!(matches!(verify(&node, USER, &right).unwrap(), Verified::Right));
    assert_eq!(node.files.text(handover::FILE_PATH), kept, "PVE never shows the keys again");
    assert!(pending(&node).unwrap().is_empty());
}

#[test]
fn c4_keys_that_scrolled_off_the_console_are_named_until_somebody_acknowledges_them() {
    let node = node();
    enrol(&node, USER, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", false).unwrap();
    // A login at PVE proves the factor, and nothing about the keys; the next boot takes the only copy away.
    let text = node.files.text(FACTORS_PATH);
    node.files.remove(handover::RUN_PATH);
    assert_eq!(unacknowledged(&node), ["recovery keys of root@pam"]);
    let status = crate::status::read(&node).unwrap();
    let told = crate::status::text::render(&status, crate::report::terminal::Paint::PLAIN);
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("never acknowledged: recovery keys of root@pam"), "{told}");
    assert!(crate::status::json::value(&status).to_string().contains("\"unacknowledged\""));
    let right = code(&node, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    assert!(matches!(verify(&node, USER, &right).unwrap(), Verified::Right));
    assert!(unacknowledged(&node).is_empty());
    reset(&node, USER).unwrap();
    assert_eq!(unacknowledged(&node).len(), 1, "new ones, shown once");
    node.files.put(FACTORS_PATH, text.replace("recovery", "yubico"));
    assert!(unacknowledged(&node).is_empty(), "nobody has any");
}

#[test]
fn c9_a_token_waits_with_the_keys_of_its_user_and_goes_with_them() {
    let node = node();
    enrol(&node, USER, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", false).unwrap();
    handover::add(&node, Handover::Console, "PVE API token root@pam!a", "root@pam!a=1").unwrap();
    handover::add(&node, Handover::Console, "PVE API token root@pam.de!a", "root@pam.de!a=2").unwrap();
    let shown = show(&node, USER).unwrap();
    // A screen of its own: beside a code it would be cut off.
    assert!(shown[0].uri.is_empty() && shown[0].keys == ["root@pam!a=1"], "{:?}", shown[0].keys);
    assert!(shown.len() == 2 && !shown[1].uri.is_empty() && shown[1].keys.len() == 10);
    let right = code(&node, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    assert!(matches!(verify(&node, USER, &right).unwrap(), Verified::Right));
    assert_eq!(pending(&node).unwrap().len(), 1, "another user's");
}

#[test]
fn c5_a_second_device_is_shown_and_verified_by_itself() {
    let node = node();
    let (first, second) = ("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U");
    enrol(&node, USER, first, false).unwrap();
    pve::enrol(&node, USER, second, "pve1", true).unwrap();
    assert_eq!(unverified(&node), ["root@pam", "root@pam, second device"]);
    let shown = show(&node, USER).unwrap();
    let titles: Vec<&str> = shown.iter().map(|shown| shown.title.as_str()).collect();
    assert_eq!(titles, ["TOTP of root@pam, second device (not used yet)", "TOTP of root@pam (not used yet)"]);
    assert!(shown[0].uri.ends_with(second) && shown[1].uri.ends_with(first));
    assert_eq!((shown[0].keys.len(), shown[1].keys.len()), (0, 10), "the last one stays on the screen");
    let right = code(&node, second);
    assert!(matches!(verify(&node, USER, &right).unwrap(), Verified::Right));
    assert_eq!(unverified(&node), ["root@pam"]);
    let status = crate::status::read(&node).unwrap();
    assert_eq!(status.unverified, ["root@pam"]);
    let others = node.files.text(FACTORS_PATH).replace("\"firstlight\"", "\"theirs\"");
    node.files.put(FACTORS_PATH, others.replace("firstlight, second device", "theirs too"));
    assert_eq!(show(&node, USER).unwrap().len(), 1, "one that our codes are right for");
}

#[test]
fn c8_a_reset_gives_new_secrets_takes_the_old_ones_and_lifts_the_lock() {
    let node = node();
    let old = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    enrol(&node, USER, old, false).unwrap();
    let locked = node.files.text(FACTORS_PATH).replace("\"recovery\":", "\"totp-locked\":true,\"recovery\":");
    node.files.put(FACTORS_PATH, locked);
    let second = "TOTP of root@pam, second device";
    handover::add(&node, Handover::Console, second, "otpauth://totp/x?secret=AAAA").unwrap();
    reset(&node, USER).unwrap();
    let text = node.files.text(FACTORS_PATH);
    assert!(!text.contains(old) && !text.contains("locked"), "{text}");
    let access = Access::read(&node).unwrap();
    assert_eq!((access.totp_count(USER), access.factors(USER, "recovery").count()), (1, 1));
    let shown = pending(&node).unwrap();
    assert_eq!((shown.len(), shown[0].keys.len()), (1, 10), "on one screen");
    assert_eq!(unverified(&node), [USER]);
}

#[test]
fn c8_a_failed_enrolment_leaves_no_mark_and_the_old_factors() {
    let node = node();
    node.set_clock(4_000_000_000_000);
    assert!(reset(&node, USER).is_err());
    assert!(!node.files.text(USERS_PATH).contains(":x:"));
    assert!(show(&node, "ghost@pam").err().unwrap().to_string().contains("PVE has no such user"));
    node.files.put("/proc/self/mounts", "");
    assert!(show(&node, USER).is_err(), "without pmxcfs nothing is known");
}
