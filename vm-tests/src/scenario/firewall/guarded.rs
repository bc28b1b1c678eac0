//! From no firewall to PVE's: its own dead man's switch first, the probe, then for good; real packets decide.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::kernel::{self, Filter};
use super::{ANSWER_PATH, CLUSTER, CLUSTER_TEXT, HOST, HOST_TEXT, ON_TRIAL, RUN};
use crate::bench::{BINARY_PATH, Bench};
use crate::network::Reach::{Open, Refused, Silent};
use crate::network::{Reach, Side};
use crate::node::Node;
use crate::scenario::hook::{self, INSTALLED_PATH};

/// Writes every value of `enable` with the time when it was first seen.
const WATCH: &str = "setsid sh -c 'last=; while :; do \
    now=$(sed -n \"s/^enable: //p\" /etc/pve/firewall/cluster.fw 2>/dev/null); \
    [ \"$now\" = \"$last\" ] || echo \"$(date +%s%3N) $now\"; last=$now; sleep 0.05; done' \
    > /run/enable.log 2>/dev/null < /dev/null & echo $! > /run/watch.pid";
const JOURNAL: &str = "/var/lib/firstlight/tx/0001/journal";
/// A hand-made file of before: off, with a rule, a set and a group of its own, and none of them may get lost.
const BEFORE: &str = "\
[OPTIONS]
enable: 0
policy_in: ACCEPT

[ALIASES]
printer 10.0.20.77 # second floor

[IPSET scanners] # by hand
10.0.60.0/24 # theirs

[RULES]
# the scanner comes on Sundays
IN ACCEPT -source +scanners -p tcp -dport 9390 # scanner
|IN ACCEPT -p tcp -dport 1883

[group webs]
IN ACCEPT -p tcp -dport 443
";

/// The files, their trial and the packets.
pub fn guarded(bench: &mut Bench) -> Result<()> {
    let answer = super::answer(bench, &[])?;
    let node = super::node(bench)?;
    kernel::expect_only(node, Filter::Nobody)?;
    node.ok(WATCH)?;
    super::commit(node, &answer)?;
    node.ok("kill $(cat /run/watch.pid)")?;
    ensure!(
        node.ok(&format!("cat {CLUSTER}"))? == CLUSTER_TEXT,
        "another cluster.fw: {}",
        node.ok(&format!("cat {CLUSTER}"))?
    );
    ensure!(
        node.ok(&format!("cat {HOST}"))? == HOST_TEXT,
        "another host.fw: {}",
        node.ok(&format!("cat {HOST}"))?
    );
    expect_trial(node)?;
    kernel::expect_only(node, Filter::Pve)?;
    let said = node.run("pve-firewall compile 2>&1 >/dev/null; pve-firewall status")?;
    ensure!(said.stdout == "Status: enabled/running\n", "PVE says: {}{}", said.stdout, said.stderr);
    expect_packets(node)?;
    expect_rule_of_node(node, "backup")?;
    let again = node.run_within(&format!("{INSTALLED_PATH} apply {ANSWER_PATH}"), RUN)?;
    ensure!(
        again.status == 0 && again.stdout.contains("othing to do"),
        "a second run: {}{}",
        again.stdout,
        again.stderr
    );
    // A rule of the node and the set that it names, both new at once, while the firewall is on.
    super::commit(node, &answer.replace("\"backup\"", "\"stores\""))?;
    kernel::expect_only(node, Filter::Pve)?;
    expect_rule_of_node(node, "stores")
}

/// It is live, for the set and nobody else.
fn expect_rule_of_node(node: &mut Node, set: &str) -> Result<()> {
    let rules = node.ok("iptables-save")?;
    let live = |line: &str| {
        line.starts_with("-A PVEFW-HOST-IN ")
            && line.contains(&format!("--match-set PVEFW-0-{set}-v4 src"))
            && line.contains("--dport 9101")
    };
    ensure!(rules.lines().any(live), "the rule of the node for {set} is not live: {rules}");
    Ok(())
}

/// `enable: 0`, then the time one minute before the deadline, at which new connections are tried, then 1.
fn expect_trial(node: &mut Node) -> Result<()> {
    let seen = node.ok("cat /run/enable.log")?;
    let steps: Vec<(u64, &str)> = seen
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(at, value)| Some((at.parse().ok()?, value)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let [(_, "0"), (trial, time), (done, "1")] = steps.as_slice() else {
        anyhow::bail!("`enable` went another way: {seen}")
    };
    let until: i64 = node
        .ok(&format!("grep -P '\\tarmed\\t' {JOURNAL} | grep -oP 'until=\\K[0-9]+'"))?
        .trim()
        .parse()
        .context("reading the deadline")?;
    let booted: i64 = node.ok("echo $(( $(date +%s) - $(cut -d. -f1 /proc/uptime) ))")?.trim().parse()?;
    let (wanted, time) = (booted + until / 1000 - 60, time.parse::<i64>()?);
    ensure!(
        (wanted - time).abs() <= 3,
        "PVE turns off at {time} and a minute, and the deadline is {wanted} and a minute"
    );
    let probed: u64 = node
        .ok(&format!("grep -P '\\tintent\\t' {JOURNAL} | grep inverse=reach | grep -oP '\\tat=\\K[0-9]+'"))?
        .trim()
        .parse()
        .context("reading when the probe began")?;
    ensure!(*trial < probed && probed < *done, "the probe began at {probed}, not between {trial} and {done}");
    Ok(())
}

/// From the management host and the outsider, IPv4 and IPv6. Nobody listens but on 22 and 8006, so that a refusal means
/// that the packet came through.
fn expect_packets(node: &mut Node) -> Result<()> {
    node.give_ipv6()?;
    let mut knocks: Vec<(Side, &str, u16, Reach)> = Vec::new();
    for (port, management) in [
        (22, Open),
        (8006, Open),
        (3128, Refused),
        (5900, Refused),
        (60_000, Refused),
        (111, Silent),
        (8007, Silent),
        (5405, Silent),
        (9050, Silent),
    ] {
        knocks.push((Side::Management, Side::Management.node_address(), port, management));
        knocks.push((Side::Outsider, Side::Outsider.node_address(), port, Silent));
        knocks.push((Side::Management, "fd00:20::10", port, management));
        knocks.push((Side::Outsider, "2001:db8:113::10", port, Silent));
    }
    let found = node
        .knock(&knocks.iter().map(|(side, address, port, _)| (*side, *address, *port)).collect::<Vec<_>>())?;
    let wrong: Vec<String> = knocks
        .iter()
        .zip(&found)
        .filter(|((.., wanted), found)| wanted != *found)
        .map(|((side, address, port, wanted), found)| {
            format!("{side:?} → {address} {port}: {found:?}, not {wanted:?}")
        })
        .collect();
    ensure!(wrong.is_empty(), "packets fare otherwise:\n{}", wrong.join("\n"));
    for (side, address, wanted) in [
        (Side::Management, "10.0.20.10", true),
        (Side::Management, "fd00:20::10", true),
        (Side::Outsider, "203.0.113.10", false),
        (Side::Outsider, "2001:db8:113::10", false),
    ] {
        ensure!(node.ping(side, address)? == wanted, "a ping from {side:?} to {address}: not {wanted}");
    }
    Ok(())
}

/// A firewall that others have made: their lines stay, and come back as they were.
pub fn kept(bench: &mut Bench) -> Result<()> {
    let answer = super::answer(bench, &[])?;
    let node = super::node(bench)?;
    node.ok(&format!("mkdir -p /etc/pve/firewall && cat > {CLUSTER} <<'EOF'\n{BEFORE}EOF"))?;
    super::commit(node, &answer)?;
    let text = node.ok(&format!("cat {CLUSTER}"))?;
    for line in BEFORE
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("enable:") && !line.starts_with("policy_in"))
    {
        ensure!(
            text.lines().any(|same| same == line || same.starts_with(line)),
            "`{line}` got lost:\n{text}"
        );
    }
    let chains = node.ok("iptables-save")?;
    ensure!(chains.contains("--dport 9390"), "their rule does not count: {chains}");
    ensure!(!chains.contains("--dport 1883"), "a staged rule counts: {chains}");
    let back = node.run_within(&format!("{INSTALLED_PATH} rollback"), RUN)?;
    ensure!(back.status == 0, "rollback ended with {}: {}{}", back.status, back.stdout, back.stderr);
    ensure!(
        node.ok(&format!("cat {CLUSTER}"))? == BEFORE,
        "their file is not as before: {}",
        node.ok(&format!("cat {CLUSTER}"))?
    );
    Ok(())
}

/// Killed while PVE's firewall is on trial: put back at once; where nobody of ours is left, PVE opens by itself; and by the
/// boot after a power cut.
pub fn killed(bench: &mut Bench) -> Result<()> {
    let answer = super::answer(bench, &[])?;
    let node = super::node(bench)?;
    let (before, files) = (kernel::read(node)?, kernel::files(node)?);
    start(node, &answer)?;
    node.ok("kill -KILL $(cat /var/lib/firstlight/lock)")?;
    node.run_within(&format!("{INSTALLED_PATH} status --wait=600"), RUN)?;
    let status = hook::expect_outcome(node, "reverted")?;
    ensure!(status["exit_code"].as_i64() == Some(1), "the status keeps another exit code: {status}");
    kernel::expect_only(node, Filter::Nobody)?;
    kernel::expect_same(&before, &kernel::read(node)?, "the kernel")?;
    kernel::expect_same(&files, &kernel::files(node)?, "/etc/pve")?;

    start(node, &answer)?;
    node.ok("systemctl mask --runtime --now firstlight-deadline.timer firstlight-deadline.service; \
         kill -KILL $(cat /var/lib/firstlight/lock)")?;
    kernel::expect_only(node, Filter::Pve)?;
    // A minute after the time in the file PVE takes it for `enable: 0`; the daemon looks every ten seconds.
    node.ok(&format!("date --set=@$(( $(sed -n 's/^enable: //p' {CLUSTER}) + 50 ))"))?;
    std::thread::sleep(Duration::from_secs(2));
    ensure!(
        node.ok("pve-firewall status")?.starts_with("Status: enabled/running"),
        "it is off before its time"
    );
    node.wait_for("PVE has switched its firewall off", 60, "! iptables-save | grep -q PVEFW")?;
    kernel::expect_rules_gone(node)?;
    ensure!(node.holds(ON_TRIAL)?, "somebody has written cluster.fw");
    node.ok("systemctl unmask --runtime firstlight-deadline.timer firstlight-deadline.service")?;
    let back = node.run_within(&format!("{INSTALLED_PATH} recover"), RUN)?;
    ensure!(
        back.status == 1 || back.status == 0,
        "recover ended with {}: {}{}",
        back.status,
        back.stdout,
        back.stderr
    );
    kernel::expect_same(&before, &kernel::read(node)?, "the kernel")?;
    kernel::expect_same(&files, &kernel::files(node)?, "/etc/pve")?;

    start(node, &answer)?;
    node.power_cut()?;
    node.power_on()?;
    node.wait_until_up()?;
    node.pve().wait_until_up()?;
    let status = hook::expect_outcome(node, "reverted")?;
    ensure!(status["exit_code"].as_i64() == Some(1), "the status keeps another exit code: {status}");
    kernel::expect_rules_gone(node)?;
    kernel::expect_same(&files, &kernel::files(node)?, "/etc/pve")
}

/// Starts a run in no unit and waits until PVE's firewall is on trial.
fn start(node: &mut Node, answer: &str) -> Result<()> {
    node.put(ANSWER_PATH, answer.as_bytes(), 0o600)?;
    node.ok(&format!(
        "setsid {BINARY_PATH} apply --confirm none {ANSWER_PATH} > /run/apply.log 2>&1 < /dev/null &"
    ))?;
    let on = format!("until {ON_TRIAL} && iptables-save | grep -q PVEFW-HOST-IN; do sleep 0.05; done");
    let seen = node.run_within(&on, RUN).context("waiting for the trial")?;
    ensure!(seen.status == 0, "there was no trial: {}", node.ok("cat /run/apply.log")?);
    Ok(())
}
