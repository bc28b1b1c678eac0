//! After the first boot: a second run and a second boot change nothing.

use anyhow::{Result, ensure};

use super::first::hardened;
use super::hook::{self, INSTALLED_PATH};
use crate::bench::Bench;
use crate::node::Node;

/// Names and times of all that an unnecessary write would change.
const TIMES: &str = "find /etc /home /root /usr/local -xdev -printf '%p %T@ %C@\\n' | sort";

/// A second `apply` of the same answer.
pub fn empty_plan(bench: &mut Bench) -> Result<()> {
    let answer = std::fs::read(&bench.payload()?.answer)?;
    let node = bench.committed()?;
    node.put("/run/ufw.toml", &answer, 0o600)?;
    let before = node.ok(TIMES)?;
    let plan = node.run_within(&format!("{INSTALLED_PATH} plan /run/ufw.toml"), 120)?;
    ensure!(plan.status == 0, "plan ended with {}: {}{}", plan.status, plan.stdout, plan.stderr);
    let again = node.run_within(&format!("{INSTALLED_PATH} apply /run/ufw.toml"), 300)?;
    ensure!(
        again.status == 0,
        "a second apply ended with {}: {}{}",
        again.status,
        again.stdout,
        again.stderr
    );
    let after = node.ok(TIMES)?;
    let changed: Vec<&str> = after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect();
    ensure!(changed.is_empty() && before == after, "a second apply touched: {}", changed.join(", "));
    Ok(())
}

/// The hardened node is a hardened node after its next boot, and tells what happened.
pub fn reboot(bench: &mut Bench) -> Result<()> {
    let key = bench.payload()?.admin_key.clone();
    let node = bench.committed()?;
    let runs = runs(node)?;
    node.reboot()?;
    node.wait_until_up()?;
    let unit = node.ok(&format!("systemctl show -P ActiveState,ConditionResult {}", hook::UNIT))?;
    ensure!(unit.starts_with("inactive"), "the hook ran again: {unit}");
    ensure!(self::runs(node)? == runs, "there is a new transaction after a reboot");
    let status = hook::expect_outcome(node, "committed")?;
    ensure!(status["tries"].as_i64() == Some(1), "the status counts other tries: {status}");
    let told = node.run(&format!("{INSTALLED_PATH} status"))?;
    // The true code of the run: 3 where it ended with warnings.
    ensure!(
        matches!(told.status, 0 | 3) && told.stdout.contains("committed"),
        "status ended with {}: {}{}",
        told.status,
        told.stdout,
        told.stderr
    );
    hardened(node, &key)
}

fn runs(node: &mut Node) -> Result<String> {
    node.ok("ls /var/lib/firstlight/tx")
}
