//! What the kernel has, one thing wrong at a time.

use super::*;
use crate::control::Check;
use crate::node::scripted::Scripted;

const LOADED: &str =
    "/usr/bin/lxc-start (enforce)\nlxc-container-default (complain)\nlxc-usernsexec (unconfined)\n";

fn node() -> Scripted {
    let node = Scripted::new();
    node.files.put(LOADED_PATH, LOADED);
    node.refuses("/usr/bin/journalctl", NOTHING, "");
    node
}

fn seen(node: &Scripted, check: &Check) -> Option<String> {
    match Observer::new(node).evaluate(check).unwrap() {
        Verdict::Holds => None,
        Verdict::Fails(message) => Some(message),
    }
}

#[test]
fn g5_i3_a_profile_that_complains_or_is_not_loaded_is_red() {
    let enforces = |name: &str| seen(&node(), &Check::AppArmorEnforces(name.to_owned()));
    assert_eq!(enforces("/usr/bin/lxc-start"), None);
    assert_eq!(
        enforces("lxc-container-default").unwrap(),
        "the profile lxc-container-default is in mode complain"
    );
    assert_eq!(enforces("lxc-container").unwrap(), "the profile lxc-container is in mode not loaded");
    assert_eq!(enforces("lxc-usernsexec").unwrap(), "the profile lxc-usernsexec is in mode unconfined");
}

#[test]
fn g5_i3_a_kernel_without_apparmor_is_red() {
    assert_eq!(seen(&node(), &Check::AppArmorOn), None);
    assert_eq!(seen(&Scripted::new(), &Check::AppArmorOn).unwrap(), "the kernel runs without AppArmor");
}

#[test]
fn g5_i3_a_denial_is_red_and_one_that_cannot_be_looked_for_is_no_green() {
    assert_eq!(seen(&node(), &Check::NoDenials), None);
    let denied = "audit: type=1400 audit(1.1:2): apparmor=\"DENIED\" operation=\"mount\" profile=\"lxc-container-default\"";
    let node = node();
    node.says("/usr/bin/journalctl -q -k -b", &format!("{denied}\n"));
    assert_eq!(seen(&node, &Check::NoDenials).unwrap(), format!("AppArmor denied: {denied}"));
    node.refuses("/usr/bin/journalctl -q -k -b", 127, "not found");
    assert!(Observer::new(&node).evaluate(&Check::NoDenials).is_err());
}
