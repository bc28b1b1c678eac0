//! Undo beyond files: the kernel's rules, units, and what others have built on ours since.

use anyhow::{Result, ensure};

use super::hook::INSTALLED_PATH;
use super::kept;
use crate::bench::Bench;
use crate::payload::ADMIN;

/// A package of somebody else's that needs one of ours.
const DEPENDENT: &str = "needs-sudo";

/// What a rollback must bring back, a name and the command that shows it.
///
/// The kernel's filter, IPv4 and IPv6, and what it does with packets beside it; which units are enabled, masked or
/// static, which services, timers and sockets run, and which timers wait; accounts with their subordinate ids; who may
/// use sudo; and the AppArmor profiles in the kernel with their modes.
const LOOKS: &[(&str, &str)] = &[
    ("the kernel's filter", FILTER),
    (
        "kernel settings",
        "sysctl -a 2>/dev/null | grep -E '^(net.ipv[46]|net.bridge|kernel.(kptr|dmesg|yama|sysrq))' | sort",
    ),
    // Our own installation apart.
    (
        "units",
        "systemctl list-unit-files --no-legend --no-pager | awk '{ print $1, $2 }' | grep -v ^firstlight",
    ),
    // What starts by a clock or a login for a moment apart.
    (
        "running units",
        "systemctl list-units --type=service,timer,socket --state=active --no-legend --no-pager --plain \
         | awk '{ print $1 }' | grep -Ev '^(firstlight|proxmox-first-boot|user|session|apt-daily|dpkg-db|systemd-(hostnamed|localed|timedated|tmpfiles))' \
         | sort",
    ),
    (
        "timers",
        "systemctl list-timers --all --no-legend --no-pager | awk '{ print $(NF-1), $NF }' | grep -v firstlight | sort",
    ),
    ("accounts", "getent passwd; getent group; getent shadow; getent gshadow"),
    ("subordinate ids", "cat /etc/subuid /etc/subgid"),
    (
        "sudo",
        "find /etc/sudo* -exec stat -c '%n %A %U:%G' {} + -type f -exec sha256sum {} + 2>&1; test ! -x /usr/bin/sudo",
    ),
    ("AppArmor profiles", "sort /sys/kernel/security/apparmor/profiles | grep ."),
];

/// Everything beyond files is as before.
pub fn run_time(bench: &mut Bench) -> Result<()> {
    let node = bench.idle()?;
    let before: Vec<String> = LOOKS.iter().map(|(_, look)| node.ok(look)).collect::<Result<_>>()?;
    let node = bench.committed()?;
    let filtering = node.ok(FILTER)?;
    ensure!(filtering.contains("ufw-user-input"), "UFW does not filter after the run:\n{filtering}");
    let new = format!(
        "grep -q ^{ADMIN}: /etc/subuid && sudo -l -U {ADMIN} | grep -q ALL && systemctl is-enabled ufw"
    );
    ensure!(node.holds(&new)?, "the run has made neither ids nor rights nor units");
    let said = node.run_within(&format!("{INSTALLED_PATH} rollback"), 300)?;
    ensure!(said.status == 0, "rollback ended with {}: {}{}", said.status, said.stdout, said.stderr);
    for ((name, look), before) in LOOKS.iter().zip(&before) {
        let now = node.ok(look)?;
        ensure!(now == *before, "{name}, not as before:\n{}", changed(before, &now));
    }
    ensure!(!node.holds("systemctl is-failed --quiet ufw.service")?, "a unit of ours is left as failed");
    Ok(())
}

/// Somebody installed what needs sudo, and made a user: both stay, sudo too, and the rest goes.
pub fn built_upon(bench: &mut Bench) -> Result<()> {
    for option in ["", "--force"] {
        let node = bench.committed()?;
        node.ok(&format!(
            "mkdir -p /root/deb/DEBIAN && printf 'Package: {DEPENDENT}\\nVersion: 1\\nArchitecture: all\\n\
             Maintainer: Tests <tests@example.invalid>\\nDepends: sudo\\nDescription: needs sudo\\n' \
             > /root/deb/DEBIAN/control && dpkg-deb --build /root/deb /root/{DEPENDENT}.deb && \
             dpkg --install /root/{DEPENDENT}.deb && useradd --create-home eve && usermod --append --groups sudo eve"
        ))?;
        let shown = node.run_within(&format!("{INSTALLED_PATH} rollback {option} --dry-run"), 300)?;
        ensure!(shown.status == 0, "the dry run ended with {}: {}", shown.status, shown.stderr);
        ensure!(shown.stdout.contains(&format!("sudo stays: {DEPENDENT} needs it")), "{}", shown.stdout);
        ensure!(node.holds(&format!("getent passwd {ADMIN}"))?, "the dry run has changed something");
        let said = node.run_within(&format!("{INSTALLED_PATH} rollback {option}"), 300)?;
        let text = format!("{}{}", said.stdout, said.stderr);
        ensure!(said.status == 3, "rollback ended with {}: {text}", said.status);
        ensure!(text.contains(&format!("package sudo: {DEPENDENT} needs it")), "it is not listed: {text}");
        for package in ["sudo", DEPENDENT] {
            let query = format!("dpkg-query -W -f '${{Status}}' {package} | grep -qx 'install ok installed'");
            ensure!(node.holds(&query)?, "{package} is gone");
        }
        let there = kept::installed(node)?;
        ensure!(there == ["sudo installed"], "other packages of ours are still there: {there:?}");
        ensure!(node.holds("sudo -n true && visudo -c")?, "sudo does not work any more");
        ensure!(node.holds("test ! -e /etc/sudoers.d/firstlight")?, "our own file stayed");
        ensure!(!node.holds(&format!("getent passwd {ADMIN}"))?, "the user {ADMIN} is still there");
        ensure!(
            !node.holds(&format!("grep -q ^{ADMIN}: /etc/subuid /etc/subgid /etc/shadow /etc/group"))?,
            "something of {ADMIN} is left in the account database"
        );
        ensure!(node.holds("id -nG eve | grep -qw sudo && test -d /home/eve")?, "somebody's user was lost");
        ensure!(node.holds("pwck -rq && grpck -r")?, "the account database is damaged");
        let audit = node.run("dpkg --audit")?;
        ensure!(audit.stdout.trim().is_empty(), "dpkg complains: {}", audit.stdout);
    }
    Ok(())
}

/// Everything in the kernel's filter tables that is not a built-in chain that accepts.
const FILTER: &str = "\
    for tool in iptables-save ip6tables-save; do echo $tool; $tool | grep -v '^[#*]\\|^COMMIT\\|^:[A-Z]* ACCEPT ' \
    | sed 's/ \\[[0-9:]*\\]$//'; done";

/// Lines that only one of them has.
fn changed(before: &str, now: &str) -> String {
    let only = |one: &str, other: &str, mark: &str| -> Vec<String> {
        let lost = one.lines().filter(|line| !other.lines().any(|same| same == *line));
        lost.map(|line| format!("{mark} {line}")).collect()
    };
    [only(before, now, "-"), only(now, before, "+")].concat().join("\n")
}
