use super::*;
use crate::change::Change;
use crate::control::Check;
use crate::node::scripted::Scripted;
use crate::observe::{Observer, Verdict};
use crate::profile::Handover;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

const KEYS: &str = "/home/ops/.ssh/authorized_keys";

fn change() -> KeyPairChange {
    KeyPairChange {
        name: "ops".to_owned(),
        comment: "ops@pve1".to_owned(),
        path: KEYS.into(),
        passphrase: Passphrase::default(),
        handover: Handover::File,
    }
}

/// A node whose ssh-keygen is the real one.
fn node() -> Scripted {
    let node = Scripted::new();
    node.files.put("/etc/passwd", "ops:x:0:0::/home/ops:/bin/bash\n");
    for directory in ["/root", "/run", "/home/ops/.ssh"] {
        node.files.directory(directory);
    }
    for program in ["/usr/bin/ssh-keygen", "/usr/bin/setsid"] {
        node.on(program, |files, invocation| {
            let words = invocation.arguments.iter().map(|word| match word.strip_prefix(DIRECTORY) {
                Some(_) => files.host(word).display().to_string(),
                None => word.clone(),
            });
            let words: Vec<String> = words.collect();
            let mut child = Command::new(&words[0])
                .args(&words[1..])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // One that does not read need not wait for it.
            let _ = child.stdin.take().unwrap().write_all(invocation.input.as_deref().unwrap_or_default());
            let done = child.wait_with_output().unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            crate::node::Output {
                status: done.status.code().unwrap(),
                stdout: text(done.stdout),
                stderr: text(done.stderr),
            }
        });
    }
    node
}

/// The private key that was handed over, on this machine's disk.
fn handed_over(node: &Scripted) -> std::path::PathBuf {
    let text = node.files.text(handover::FILE_PATH);
    let private = text.strip_prefix("## SSH key of ops\n\n").unwrap().trim_end();
    node.files.put("/root/private", format!("{private}\n"));
    let file = node.files.host("/root/private");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    file
}

fn public_half(file: &Path, passphrase: &str) -> std::process::Output {
    Command::new("ssh-keygen").args(["-y", "-P", passphrase, "-f"]).arg(file).output().unwrap()
}

#[test]
fn a3_j2_a_passphrase_encrypts_the_private_key_and_is_nowhere_else() {
    let node = node();
    let change = KeyPairChange { passphrase: Passphrase::new("four words are better"), ..change() };
    make(&node, &change).unwrap();
    let file = handed_over(&node);
    let opened = String::from_utf8(public_half(&file, "four words are better").stdout).unwrap();
    assert_eq!(format!("{}{MARK}\n", opened.trim_end()), node.files.text(KEYS));
    assert!(!public_half(&file, "").status.success());
    assert!(node.ran().iter().all(|line| !line.contains("words")), "{:?}", node.ran());
    assert!(!node.files.has(DIRECTORY));
}

#[test]
fn a3_ssh_keygen_makes_a_pair_whose_halves_belong_together() {
    let node = node();
    node.files.put(KEYS, "ssh-ed25519 AAAA old, without a line end");
    assert!(Change::KeyPair(change()).need(&node).unwrap().is_some());
    make(&node, &change()).unwrap();
    let lines = node.files.text(KEYS);
    let ours = lines.lines().last().unwrap();
    assert!(lines.starts_with("ssh-ed25519 AAAA old, without a line end\n") && lines.lines().count() == 2);
    assert!(ours.starts_with("ssh-ed25519 ") && ours.ends_with(" ops@pve1 (made by firstlight)"), "{ours}");
    // What was handed over is the private half of it, as ssh-keygen reads it.
    let said = public_half(&handed_over(&node), "").stdout;
    assert_eq!(format!("{}{MARK}", String::from_utf8(said).unwrap().trim_end()), ours);
    // Once.
    assert!(Change::KeyPair(change()).need(&node).unwrap().is_none());
    let mut keys = Vec::new();
    made(&node, "ops", &mut keys);
    assert!(keys.len() == 1 && keys[0].starts_with("SHA256:"));
    assert!(!node.files.has(DIRECTORY));
    undo(&node, "SSH key of ops").unwrap();
    assert!(!node.files.has(handover::FILE_PATH));
}

#[test]
fn a3_what_a_killed_run_left_between_goes() {
    let node = node();
    node.files.put(&format!("{DIRECTORY}/id"), "half");
    make(&node, &change()).unwrap();
    node.files.put(&format!("{DIRECTORY}/id"), "half");
    undo(&node, "SSH key of ops").unwrap();
    assert!(!node.files.has(DIRECTORY));
}

#[test]
fn a3_lines_that_are_no_text_stay_byte_for_byte() {
    let node = node();
    let before = b"ssh-ed25519 AAAA caf\xe9\n";
    node.files.put(KEYS, before);
    make(&node, &change()).unwrap();
    let after = std::fs::read(node.files.host(KEYS)).unwrap();
    assert!(after.starts_with(before) && after.ends_with(b" ops@pve1 (made by firstlight)\n"));
    assert!(Change::KeyPair(change()).need(&node).unwrap().is_none());
}

#[test]
fn a3_nothing_is_written_through_a_link() {
    let node = node();
    symlink("/etc/passwd", node.files.host(KEYS)).unwrap();
    assert!(need(&node, &change()).is_err());
    assert!(make(&node, &change()).is_err());
    assert!(!node.files.has(handover::FILE_PATH) && !node.files.has(DIRECTORY));
}

#[test]
fn i3_a3_the_control_turns_red_without_the_line_or_with_a_file_that_others_may_write() {
    let node = node();
    let check =
        Check::AuthorizedKey { name: "ops".to_owned(), path: KEYS.into(), fingerprint: String::new() };
    let holds = || Observer::new(&node).evaluate(&check).unwrap() == Verdict::Holds;
    make(&node, &change()).unwrap();
    assert!(holds());
    let text = node.files.text(KEYS);
    node.files.put(KEYS, text.replace(MARK, ""));
    assert!(!holds());
    node.files.put(KEYS, &text);
    let host = node.files.host(KEYS);
    std::fs::set_permissions(&host, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    assert!(!holds());
}
