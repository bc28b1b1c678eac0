//! The ground the other scenarios stand on: without these, "not reachable" and "put back" prove nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use super::hook;
use super::kept;
use crate::bench::Bench;
use crate::network::{Reach, Side};

/// The guest is a fresh PVE node: open, without our packages, with PVE's contract waiting.
pub fn open(bench: &mut Bench) -> Result<()> {
    let release = bench.release();
    let node = bench.idle()?;
    let name = format!("VERSION_CODENAME={}", release.codename());
    node.ok(&format!("grep -qx {name} /etc/os-release"))
        .with_context(|| format!("not {}", release.title()))?;
    for side in [Side::Management, Side::Outsider] {
        for port in [22, 8006] {
            let reach = node.probe(side, port)?;
            ensure!(reach == Reach::Open, "port {port} is {reach:?} from {side:?} before anything ran");
        }
    }
    let key = node.root_key().clone();
    let login = node.ssh(Side::Management, "root", &key, "id -un; cat /etc/hostname")?;
    ensure!(login.stdout == "root\npve1\n", "root does not log in: {} {}", login.stdout, login.stderr);
    kept::expect_no_trace(node)?;
    let tables = node.ok("iptables --version && iptables-legacy -L -n && ip6tables-legacy -L -n")?;
    ensure!(tables.contains("legacy"), "iptables is not the legacy one: {tables}");
    ensure!(node.ok("curl -s http://127.0.0.1:8006/")?.contains("Proxmox"), "8006 is silent");
    let unit = node.ok(&format!(
        "systemctl show -P ConditionResult {}; systemctl is-enabled proxmox-first-boot.service || true",
        hook::UNIT
    ))?;
    ensure!(unit.starts_with("no\n"), "the hook's unit ran without its flag: {unit}");
    node.ok("apt-get --quiet update && apt-get --simulate install sudo ufw fail2ban unattended-upgrades apt-listchanges")?;
    firewall_by_hand(bench)
}

/// A rule made by hand separates the two sides: the probes can tell.
fn firewall_by_hand(bench: &mut Bench) -> Result<()> {
    let node = bench.idle()?;
    node.ok("iptables -A INPUT -s 203.0.113.0/24 -p tcp --dport 22 -j DROP")?;
    node.ok("iptables -A INPUT -s 203.0.113.0/24 -p tcp --dport 8006 -j REJECT --reject-with tcp-reset")?;
    let seen = [
        node.probe(Side::Outsider, 22)?,
        node.probe(Side::Outsider, 8006)?,
        node.probe(Side::Management, 22)?,
    ];
    ensure!(seen == [Reach::Silent, Reach::Refused, Reach::Open], "the probes see {seen:?}");
    Ok(())
}

/// Files travel, states come back, the clock is right, and a power cut loses what was not flushed only.
pub fn power(bench: &mut Bench) -> Result<()> {
    let original = bench.original()?;
    let node = bench.idle()?;
    ensure!(
        !node.holds("iptables -C INPUT -s 203.0.113.0/24 -p tcp --dport 22 -j DROP")?,
        "a state did not come back"
    );
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    node.put("/root/file", &content, 0o600)?;
    ensure!(node.get("/root/file")? == content, "a file does not travel whole");
    let guest: i64 = node.ok("date +%s")?.trim().parse().context("reading the guest's clock")?;
    let host = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    ensure!((guest - host).abs() < 5, "the guest's clock is {} s off", guest - host);

    node.ok("echo flushed > /root/flushed && sync && echo lost > /root/lost")?;
    node.power_cut()?;
    node.add_disk("64M")?;
    node.power_on()?;
    ensure!(node.ok("cat /root/flushed")? == "flushed\n", "a power cut lost a flushed file");
    ensure!(!node.holds("grep -q lost /root/lost")?, "a power cut kept what was never flushed");
    ensure!(node.holds("test -b /dev/vdb")?, "the second disk is not there");
    node.wait_until_up()?;
    let differences = original.differences(&node.manifest()?, &|_| false);
    ensure!(differences.is_empty(), "a boot alone changes /etc: {}", differences.join("; "));
    Ok(())
}
