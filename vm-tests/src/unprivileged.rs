//! Without root: the harness goes into a user namespace in which it is root, with the user's subordinate ids.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::on_path;

/// Starts this program again as root of a user namespace; returns only where it is root of some kind already.
pub fn enter() -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let missing = missing();
    if !missing.is_empty() {
        bail!("an image needs root, or a user namespace with subordinate ids: {}", missing.join("; "));
    }
    let program = std::env::current_exe().context("finding this program")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let error = Command::new("unshare")
        .args(NAMESPACE)
        .arg(program)
        .args(std::env::args_os().skip(1))
        // Debian gives a user no sbin, and mke2fs is there.
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .exec();
    Err(error).context("running unshare")
}

/// Root is the user himself, everybody else has one of his subordinate ids.
const NAMESPACE: [&str; 4] = ["--user", "--map-root-user", "--map-auto", "--mount"];

/// Whether the root we are is the root of the machine.
pub fn is_real_root() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    nix::unistd::geteuid().is_root() && maps_everybody(&map)
}

fn maps_everybody(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// What the machine lacks for it, and what would help.
fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if !on_path("newuidmap") {
        missing.push("newuidmap is missing (package uidmap)".to_owned());
    }
    let id = nix::unistd::getuid();
    let name = nix::unistd::User::from_uid(id).ok().flatten().map(|user| user.name).unwrap_or_default();
    for (file, option) in [("/etc/subuid", "--add-subuids"), ("/etc/subgid", "--add-subgids")] {
        let text = fs::read_to_string(file).unwrap_or_default();
        if !has_range(&text, &name, &id.to_string()) {
            missing.push(format!("{file} has no range for {name} (usermod {option} FIRST-LAST {name})"));
        }
    }
    if missing.is_empty() {
        // The kernel or AppArmor may forbid it; what unshare says is the best that is known.
        let tried = Command::new("unshare").args(NAMESPACE).arg("true").output();
        match tried {
            Ok(done) if done.status.success() => {}
            Ok(done) => missing.push(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
            Err(error) => missing.push(format!("unshare does not run: {error}")),
        }
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

    #[test]
    fn the_root_of_a_user_namespace_is_not_the_machines() {
        assert!(maps_everybody("         0          0 4294967295\n"));
        assert!(!maps_everybody("         0       1001          1\n         1     165536      65536\n"));
    }
}
