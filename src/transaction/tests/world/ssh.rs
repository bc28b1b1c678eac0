//! sshd: what its configuration says, and what the running one has read.

use super::{ok, refused};
use crate::node::Output;
use crate::node::memory::Shell;

const CONFIG: &str = "/etc/ssh/sshd_config";

pub fn furnish(shell: &mut Shell<'_>) {
    shell.put(CONFIG, "Include /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\n");
    shell.put("/etc/ssh/sshd_config.d/20-local.conf", "LogLevel VERBOSE\nPasswordAuthentication yes\n");
    shell.put_as("/etc/ssh/ssh_host_ed25519_key", "private", (0o600, 0), false);
    let public =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJy2gwjEY6GhQ00A3cdaFfH1RkTRhrMCKph17za7ZyqT root@pve1\n";
    shell.put("/etc/ssh/ssh_host_ed25519_key.pub", public);
}

/// Every file that the configuration at `path` names, one behind the other.
fn whole(shell: &Shell<'_>, path: &str) -> String {
    let mut text = String::new();
    for line in shell.text(path).lines() {
        let Some(pattern) = line.strip_prefix("Include ") else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let directory = pattern.trim_matches('"').trim_end_matches("/*.conf").to_owned();
        for name in
            shell.names(&directory).iter().filter(|name| name.ends_with(".conf") && !name.starts_with('.'))
        {
            text.push_str(&whole(shell, &format!("{directory}/{name}")));
        }
    }
    text
}

/// `sshd -T`: the first value wins.
fn effective(shell: &Shell<'_>, path: &str) -> String {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in whole(shell, path).lines().filter(|line| !line.starts_with('#')) {
        let Some((key, value)) = line.split_once(' ') else { continue };
        let key = key.to_lowercase();
        if !found.iter().any(|(known, _)| *known == key) {
            let value = if value == "prohibit-password" { "without-password" } else { value };
            found.push((key, value.to_owned()));
        }
    }
    for (key, value) in
        [("port", "22"), ("authorizedkeysfile", ".ssh/authorized_keys"), ("authenticationmethods", "any")]
    {
        if !found.iter().any(|(known, _)| known == key) {
            found.push((key.to_owned(), value.to_owned()));
        }
    }
    found.iter().map(|(key, value)| format!("{key} {value}\n")).collect()
}

pub fn sshd(shell: &mut Shell<'_>, words: &[&str]) -> Output {
    let config = words.iter().position(|word| *word == "-f").map_or(CONFIG, |at| words[at + 1]);
    if !shell.has(config) {
        return refused(1, format!("{config}: No such file or directory"));
    }
    if words[1] == "-t" { ok("") } else { ok(effective(shell, config)) }
}

/// The server reads its configuration.
pub fn load(shell: &mut Shell<'_>) {
    let text = effective(shell, CONFIG);
    shell.show("/run/loaded-ssh", &text);
}
