//! UFW, driven by its own command: rules and defaults while it is off, then switched on.
//!
//! `ufw show added` and `ufw status verbose` tell what is there; rules of others are kept.

mod chains;
mod ping;
mod settings;

pub use settings::boot_settings;

use super::{Need, UfwChange, UnitChange, kernel, unit};
use crate::error::Result;
use crate::facts::ufw::{COMMENT_PREFIX, DEFAULTS_PATH};
use crate::gate::UFW_PROGRAM as UFW;
use crate::manifest::Scope;
use crate::node::{Invocation, Node, Output, checked, exists, read_text, run_checked};
use crate::plan::View;
use crate::transaction::record::Inverse;
use std::path::Path;
use std::time::Duration;

const CONF_PATH: &str = "/etc/ufw/ufw.conf";
/// What loads UFW's files at boot.
const INIT: &str = "/lib/ufw/ufw-init";
/// The lock of the legacy tables. pve-firewall takes it where a round of its ten seconds loads rules (pve-contract 3.7, and
/// `iptables_restore_cmdlist` of PVE's Firewall.pm, which does not wait for it either); nor does `ufw`, and it cannot be
/// told to.
const TABLES_LOCK_PATH: &str = "/run/xtables.lock";
/// A round of pve-firewall is over by the second one.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(2);
const DISABLE: [&str; 2] = ["--force", "disable"];

/// Everything `ufw` writes.
pub fn scopes() -> Vec<Scope> {
    vec![
        Scope::Tree("/etc/ufw".into()),
        Scope::Entry("/etc/default".into()),
        Scope::Entry(DEFAULTS_PATH.into()),
    ]
}

fn ufw(words: &[&str]) -> Invocation {
    Invocation::new(UFW, words).limit(120)
}

fn call(node: &dyn Node, words: &[&str]) -> Result<Output> {
    run_checked(node, &ufw(words))
}

/// Loads or unloads rules, again where somebody else may have held the lock of the tables. A tool that hangs, and a run that
/// is to end, get no second try. `anew`: with nothing left of the first try, as UFW takes what is loaded in part for loaded.
fn switch(node: &dyn Node, invocation: &Invocation, anew: bool) -> Result<()> {
    let mut tries = 1;
    loop {
        let output = node.run(invocation)?;
        if output.success()
            || tries == TRIES
            || node.interrupted()
            || !exists(node, Path::new(TABLES_LOCK_PATH))?
        {
            return checked(invocation, output).map(drop);
        }
        tries += 1;
        node.sleep(PAUSE);
        if anew {
            let _ = call(node, &DISABLE);
        }
    }
}

/// What `ufw status verbose` and `ufw show added` say.
struct Found {
    active: bool,
    status: String,
    rules: Vec<Vec<String>>,
}

fn found(node: &dyn Node) -> Result<Found> {
    if !exists(node, Path::new(UFW))? {
        return Ok(Found { active: false, status: String::new(), rules: Vec::new() });
    }
    let status = call(node, &["status", "verbose"])?.stdout;
    let added = call(node, &["show", "added"])?.stdout;
    let rules = added.lines().filter_map(|line| line.strip_prefix("ufw ")).map(words).collect();
    Ok(Found { active: is_active(&status), status, rules })
}

/// Splits a line as a shell would: single quotes hold words together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in line.split('\'').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// What is missing for UFW to be as wanted.
pub fn need(node: &dyn Node, change: &UfwChange) -> Result<Option<Need>> {
    let found = found(node)?;
    let mut lines: Vec<String> =
        missing(&found, change).iter().map(|rule| format!("+ ufw {}", rule.join(" "))).collect();
    lines.extend(outdated(&found, change).iter().map(|rule| format!("- ufw {}", rule.join(" "))));
    if !defaults_hold(&found, change) {
        let UfwChange { incoming, outgoing, routed, logging, .. } = change;
        lines.push(format!(
            "default {incoming} incoming, {outgoing} outgoing, {routed} routed, logging {logging}"
        ));
    }
    if !ping::holds(node, &change.ping)? {
        lines.push(match &change.ping {
            None => "ping from anywhere".to_owned(),
            Some(networks) if networks.is_empty() => "ping from nowhere".to_owned(),
            Some(networks) => format!("ping from {}", networks.join(", ")),
        });
    }
    if !found.active {
        lines.push("switched on".to_owned());
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let title = format!("firewall ufw: {}", if found.active { "changed" } else { "switched on" });
    Ok(Some(Need { title, view: View::Lines(lines) }))
}

/// `Default: deny (incoming), allow (outgoing), disabled (routed)`, and `Logging: on (low)` or `Logging: off`.
/// "disabled" is what ufw says while the kernel does not forward, whatever the policy.
fn defaults_hold(found: &Found, change: &UfwChange) -> bool {
    let UfwChange { incoming, outgoing, routed, logging, .. } = change;
    let policies = format!("Default: {incoming} (incoming), {outgoing} (outgoing), ");
    let logged =
        if logging == "off" { "Logging: off".to_owned() } else { format!("Logging: on ({logging})") };
    let forwards = |rest: &str| rest == "disabled (routed)" || rest == format!("{routed} (routed)");
    let mut lines = found.status.lines();
    lines.clone().any(|line| line.strip_prefix(&policies).is_some_and(forwards))
        && lines.any(|line| line.trim() == logged)
}

/// A rule without its comment: what ufw matches it by.
fn plain(rule: &[String]) -> &[String] {
    let end = rule.iter().position(|word| word == "comment").unwrap_or(rule.len());
    rule.get(..end).unwrap_or_default()
}

/// Rules of ours that are no longer wanted: an earlier answer was wider. Rules of others are kept.
fn outdated<'a>(found: &'a Found, change: &UfwChange) -> Vec<&'a Vec<String>> {
    let ours = |rule: &Vec<String>| rule.last().is_some_and(|comment| comment.starts_with(COMMENT_PREFIX));
    // Another comment alone does not make another rule: ufw changes it in place.
    let wanted = |rule: &Vec<String>| change.rules.iter().any(|wanted| plain(wanted) == plain(rule));
    found.rules.iter().filter(|rule| ours(rule) && !wanted(rule)).collect()
}

fn missing<'a>(found: &Found, change: &'a UfwChange) -> Vec<&'a Vec<String>> {
    change.rules.iter().filter(|rule| !found.rules.contains(rule)).collect()
}

/// Whether it filtered before, and the kernel settings that starting it changes, for the way back.
pub fn inverse(node: &dyn Node) -> Result<Inverse> {
    let installed = exists(node, Path::new(UFW))?;
    let active = installed && is_active(&call(node, &["status"])?.stdout);
    let settings = if active { Vec::new() } else { settings::now(node)? };
    Ok(Inverse::Ufw { active, settings })
}

fn is_active(status: &str) -> bool {
    status.lines().any(|line| line.trim() == "Status: active")
}

/// Adds what is missing, then switches UFW on: never before the rules that let the admin in exist (row E4).
pub fn make(node: &dyn Node, change: &UfwChange) -> Result<()> {
    let before = found(node)?;
    for rule in missing(&before, change) {
        let words: Vec<&str> = rule.iter().map(String::as_str).collect();
        call(node, &words)?;
    }
    for rule in outdated(&before, change) {
        let words = ["--force", "delete"].into_iter().chain(plain(rule).iter().map(String::as_str));
        call(node, &words.collect::<Vec<_>>())?;
    }
    let UfwChange { incoming, outgoing, routed, logging, .. } = change;
    for (policy, direction, variable) in
        [(incoming, "incoming", "INPUT"), (outgoing, "outgoing", "OUTPUT"), (routed, "routed", "FORWARD")]
    {
        let stored = setting(node, DEFAULTS_PATH, &format!("DEFAULT_{variable}_POLICY"))?;
        if stored.as_deref() != Some(target(policy)) {
            call(node, &["default", policy, direction])?;
        }
    }
    if setting(node, CONF_PATH, "LOGLEVEL")?.as_deref() != Some(logging) {
        call(node, &["logging", logging])?;
    }
    let answered_before = ping::holds(node, &change.ping)?;
    ping::make(node, &change.ping)?;
    switch(node, &ufw(&["--force", "enable"]), !before.active)?;
    if before.active && !answered_before {
        switch(node, &ufw(&["reload"]), false)?;
    }
    Ok(())
}

/// iptables' word for a policy of ufw.
fn target(policy: &str) -> &'static str {
    match policy {
        "allow" => "ACCEPT",
        "reject" => "REJECT",
        _ => "DROP",
    }
}

/// What ufw has stored: `NAME="value"`, or without quotes.
fn setting(node: &dyn Node, path: &str, name: &str) -> Result<Option<String>> {
    let text = read_text(node, Path::new(path))?.unwrap_or_default();
    let value = text.lines().rev().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
    Ok(value.map(|value| value.trim_matches('"').to_owned()))
}

/// Stops filtering ahead of the files going back, where UFW did not filter before.
pub fn undo(node: &dyn Node, active_before: bool, settings: &[(String, String)]) -> Result<()> {
    if !active_before && exists(node, Path::new(UFW))? {
        switch(node, &ufw(&DISABLE), false)?;
        chains::clear(node)?;
    }
    kernel::put_back(node, settings)
}

/// Every path that switching UFW off touches.
pub fn off_scopes() -> Vec<Scope> {
    scopes().into_iter().chain(unit::scopes()).collect()
}

/// What of UFW still filters, lies in the kernel, or starts at boot.
pub fn off_need(node: &dyn Node) -> Result<Option<Need>> {
    let installed = exists(node, Path::new(UFW))?;
    let needed = installed && is_active(&call(node, &["status"])?.stdout)
        || chains::left(node)?
        || installed && unit::need(node, &not_at_boot())?.is_some();
    let title = "firewall ufw: switched off".to_owned();
    Ok(needed.then_some(Need { title, view: View::Lines(Vec::new()) }))
}

/// Switches UFW off, for the next boot too, and takes its chains out of the kernel.
pub fn switch_off(node: &dyn Node) -> Result<()> {
    undo(node, false, &[])?;
    chains::clear(node)?;
    if exists(node, Path::new(UFW))? { unit::set(node, &not_at_boot()) } else { Ok(()) }
}

fn not_at_boot() -> UnitChange {
    UnitChange { name: "ufw.service".to_owned(), enabled: Some(false), active: None }
}

/// Loads the restored rules, where UFW filtered before. Not by `ufw` itself, which writes its files anew.
pub fn settle(node: &dyn Node, active_before: bool) -> Result<()> {
    if active_before && exists(node, Path::new(UFW))? {
        switch(node, &Invocation::new(INIT, &["force-reload"]).limit(120), false)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::scripted::Scripted;

    /// Says no so often.
    fn refuses(times: u32) -> Scripted {
        let node = Scripted::new();
        let count = std::cell::Cell::new(0);
        node.on("/usr/sbin/ufw --force enable", move |_, _| {
            count.set(count.get() + 1);
            let status = i32::from(count.get() <= times);
            let stderr = "ERROR: Could not load logging rules\n".repeat(usize::from(status == 1));
            Output { status, stdout: String::new(), stderr }
        });
        node.says("/usr/sbin/ufw --force disable", "");
        node
    }

    #[test]
    fn e1_pve_firewall_that_holds_the_lock_of_the_tables_is_waited_for() {
        let enable = || ufw(&["--force", "enable"]);
        let disabled =
            |node: &Scripted| node.trace().iter().filter(|step| step.contains("ufw --force disable")).count();
        for (anew, wanted) in [(true, 2), (false, 0)] {
            let node = refuses(2);
            node.files.put(TABLES_LOCK_PATH, "");
            switch(&node, &enable(), anew).unwrap();
            assert_eq!(disabled(&node), wanted, "one that filters is never switched off between tries");
        }
        let node = refuses(9);
        node.files.put(TABLES_LOCK_PATH, "");
        assert!(switch(&node, &enable(), true).unwrap_err().because.contains("logging rules"));
        let node = refuses(1);
        assert!(
            switch(&node, &enable(), true).is_err(),
            "nobody uses legacy tables: the cause is another one"
        );
        assert_eq!(disabled(&node), 0);
    }

    #[test]
    fn e3_a_listed_rule_compares_word_by_word() {
        let line = "allow from 10.0.20.0/24 to any port 22 proto tcp comment 'firstlight: SSH'";
        let expected = [
            "allow",
            "from",
            "10.0.20.0/24",
            "to",
            "any",
            "port",
            "22",
            "proto",
            "tcp",
            "comment",
            "firstlight: SSH",
        ];
        assert_eq!(words(line), expected);
    }
}
