//! pmxcfs down, without quorum, late, killed and stopped in the middle: nothing lands in the plain directory below it.

use anyhow::{Context, Result, ensure};

use super::kernel::{self, Filter};
use super::{ANSWER_PATH, ON_TRIAL, RUN};
use crate::bench::{BINARY_PATH, Bench};
use crate::node::Node;
use crate::scenario::hook::{self, INSTALLED_PATH};

/// Opens the plain directory, which the mount hides, past it: a mount made later must not spread to there. Whatever comes
/// or goes in it changes its times, however short.
const WATCH: &str = "mkdir -p /run/below && mount --bind --make-private / /run/below && \
    test -z \"$(ls -A /run/below/etc/pve)\" && stat -c '%y %z' /run/below/etc/pve > /run/plain";

/// `apply` says at once what is missing; the first boot waits, here for 40 seconds, and then commits.
pub fn waited(bench: &mut Bench) -> Result<()> {
    let answer = super::answer(bench, &[("mode = \"pve\"", "mode = \"pve\"\ndatacenter = true")])?;
    let node = super::node(bench)?;
    node.ok(WATCH)?;
    node.put(ANSWER_PATH, answer.as_bytes(), 0o600)?;
    let before = node.manifest()?;
    node.pve().down()?;
    for command in ["plan", "apply --confirm none"] {
        refused(node, command, &["pmxcfs is not up", "systemctl status pve-cluster"])?;
    }
    node.pve().up()?;
    node.pve().wait_until_up()?;
    node.pve().cluster_of_three()?;
    node.pve().quorum(false)?;
    node.wait_for("the quorum is gone", 10, "test $(stat -c %a /etc/pve/local) = 555")?;
    let files = kernel::files(node)?;
    refused(node, "apply --confirm none", &["the cluster has no quorum", "pvecm status"])?;
    kernel::expect_same(&files, &kernel::files(node)?, "/etc/pve")?;
    node.pve().quorum(true)?;
    node.wait_for("the quorum is back", 10, "test $(stat -c %a /etc/pve/local) = 755")?;
    node.pve().standalone()?;
    super::super::kept::expect_etc(node, &before)?;

    node.pve().down()?;
    node.pve().late(40)?;
    node.ok("mkdir -p /etc/firstlight")?;
    node.put("/etc/firstlight/answer.toml", answer.as_bytes(), 0o600)?;
    hook::install_from(node, BINARY_PATH)?;
    // PVE's services are up, so that this unit does not wait for theirs: the hook does.
    node.ok("systemctl start --no-block pve-cluster.service")?;
    hook::start(node)?;
    let end = hook::wait_for_end(node)?;
    hook::expect_committed(node, &end)?;
    let told = node.ok(&format!("journalctl --boot --no-pager -o cat -u {}", hook::UNIT))?;
    ensure!(told.contains("waiting for pmxcfs on /etc/pve"), "the hook did not wait: {told}");
    kernel::expect_only(node, Filter::Pve)?;
    node.pve().late(0)?;
    expect_plain_empty(node)
}

/// Killed and started again by systemd, killed for good, stopped: each time while the firewall is on trial.
pub fn broken(bench: &mut Bench) -> Result<()> {
    let answer = super::answer(bench, &[])?;
    for how in ["restarted", "dead", "stopped", "no quorum"] {
        let node = super::node(bench)?;
        in_the_middle(node, &answer, how).with_context(|| format!("pmxcfs {how} in the middle"))?;
    }
    Ok(())
}

fn in_the_middle(node: &mut Node, answer: &str, how: &str) -> Result<()> {
    node.ok(WATCH)?;
    node.put(ANSWER_PATH, answer.as_bytes(), 0o600)?;
    if how == "no quorum" {
        node.pve().cluster_of_three()?;
        let member = answer.replace("mode = \"pve\"", "mode = \"pve\"\ndatacenter = true");
        node.put(ANSWER_PATH, member.as_bytes(), 0o600)?;
    }
    let (before, files) = (kernel::read(node)?, kernel::files(node)?);
    node.ok(&format!(
        "setsid sh -c '{BINARY_PATH} apply --confirm none {ANSWER_PATH} > /run/apply.log 2>&1; echo $? > /run/apply.rc' \
         < /dev/null > /dev/null 2>&1 &"
    ))?;
    let seen = node.run_within(&format!("until {ON_TRIAL}; do sleep 0.02; done"), RUN)?;
    ensure!(seen.status == 0, "there was no trial: {}", node.ok("cat /run/apply.log")?);
    match how {
        "restarted" => node.pve().kill(false)?,
        "dead" => node.pve().kill(true)?,
        "no quorum" => node.pve().quorum(false)?,
        _ => node.pve().down()?,
    }
    node.wait_for("the run has ended", RUN, "test -s /run/apply.rc")?;
    let code = node.ok("cat /run/apply.rc")?;
    let told = node.ok("cat /run/apply.log")?;
    crate::progress::say(format_args!("  {how}: exit {}", code.trim()));
    match (how, code.trim()) {
        // systemd is quick: whether the run notices at all is a matter of luck.
        ("restarted", "0" | "3") => {
            kernel::expect_only(node, Filter::Pve)?;
            let back = node.run_within(&format!("{INSTALLED_PATH} rollback"), RUN)?;
            ensure!(back.status == 0, "rollback: {}{}", back.stdout, back.stderr);
        }
        ("restarted", "1") => {}
        (_, "5") => {
            let status = hook::status(node)?.to_string();
            let reason = if how == "no quorum" { "quorum" } else { "pve-cluster" };
            ensure!(told.contains(reason), "nobody says what to do: {told}");
            ensure!(status.contains("\"exit_code\":5"), "the status does not say it: {status}");
            if how == "no quorum" {
                node.pve().quorum(true)?
            } else {
                node.pve().up()?
            }
            node.pve().wait_until_up()?;
            node.wait_for("/etc/pve can be written", 20, "test $(stat -c %a /etc/pve/local) = 755")?;
            let back = node.run_within(&format!("{INSTALLED_PATH} recover"), RUN)?;
            ensure!(matches!(back.status, 0 | 1), "recover: {} {}{}", back.status, back.stdout, back.stderr);
        }
        (_, other) => anyhow::bail!("it ended with {other}: {told}"),
    }
    kernel::expect_same(&before, &kernel::read(node)?, "the kernel")?;
    kernel::expect_same(&files, &kernel::files(node)?, "/etc/pve")?;
    let again = node.run_within(&format!("{BINARY_PATH} apply --confirm none {ANSWER_PATH}"), RUN)?;
    ensure!(
        matches!(again.status, 0 | 3),
        "a later run ended with {}: {}{}",
        again.status,
        again.stdout,
        again.stderr
    );
    kernel::expect_only(node, Filter::Pve)?;
    expect_plain_empty(node)
}

/// Exit code 2 with these words, and nothing was touched.
fn refused(node: &mut Node, command: &str, words: &[&str]) -> Result<()> {
    let said = node.run_within(&format!("{BINARY_PATH} {command} {ANSWER_PATH}"), RUN)?;
    let text = format!("{}{}", said.stdout, said.stderr);
    ensure!(said.status == 2, "`{command}` ended with {}: {text}", said.status);
    for word in words {
        ensure!(text.contains(word), "`{command}` does not say `{word}`: {text}");
    }
    ensure!(!node.holds("test -e /var/lib/firstlight/tx/0001")?, "`{command}` left a transaction behind");
    Ok(())
}

fn expect_plain_empty(node: &mut Node) -> Result<()> {
    let seen =
        node.ok("ls -A /run/below/etc/pve; stat -c '%y %z' /run/below/etc/pve | diff /run/plain - || true")?;
    ensure!(seen.is_empty(), "in the plain directory there is or was something: {seen}");
    node.ok("umount /run/below").map(drop)
}
