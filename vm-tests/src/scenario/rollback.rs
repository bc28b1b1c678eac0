//! `firstlight rollback` after a committed run.

use anyhow::{Result, ensure};

use super::hook::{self, INSTALLED_PATH};
use super::kept;
use crate::agent::Output;
use crate::bench::Bench;
use crate::manifest::Manifest;
use crate::network::{Reach, Side};
use crate::node::Node;

const DROP_IN_PATH: &str = "/etc/ssh/sshd_config.d/00-firstlight.conf";

/// The whole run is taken back: files, packages, the user, the firewall.
pub fn whole(bench: &mut Bench) -> Result<()> {
    let before = bench.original()?;
    let node = bench.committed()?;
    let said = rollback(node, "")?;
    ensure!(said.status == 0, "rollback ended with {}: {}{}", said.status, said.stdout, said.stderr);
    expect_old(node, &before)
}

/// Killed in the middle of the purge: the keeper of the deadline goes on with it, without a restart and without anybody.
pub fn killed(bench: &mut Bench) -> Result<()> {
    let before = bench.original()?;
    let node = bench.committed()?;
    node.ok(&format!("setsid {INSTALLED_PATH} rollback > /run/rollback.log 2>&1 < /dev/null &"))?;
    let purging = "until ! test -e /var/lib/dpkg/info/fail2ban.list; do sleep 0.02; done";
    let seen = node.run_within(purging, 300)?;
    ensure!(seen.status == 0, "dpkg purges nothing: {}", node.ok("cat /run/rollback.log")?);
    node.ok("kill -KILL $(cat /var/lib/firstlight/lock)")?;
    node.run_within(&format!("{INSTALLED_PATH} status --wait=600"), 650)?;
    expect_old(node, &before)?;
    let said = node.ok("journalctl --boot --no-pager --unit=firstlight-deadline.service --output=cat")?;
    ensure!(said.contains("was not finished: putting it back"), "somebody else has done it: {said}");
    Ok(())
}

/// A file that somebody changed since is listed and kept; `--force` takes it back too.
pub fn kept(bench: &mut Bench) -> Result<()> {
    let before = bench.original()?;
    let node = bench.committed()?;
    change(node)?;
    let said = rollback(node, "")?;
    ensure!(said.status == 3, "rollback ended with {}: {}{}", said.status, said.stdout, said.stderr);
    ensure!(
        format!("{}{}", said.stdout, said.stderr).contains(DROP_IN_PATH),
        "the kept file is not listed: {}{}",
        said.stdout,
        said.stderr
    );
    ensure!(node.holds(&format!("grep -q '^# mine$' {DROP_IN_PATH}"))?, "somebody's change was lost");
    let others = before.differences(&node.manifest()?, &|path| kept::allowed(path) || path == DROP_IN_PATH);
    ensure!(others.is_empty(), "more was kept than the changed file:\n  {}", others.join("\n  "));

    let node = bench.committed()?;
    change(node)?;
    let said = rollback(node, "--force")?;
    ensure!(said.status == 0, "rollback --force ended with {}: {}{}", said.status, said.stdout, said.stderr);
    expect_old(node, &before)
}

fn change(node: &mut Node) -> Result<()> {
    node.ok(&format!("echo '# mine' >> {DROP_IN_PATH}")).map(drop)
}

fn rollback(node: &mut Node, options: &str) -> Result<Output> {
    node.run_within(&format!("{INSTALLED_PATH} rollback {options}"), 300)
}

fn expect_old(node: &mut Node, before: &Manifest) -> Result<()> {
    hook::expect_outcome(node, "rolled-back")?;
    kept::expect_etc(node, before)?;
    kept::expect_no_trace(node)?;
    let sshd = node.ok("sshd -T")?;
    ensure!(sshd.contains("permitrootlogin yes"), "sshd -T is not what it was: {sshd}");
    for port in [22, 8006] {
        let reach = node.probe(Side::Outsider, port)?;
        ensure!(reach == Reach::Open, "port {port} is {reach:?} from the outsider, and was open before");
    }
    Ok(())
}
