//! After the first boot: a second run and a second boot change nothing.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::first::hardened;
use super::hook::{self, INSTALLED_PATH};
use crate::bench::Bench;
use crate::node::Node;

/// Names and times of all that an unnecessary write would change.
pub const TIMES: &str = "find /etc /home /root /usr /boot /var/lib/proxmox-first-boot /var/lib/ufw /var/lib/fail2ban \
    -xdev -printf '%p %T@ %C@\\n' | sort";

/// A second `apply` of the same answer.
pub fn empty_plan(bench: &mut Bench) -> Result<()> {
    let answer = std::fs::read(&bench.payload()?.answer)?;
    let node = bench.committed()?;
    node.put("/run/ufw.toml", &answer, 0o600)?;
    let transactions = runs(node)?;
    let before = node.ok(TIMES)?;
    let plan = node.run_within(&format!("{INSTALLED_PATH} plan /run/ufw.toml --json"), 120)?;
    let planned: Value = serde_json::from_str(&plan.stdout)
        .with_context(|| format!("reading the plan: {}{}", plan.stdout, plan.stderr))?;
    ensure!(
        plan.status == 0
            && planned["empty"] == true
            && planned["steps"].as_array().is_some_and(Vec::is_empty),
        "the plan of a second run is not empty ({}): {planned}",
        plan.status
    );
    let again = node.run_within(&format!("{INSTALLED_PATH} apply /run/ufw.toml"), 300)?;
    ensure!(
        again.status == 0,
        "a second apply ended with {}: {}{}",
        again.status,
        again.stdout,
        again.stderr
    );
    ensure!(again.stdout.contains("nothing to do"), "a second apply says: {}", again.stdout);
    ensure!(runs(node)? == transactions, "a second apply left a transaction behind");
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
    story(node, &status)?;
    hardened(node, &key)
}

/// The status tells every step with its end and its time, to people and to programs.
fn story(node: &mut Node, status: &Value) -> Result<()> {
    let told = node.run(&format!("{INSTALLED_PATH} status"))?;
    // The true code of the run: 3 where it ended with warnings.
    let warned = status["warnings"].as_array().is_some_and(|warnings| !warnings.is_empty());
    ensure!(
        told.status == if warned { 3 } else { 0 } && told.stdout.contains("committed"),
        "status ended with {}: {}{}",
        told.status,
        told.stdout,
        told.stderr
    );
    let steps = status["steps"].as_array().context("the status has no steps")?;
    ensure!(steps.len() > 5, "the status has {} steps: {status}", steps.len());
    for step in steps {
        let title = step["title"].as_str().unwrap_or_default();
        ensure!(
            step["outcome"] == "done" && step["seconds"].is_number() && told.stdout.contains(title),
            "the status does not tell `{title}` whole: {step} {}",
            told.stdout
        );
    }
    Ok(())
}

fn runs(node: &mut Node) -> Result<String> {
    node.ok("ls /var/lib/firstlight/tx")
}
