//! The demo: the first boot of a throw-away node, as it happens.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::bench::Bench;
use crate::command::show;
use crate::host;
use crate::network::Side;
use crate::node::Node;
use crate::payload::{ADMIN, ADMIN_PASSWORD};
use crate::progress::{Step, say, seconds};
use crate::scenario::hook;

/// A whole first boot, natively.
const FIRST_BOOT: u64 = 300;

/// Boots a fresh node, shows what its first-boot unit says, reboots it, and logs in as the admin.
pub fn demo(bench: &mut Bench, wait: bool) -> Result<ExitCode> {
    host::prepare()?;
    let since = Instant::now();
    let seeds = bench.seeds()?;
    let key = bench.payload()?.admin_key.clone();
    let node = bench.own(&seeds)?;
    say("\nthe node is up; its first-boot unit says:");
    let end = follow(node)?;
    if end.state != "active" {
        let told = node.run(&format!("{} status", hook::INSTALLED_PATH))?;
        say(told.stdout.trim_end());
        bail!("the first boot failed: the unit is {} with status {}", end.state, end.status);
    }
    let step = Step::begin("\nrebooting the hardened node");
    node.reboot()?;
    node.wait_until_up()?;
    step.done();

    let login = node.ssh(Side::Management, ADMIN, &key, "id && uptime")?;
    ensure!(login.status == 0, "the admin does not log in: {}", login.stderr);
    say(format_args!("\n{ADMIN} logs in from the management host:\n{}", login.stdout.trim_end()));
    let told = node.run(&format!("{} status", hook::INSTALLED_PATH))?;
    say(format_args!("\nfirstlight status:\n{}", told.stdout.trim_end()));
    say(format_args!("\nthe whole demo: {}", seconds(since.elapsed())));
    let wait = wait && std::io::stdin().is_terminal();
    let until = if wait { "from another terminal" } else { "while the node runs: here it ends now" };
    say(format_args!(
        "\nlog in yourself, {until} (sudo's password: {ADMIN_PASSWORD}):\n  {}",
        node.login_line(ADMIN, &key)?
    ));
    if wait {
        say("\nthe node runs until Enter or Ctrl-C.");
        std::io::stdin().read_line(&mut String::new()).context("waiting for Enter")?;
    } else {
        say("\n`cargo vm demo` in a terminal keeps the node until Enter.");
    }
    Ok(ExitCode::SUCCESS)
}

/// The same without anybody at a terminal.
pub fn unattended(bench: &mut Bench) -> Result<()> {
    demo(bench, false).map(drop)
}

/// Boots a node and hands a root shell to the terminal.
pub fn shell(bench: &mut Bench, hardened: bool) -> Result<ExitCode> {
    host::prepare()?;
    let node = if hardened { bench.committed()? } else { bench.idle()? };
    let line = node.login_line("root", node.root_key())?;
    let mut words = line.split(' ');
    let program = words.next().unwrap_or_default();
    // Its end is the user's own; whatever status the shell had is none of ours.
    let _ = show(std::process::Command::new(program).args(words));
    Ok(ExitCode::SUCCESS)
}

/// Prints the journal of the first-boot unit as it grows, until the unit has ended.
fn follow(node: &mut Node) -> Result<hook::End> {
    let deadline = Instant::now() + node.limit(FIRST_BOOT);
    let mut shown = 0;
    loop {
        let end = hook::ended(node)?;
        let journal =
            node.ok(&format!("journalctl --no-pager --quiet --output=cat --unit={}", hook::UNIT))?;
        let fresh = journal.get(shown..).unwrap_or_default();
        for line in fresh.lines() {
            say(format_args!("  │ {line}"));
        }
        shown = journal.len();
        if let Some(end) = end {
            return Ok(end);
        }
        if Instant::now() > deadline {
            bail!("the first boot does not end");
        }
        if fresh.is_empty() && std::io::stdout().is_terminal() {
            print_dot()?;
        }
        std::thread::sleep(Duration::from_secs(2));
    }
}

/// A sign of life between lines.
fn print_dot() -> Result<()> {
    let mut out = std::io::stdout();
    write!(out, "  …\r").and_then(|()| out.flush()).context("writing to the terminal")
}
