//! Runs that fail: before anything, after the packages, and in the middle.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{hook, kept};
use crate::bench::Bench;

/// sshd refuses the staged configuration because of somebody else's file: nothing is touched.
pub fn sshd(bench: &mut Bench) -> Result<()> {
    let broken =
        "mkdir -p /etc/ssh/sshd_config.d && echo 'NoSuchOption yes' > /etc/ssh/sshd_config.d/10-broken.conf";
    let status = failing(bench, broken, "untouched")?;
    refused(&status, "ssh.configuration", "NoSuchOption")?;
    let steps = status["steps"].as_array().context("the status has no steps")?;
    ensure!(steps.iter().all(|step| step["outcome"] == "waiting"), "a step began: {status}");
    let node = bench.same_idle()?;
    let logs = node.ok("cat /var/log/dpkg.log 2>/dev/null | grep -c ' install ufw' || true")?;
    ensure!(logs.trim() == "0", "packages were installed before the gate failed: {status}");
    Ok(())
}

/// The status names the gate that refused, and what the tool said.
fn refused(status: &Value, gate: &str, message: &str) -> Result<()> {
    let gates = status["gates"].as_array().context("the status has no gates")?;
    let said = gates.iter().find(|said| said["gate"] == gate && said["passed"] == false);
    let words = said.and_then(|said| said["message"].as_str()).unwrap_or_default();
    ensure!(words.contains(message), "the status does not say that {gate} refused `{message}`: {status}");
    Ok(())
}

/// visudo comes with the packages and refuses somebody else's file: all is put back.
pub fn visudo(bench: &mut Bench) -> Result<()> {
    let broken = "mkdir -p /etc/sudoers.d && chmod 750 /etc/sudoers.d \
        && echo 'this is no sudoers line' > /etc/sudoers.d/zz-broken && chmod 440 /etc/sudoers.d/zz-broken";
    let status = failing(bench, broken, "reverted")?;
    refused(&status, "admin.sudoers", "zz-broken")?;
    let steps = status["steps"].as_array().context("the status has no steps")?;
    ensure!(
        steps.first().is_some_and(|step| step["outcome"] == "reverted"),
        "the packages were not installed and taken back: {status}"
    );
    Ok(())
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
    let status = failing(bench, &broken.replace("{CAPABILITY}", CAPABILITY), "reverted")?;
    let steps = status["steps"].as_array().context("the status has no steps")?;
    let failed = |step: &&Value| step["title"].as_str().is_some_and(|title| title.contains("fail2ban"));
    ensure!(
        steps.iter().filter(failed).any(|step| step["outcome"] == "failed" || step["outcome"] == "reverted")
            && status["message"].as_str().is_some_and(|message| message.contains("fail2ban")),
        "the status does not name the unit that refused: {status}"
    );
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
fn failing(bench: &mut Bench, broken: &str, outcome: &str) -> Result<Value> {
    let node = bench.armed()?;
    node.ok(broken)?;
    let before = node.manifest()?;
    let end = hook::run(node)?;
    let status = hook::expect_failed(node, &end, outcome)?;
    ensure!(hook::pending(node)?, "PVE's flag is gone after one failed try");
    kept::expect_etc(node, &before)?;
    kept::expect_no_trace(node)?;
    Ok(status)
}
