//! From one firewall to the other, and back to none: each a transaction that leaves nothing of the other behind.

use anyhow::{Context, Result, ensure};

use super::kernel::{self, Filter};
use super::{CLUSTER, RUN};
use crate::bench::Bench;
use crate::network::{Reach, Side};
use crate::node::Node;
use crate::progress::took;
use crate::scenario::hook::INSTALLED_PATH;

/// PVE's, UFW, PVE's; then the first state.
pub fn once(bench: &mut Bench) -> Result<()> {
    switched(bench, &[Filter::Pve, Filter::Ufw, Filter::Pve])
}

/// Both directions, twice.
pub fn twice(bench: &mut Bench) -> Result<()> {
    switched(bench, &[Filter::Pve, Filter::Ufw, Filter::Pve, Filter::Ufw, Filter::Pve])
}

fn switched(bench: &mut Bench, filters: &[Filter]) -> Result<()> {
    let pve = super::answer(bench, &[])?;
    let ufw = super::answer(bench, &[("mode = \"pve\"", "mode = \"ufw\"")])?;
    let node = super::node(bench)?;
    let first = (kernel::read(node)?, kernel::files(node)?, node.manifest()?);
    let mut after_first = None;
    for filter in filters {
        let since = std::time::Instant::now();
        let done = super::commit(node, if *filter == Filter::Pve { &pve } else { &ufw })?;
        took(&format!("the switch to {filter:?}"), since);
        kernel::expect_only(node, *filter).with_context(|| done.stdout.clone())?;
        expect_reach(node)?;
        match filter {
            Filter::Ufw => {
                let enable = node.ok(&format!("grep ^enable: {CLUSTER}"))?;
                ensure!(enable == "enable: 0\n", "cluster.fw says {enable}");
                let kept = node.ok(&format!("cat {CLUSTER}"))?;
                let wanted = super::CLUSTER_TEXT.replace("enable: 1", "enable: 0");
                ensure!(kept == wanted, "lines of cluster.fw got lost: {kept}");
            }
            _ => ensure!(node.ok(&format!("cat {CLUSTER}"))? == super::CLUSTER_TEXT, "another cluster.fw"),
        }
        if after_first.is_none() {
            after_first = Some((kernel::read(node)?, kernel::files(node)?));
        }
    }
    let runs = node.ok("ls /var/lib/firstlight/tx")?;
    ensure!(runs.lines().count() == filters.len(), "each switch is one transaction: {runs}");
    let (rules, files) = after_first.context("no switch was made")?;
    back(node, "--to 0001")?;
    kernel::expect_same(&rules, &kernel::read(node)?, "the kernel after the first run")?;
    kernel::expect_same(&files, &kernel::files(node)?, "/etc/pve after the first run")?;
    back(node, "")?;
    kernel::expect_only(node, Filter::Nobody)?;
    kernel::expect_same(&first.0, &kernel::read(node)?, "the kernel")?;
    kernel::expect_same(&first.1, &kernel::files(node)?, "/etc/pve")?;
    super::super::kept::expect_etc(node, &first.2)?;
    super::super::kept::expect_no_trace(node)
}

/// UFW loaded in the other iptables, which pve-firewall's next start leaves behind: it is put away there, too.
pub fn stale(bench: &mut Bench) -> Result<()> {
    let pve = super::answer(bench, &[])?;
    let ufw = super::answer(bench, &[("mode = \"pve\"", "mode = \"ufw\"")])?;
    let node = super::node(bench)?;
    super::commit(node, &ufw)?;
    node.ok("ufw --force disable && for name in iptables ip6tables; do \
        update-alternatives --set $name /usr/sbin/$name-nft; done && ufw --force enable && systemctl restart pve-firewall")?;
    let rules = node.ok("iptables-nft-save; ip6tables-nft-save")?;
    ensure!(
        rules.contains(":INPUT DROP") && rules.contains("-A INPUT -j ufw6-before-input"),
        "nothing is left behind: {rules}"
    );
    super::commit(node, &pve)?;
    let rules = node.ok("iptables-nft-save; ip6tables-nft-save")?;
    ensure!(!rules.contains("ufw") && !rules.contains(" DROP "), "UFW goes on in nftables: {rules}");
    // The empty chains that iptables has made there decide nothing.
    node.ok("nft flush ruleset")?;
    kernel::expect_only(node, Filter::Pve)?;
    expect_reach(node)
}

fn back(node: &mut Node, words: &str) -> Result<()> {
    let since = std::time::Instant::now();
    let back = node.run_within(&format!("{INSTALLED_PATH} rollback {words}"), RUN)?;
    took(&format!("rollback {words}"), since);
    ensure!(back.status == 0, "rollback {words} ended with {}: {}{}", back.status, back.stdout, back.stderr);
    Ok(())
}

/// Whichever it is, the same people get in.
fn expect_reach(node: &mut Node) -> Result<()> {
    let found = node.knock(&[
        (Side::Management, "10.0.20.10", 22),
        (Side::Management, "10.0.20.10", 8006),
        (Side::Management, "10.0.20.10", 111),
        (Side::Outsider, "203.0.113.10", 22),
        (Side::Outsider, "203.0.113.10", 8006),
    ])?;
    let wanted = [Reach::Open, Reach::Open, Reach::Silent, Reach::Silent, Reach::Silent];
    ensure!(found == wanted, "22, 8006, 111 inside and 22, 8006 outside: {found:?}");
    Ok(())
}
