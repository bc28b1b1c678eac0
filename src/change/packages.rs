//! Packages, in one apt call that starts no service, upgrades and removes nothing (row H2).
//!
//! `policy-rc.d` with status 101 is Debian's own way to hold services back during a call; `deb-systemd-invoke`
//! and `invoke-rc.d` honour it. It is part of the change's scope, so that a crash cannot leave it behind.

use super::{Need, PackagesChange};
use crate::error::{Error, Result};
use crate::manifest::Scope;
use crate::node::{Invocation, Node, Output, exists, read_text, run_checked};
use crate::plan::View;
use crate::transaction::record::Inverse;
use std::path::{Path, PathBuf};
use std::time::Duration;

const APT_GET: &str = "/usr/bin/apt-get";
const DPKG: &str = "/usr/bin/dpkg";
const STATUS_PATH: &str = "/var/lib/dpkg/status";
const POLICY_PATH: &str = "/usr/sbin/policy-rc.d";
const POLICY: &[u8] = b"#!/bin/sh\n# firstlight: services wait for their configuration\nexit 101\n";
/// Network steps are repeated for so long inside one try (design 3).
const PATIENCE_SECONDS: u64 = 600;
/// PVE runs its own `apt-get update` at first start and may hold the lock.
const LOCK_OPTION: &str = "DPkg::Lock::Timeout=600";
const INSTALL_SECONDS: u64 = 3600;

/// `/etc` as a whole, since maintainer scripts write where they like, and the policy file.
pub fn scopes() -> Vec<Scope> {
    let entries = ["/usr/sbin".into(), POLICY_PATH.into(), aside_path()];
    std::iter::once(Scope::Tree("/etc".into())).chain(entries.map(Scope::Entry)).collect()
}

/// Names and states in dpkg's database: `install ok installed`.
fn states(node: &dyn Node) -> Result<Vec<(String, String)>> {
    let text = read_text(node, Path::new(STATUS_PATH))?.unwrap_or_default();
    let mut states = Vec::new();
    let mut name = "";
    for line in text.lines() {
        if let Some(package) = line.strip_prefix("Package: ") {
            name = package;
        } else if let Some(state) = line.strip_prefix("Status: ") {
            states.push((name.to_owned(), state.to_owned()));
        }
    }
    Ok(states)
}

fn missing(node: &dyn Node, names: &[String]) -> Result<Vec<String>> {
    let states = states(node)?;
    let installed = |name: &String| {
        states.iter().any(|(package, state)| package == name && state.ends_with(" ok installed"))
    };
    Ok(names.iter().filter(|name| !installed(name)).cloned().collect())
}

/// Which packages are not installed.
pub fn need(node: &dyn Node, change: &PackagesChange) -> Result<Option<Need>> {
    let missing = missing(node, &change.names)?;
    if missing.is_empty() {
        return Ok(None);
    }
    let title = format!("packages: {}", missing.join(", "));
    let lines = missing.iter().map(|name| format!("+ {name}")).collect();
    Ok(Some(Need { title, view: View::Lines(lines) }))
}

/// Refreshes the lists as far as the sources let us, asks apt what it would do, and refuses what cannot be
/// taken back. The names that would be new are what the way back purges.
pub fn inverse(node: &dyn Node, change: &PackagesChange, warnings: &mut Vec<String>) -> Result<Inverse> {
    let mut waited = 0;
    loop {
        let complaint = if change.directory.is_none() { update(node)? } else { None };
        let simulated = node.run(&apt(&["-s"], &wanted(node, change)?).limit(300))?;
        if simulated.success() {
            if let Some(complaint) = complaint {
                warnings.push(format!(
                    "a package source could not be read; the packages needed are there without it: {complaint}"
                ));
            }
            return judge(&simulated, change).map(Inverse::Packages);
        }
        if waited >= PATIENCE_SECONDS {
            let mut error = Error::new("looking for the packages", simulated.complaint());
            if let Some(complaint) = complaint {
                error = error.hint(format!("apt-get update said: {complaint}"));
            }
            return Err(error);
        }
        let pause = 10 + waited / 4;
        node.sleep(Duration::from_secs(pause));
        waited += pause;
    }
}

/// Runs `apt-get update`; returns what it complained about. A failing source is no failure (row H1).
fn update(node: &dyn Node) -> Result<Option<String>> {
    let arguments = ["-q", "-o", LOCK_OPTION, "update"];
    let output = node.run(&Invocation::new(APT_GET, &arguments).limit(900))?;
    let text = format!("{}\n{}", output.stdout, output.stderr);
    let mut complaints: Vec<&str> = text
        .lines()
        .filter(|line| ["E: ", "W: ", "Err:"].iter().any(|start| line.starts_with(start)))
        .map(str::trim)
        .collect();
    complaints.dedup();
    let failed = !output.success() || complaints.iter().any(|line| line.contains("Failed to fetch"));
    Ok(failed.then(|| if complaints.is_empty() { output.complaint() } else { complaints.join("; ") }))
}

fn apt(options: &[&str], packages: &[String]) -> Invocation {
    let mut arguments = vec!["-q", "-y", "--no-install-recommends", "--no-remove", "-o", LOCK_OPTION];
    arguments.extend(["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]);
    arguments.extend(["-o", "Dpkg::Use-Pty=0"]);
    arguments.extend(options);
    arguments.push("install");
    arguments.extend(packages.iter().map(String::as_str));
    Invocation::new(APT_GET, &arguments)
        .variable("DEBIAN_FRONTEND", "noninteractive")
        .variable("APT_LISTCHANGES_FRONTEND", "none")
        .variable("NEEDRESTART_SUSPEND", "1")
        .limit(INSTALL_SECONDS)
}

/// What apt is asked for: names, or the files of an offline directory that are not installed yet.
fn wanted(node: &dyn Node, change: &PackagesChange) -> Result<Vec<String>> {
    let Some(directory) = &change.directory else { return missing(node, &change.names) };
    let mut files = Vec::new();
    for name in node.list(directory)? {
        let name = name.to_string_lossy();
        let Some((package, _)) = name.split_once('_') else { continue };
        if name.ends_with(".deb") && !missing(node, &[package.to_owned()])?.is_empty() {
            files.push(directory.join(&*name).to_string_lossy().into_owned());
        }
    }
    Ok(files)
}

/// Reads apt's simulation: `Inst NAME (NEW …`, `Inst NAME [OLD] (NEW …`, `Remv NAME`.
fn judge(simulated: &Output, change: &PackagesChange) -> Result<Vec<String>> {
    let mut new = Vec::new();
    for line in simulated.stdout.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("Remv" | "Purg"), Some(name), _) => {
                return Err(Error::new("planning the packages", format!("apt would remove {name}")));
            }
            (Some("Inst"), Some(name), Some(next)) if next.starts_with('[') && !change.allow_upgrades => {
                return Err(Error::new("planning the packages", format!("apt would upgrade {name}"))
                    .hint("upgrade the node first, or set firstlight.packages.allow-upgrades = true"));
            }
            (Some("Inst"), Some(_), Some(next)) if next.starts_with('[') => {}
            (Some("Inst"), Some(name), _) => {
                new.push(name.split(':').next().unwrap_or(name).to_owned());
            }
            _ => {}
        }
    }
    Ok(new)
}

/// Installs, with every service held back until its configuration is there.
pub fn install(node: &dyn Node, change: &PackagesChange) -> Result<()> {
    let wanted = wanted(node, change)?;
    let policy = Path::new(POLICY_PATH);
    let aside = aside_path();
    if exists(node, policy)? {
        node.rename(policy, &aside)?;
    }
    node.create(policy, POLICY, 0o755)?;
    node.sync_file(policy)?;
    node.sync_directory(Path::new("/usr/sbin"))?;
    let outcome = run_checked(node, &apt(&[], &wanted));
    node.remove_file(policy)?;
    if exists(node, &aside)? {
        node.rename(&aside, policy)?;
    }
    node.sync_directory(Path::new("/usr/sbin"))?;
    outcome?;
    let left = missing(node, &change.names)?;
    if left.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        "installing the packages",
        format!("apt-get ended well, and these are missing: {}", left.join(", ")),
    ))
}

/// Where a policy of somebody else waits meanwhile.
fn aside_path() -> PathBuf {
    PathBuf::from(format!("{POLICY_PATH}.firstlight-aside"))
}

/// Takes the new packages out again, whatever state a crash has left them in.
pub fn undo(node: &dyn Node, names: &[String]) -> Result<()> {
    let mut waited = 0;
    loop {
        let present: Vec<String> = states(node)?
            .into_iter()
            .filter(|(name, state)| names.contains(name) && !state.ends_with(" not-installed"))
            .map(|(name, _)| name)
            .collect();
        if present.is_empty() {
            return Ok(());
        }
        let environment = |invocation: Invocation| {
            invocation.variable("DEBIAN_FRONTEND", "noninteractive").limit(INSTALL_SECONDS)
        };
        // Half-configured ones must be whole before they can go; what cannot be configured goes anyway.
        node.run(&environment(Invocation::new(
            DPKG,
            &["--force-confdef", "--force-confold", "--configure", "-a"],
        )))?;
        let mut arguments = vec!["--force-remove-reinstreq", "--purge"];
        arguments.extend(present.iter().map(String::as_str));
        let output = node.run(&environment(Invocation::new(DPKG, &arguments)))?;
        if output.success() {
            continue;
        }
        let locked = output.stderr.contains("lock");
        if !locked || waited >= PATIENCE_SECONDS {
            return Err(Error::new("removing the new packages", output.complaint())
                .hint(format!("dpkg --purge {}", present.join(" "))));
        }
        node.sleep(Duration::from_secs(5));
        waited += 5;
    }
}
