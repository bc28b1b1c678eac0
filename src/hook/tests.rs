//! Exactly once, three tries, then loud.

use super::{End, TRIES, records, run, tries};
use crate::node::Node;
use crate::node::scripted::Scripted;
use crate::payload;
use crate::progress::Silent;
use crate::status::PENDING_PATH;
use crate::transaction::state::{HOOK_PATH, PROFILE_PATH};
use crate::transaction::tests::debian::debian;
use crate::transaction::{self, Outcome, Stage, recover};
use std::path::Path;

const EXECUTABLE: &str = "/var/lib/proxmox-first-boot/proxmox-first-boot";
const ANSWER: &str = r#"
[firstlight]
schema = 1
[firstlight.admin]
name = "ops"
ssh-keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICSRnhZczuItvkC4OIHjiTlZfkL7tay9kjZQKYGK4cdl ops@example"]
sudo = "none"
[firstlight.ssh]
enabled = false
[firstlight.firewall]
enabled = false
[firstlight.packages]
enabled = false
[firstlight.fail2ban]
enabled = false
[firstlight.updates]
enabled = false
[firstlight.kernel]
enabled = false
[firstlight.services]
enabled = false
[firstlight.apparmor]
enabled = false
[firstlight.audit]
enabled = false
"#;

/// A node as PVE's installer leaves it, with our executable in its place.
fn installed(answer: Option<&str>) -> Scripted {
    let node = debian();
    let files = &node.files;
    let image = match answer {
        Some(answer) => payload::seal(&payload::tests::tiny_elf(), answer.as_bytes()),
        None => payload::tests::tiny_elf(),
    };
    files.put(EXECUTABLE, image);
    files.put(PENDING_PATH, "");
    files.put("/etc/shells", "/bin/bash\n/bin/sh\n");
    files.put("/etc/os-release", "VERSION_ID=\"13\"\n");
    files.directory("/usr/local/sbin");
    node.says("/usr/bin/systemctl --quiet enable firstlight", "");
    node
}

fn boot(node: &Scripted) -> End {
    node.revive();
    recover(node, Stage::Early, &mut Silent).unwrap();
    recover(node, Stage::Late, &mut Silent).unwrap();
    run(node, Path::new(EXECUTABLE), &mut Silent).unwrap()
}

#[test]
fn j1_a_committed_run_is_not_repeated_and_leaves_no_answer_behind() {
    let node = installed(Some(ANSWER));
    let end = boot(&node);
    assert!(matches!(end, End::Ran(Outcome::Committed(_), _)), "{}", describe(&end));
    assert!(node.files.text("/etc/passwd").contains("ops:"));
    let image = std::fs::read(node.files.host(EXECUTABLE)).unwrap();
    assert!(matches!(payload::unseal(&image), payload::Sealed::None), "scrubbed");
    let installed = std::fs::read(node.files.host("/usr/local/sbin/firstlight")).unwrap();
    assert!(matches!(payload::unseal(&installed), payload::Sealed::None), "never had it");
    assert!(node.files.has(PENDING_PATH), "PVE's unit removes its flag itself after success");
    assert!(matches!(boot(&node), End::AlreadyCommitted));
    assert!(node.files.has(PENDING_PATH), "and fails when it is gone by then");
    assert_eq!(tries(&records(&node).unwrap()), 1);
}

#[test]
fn j1_three_failures_and_it_gives_up_loudly_and_clears_the_flag() {
    let node = installed(Some(ANSWER));
    node.refuses("/usr/sbin/useradd", 1, "useradd: cannot lock /etc/passwd");
    for number in 1..TRIES {
        let end = boot(&node);
        assert!(matches!(end, End::Ran(Outcome::Reverted(..), _)), "try {number}: {}", describe(&end));
        assert!(node.files.has(PENDING_PATH), "PVE runs us again");
    }
    let End::GaveUp(message) = boot(&node) else { panic!("third try") };
    assert!(message.contains("cannot lock /etc/passwd"), "{message}");
    assert!(!node.files.has(PENDING_PATH));
    assert!(node.files.text("/etc/motd.d/firstlight").contains("firstlight status"));
    let image = std::fs::read(node.files.host(EXECUTABLE)).unwrap();
    assert!(matches!(payload::unseal(&image), payload::Sealed::None), "scrubbed after giving up");
    assert!(matches!(boot(&node), End::GaveUp(_)), "and it stays so");
}

#[test]
fn j1_three_power_cuts_count_as_three_tries() {
    let node = installed(Some(ANSWER));
    for _ in 0..TRIES {
        node.revive();
        recover(&node, Stage::Early, &mut Silent).unwrap();
        recover(&node, Stage::Late, &mut Silent).unwrap();
        node.on("/usr/sbin/useradd", |_, _| panic!("power cut"));
        let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = run(&node, Path::new(EXECUTABLE), &mut Silent);
        }));
        assert!(cut.is_err());
    }
    let End::GaveUp(message) = boot(&node) else { panic!("fourth boot") };
    assert!(message.contains("interrupted"), "{message}");
    assert!(!node.files.has(PENDING_PATH));
    assert!(!node.files.text("/etc/passwd").contains("ops:"), "the old node");
    assert!(!node.files.has(PROFILE_PATH));
}

#[test]
fn j1_a_crash_at_any_step_of_the_hook_is_tried_again_until_it_is_committed() {
    let total = {
        let node = installed(Some(ANSWER));
        boot(&node);
        node.steps()
    };
    for step in 0..total {
        let node = installed(Some(ANSWER));
        node.revive();
        node.fail_at_step(step);
        let _ = run(&node, Path::new(EXECUTABLE), &mut Silent);
        let end = boot(&node);
        let done = matches!(end, End::Ran(Outcome::Committed(_), _) | End::AlreadyCommitted);
        assert!(done, "crash at step {step}: {}", describe(&end));
        let image = std::fs::read(node.files.host(EXECUTABLE)).unwrap();
        assert!(matches!(payload::unseal(&image), payload::Sealed::None), "scrubbed, crash at step {step}");
    }
}

#[test]
fn j1_a_damaged_payload_ends_at_once() {
    let node = installed(Some(ANSWER));
    let mut image = std::fs::read(node.files.host(EXECUTABLE)).unwrap();
    let last = image.len() - 40;
    image[last] ^= 1;
    node.files.put(EXECUTABLE, image);
    let End::BadInput(message) = boot(&node) else { panic!("bad input") };
    assert!(message.contains(EXECUTABLE), "{message}");
    assert!(!node.files.has(PENDING_PATH));
    assert!(!node.files.text("/etc/passwd").contains("ops:"));
}

#[test]
fn j1_the_wait_for_pmxcfs_is_bounded_and_nothing_is_written_where_it_is_mounted() {
    let node = installed(Some(ANSWER));
    node.files.put("/usr/bin/pmxcfs", "ELF");
    node.files.directory("/etc/pve");
    let mut failed = String::new();
    for number in 1..=TRIES {
        node.revive();
        let began = node.boottime();
        failed = run(&node, Path::new(EXECUTABLE), &mut Silent).err().unwrap().to_string();
        assert!(failed.contains("pmxcfs is not up"), "{failed}");
        let seconds = (node.boottime() - began) / 1000;
        assert!((600..620).contains(&seconds), "try {number} waited {seconds} s");
        assert!(node.list(Path::new("/etc/pve")).unwrap().is_empty());
        assert!(!node.files.has("/var/lib/firstlight/tx/0001"), "nothing was begun");
        assert_eq!(node.files.has(PENDING_PATH), number < TRIES, "PVE runs us again, and not without limit");
    }
    let End::GaveUp(message) = boot(&node) else { panic!("fourth boot after {failed}") };
    assert!(message.contains("pmxcfs is not up"), "{message}");
}

#[test]
fn j1_pmxcfs_that_comes_while_the_node_is_read_costs_no_try() {
    let node = installed(Some(ANSWER));
    node.files.put("/usr/bin/pmxcfs", "ELF");
    // It is asked after `/etc/pve` was looked at; the third time in all, the mount is there when it answers.
    let asked = std::cell::Cell::new(0);
    node.on("/usr/sbin/sshd -T", move |files, _| {
        asked.set(asked.get() + 1);
        if asked.get() == 3 {
            files.directory("/etc/pve/nodes/pve1");
            std::os::unix::fs::symlink("nodes/pve1", files.host("/etc/pve/local")).unwrap();
            files.put("/proc/self/mounts", "/dev/fuse /etc/pve fuse rw 0 0\n");
        }
        crate::node::Output { status: 0, stdout: String::new(), stderr: String::new() }
    });
    node.revive();
    let ended = run(&node, Path::new(EXECUTABLE), &mut Silent);
    let told = ended.as_ref().err().map(ToString::to_string).unwrap_or_default();
    assert!(!told.contains("pmxcfs"), "{told}");
}

#[test]
fn j1_without_an_answer_it_installs_and_leaves_a_line_on_the_login_screen() {
    let node = installed(None);
    assert!(matches!(boot(&node), End::NoAnswer));
    assert!(node.files.text("/etc/issue.d/firstlight.issue").contains("log in as root"));
    assert!(node.files.has("/usr/local/sbin/firstlight"));
    node.files.put("/etc/firstlight/answer.toml", ANSWER);
    let end = boot(&node);
    assert!(matches!(end, End::Ran(Outcome::Committed(_), _)), "{}", describe(&end));
    assert!(!node.files.has("/etc/issue.d/firstlight.issue"), "it goes away at commit");
}

/// A first boot that waits for confirmation.
fn waiting() -> Scripted {
    let node = installed(Some(&ANSWER.replacen("schema = 1", "schema = 1\nconfirm = \"login\"", 1)));
    node.says("/usr/bin/journalctl --quiet --no-pager --lines=1", "-- cursor: s=end\n");
    node.says("/usr/bin/journalctl --quiet --no-pager --output=json", "");
    let end = boot(&node);
    assert!(matches!(end, End::Ran(Outcome::Waiting(..), _)), "{}", describe(&end));
    let image = std::fs::read(node.files.host(EXECUTABLE)).unwrap();
    assert!(matches!(payload::unseal(&image), payload::Sealed::None), "nobody needs the answer any more");
    assert_eq!(crate::status::read(&node).unwrap().outcome.word(), "waiting");
    node
}

#[test]
fn j3_the_hook_does_not_wait_for_confirmation_and_a_confirmed_run_is_committed() {
    let node = waiting();
    assert!(transaction::confirm(&node, "me").unwrap().is_some());
    assert_eq!(crate::status::read(&node).unwrap().outcome.word(), "committed");
    assert!(matches!(boot(&node), End::AlreadyCommitted));
}

#[test]
fn j3_a_first_boot_that_nobody_confirms_is_put_back_and_over_and_no_try() {
    let node = waiting();
    let outcome = transaction::keep_deadline(&node, &mut Silent).unwrap();
    assert!(matches!(outcome, Some(Outcome::Reverted(..))), "{outcome:?}");
    super::say_unconfirmed(&node).unwrap();
    let status = crate::status::read(&node).unwrap();
    assert_eq!((status.outcome.word(), status.exit_code, status.settled), ("gave-up", 1, true));
    assert!(node.files.text("/etc/motd.d/firstlight").contains("firstlight status"));
    assert!(matches!(boot(&node), End::GaveUp(_)), "it is not tried again");
    assert!(!node.files.has(PENDING_PATH));
}

#[test]
fn j3_a_power_cut_while_a_first_boot_waits_ends_it_too() {
    let node = waiting();
    node.boot_again("an0ther");
    let End::GaveUp(message) = boot(&node) else { panic!("it must not run again: its answer is gone") };
    assert!(message.contains("nobody confirmed"), "{message}");
    assert!(!node.files.text("/etc/passwd").contains("ops:"), "the old node");
}

fn describe(end: &End) -> String {
    match end {
        End::AlreadyCommitted => "already committed".to_owned(),
        End::NoAnswer => "no answer".to_owned(),
        End::BadInput(message) => format!("bad input: {message}"),
        End::GaveUp(message) => format!("gave up: {message}"),
        End::Ran(outcome, _) => format!("{outcome:?}"),
    }
}

#[test]
fn h_a_damaged_journal_of_the_hook_ends_its_tries_loudly_and_touches_nothing() {
    let node = Scripted::new();
    node.files.put(HOOK_PATH, "damage\n");
    node.files.put(PENDING_PATH, "");
    node.files.put(EXECUTABLE, "#!/bin/sh\n");
    let error = run(&node, Path::new(EXECUTABLE), &mut Silent).err().unwrap();
    assert!(error.to_string().contains("line 1 is damaged"), "{error}");
    assert!(!node.files.has(PENDING_PATH), "PVE would start it again");
    assert!(node.files.text("/etc/motd.d/firstlight").contains("did not harden this node"));
    assert!(!node.files.has("/usr/local/sbin/firstlight"));
}
