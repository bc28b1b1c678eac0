//! Units of systemd: enabled, running, reloaded.

use super::{Need, UnitChange};
use crate::error::{Error, Result};
use crate::facts::postfix;
use crate::manifest::Scope;
use crate::node::{Invocation, Node, exists, run_checked};
use crate::observe;
use crate::plan::View;
use crate::transaction::record::Inverse;
use std::path::Path;
use std::time::Duration;

const SYSTEMCTL: &str = "/usr/bin/systemctl";
/// A service that does not say it is up after this never will.
const START_SECONDS: u64 = 180;
/// A daemon that cannot read its files dies of them within this.
const SETTLING: Duration = Duration::from_secs(1);

/// What we change of it, a reload does not bring about (postconf(5), inet_interfaces).
const RESTARTED: &str = postfix::UNIT;

/// Enabling makes links here; for services with a SysV script beside it also in the runlevel directories.
pub fn scopes() -> Vec<Scope> {
    let mut scopes = vec![Scope::Tree("/etc/systemd/system".into())];
    scopes.extend("0123456S".chars().map(|level| Scope::Tree(format!("/etc/rc{level}.d").into())));
    scopes
}

fn systemctl(node: &dyn Node, words: &[&str]) -> Result<()> {
    run_checked(node, &Invocation::new(SYSTEMCTL, words).limit(START_SECONDS)).map(drop)
}

fn says(node: &dyn Node, verb: &str, name: &str) -> Result<String> {
    let invocation = Invocation::new(SYSTEMCTL, &[verb, "--", name]);
    let output = node.run(&invocation)?;
    // The status says what the word says; but one that was killed has said nothing, and nothing is no "inactive".
    if output.status > 128 {
        return Err(Error::new(format!("running {}", invocation.line()), output.complaint()));
    }
    Ok(output.stdout.trim().to_owned())
}

/// Whether the unit runs.
pub fn is_active(node: &dyn Node, name: &str) -> Result<bool> {
    if !exists(node, Path::new(SYSTEMCTL))? {
        return Ok(false);
    }
    Ok(matches!(says(node, "is-active", name)?.as_str(), "active" | "reloading" | "activating"))
}

fn is_enabled(node: &dyn Node, name: &str) -> Result<bool> {
    Ok(observe::counts_as_enabled(&says(node, "is-enabled", name)?))
}

/// What is missing for the unit to be as wanted.
pub fn need(node: &dyn Node, change: &UnitChange) -> Result<Option<Need>> {
    let mut words = Vec::new();
    if let Some(wanted) = change.enabled
        && is_enabled(node, &change.name)? != wanted
    {
        words.push(if wanted { "enabled at boot" } else { "not at boot" });
    }
    if let Some(wanted) = change.active
        && is_active(node, &change.name)? != wanted
    {
        words.push(if wanted { "started" } else { "stopped" });
    }
    if words.is_empty() {
        return Ok(None);
    }
    let title = format!("unit {}: {}", change.name, words.join(", "));
    Ok(Some(Need { title, view: View::Lines(Vec::new()) }))
}

/// Whether it ran before, for the way back.
pub fn inverse(node: &dyn Node, name: &str) -> Result<Inverse> {
    Ok(Inverse::Unit { name: name.to_owned(), active: is_active(node, name)? })
}

/// Brings boot and run-time state to what is wanted.
pub fn set(node: &dyn Node, change: &UnitChange) -> Result<()> {
    // Looked at anew: its package may have enabled it since the plan was made.
    if let Some(enabled) = change.enabled
        && is_enabled(node, &change.name)? != enabled
    {
        let verb = if enabled { "enable" } else { "disable" };
        systemctl(node, &["--quiet", verb, "--", &change.name])?;
    }
    if let Some(active) = change.active
        && is_active(node, &change.name)? != active
    {
        let verb = if active { "start" } else { "stop" };
        systemctl(node, &[verb, "--", &change.name])
            .map_err(|error| error.hint(format!("systemctl status {0}; journalctl -u {0}", change.name)))?;
    }
    Ok(())
}

/// Makes a unit that runs read its files again.
pub fn reload(node: &dyn Node, name: &str) -> Result<()> {
    if is_active(node, name)? { read_again(node, name) } else { Ok(()) }
}

/// The unit that a reload is not enough for is started anew. A timer knows no reload: systemd reads its file, and it
/// begins anew.
fn read_again(node: &dyn Node, name: &str) -> Result<()> {
    let timer = name.ends_with(".timer");
    if timer {
        systemctl(node, &["daemon-reload"])?;
    }
    systemctl(node, &[if timer || name == RESTARTED { "restart" } else { "reload" }, "--", name])
}

/// Stops what did not run before, ahead of its files going away.
pub fn undo(node: &dyn Node, name: &str, active_before: bool) -> Result<()> {
    if !active_before && is_active(node, name)? {
        systemctl(node, &["stop", "--", name])?;
    }
    // A start that failed leaves the unit marked; nothing of ours may stay. Unknown units are fine.
    node.run(&Invocation::new(SYSTEMCTL, &["reset-failed", "--", name])).map(drop)
}

/// Once all files are back: systemd reads its units again, and what ran before runs again.
pub fn settle(node: &dyn Node, name: &str, active_before: bool) -> Result<()> {
    systemctl(node, &["daemon-reload"])?;
    if active_before && !is_active(node, name)? {
        systemctl(node, &["start", "--", name])?;
    }
    Ok(())
}

/// Once all files are back: a service that runs reads them again, one that our files have brought down runs again.
/// What is down after that is no success, whatever `systemctl reload` said: a daemon may die of its files later.
pub fn settle_reload(node: &dyn Node, name: &str) -> Result<()> {
    if says(node, "is-active", name)? == "failed" {
        systemctl(node, &["restart", "--", name])?;
    } else if is_active(node, name)? {
        read_again(node, name)?;
    } else {
        return Ok(());
    }
    node.sleep(SETTLING);
    if is_active(node, name)? {
        return Ok(());
    }
    Err(Error::new(format!("reloading {name}"), "it does not run any more")
        .hint(format!("journalctl -u {name}")))
}
