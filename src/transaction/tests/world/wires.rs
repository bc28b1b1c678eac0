//! What the probe of reachability calls: iproute2, ssh-keygen, and connections from its namespace.

use super::{ended, ok, refused};
use crate::node::Output;
use crate::node::memory::Shell;

pub const DEVICES: &str = "/proc/net/dev";
const NO_WIRES: &str = "Inter-|   Receive\n face |bytes\n    lo: 0\n vmbr0: 0\n";
const RULES: &str = "/run/kernel-rules";
const NAMESPACE: &str = "/run/netns/firstlight";
/// From which address the namespace connects.
const SOURCE: &str = "/run/kernel-source";
const KEYS: &str = "/home/ops/.ssh/authorized_keys";
const KEY: &str = "/run/firstlight/reach/key";

/// What the kernel has after a boot, and what iproute2 leaves behind.
pub fn boot(shell: &mut Shell<'_>) {
    shell.show(DEVICES, NO_WIRES);
    shell.put(
        "/proc/net/tcp",
        "h\n0: 00000000:0016 00000000:0000 0A 0:0\n1: 00000000:1F46 00000000:0000 0A 0:0\n",
    );
    shell.directory("/run/netns");
}

fn gone(shell: &mut Shell<'_>, path: &str) {
    if shell.has(path) {
        shell.remove(path);
    }
}

pub fn ip(shell: &mut Shell<'_>, words: &[&str]) -> Output {
    match words {
        ["-j", ..] => {
            return ok(
                r#"[{"ifname":"vmbr0","addr_info":[{"family":"inet","local":"10.0.20.11","prefixlen":24}]}]"#,
            );
        }
        ["neigh", "show"] => return ok("10.0.20.1 dev vmbr0 lladdr 02:00:00:00:00:01 STALE\n"),
        ["netns", "exec", _, "/usr/sbin/sysctl", ..] => {}
        ["netns", "exec", _, "/usr/bin/ssh", ..] => return login(shell),
        ["netns", "exec", _, "/usr/bin/timeout", ..] => return ports(shell),
        ["netns", "add", _] if shell.has(NAMESPACE) => return refused(1, "File exists"),
        ["netns", "add", _] => shell.show(NAMESPACE, ""),
        ["netns", "delete", _] if !shell.has(NAMESPACE) => return refused(1, "No such file or directory"),
        ["netns", "delete", _] => {
            // What is in it goes with it.
            gone(shell, SOURCE);
            shell.remove(NAMESPACE);
        }
        ["-batch", "-"] => shell.show(DEVICES, &format!("{NO_WIRES}firstlight0: 0\n")),
        ["link", "delete", "dev", _] => shell.show(DEVICES, NO_WIRES),
        ["-4", "-batch", "-"] => shell.show(RULES, ""),
        ["-4", "rule", "flush", ..] => gone(shell, RULES),
        ["-n", _, "route", "replace", .., source] => shell.show(SOURCE, source),
        ["-4", "-n", ..] | ["-n", ..] => {}
        _ => return refused(255, format!("not simulated: ip {}", words.join(" "))),
    }
    ended(shell)
}

fn joined(shell: &Shell<'_>) -> bool {
    shell.text(DEVICES).contains("firstlight0:") && shell.has(RULES) && shell.has(NAMESPACE)
}

fn login(shell: &Shell<'_>) -> Output {
    if joined(shell) && shell.has(KEY) && shell.text(KEYS).contains("ssh-ed25519 PROBE firstlight-probe\n") {
        ok("")
    } else {
        refused(255, "Permission denied (publickey).")
    }
}

/// A firewall is up by then: whoever is outside waits for an answer.
fn ports(shell: &Shell<'_>) -> Output {
    if joined(shell) && shell.text(SOURCE).starts_with("10.0.20.") {
        ok("8006\n")
    } else {
        Output { status: 124, ..ok("") }
    }
}

/// The private key of a pair that is made for the admin.
pub const PRIVATE: &str =
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n";
/// And its public key, without the comment.
pub const PUBLIC: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICSRnhZczuItvkC4OIHjiTlZfkL7tay9kjZQKYGK4cdm";

pub fn keygen(shell: &mut Shell<'_>, words: &[&str]) -> Output {
    if let Some(at) = words.iter().position(|word| *word == "-C").filter(|_| words.contains(&"100")) {
        let file = words.last().unwrap();
        if shell.has(file) {
            return refused(1, format!("{file} already exists.\nOverwrite (y/n)? "));
        }
        shell.put_as(file, PRIVATE, (0o600, 0), false);
        shell.put(&format!("{file}.pub"), &format!("{PUBLIC} {}\n", words[at + 1]));
        return ended(shell);
    }
    shell.put_as(KEY, "secret\n", (0o600, 0), false);
    shell.put(&format!("{KEY}.pub"), "ssh-ed25519 PROBE firstlight-probe\n");
    ended(shell)
}
