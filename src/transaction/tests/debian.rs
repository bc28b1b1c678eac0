//! A small Debian for tests: the tools that changes call, as far as they change files.

use crate::node::scripted::{Files, Scripted};
use crate::node::{Invocation, Output};

fn ok(stdout: &str) -> Output {
    Output { status: 0, stdout: stdout.to_owned(), stderr: String::new() }
}

fn refused(stderr: &str) -> Output {
    Output { status: 1, stdout: String::new(), stderr: stderr.to_owned() }
}

fn append(files: &Files, path: &str, text: &str) {
    files.put(path, files.text(path) + text);
}

fn last(invocation: &Invocation) -> String {
    invocation.arguments.last().cloned().unwrap_or_default()
}

/// A node with a root account, an SSH server and systemd; sudo and ufw can be installed.
pub fn debian() -> Scripted {
    furnished(Scripted::new())
}

/// The same on a node that is still empty.
pub fn furnished(node: Scripted) -> Scripted {
    let files = &node.files;
    files.put("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
    files.put("/etc/shadow", "root:*:20000:0:99999:7:::\n");
    files.put("/etc/group", "root:x:0:\nsudo:x:27:\n");
    files.put("/etc/gshadow", "root:*::\nsudo:*::\n");
    files.put("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n");
    files.put("/etc/ssh/sshd_config.d/20-local.conf", "LogLevel VERBOSE\n");
    files.put("/etc/ld.so.cache", "cache 1");
    files.put("/usr/bin/systemctl", "");
    files.put("/usr/sbin/userdel", "");
    files.put("/proc/sys/kernel/random/boot_id", "b00t\n");
    files.put("/var/lib/dpkg/status", "Package: base-files\nStatus: install ok installed\n\n");
    for directory in ["/home", "/run", "/usr/sbin", "/etc/systemd/system", "/etc/default", "/etc/pve"] {
        files.directory(directory);
    }
    for level in "0123456S".chars() {
        files.directory(&format!("/etc/rc{level}.d"));
    }
    files.put("/run/active/ssh.service", "");
    files.directory("/run/active");
    apt(&node);
    accounts(&node);
    systemd(&node);
    ufw(&node);
    node
}

fn apt(node: &Scripted) {
    node.says("/usr/bin/apt-get -q -o DPkg::Lock::Timeout=600 update", "");
    node.on("/usr/bin/apt-get -q -y", |files, invocation| {
        if invocation.arguments.iter().any(|word| word == "-s") {
            return ok("Inst sudo (1.9 local [amd64])\nInst ufw (0.36 local [amd64])\nConf sudo\n");
        }
        if invocation.arguments.iter().any(|word| word == "--download-only") {
            return ok("");
        }
        assert!(files.has("/usr/sbin/policy-rc.d"), "services are held back");
        append(files, "/var/lib/dpkg/status", "Package: sudo\nStatus: install ok installed\n\n");
        append(files, "/var/lib/dpkg/status", "Package: ufw\nStatus: install ok installed\n\n");
        files.put("/usr/sbin/visudo", "");
        files.put("/usr/sbin/ufw", "");
        files.put("/etc/sudoers", "@includedir /etc/sudoers.d\n");
        files.directory("/etc/sudoers.d");
        files.put("/etc/ufw/ufw.conf", "ENABLED=no\n");
        files.put("/etc/ufw/user.rules", "");
        files.put("/etc/default/ufw", "IPV6=yes\n");
        files.put("/etc/ld.so.cache", "cache 2");
        ok("")
    });
    node.on("/usr/bin/dpkg-query -W", |files, _| {
        let mut lines = String::new();
        for entry in files.text("/var/lib/dpkg/status").split("\n\n").filter(|entry| !entry.is_empty()) {
            let field =
                |name: &str| entry.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            lines.push_str(&format!("{}\t{}\n", field("Package: "), field("Status: ")));
        }
        ok(&lines)
    });
    node.says("/usr/bin/dpkg --force-confdef --force-confold --configure -a", "");
    node.on("/usr/bin/dpkg --force-remove-reinstreq --purge", |files, _| {
        assert!(!files.has("/usr/sbin/policy-rc.d"), "what runs can be stopped");
        files.put("/var/lib/dpkg/status", "Package: base-files\nStatus: install ok installed\n\n");
        let left =
            ["/usr/sbin/visudo", "/usr/sbin/ufw", "/etc/sudoers", "/etc/ufw/ufw.conf", "/etc/default/ufw"];
        for path in left.iter().filter(|path| files.has(path)) {
            files.remove(path);
        }
        // What purging leaves behind, and what its triggers make anew.
        files.put("/etc/ld.so.cache", "cache 3");
        ok("")
    });
}

fn accounts(node: &Scripted) {
    node.on("/usr/sbin/useradd", |files, invocation| {
        let name = last(invocation);
        for file in ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"] {
            files.put(&format!("{file}-"), files.text(file));
        }
        append(files, "/etc/passwd", &format!("{name}:x:0:0::/home/{name}:/bin/bash\n"));
        append(files, "/etc/shadow", &format!("{name}:!:20000:0:99999:7:::\n"));
        files.put("/etc/group", files.text("/etc/group").replace("sudo:x:27:", &format!("sudo:x:27:{name}")));
        files.put(&format!("/home/{name}/.bashrc"), "# bash\n");
        files.put("/etc/.pwd.lock", "");
        ok("")
    });
    node.on("/usr/sbin/chpasswd", |files, invocation| {
        let input = String::from_utf8(invocation.input.clone().unwrap_or_default()).unwrap();
        let (name, hash) = input.trim().split_once(':').unwrap();
        let shadow = files.text("/etc/shadow").replace(&format!("{name}:!:"), &format!("{name}:{hash}:"));
        files.put("/etc/shadow", shadow);
        ok("")
    });
    node.on("/usr/sbin/userdel", |files, invocation| {
        let name = last(invocation);
        for file in ["/etc/passwd", "/etc/shadow"] {
            let kept: Vec<String> = files
                .text(file)
                .lines()
                .filter(|line| !line.starts_with(&format!("{name}:")))
                .map(|line| format!("{line}\n"))
                .collect();
            files.put(file, kept.concat());
        }
        ok("")
    });
}

fn systemd(node: &Scripted) {
    let wants = "/etc/systemd/system/multi-user.target.wants";
    node.on("/usr/bin/systemctl", |_, invocation| panic!("not simulated: {}", invocation.line()));
    for quiet in ["daemon-reload", "reset-failed", "reload"] {
        node.says(&format!("/usr/bin/systemctl {quiet}"), "");
    }
    for verb in ["restart", "stop"] {
        node.says(&format!("/usr/bin/systemctl {verb} firstlight-deadline"), "");
    }
    node.on("/usr/bin/systemctl is-active", |files, invocation| {
        let active = files.has(&format!("/run/active/{}", last(invocation)));
        ok(if active { "active\n" } else { "inactive\n" })
    });
    node.on("/usr/bin/systemctl is-enabled", move |files, invocation| {
        let enabled = files.has(&format!("{wants}/{}", last(invocation)));
        ok(if enabled { "enabled\n" } else { "disabled\n" })
    });
    node.on("/usr/bin/systemctl --quiet enable", move |files, invocation| {
        files.directory(wants);
        std::os::unix::fs::symlink("/lib/x", files.host(&format!("{wants}/{}", last(invocation)))).unwrap();
        ok("")
    });
    node.on("/usr/bin/systemctl start", |files, invocation| {
        files.put(&format!("/run/active/{}", last(invocation)), "");
        ok("")
    });
    node.on("/usr/bin/systemctl stop", |files, invocation| {
        files.remove(&format!("/run/active/{}", last(invocation)));
        ok("")
    });
}

fn ufw(node: &Scripted) {
    node.on(
        "/usr/sbin/ufw",
        |files, _| if files.has("/usr/sbin/ufw") { ok("") } else { refused("not installed") },
    );
    node.on("/usr/sbin/ufw status verbose", |files, _| {
        let active = files.has("/run/ufw");
        ok(if active {
            "Status: active\nLogging: on (low)\nDefault: deny (incoming), allow (outgoing), disabled (routed)\n"
        } else {
            "Status: inactive\n"
        })
    });
    node.on("/usr/sbin/ufw show added", |files, _| ok(&files.text("/etc/ufw/user.rules")));
    node.on("/usr/sbin/ufw allow", |files, invocation| {
        let words: Vec<String> = invocation.arguments.iter().skip(1).cloned().collect();
        append(files, "/etc/ufw/user.rules", &format!("ufw {}\n", words.join(" ")));
        ok("")
    });
    node.on("/usr/sbin/ufw --force enable", |files, _| {
        files.put("/etc/ufw/ufw.conf", "ENABLED=yes\n");
        files.put("/run/ufw", "");
        ok("")
    });
    node.on("/usr/sbin/ufw --force disable", |files, _| {
        files.put("/etc/ufw/ufw.conf", "ENABLED=no\n");
        if files.has("/run/ufw") {
            files.remove("/run/ufw");
        }
        ok("")
    });
}
