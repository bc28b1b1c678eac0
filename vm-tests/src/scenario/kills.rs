//! QEMU killed at moments spread over a whole run; the boot after each puts the node back, without another try.

use anyhow::{Context, Result, ensure};

use super::first::hardened;
use super::{hook, kept};
use crate::bench::Bench;
use crate::manifest::Manifest;
use crate::node::Node;
use crate::progress::{say, seconds};

/// How many moments, of which each of two scenarios takes every other one: two machines at a time need half an hour.
const KILLS: usize = 20;
/// Keeps PVE's unit from trying again, so that what recovery alone has done can be seen.
const NO_HOOK: &str = "systemd.mask=proxmox-first-boot-multi-user.service";
/// A clock that counts what was done: lines of dpkg's log and of the journal. Seconds would be others in each run.
const CLOCK: &str = "cat /var/log/dpkg.log /var/lib/firstlight/tx/*/journal 2>/dev/null | wc -l";

/// Kills at the first moment, the third, and so on, and compares each time.
pub fn odd(bench: &mut Bench) -> Result<()> {
    spread(bench, 0)
}

/// Kills at the other ones.
pub fn even(bench: &mut Bench) -> Result<()> {
    spread(bench, 1)
}

fn spread(bench: &mut Bench, first: usize) -> Result<()> {
    let before = bench.original()?;
    let admin = bench.payload()?.admin_key.clone();
    let node = bench.armed()?;
    let begin = clock(node)?;
    hook::run(node)?;
    let whole = clock(node)?.saturating_sub(begin);
    ensure!(whole > KILLS, "a whole run has {whole} records only");
    let mut new = 0;
    for number in (first..KILLS).step_by(2) {
        let since = std::time::Instant::now();
        let moment = (2 * number + 1) * whole / (2 * KILLS);
        let node = bench.armed()?;
        let committed = kill(node, begin + moment).and_then(|()| {
            node.power_on_with(NO_HOOK)?;
            let new = recovered(node, &before)?;
            if new {
                hardened(node, &admin)?;
            }
            Ok(new)
        });
        // The kept state is one without words.
        node.power_cut()?;
        node.forget_kernel_words();
        let committed = committed.with_context(|| format!("killed after {moment} of {whole} records"))?;
        new += usize::from(committed);
        let word = if committed { "new" } else { "old" };
        let took = seconds(since.elapsed());
        say(format_args!("  {}/{KILLS} after {moment} of {whole} records: {word} ({took})", number + 1));
    }
    let kills = KILLS / 2;
    say(format_args!("  {kills} kills: {} old, {new} new", kills - new));
    ensure!(new < kills / 2, "{new} of {kills} kills came after the commit");
    Ok(())
}

fn clock(node: &mut Node) -> Result<usize> {
    node.ok(CLOCK)?.trim().parse().context("reading how much was done")
}

/// Starts the hook and kills QEMU as soon as so much is done.
fn kill(node: &mut Node, target: usize) -> Result<()> {
    hook::install(node)?;
    hook::start(node)?;
    let watch = format!(
        "until [ $({CLOCK}) -ge {target} ]; do \
         case $(systemctl show -P ActiveState {}) in active|failed) break;; esac; sleep 0.05; done",
        hook::UNIT
    );
    let seen = node.run_within(&watch, 300).context("waiting for the moment of the power cut")?;
    ensure!(seen.status == 0, "waiting for the moment of the power cut ended with {}", seen.status);
    node.power_cut()
}

/// Both stages have run and the node is the old one, or the new one with its commit: whether it is the latter.
fn recovered(node: &mut Node, before: &Manifest) -> Result<bool> {
    node.wait_until_up()?;
    for unit in ["firstlight-recover-early.service", "firstlight-recover.service"] {
        // A run that had not even installed them, or begun, leaves nothing to recover.
        let result = node.ok(&format!("systemctl show -P Result {unit}"))?;
        ensure!(result == "success\n", "{unit}: {result}");
    }
    if node.holds("grep -aqs '^[0-9a-f]*.commit.at=' /var/lib/firstlight/tx/*/journal")? {
        kept::expect_installed(node)?;
        return Ok(true);
    }
    ensure!(hook::pending(node)?, "PVE's flag is gone, and no hook has ended well");
    kept::expect_etc(node, before)?;
    kept::expect_no_trace(node)?;
    Ok(false)
}
