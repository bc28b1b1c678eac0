//! PVE's hook on a running node: put it there, start its unit, wait for its end, ask for the report.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::bench::FIRST_BOOT_PATH;
use crate::node::Node;
use crate::progress::took;

/// Where PVE's installer leaves the executable.
pub const EXECUTABLE_PATH: &str = "/var/lib/proxmox-first-boot/proxmox-first-boot";
/// PVE's flag: there until the hook has succeeded.
pub const PENDING_PATH: &str = "/var/lib/proxmox-first-boot/pending-first-boot-setup";
/// PVE's unit.
pub const UNIT: &str = "proxmox-first-boot-multi-user.service";
/// Where the product installs itself.
pub const INSTALLED_PATH: &str = "/usr/local/sbin/firstlight";
/// Seconds a whole run may take natively.
const RUN: u64 = 300;

/// How the unit ended.
#[derive(Debug)]
pub struct End {
    /// systemd's `ActiveState`.
    pub state: String,
    /// The exit status of the executable.
    pub status: i64,
}

/// Puts the baked executable and the flag where PVE's installer would.
pub fn install(node: &mut Node) -> Result<()> {
    install_from(node, FIRST_BOOT_PATH)
}

/// The same with another executable of the guest.
pub fn install_from(node: &mut Node, path: &str) -> Result<()> {
    node.ok(&format!(
        "install -m 0700 '{path}' {EXECUTABLE_PATH} && : > {PENDING_PATH} && chmod 0600 {PENDING_PATH} && sync"
    ))
    .map(drop)
}

/// Starts PVE's unit without waiting for it.
pub fn start(node: &mut Node) -> Result<()> {
    node.ok(&format!("systemctl start --no-block {UNIT}")).map(drop)
}

/// Installs the hook, runs it by its unit and waits for its end.
pub fn run(node: &mut Node) -> Result<End> {
    run_from(node, FIRST_BOOT_PATH)
}

/// The same with another executable of the guest.
pub fn run_from(node: &mut Node, path: &str) -> Result<End> {
    install_from(node, path)?;
    // systemctl waits for a oneshot unit's end without asking again and again; how it ended the unit tells.
    let since = Instant::now();
    node.run_within(&format!("systemctl start {UNIT}"), RUN)?;
    took("the hook", since);
    wait_for_end(node)
}

/// Waits until the unit has ended, one way or the other.
pub fn wait_for_end(node: &mut Node) -> Result<End> {
    let since = Instant::now();
    let deadline = since + node.limit(RUN);
    // In a boot the hook is one of its jobs: waiting for all of them costs the guest less than many questions.
    node.run_within("systemctl is-system-running --wait", RUN)?;
    loop {
        if let Some(end) = ended(node)? {
            took("the hook", since);
            return Ok(end);
        }
        if Instant::now() > deadline {
            bail!("the hook does not end");
        }
        std::thread::sleep(Duration::from_secs(2));
    }
}

/// The unit's end, if it has one; before its start it waits for a job of systemd's.
pub fn ended(node: &mut Node) -> Result<Option<End>> {
    let shown =
        node.ok(&format!("systemctl show -p ActiveState,Job,ExecMainStatus,ConditionResult {UNIT}"))?;
    let field = |name: &str| {
        shown
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
            .to_owned()
    };
    let state = field("ActiveState");
    let queued = !field("Job").is_empty() && field("Job") != "0";
    let over = matches!(state.as_str(), "active" | "failed") || (state == "inactive" && !queued);
    Ok((over && !queued).then(|| End { state, status: field("ExecMainStatus").parse().unwrap_or(-1) }))
}

/// Whether PVE's flag is still there.
pub fn pending(node: &mut Node) -> Result<bool> {
    node.holds(&format!("test -e {PENDING_PATH}"))
}

/// `firstlight status --json`, read.
pub fn status(node: &mut Node) -> Result<Value> {
    let said = node.run(&format!("{INSTALLED_PATH} status --json"))?;
    serde_json::from_str(&said.stdout)
        .with_context(|| format!("reading `firstlight status --json`: {}{}", said.stdout, said.stderr))
}

/// The status must tell this outcome.
pub fn expect_outcome(node: &mut Node, wanted: &str) -> Result<Value> {
    let status = status(node)?;
    let outcome = status["outcome"].as_str().unwrap_or_default();
    ensure!(outcome == wanted, "the status says `{outcome}` in the place of `{wanted}`: {status}");
    Ok(status)
}

/// The hook must have ended as a committed run does.
pub fn expect_committed(node: &mut Node, end: &End) -> Result<Value> {
    ensure!(
        end.state == "active" && end.status == 0,
        "the hook's unit is {} with status {}",
        end.state,
        end.status
    );
    ensure!(!pending(node)?, "PVE's flag is still there after success");
    expect_outcome(node, "committed")
}

/// The hook must have failed once, left the node as it was, and be willing to try again.
pub fn expect_failed(node: &mut Node, end: &End, outcome: &str) -> Result<Value> {
    ensure!(
        end.state == "failed" && end.status == 1,
        "the hook's unit is {} with status {}",
        end.state,
        end.status
    );
    let status = expect_outcome(node, outcome)?;
    ensure!(status["exit_code"].as_i64() == Some(1), "the status keeps another exit code: {status}");
    Ok(status)
}
