//! UFW, and what the kernel filters by.

use super::{ended, ok, refused};
use crate::node::Output;
use crate::node::memory::Shell;

/// What the kernel has.
const LOADED: &str = "/run/loaded-ufw";
const CONF: &str = "/etc/ufw/ufw.conf";
const DEFAULTS: &str = "/etc/default/ufw";
const RULES: &str = "/etc/ufw/user.rules";
const RULES6: &str = "/etc/ufw/user6.rules";

pub fn furnish(_: &mut Shell<'_>) {}

/// What the package brings below `/etc`.
pub const FILES: [(&str, &str, u32); 8] = [
    (CONF, "ENABLED=no\nLOGLEVEL=low\n", 0o644),
    (
        DEFAULTS,
        "IPV6=yes\nIPT_SYSCTL=/etc/ufw/sysctl.conf\nDEFAULT_INPUT_POLICY=\"DROP\"\nDEFAULT_OUTPUT_POLICY=\"ACCEPT\"\nDEFAULT_FORWARD_POLICY=\"DROP\"\n",
        0o644,
    ),
    (RULES, "", 0o640),
    (RULES6, "", 0o640),
    (
        "/etc/ufw/before.rules",
        "*filter\n-A ufw-before-input -p icmp --icmp-type echo-request -j ACCEPT\nCOMMIT\n",
        0o640,
    ),
    (
        "/etc/ufw/before6.rules",
        "*filter\n-A ufw6-before-input -p icmpv6 --icmpv6-type echo-request -j ACCEPT\nCOMMIT\n",
        0o640,
    ),
    ("/etc/ufw/sysctl.conf", "net/ipv4/conf/all/accept_redirects=0\n", 0o644),
    ("/etc/init.d/ufw", "#!/bin/sh\n", 0o755),
];

fn setting(shell: &Shell<'_>, path: &str, name: &str) -> String {
    let text = shell.text(path);
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_default().trim_matches('"').to_owned()
}

/// UFW writes a new file and renames it; it syncs nothing.
fn set(shell: &mut Shell<'_>, path: &str, name: &str, value: &str) {
    let text: String = shell
        .text(path)
        .lines()
        .map(|line| {
            if line.starts_with(&format!("{name}=")) {
                format!("{name}={value}\n")
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    shell.put(path, &text);
}

/// The kernel gets everything that the files say.
fn load(shell: &mut Shell<'_>) {
    let mut text = String::new();
    for (path, ..) in FILES {
        if path.contains("rules") || path == DEFAULTS {
            text.push_str(&shell.text(path));
        }
    }
    shell.show(LOADED, &text);
    shell.show("/proc/sys/net/ipv4/conf/all/accept_redirects", "0\n");
}

pub fn unload(shell: &mut Shell<'_>) {
    if shell.has(LOADED) {
        shell.remove(LOADED);
    }
}

/// What `ufw-init start` does at boot.
pub fn load_at_boot(shell: &mut Shell<'_>) {
    if setting(shell, CONF, "ENABLED") == "yes" {
        load(shell);
    }
}

fn quoted(words: &[&str]) -> String {
    let word = |word: &&str| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn status(shell: &Shell<'_>) -> String {
    if !shell.has(LOADED) {
        return "Status: inactive\n".to_owned();
    }
    let word = |name: &str| match setting(shell, DEFAULTS, name).as_str() {
        "ACCEPT" => "allow",
        "REJECT" => "reject",
        _ => "deny",
    };
    let (incoming, outgoing) = (word("DEFAULT_INPUT_POLICY"), word("DEFAULT_OUTPUT_POLICY"));
    let logging = match setting(shell, CONF, "LOGLEVEL").as_str() {
        "off" => "off".to_owned(),
        level => format!("on ({level})"),
    };
    format!(
        "Status: active\nLogging: {logging}\n\
         Default: {incoming} (incoming), {outgoing} (outgoing), disabled (routed)\n"
    )
}

pub fn ufw(shell: &mut Shell<'_>, words: &[&str]) -> Output {
    match words {
        ["status", ..] => return ok(status(shell)),
        ["show", "added"] => return ok(shell.text(RULES)),
        ["--dry-run", ..] => return ok("*filter\n"),
        ["--force", "enable"] => {
            if setting(shell, CONF, "ENABLED") != "yes" {
                set(shell, CONF, "ENABLED", "yes");
            }
            load(shell);
            // It always brings its lines about logging up to date.
            for path in [RULES, RULES6] {
                let text = shell.text(path);
                shell.put(path, &text);
            }
        }
        ["--force", "disable"] => {
            unload(shell);
            set(shell, CONF, "ENABLED", "no");
        }
        ["reload"] => {
            if shell.has(LOADED) {
                load(shell);
            }
        }
        ["default", policy, direction] => {
            let name = match *direction {
                "incoming" => "DEFAULT_INPUT_POLICY",
                "outgoing" => "DEFAULT_OUTPUT_POLICY",
                _ => "DEFAULT_FORWARD_POLICY",
            };
            let value = match *policy {
                "allow" => "\"ACCEPT\"",
                "reject" => "\"REJECT\"",
                _ => "\"DROP\"",
            };
            set(shell, DEFAULTS, name, value);
        }
        ["logging", level] => set(shell, CONF, "LOGLEVEL", level),
        ["allow" | "limit" | "deny" | "reject", ..] => {
            let line = format!("ufw {}\n", quoted(words));
            for path in [RULES6, RULES] {
                let text = shell.text(path);
                shell.put(path, &(text + &line));
            }
        }
        ["--force", "delete", rule @ ..] => {
            let start = format!("ufw {}", quoted(rule));
            for path in [RULES6, RULES] {
                let text: String = shell
                    .text(path)
                    .lines()
                    .filter(|line| !line.starts_with(&start))
                    .map(|line| format!("{line}\n"))
                    .collect();
                shell.put(path, &text);
            }
        }
        _ => return refused(1, format!("not simulated: ufw {}", words.join(" "))),
    }
    ended(shell)
}

/// `ufw-init force-reload`.
pub fn init(shell: &mut Shell<'_>) -> Output {
    if setting(shell, CONF, "ENABLED") == "yes" {
        unload(shell);
        load(shell);
    }
    ended(shell)
}

/// `iptables-save`, made from what was loaded.
pub fn save(shell: &Shell<'_>, six: bool) -> Output {
    let mut text = String::from("*filter\n");
    let policy = if shell.has(LOADED) { "DROP" } else { "ACCEPT" };
    text.push_str(&format!(":INPUT {policy} [0:0]\n{}", super::pve::rules(shell)));
    if shell.has(LOADED) {
        let prefix = if six { "ufw6" } else { "ufw" };
        for (chain, builtin) in [("input", "INPUT"), ("output", "OUTPUT")] {
            text.push_str(&format!("-A {builtin} -j {prefix}-before-{chain}\n"));
            text.push_str(&format!("-A {prefix}-before-{chain} -j {prefix}-user-{chain}\n"));
        }
        for line in shell.text(LOADED).lines().filter_map(|line| line.strip_prefix("ufw ")) {
            text.push_str(&rule(line, prefix, six).unwrap_or_default());
        }
    }
    ok(text + "COMMIT\n")
}

/// `allow from 10.0.20.0/24 to any port 22 proto tcp comment '…'` as the kernel shows it.
fn rule(line: &str, prefix: &str, six: bool) -> Option<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let after = |name: &str| words.iter().position(|word| *word == name).map(|at| words[at + 1]);
    let network = after("from")?;
    if network.contains(':') != six {
        return None;
    }
    let (port, protocol) = (after("port")?, after("proto")?);
    let line =
        format!("-A {prefix}-user-input -s {network} -p {protocol} -m {protocol} --dport {port} -j ACCEPT\n");
    // The same rule is in both files.
    Some(line)
}
