//! A whole node of PVE on Debian 13, in memory: its files, and models of every tool that a run calls. A tool makes
//! its changes one by one, so that a crash finds it not begun, anywhere in the middle, or done.

mod accounts;
mod apt;
mod boot;
mod firewall;
mod hardening;
mod packages;
mod pve;
mod ssh;
mod units;
mod wires;

use crate::answer::{self, Answer};
use crate::change::pve::model;
use crate::facts::pve::{FACTORS_PATH, REALMS_PATH, USERS_PATH};
use crate::node::memory::{CLUSTER_DEVICE, KERNEL_DEVICE, Memory, RUN_DEVICE, Shell, Tree};
use crate::node::{Invocation, Output};
use crate::plan::Plan;
use crate::provision::{self, Planned};
use std::path::Path;
use std::sync::LazyLock;

pub use boot::{COVERED, early_ground, late_ground, power_up};
pub use wires::{PRIVATE, PUBLIC};

/// The program as it lies before it is installed.
pub const EXECUTABLE: &str = "/var/lib/proxmox-first-boot/proxmox-first-boot";

/// The answer file that the demo uses.
pub fn answer() -> Answer {
    answer::read("ufw.toml", include_bytes!("../../../answer-files/ufw.toml")).unwrap()
}

/// The same node with PVE's own firewall, a rule of this node alone, and a key pair of the admin that is made there.
pub fn pve_answer() -> Answer {
    let rule = "[[firstlight.firewall.rule]]\nfrom = \"backup\"\nprotocol = \"tcp\"\nports = \"9101\"\n\
        action = \"accept\"\nscope = \"node\"\n";
    let text = with_everybody(include_str!("../../../answer-files/pve.toml")) + rule;
    let text = text.replace("\nsudo = \"password\"\n", "\nsudo = \"password\"\nssh-key-pair = \"node\"\n");
    assert!(text.contains("ssh-key-pair"));
    answer::read("pve.toml", text.as_bytes()).unwrap_or_else(|problems| panic!("{problems}"))
}

/// An answer with all that can be wanted of PVE's users: a token, a second device, a realm that demands a factor.
pub fn with_everybody(text: &str) -> String {
    let text = text.replace("\nsudo = \"password\"\n", "\nsudo = \"password\"\napi-token = \"ansible\"\n");
    assert!(text.contains("api-token"));
    format!("{text}\n[firstlight.totp]\nsecond-device = true\nenforced-realms = [\"pam\"]\n")
}

fn ok(stdout: impl Into<String>) -> Output {
    Output { status: 0, stdout: stdout.into(), stderr: String::new() }
}

fn refused(status: i32, stderr: impl Into<String>) -> Output {
    Output { status, stdout: String::new(), stderr: stderr.into() }
}

/// How a tool ends that may have run out of room.
fn ended(shell: &Shell<'_>) -> Output {
    if shell.failed { refused(1, "No space left on device") } else { ok("") }
}

/// All tools.
pub fn tools(shell: &mut Shell<'_>, invocation: &Invocation) -> Output {
    let words: Vec<&str> = invocation.arguments.iter().map(String::as_str).collect();
    let program = words[0];
    if !shell.has(program) {
        return refused(127, format!("{program}: not found"));
    }
    match program {
        "/usr/bin/apt-get" if words.contains(&"indextargets") => apt::targets(shell),
        "/usr/bin/apt-get" => packages::apt(shell, &words),
        "/usr/bin/apt-config" => apt::dump(shell),
        "/usr/bin/dpkg" => packages::dpkg(shell, &words),
        "/usr/bin/dpkg-query" => packages::query(shell, &words),
        "/usr/sbin/useradd" | "/usr/sbin/usermod" | "/usr/sbin/userdel" => accounts::change(shell, &words),
        "/usr/sbin/chpasswd" => accounts::password(shell, invocation.input.as_deref().unwrap_or_default()),
        "/usr/bin/perl" => accounts::crypt(invocation.input.as_deref().unwrap_or_default()),
        "/usr/bin/sudo" => accounts::sudo(shell, &words),
        "/usr/sbin/visudo" => accounts::visudo(shell, &words),
        "/usr/bin/systemctl" => units::systemctl(shell, &words),
        "/usr/sbin/ufw" => firewall::ufw(shell, &words[1..]),
        "/lib/ufw/ufw-init" => firewall::init(shell),
        "/usr/sbin/iptables-save" | "/usr/sbin/iptables-legacy-save" => firewall::save(shell, false),
        "/usr/sbin/ip6tables-save" | "/usr/sbin/ip6tables-legacy-save" => firewall::save(shell, true),
        "/usr/sbin/pve-firewall" => pve::pve_firewall(shell, &words[1..]),
        "/usr/sbin/sysctl" => hardening::sysctl(shell, &words),
        "/usr/sbin/modprobe" => hardening::modprobe(shell, &words),
        "/usr/bin/systemd-analyze" if words.contains(&"calendar") => ok("Normalized form: *-*-01 00:00:00\n"),
        "/usr/bin/systemd-analyze" => hardening::cat_config(shell, &words),
        "/usr/bin/fail2ban-client" => hardening::fail2ban(shell, invocation),
        "/usr/sbin/apparmor_parser" => hardening::apparmor_parser(shell, &words),
        "/usr/sbin/postconf" => hardening::postconf(shell),
        "/usr/bin/journalctl" => Output { status: 1, ..ok("") },
        "/usr/sbin/sshd" => ssh::sshd(shell, &words),
        "/usr/bin/ssh" => ok("curve25519-sha256\nsntrup761x25519-sha512\nmlkem768x25519-sha256\n"),
        "/usr/bin/ssh-keygen" => wires::keygen(shell, &words),
        // What PVE's tools say without pmxcfs, and without a quorum (pve-observed 3.8).
        "/usr/sbin/pveum" | "/usr/bin/pvesh" if !shell.has("/etc/pve/local") => {
            refused(111, "ipcc_send_rec[1] failed: Connection refused")
        }
        "/usr/sbin/pveum" | "/usr/bin/pvesh" if !shell.has_quorum("/etc/pve/local") => {
            refused(13, "cluster not ready - no quorum?")
        }
        "/usr/sbin/pveum" | "/usr/bin/pvesh" => model::run(shell, invocation),
        "/usr/bin/timedatectl" => ok("yes\n"),
        "/usr/sbin/ip" => wires::ip(shell, &words[1..]),
        _ => refused(127, format!("not simulated: {}", invocation.line())),
    }
}

const CLUSTER_FIREWALL: &str = "[OPTIONS]\n\nenable: 1\n\n[RULES]\n\nIN ACCEPT -p tcp -dport 8006 # web\n";

const REALMS: &str = "pam: pam\n\tcomment Linux PAM standard authentication\n\n\
    pve: pve\n\tcomment Proxmox VE authentication server\n\n";

fn furnish(shell: &mut Shell<'_>) {
    shell.mount("/run", RUN_DEVICE);
    shell.mount("/proc", KERNEL_DEVICE);
    shell.mount("/sys", KERNEL_DEVICE);
    for directory in
        ["/home", "/root", "/var/lib", "/usr/lib", "/etc/motd.d", "/etc/issue.d", "/usr/local/sbin", "/lib"]
    {
        shell.directory(directory);
    }
    for level in "0123456S".chars() {
        shell.directory(&format!("/etc/rc{level}.d"));
    }
    accounts::furnish(shell);
    packages::furnish(shell);
    apt::furnish(shell);
    ssh::furnish(shell);
    firewall::furnish(shell);
    hardening::furnish(shell);
    for program in [
        "apt-config",
        "apt-get",
        "dpkg",
        "dpkg-query",
        "systemctl",
        "ssh",
        "ssh-keygen",
        "bash",
        "perl",
        "pmxcfs",
        "pvesh",
        "timedatectl",
        "systemd-analyze",
        "journalctl",
        "../sbin/apparmor_parser",
        "../sbin/postconf",
        "../sbin/pveum",
        "../sbin/useradd",
        "../sbin/usermod",
        "../sbin/userdel",
        "../sbin/chpasswd",
        "../sbin/modprobe",
        "../sbin/sysctl",
        "../sbin/sshd",
        "../sbin/ip",
        "../sbin/iptables-save",
        "../sbin/ip6tables-save",
        "../sbin/iptables-legacy-save",
        "../sbin/ip6tables-legacy-save",
        "../sbin/pve-firewall",
    ] {
        let path = format!("/usr/bin/{program}").replace("/bin/../", "/");
        shell.put_as(&path, "ELF", (0o755, 0), false);
    }
    shell.put("/etc/hostname", "pve1\n");
    shell.put("/etc/os-release", "VERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n");
    shell.put("/etc/shells", "/bin/sh\n/bin/bash\n");
    shell.put("/etc/hosts", "127.0.0.1 localhost\n10.0.20.11 pve1.example.com pve1\n");
    shell.put("/etc/fstab", "/dev/pve/root / ext4 errors=remount-ro 0 1\n");
    shell.put("/etc/ld.so.cache", "cache 1");
    shell.put_as("/etc/secret", "0600", (0o600, 0), false);
    shell.mark("/etc/hosts", "user.note", b"ours");
    shell.put("/etc/one", "two names");
    shell.name("/etc/two", "/etc/one");
    shell.link("/etc/localtime", "/usr/share/zoneinfo/UTC");
    shell.put_as(EXECUTABLE, &"ELF ".repeat(64), (0o700, 0), false);
    shell.put("/var/lib/pve-cluster/config.db", "db");
    shell.put("/var/lib/pve-cluster/config.db-wal", "wal");
    shell.mount("/etc/pve", CLUSTER_DEVICE);
    shell.directory("/etc/pve/nodes/pve1");
    shell.directory("/etc/pve/priv/lock");
    shell.link("/etc/pve/local", "nodes/pve1");
    shell.put_as("/etc/pve/firewall/cluster.fw", CLUSTER_FIREWALL, (0o640, 0), false);
    // As PVE writes them anew, so that "as before" is the same text.
    shell.put_as(USERS_PATH, "user:root@pam:1:0:::admin@example.com:::\n\n\n\n\n", (0o640, 0), false);
    shell.put_as(FACTORS_PATH, "{}", (0o600, 0), false);
    shell.put_as(REALMS_PATH, REALMS, (0o640, 0), false);
    units::furnish(shell);
    power_up(shell);
}

/// The files of a fresh node that has been booted.
pub fn fresh() -> Tree {
    static FRESH: LazyLock<Tree> = LazyLock::new(|| {
        let node = Memory::new(boot::ground(), tools);
        node.shell(furnish);
        node.tree()
    });
    FRESH.clone()
}

/// The same, as PVE's installer leaves it: nobody has touched its firewall.
pub fn untouched() -> Tree {
    let node = node(&fresh());
    node.shell(|shell| {
        shell.remove("/etc/pve/firewall");
        pve::look(shell);
        for name in ["iptables", "ip6tables"] {
            shell.show(&format!("/proc/sys/net/bridge/bridge-nf-call-{name}"), "0\n");
        }
    });
    node.tree()
}

/// The node with these files.
pub fn node(tree: &Tree) -> Memory {
    Memory::new(tree.clone(), tools)
}

/// The plan of the answer on this node.
pub fn planned(node: &Memory, answer: &Answer) -> Plan {
    match provision::plan(node, answer).unwrap() {
        Planned::Plan(_, plan) => plan,
        Planned::Refused(problems) => panic!("{problems}"),
    }
}

/// What is not part of "wholly the old one": our own state and program, dpkg's and apt's state, caches and logs.
pub fn counts(path: &Path) -> bool {
    const OUTSIDE: [&str; 7] = [
        "/var/lib/firstlight",
        "/var/lib/dpkg",
        "/var/lib/apt",
        "/var/cache",
        "/var/log",
        "/usr/local/sbin/firstlight",
        "/run/firstlight",
    ];
    // A lock that its holder left behind is let go by pmxcfs, two minutes after somebody has asked for it.
    let left_locked = path.parent() == Some(Path::new("/etc/pve/priv/lock"));
    // What an installation that died left beside them is replaced by the next one.
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let units = ["firstlight-recover", "firstlight-deadline", "firstlight-audit.service"];
    let ours = units.iter().any(|unit| name.trim_start_matches('.').starts_with(unit))
        || path == Path::new("/usr/local/sbin/.firstlight.firstlight-new");
    let wants = ["/etc/systemd/system/sysinit.target.wants", "/etc/systemd/system/multi-user.target.wants"];
    !OUTSIDE.iter().any(|outside| path.starts_with(outside))
        && !ours
        && !left_locked
        && !wants.iter().any(|wants| path == Path::new(wants))
}
