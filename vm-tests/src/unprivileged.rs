//! Without root: the harness goes into a user namespace in which it is root, with the user's subordinate ids.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::on_path;

/// `ip netns` wants `/run/netns`: a /run of our own, in which all that was there is still found.
const IN_NAMESPACE: &str = r#"set -e
old=$(mktemp -d)
mount --rbind /run "$old"
mount -t tmpfs -o mode=0755 run /run
for entry in "$old"/*; do
    [ "${entry##*/}" = netns ] || ln -s "$entry" /run/
done
mkdir /run/netns
exec "$@"
"#;

/// Starts this program again as root of a user namespace; returns only where it is root of some kind already.
pub fn enter() -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let missing = missing();
    if !missing.is_empty() {
        bail!("the virtual machines need root, or a user namespace: {}", missing.join("; "));
    }
    let program = std::env::current_exe().context("finding this program")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let error = Command::new("unshare")
        .args(["--user", "--map-root-user", "--map-auto", "--mount", "sh", "-c", IN_NAMESPACE, "sh"])
        .arg(program)
        .args(std::env::args_os().skip(1))
        // Debian gives a user no sbin, and ip and mke2fs are there.
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .exec();
    Err(error).context("running unshare")
}

/// Whether the root we are is the root of the machine.
pub fn is_real_root() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    nix::unistd::geteuid().is_root() && map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// What the machine lacks for it, and what would help.
fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if !on_path("newuidmap") {
        missing.push("newuidmap is missing (package uidmap)".to_owned());
    }
    let id = nix::unistd::getuid();
    let name = nix::unistd::User::from_uid(id).ok().flatten().map(|user| user.name).unwrap_or_default();
    for file in ["/etc/subuid", "/etc/subgid"] {
        let text = fs::read_to_string(file).unwrap_or_default();
        if !has_range(&text, &name, &id.to_string()) {
            missing.push(format!(
                "{file} has no range for {name} (usermod --add-subuids 100000-165535 --add-subgids 100000-165535)"
            ));
        }
    }
    if fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_err() {
        missing.push("/dev/net/tun may not be opened by this user".to_owned());
    }
    missing
}

fn has_range(text: &str, name: &str, id: &str) -> bool {
    text.lines().filter_map(|line| line.split(':').next()).any(|owner| owner == name || owner == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_belongs_to_a_name_or_a_number() {
        assert!(has_range("a:100000:65536\nb:165536:65536\n", "b", "1001"));
        assert!(has_range("1001:100000:65536\n", "b", "1001"));
        assert!(!has_range("bb:100000:65536\n", "b", "1001"));
    }
}
