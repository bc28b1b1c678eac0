//! What leaves the node has no secret in it.

use super::*;
use crate::node::scripted::Scripted;

/// One of each kind that firstlight or PVE handles.
const PLANTED: [&str; 9] = [
    "ops:$y$j9T$abcdefgh$0123456789:1::::::",
    "root:$6$salt$hash:1::::::",
    "password-hash = \"$5$salt$hash\"",
    "otpauth://totp/pve1:root@pam?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    "root@pam: GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    "value: 0e1f2a3b-4c5d-6e7f-8a9b-0c1d2e3f4a5b",
    "webhook = \"https://hooks.example.com/T0/B0/token\"",
    "content = \"user: password\\u000A\"",
    "-----BEGIN OPENSSH PRIVATE KEY-----",
];
const KEPT: [&str; 4] = [
    "===== /bin/sh audit",
    "  ssh-ed25519 SHA256:nfpypaYnieR5phm1zXR+7ucjPejKembKn2GlPlb7pfc",
    "0123456789abcdef\tformat=1\tentry=/etc/ssh/sshd_config.d/00-firstlight.conf",
    "PermitRootLogin prohibit-password",
];

#[test]
fn j5_a_bundle_is_one_text_for_its_owner_without_a_planted_secret() {
    let node = Scripted::new();
    node.files.directory("/root");
    let text: String = PLANTED.iter().chain(&KEPT).map(|line| format!("{line}\n")).collect();
    node.says("/bin/sh -c", &text);
    let file = Path::new("/root/bundle.txt");
    assert!(matches!(run(&node, file), Ok(0)));
    assert_eq!(node.lookup(file).unwrap().unwrap().mode, 0o600);
    let bundle = String::from_utf8(node.read(file).unwrap()).unwrap();
    for secret in PLANTED {
        assert!(!bundle.contains(secret), "{secret}");
    }
    assert_eq!(bundle.matches(LEFT_OUT).count(), PLANTED.len());
    for line in KEPT {
        assert!(bundle.lines().any(|kept| kept == visible(line)), "{line}");
    }
    // Nothing that is there is written over, whoever put it there.
    assert!(run(&node, file).is_err());
}

#[test]
fn j5_a_bundle_holds_what_each_command_says_and_outlives_one_that_is_not_there() {
    let said = std::process::Command::new(SHELL)
        .args(["-c", packed!("bundle.sh"), SHELL, "/bin/echo"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(text.contains("\n===== /bin/echo audit\naudit\n"), "{text}");
    assert!(text.contains("\n===== uname -a\nLinux "), "{text}");
    assert!(text.contains("\n===== fail2ban-client status\n"), "the last one: {text}");
}
