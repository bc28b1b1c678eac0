//! What may differ after a run was put back, all of it, in one place (design 3).
//!
//! firstlight's own installation stays (`/usr/local/sbin/firstlight` is outside `/etc`); dpkg's and apt's
//! state, caches and logs lie below `/var` and are not compared. Everything else must be as before.

use anyhow::{Result, ensure};

use crate::manifest::Manifest;
use crate::node::Node;
use crate::payload::ADMIN;

/// The packages a run installs.
const PACKAGES: &[&str] = &["sudo", "ufw", "fail2ban", "unattended-upgrades", "apt-listchanges"];

/// Whether a path of `/etc` belongs to firstlight's own installation or its last words.
pub fn allowed(path: &str) -> bool {
    let own_unit = |name: &str| name.starts_with("firstlight-");
    if let Some(rest) = path.strip_prefix("/etc/systemd/system/") {
        return match rest.split_once('/') {
            None => own_unit(rest) || rest.ends_with(".target.wants"),
            Some((directory, name)) => directory.ends_with(".target.wants") && own_unit(name),
        };
    }
    ["/etc/motd.d", "/etc/issue.d"].iter().any(|directory| {
        path == *directory || path.strip_prefix(directory).is_some_and(|name| name.contains("firstlight"))
    })
}

/// `/etc` and all packages must be what they were, apart from the above.
pub fn expect_etc(node: &mut Node, before: &Manifest) -> Result<()> {
    let differences = before.differences(&node.manifest()?, &allowed);
    ensure!(differences.is_empty(), "the node is not what it was:\n  {}", differences.join("\n  "));
    Ok(())
}

/// No package and no user of ours may be there.
pub fn expect_no_trace(node: &mut Node) -> Result<()> {
    let there = installed(node)?;
    ensure!(there.is_empty(), "packages are still there: {}", there.join(" "));
    ensure!(!node.holds(&format!("getent passwd {ADMIN}"))?, "the user {ADMIN} is still there");
    ensure!(!node.holds(&format!("test -e /home/{ADMIN}"))?, "the home of {ADMIN} is still there");
    let audit = node.run("dpkg --audit")?;
    ensure!(audit.status == 0 && audit.stdout.trim().is_empty(), "dpkg complains: {}", audit.stdout);
    Ok(())
}

/// Which of the run's packages are on the node in whatever state but "never heard of".
pub fn installed(node: &mut Node) -> Result<Vec<String>> {
    let query = format!(
        "dpkg-query --show --showformat='${{Package}} ${{db:Status-Status}}\\n' {}",
        PACKAGES.join(" ")
    );
    // dpkg-query complains about names it does not know: the expected case.
    let said = node.run(&query)?;
    Ok(said.stdout.lines().filter(|line| !line.ends_with(" not-installed")).map(str::to_owned).collect())
}

/// All of the run's packages must be there.
pub fn expect_installed(node: &mut Node) -> Result<()> {
    let there = installed(node)?;
    for name in PACKAGES {
        ensure!(there.contains(&format!("{name} installed")), "{name} is not installed: {there:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_installation_may_stay() {
        assert!(allowed("/etc/systemd/system/firstlight-recover.service"));
        assert!(allowed("/etc/systemd/system/sysinit.target.wants"));
        assert!(allowed("/etc/systemd/system/sysinit.target.wants/firstlight-recover-early.service"));
        assert!(!allowed("/etc/systemd/system/multi-user.target.wants/ufw.service"));
        assert!(!allowed("/etc/ssh/sshd_config.d/00-firstlight.conf"));
        assert!(!allowed("/etc/sudoers.d/firstlight"));
    }
}
