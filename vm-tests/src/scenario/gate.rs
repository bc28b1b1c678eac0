//! Runs that fail: before anything, after the packages, and in the middle.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{hook, kept};
use crate::bench::Bench;

/// sshd refuses the staged configuration because of somebody else's file: nothing is touched.
pub fn sshd(bench: &mut Bench) -> Result<()> {
    let broken =
        "mkdir -p /etc/ssh/sshd_config.d && echo 'NoSuchOption yes' > /etc/ssh/sshd_config.d/10-broken.conf";
    let status = failing(bench, broken, "untouched", &["ssh", "NoSuchOption"])?;
    let node = bench.same_idle()?;
    let logs = node.ok("tail -n +1 /var/log/dpkg.log 2>/dev/null | grep -c ' install ufw' || true")?;
    ensure!(logs.trim() == "0", "packages were installed before the gate failed: {status}");
    Ok(())
}

/// visudo comes with the packages and refuses somebody else's file: all is put back.
pub fn visudo(bench: &mut Bench) -> Result<()> {
    let broken = "mkdir -p /etc/sudoers.d && chmod 750 /etc/sudoers.d \
        && echo 'this is no sudoers line' > /etc/sudoers.d/zz-broken && chmod 440 /etc/sudoers.d/zz-broken";
    failing(bench, broken, "reverted", &["sudoers", "zz-broken"]).map(drop)
}

/// `cap_net_raw+ep`, as the kernel keeps it.
const CAPABILITY: &str = "0x0100000200200000000000000000000000000000";

/// A unit refuses to start when its configuration is already written: all is put back, with what a file can have
/// beside its content: attributes, an ACL, capabilities and a second name, where the tools of the run write too.
pub fn unit(bench: &mut Bench) -> Result<()> {
    let broken = "setfattr -n user.note -v hello /etc/passwd && setfacl -m u:nobody:r /etc/group \
        && ln /etc/shadow /etc/shadow.mine && cp /bin/true /etc/default/tool && setfattr -n security.capability -v {CAPABILITY} /etc/default/tool \
        && setfattr -n user.note -v hello /etc/default \
        && mkdir -p /etc/systemd/system/fail2ban.service.d \
        && printf '[Service]\\nExecStartPre=/bin/false\\n' > /etc/systemd/system/fail2ban.service.d/broken.conf \
        && systemctl daemon-reload";
    failing(bench, &broken.replace("{CAPABILITY}", CAPABILITY), "reverted", &["fail2ban"])?;
    let node = bench.same_idle()?;
    let sshd = node.ok("sshd -T | grep -E '^(permitrootlogin|passwordauthentication) '")?;
    ensure!(
        sshd.contains("permitrootlogin yes") && sshd.contains("passwordauthentication yes"),
        "sshd: {sshd}"
    );
    let rules = node.ok("iptables -S INPUT")?;
    ensure!(rules.trim() == "-P INPUT ACCEPT", "firewall rules were left behind: {rules}");
    Ok(())
}

/// Runs the hook on a node that somebody broke, and expects it back as it was, and a status that says why.
fn failing(bench: &mut Bench, broken: &str, outcome: &str, said: &[&str]) -> Result<Value> {
    let node = bench.armed()?;
    node.ok(broken)?;
    let before = node.manifest()?;
    let end = hook::run(node)?;
    let status = hook::expect_failed(node, &end, outcome)?;
    let text = status.to_string();
    for word in said {
        ensure!(text.contains(word), "the status does not name {word}: {text}");
    }
    ensure!(hook::pending(node)?, "PVE's flag is gone after one failed try");
    kept::expect_etc(node, &before)?;
    kept::expect_no_trace(node)?;
    Ok(status)
}
