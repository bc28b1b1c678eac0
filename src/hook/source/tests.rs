//! One source after the other, and what is wrong with each.

use super::*;
use crate::node::scripted::Scripted;
use crate::payload::tests::tiny_elf;

const EXECUTABLE: &str = "/var/lib/proxmox-first-boot/proxmox-first-boot";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICSRnhZczuItvkC4OIHjiTlZfkL7tay9kjZQKYGK4cdl ops@example";

fn answer_of(name: &str) -> String {
    format!(
        "[firstlight]\nschema = 1\nadmin = {{ name = \"{name}\", ssh-keys = [\"{KEY}\"], sudo = \"none\" }}\n\
         ssh.enabled = false\n"
    )
}

fn node() -> Scripted {
    let node = Scripted::new();
    node.files.put(EXECUTABLE, tiny_elf());
    for directory in ["/run", "/proc", "/etc/firstlight", "/dev/disk/by-label", "/run/credentials/@system"] {
        node.files.directory(directory);
    }
    node
}

/// Who the admin of the answer that was found is, or what is wrong.
fn found(node: &Scripted) -> String {
    match find(node, Path::new(EXECUTABLE)) {
        Ok(Found::Answer(answer)) => answer.profile.admin.name.as_str().to_owned(),
        Ok(Found::Wrong(message)) => message,
        Ok(Found::Nothing) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// A partition of this label; its file, if there is one.
fn with_partition(node: &Scripted, text: Option<String>) {
    node.files.put(PARTITION_PATH, "");
    node.on("/usr/bin/mount --read-only", move |files, _| {
        if let Some(text) = &text {
            files.put("/run/firstlight/partition/firstlight.toml", text);
        }
        done()
    });
    node.on("/usr/bin/umount", |files, _| {
        if files.has("/run/firstlight/partition/firstlight.toml") {
            files.remove("/run/firstlight/partition/firstlight.toml");
        }
        done()
    });
}

fn done() -> crate::node::Output {
    crate::node::Output { status: 0, stdout: String::new(), stderr: String::new() }
}

/// A server that says this, whichever tool asks it.
fn with_url(node: &Scripted, program: &str, said: &str, digest: &str) {
    let line = format!("BOOT_IMAGE=/vmlinuz quiet {URL}https://example.org/a.toml {DIGEST}{digest}\n");
    node.files.put(COMMAND_LINE_PATH, line);
    let said = said.to_owned();
    node.on(program, move |files, invocation| {
        assert_eq!(invocation.arguments.last().map(String::as_str), Some("https://example.org/a.toml"));
        files.put("/run/firstlight/answer.toml", &said);
        done()
    });
}

#[test]
fn j1_the_sources_are_asked_in_their_order_and_the_first_hit_wins() {
    let node = node();
    assert_eq!(found(&node), "nothing");
    let text = answer_of("url");
    with_url(&node, WGET, &text, &ObjectId::of(text.as_bytes()).to_string().to_uppercase());
    assert_eq!(found(&node), "url");
    node.files.put(FILE_PATH, answer_of("file"));
    assert_eq!(found(&node), "file");
    with_partition(&node, Some(answer_of("partition")));
    assert_eq!(found(&node), "partition");
    assert!(node.ran().iter().any(|line| line.starts_with("/usr/bin/umount")));
    node.files.put(CREDENTIAL_PATH, answer_of("credential"));
    assert_eq!(found(&node), "credential");
    node.files.put(EXECUTABLE, payload::seal(&tiny_elf(), answer_of("embedded").as_bytes()));
    assert_eq!(found(&node), "embedded");
}

#[test]
fn j1_a_hit_that_is_invalid_is_an_error_and_not_the_next() {
    let node = node();
    node.files.put(FILE_PATH, answer_of("file"));
    with_partition(&node, None);
    assert_eq!(found(&node), "FIRSTLIGHT/firstlight.toml is not there");
    let node = self::node();
    with_partition(&node, Some("schema = 1".to_owned()));
    assert!(found(&node).starts_with("FIRSTLIGHT/firstlight.toml:1:1: "), "{}", found(&node));
    node.files.put(CREDENTIAL_PATH, "#".repeat(LONGEST as usize + 1));
    assert!(found(&node).ends_with("has more than 1048576 bytes: it is no answer"), "{}", found(&node));
}

#[test]
fn j1_a_url_without_a_digest_or_with_another_one_is_refused_and_nothing_stays() {
    let node = node();
    node.files.put(CURL, "");
    let text = answer_of("url");
    for line in [
        format!("{URL}https://example.org/a.toml"),
        format!("{URL}https://example.org/a.toml {DIGEST}abc"),
        format!("{URL}file:///etc/shadow {DIGEST}{}", ObjectId::of(b"")),
    ] {
        node.files.put(COMMAND_LINE_PATH, line);
        assert!(found(&node).contains("must have firstlight.answer=https://"), "{}", found(&node));
    }
    let other = ObjectId::of(b"other").to_string();
    with_url(&node, CURL, &text, &other);
    assert!(found(&node).contains(&format!("and not {other}")), "{}", found(&node));
    assert!(!node.files.has("/run/firstlight/answer.toml"));
    node.refuses(CURL, 22, "curl: (22) The requested URL returned error: 404");
    assert!(found(&node).ends_with("curl: (22) The requested URL returned error: 404"), "{}", found(&node));
}
