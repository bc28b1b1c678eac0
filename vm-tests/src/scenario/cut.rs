//! Power cuts in the middle of a run: QEMU is killed, the disk holds what was flushed.

use anyhow::{Context, Result, ensure};

use super::first::hardened;
use super::hook::{self, INSTALLED_PATH};
use super::kept;
use crate::bench::Bench;
use crate::node::Node;

/// The sshd drop-in is written and its record is on disk: something is done after the intent that may touch its path.
const IN_FILES: &str = "awk -F '\\t' '/entry=.etc.ssh.sshd_config.d.00-firstlight.conf/ {begun = 1} \
    begun && $2 == \"done\" {done = 1} END {exit !done}' /var/lib/firstlight/tx/0001/journal 2>/dev/null";
/// dpkg has unpacked one of the packages and has more to do.
const IN_PACKAGES: &str = "test -e /var/lib/dpkg/info/fail2ban.list";
/// The second and the third try have written their first records; what earlier tries left does not count.
const SECOND_BEGUN: &str = "test -s /var/lib/firstlight/tx/0002/journal";
const THIRD_BEGUN: &str = "test -s /var/lib/firstlight/tx/0003/journal";

/// Looks, between the early recovery and the network, at the files that a run cut off in its files has written.
const WITNESS: &str = "[Unit]\\nDefaultDependencies=no\\nAfter=local-fs.target firstlight-recover-early.service\\n\
    Before=network-pre.target networking.service\\n[Service]\\nType=oneshot\\nExecStart=/bin/sh -c \
    \"ls /etc/ssh/sshd_config.d /etc/sudoers.d > /run/witness 2>&1 || true\"\\n\
    [Install]\\nWantedBy=sysinit.target\\n";

/// Cut while files are being written: they are gone again before the network comes up.
pub fn in_files(bench: &mut Bench) -> Result<()> {
    let node = bench.armed()?;
    node.ok(&format!(
        "printf '{WITNESS}' > /etc/systemd/system/vm-tests-witness.service && systemctl enable --quiet vm-tests-witness && sync"
    ))?;
    cut_once(bench, IN_FILES)?;
    let seen = bench.same_idle()?.ok("cat /run/witness")?;
    // sudoers.d came with the packages, which go after the network: it shows that the run had got that far.
    ensure!(
        seen.contains("/etc/sudoers.d:") && !seen.contains("firstlight"),
        "before the network was up there were: {seen}"
    );
    Ok(())
}

/// Cut while dpkg works.
pub fn in_packages(bench: &mut Bench) -> Result<()> {
    bench.armed()?;
    cut_once(bench, IN_PACKAGES)
}

fn cut_once(bench: &mut Bench, moment: &str) -> Result<()> {
    let key = bench.payload()?.admin_key.clone();
    let node = bench.same_idle()?;
    hook::install(node)?;
    hook::start(node)?;
    cut_at(node, moment)?;
    node.power_on()?;
    let end = hook::wait_for_end(node)?;
    recovered_in_order(node)?;
    let status = hook::expect_committed(node, &end)?;
    ensure!(status["tries"].as_i64() == Some(2), "the power cut was not counted as a try: {status}");
    node.wait_until_up()?;
    hardened(node, &key)
}

/// Three cuts in three boots: the fourth gives up, and the node is the old one.
pub fn three_times(bench: &mut Bench) -> Result<()> {
    let before = bench.original()?;
    let node = bench.armed()?;
    hook::install(node)?;
    hook::start(node)?;
    for moment in [IN_PACKAGES, SECOND_BEGUN, THIRD_BEGUN] {
        cut_at(node, moment)?;
        node.power_on()?;
    }
    let end = hook::wait_for_end(node)?;
    ensure!(end.state == "failed", "the hook's unit is {} after three power cuts", end.state);
    ensure!(!hook::pending(node)?, "PVE's flag is still there: the hook would run for ever");
    let status = hook::expect_outcome(node, "gave-up")?;
    ensure!(status["tries"].as_i64() == Some(3), "the status counts other tries: {status}");
    let told = node.run(&format!("{INSTALLED_PATH} status"))?;
    ensure!(
        told.status == 1 && told.stdout.contains("gave-up"),
        "after giving up status ended with {}: {}{}",
        told.status,
        told.stdout,
        told.stderr
    );
    let note = node.ok("cat /etc/motd.d/firstlight")?;
    ensure!(note.contains("did not harden this node"), "the message of the day says: {note}");
    kept::expect_etc(node, &before)?;
    kept::expect_no_trace(node)
}

/// Waits in the guest for the moment, then kills QEMU.
fn cut_at(node: &mut Node, moment: &str) -> Result<()> {
    // A run that is over in the meantime is a moment that was missed: better said than waited for.
    // systemctl is asked rarely: it would take the processor from the run that is watched.
    let watch = format!(
        "n=0; until {moment}; do n=$((n + 1)); if [ $((n % 100)) = 0 ]; then \
         case $(systemctl show -P ActiveState {}) in active|failed) exit 9;; esac; fi; sleep 0.02; done",
        hook::UNIT
    );
    let seen = node.watch(&watch, 300).context("waiting for the moment of the power cut")?;
    ensure!(seen.status == 0, "the hook ended before the moment of the power cut (`{moment}`)");
    node.power_cut()
}

/// Files are restored before the network comes up, the rest afterwards, the hook last.
fn recovered_in_order(node: &mut Node) -> Result<()> {
    let early_end = time(node, "firstlight-recover-early.service", "ExecMainExitTimestampMonotonic")?;
    let network = time(node, "networking.service", "InactiveExitTimestampMonotonic")?;
    let late_start = time(node, "firstlight-recover.service", "ExecMainStartTimestampMonotonic")?;
    let late_end = time(node, "firstlight-recover.service", "ExecMainExitTimestampMonotonic")?;
    let network_up = time(node, "networking.service", "ActiveEnterTimestampMonotonic")?;
    let hook = time(node, hook::UNIT, "ExecMainStartTimestampMonotonic")?;
    let order = [0, early_end, network, network_up, late_start, late_end, hook];
    ensure!(
        early_end > 0 && order.is_sorted(),
        "recovery ran in another order (µs): early ended {early_end}, network {network}–{network_up}, \
         late {late_start}–{late_end}, hook {hook}"
    );
    let pre = time(node, "network-pre.target", "ActiveEnterTimestampMonotonic")?;
    ensure!(pre == 0 || early_end <= pre, "the early recovery ended after network-pre.target");
    for unit in ["firstlight-recover-early.service", "firstlight-recover.service"] {
        let result = node.ok(&format!("systemctl show -P Result {unit}"))?;
        ensure!(result == "success\n", "{unit}: {result}");
    }
    Ok(())
}

fn time(node: &mut Node, unit: &str, property: &str) -> Result<u64> {
    let text = node.ok(&format!("systemctl show -P {property} {unit}"))?;
    text.trim().parse().with_context(|| format!("reading {property} of {unit}: {text}"))
}
