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

fn secret(shown: &Shown) -> String {
    totp::secret(&shown.uri).unwrap().to_owned()
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
    assert_eq!(show(&node, USER).unwrap().secret, "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
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
fn c8_a_reset_gives_new_secrets_takes_the_old_ones_and_lifts_the_lock() {
    let node = node();
    let old = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    enrol(&node, USER, old, false).unwrap();
    let locked = node.files.text(FACTORS_PATH).replace("\"recovery\":", "\"totp-locked\":true,\"recovery\":");
    node.files.put(FACTORS_PATH, locked);
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
