//! Runs gates: a tool's own check of new contents, on a staged copy, before anything goes live.
//!
//! A gate writes into its stage only. The caller makes the stage, and removes it with all that is in it.

mod include;
mod sshd;
mod stage;
mod sudoers;

use crate::control::{Gate, GateAsk};
use crate::error::Result;
use crate::node::{Invocation, Node};
use std::path::Path;
use std::time::Duration;

pub(crate) use include::{below, keyword, matches, matches_path, words};

/// The OpenSSH server.
pub const SSHD_PROGRAM: &str = "/usr/sbin/sshd";
/// What `sshd -T -C` is told when no connection is meant: nothing but a port that no server has. Without it sshd fails
/// on a configuration that has a `Match LocalPort` line (seen with 9.2; the source of 10.0 has the same comparison).
pub const SSHD_NO_CONNECTION: &str = "lport=1";
/// Checks sudoers.
pub const VISUDO_PROGRAM: &str = "/usr/sbin/visudo";
/// The uncomplicated firewall.
pub const UFW_PROGRAM: &str = "/usr/sbin/ufw";
/// The client of fail2ban.
pub const FAIL2BAN_PROGRAM: &str = "/usr/bin/fail2ban-client";
const FAIL2BAN_DIRECTORY: &str = "/etc/fail2ban";

/// Knows whether the clock is synchronised.
pub const TIMEDATECTL_PROGRAM: &str = "/usr/bin/timedatectl";
/// Knows what systemd makes of a calendar expression.
pub const SYSTEMD_ANALYZE_PROGRAM: &str = "/usr/bin/systemd-analyze";
const CLOCK_PAUSE_SECONDS: u32 = 2;

/// What a tool said about new contents.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub enum Verdict {
    /// It would take them.
    Passed,
    /// It refuses them, with its own words; paths are the real ones, not those of the stage.
    Failed(String),
}

/// Runs `gate` with `stage`, an empty directory of root's, as its place for copies. An error means that it
/// could not be checked, which is not a pass.
pub fn run(node: &dyn Node, gate: &Gate, stage: &Path) -> Result<Verdict> {
    match &gate.ask {
        GateAsk::Sshd { staged, connections } => {
            let stage = stage::Stage::new(node, stage, staged);
            sshd::run(&stage, connections)
        }
        GateAsk::Sudoers { staged } => sudoers::run(&stage::Stage::new(node, stage, staged)),
        GateAsk::Fail2ban { staged } => fail2ban(&stage::Stage::new(node, stage, staged)),
        GateAsk::PveFirewall => Ok(match crate::change::pve_firewall_lint(node)? {
            None => Verdict::Passed,
            Some(complaint) => Verdict::Failed(complaint),
        }),
        GateAsk::UfwRules(rules) => ufw_rules(node, rules),
        GateAsk::Clock(seconds) => clock(node, *seconds),
        GateAsk::Calendar(text) => {
            let output = node.run(&Invocation::new(SYSTEMD_ANALYZE_PROGRAM, &["calendar", "--", text]))?;
            Ok(if output.success() { Verdict::Passed } else { Verdict::Failed(output.complaint()) })
        }
    }
}

/// fail2ban takes another directory for all of its configuration.
fn fail2ban(stage: &stage::Stage<'_>) -> Result<Verdict> {
    let directory = Path::new(FAIL2BAN_DIRECTORY);
    stage.shadow(directory)?;
    let output = stage.node.run(&Invocation::new(FAIL2BAN_PROGRAM, &["-c", &stage.text(directory), "-t"]))?;
    Ok(if output.success() { Verdict::Passed } else { Verdict::Failed(stage.real(&output.complaint())) })
}

/// `ufw --dry-run` parses a rule, and writes to its standard output what it would load.
fn ufw_rules(node: &dyn Node, rules: &[Vec<String>]) -> Result<Verdict> {
    for rule in rules {
        let mut arguments = vec!["--dry-run"];
        arguments.extend(rule.iter().map(String::as_str));
        let output = node.run(&Invocation::new(UFW_PROGRAM, &arguments))?;
        if !output.success() {
            return Ok(Verdict::Failed(format!("ufw {}: {}", rule.join(" "), output.complaint())));
        }
    }
    Ok(Verdict::Passed)
}

/// Codes are made of the time: with a wrong clock, those of the admin's device would be wrong. systemd asks the kernel,
/// whoever it is that keeps the clock (timedatectl(1)).
fn clock(node: &dyn Node, seconds: u32) -> Result<Verdict> {
    let mut left = seconds;
    loop {
        let output =
            node.run(&Invocation::new(TIMEDATECTL_PROGRAM, &["show", "-p", "NTPSynchronized", "--value"]))?;
        if output.success() && output.stdout.trim() == "yes" {
            return Ok(Verdict::Passed);
        }
        if left == 0 {
            let message = format!(
                "the clock is not synchronised after {seconds} s, and codes are made of the time: see `timedatectl` and \
                 `chronyc tracking`, or set firstlight.totp.enrolment = \"on-verify\""
            );
            return Ok(Verdict::Failed(message));
        }
        let pause = left.min(CLOCK_PAUSE_SECONDS);
        node.sleep(Duration::from_secs(pause.into()));
        left -= pause;
    }
}

#[cfg(test)]
mod tests;
