//! Packages, in one apt call that starts no service, upgrades and removes nothing (row H2).
//!
//! `policy-rc.d` with status 101 is Debian's own way to hold services back during a call; `deb-systemd-invoke`
//! and `invoke-rc.d` honour it. It is part of the change's scope, so that a crash cannot leave it behind.

mod removal;

use super::file::{waiting_path, write_file};
use super::{FileChange, Need, PackagesChange};
use crate::error::{Error, Result};
use crate::manifest::Scope;
use crate::node::{Invocation, Node, Output, exists, run_checked};
use crate::plan::View;
use crate::transaction::record::Inverse;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use removal::{Stays, needed, undo};

const APT_GET: &str = "/usr/bin/apt-get";
const DPKG_QUERY: &str = "/usr/bin/dpkg-query";
const POLICY_PATH: &str = "/usr/sbin/policy-rc.d";
const POLICY: &[u8] = b"#!/bin/sh\n# firstlight: services wait for their configuration\nexit 101\n";
/// Network steps are repeated for so long inside one try (design 3).
const PATIENCE_SECONDS: u64 = 600;
/// PVE runs its own `apt-get update` at first start and may hold the lock.
const LOCK_OPTION: &str = "DPkg::Lock::Timeout=600";
const SIMULATE_SECONDS: u64 = 300;
const INSTALL_SECONDS: u64 = 3600;

/// `/etc` as a whole, since maintainer scripts write where they like, what ucf remembers, and the policy file.
pub fn scopes() -> Vec<Scope> {
    let entries =
        ["/usr/sbin".into(), POLICY_PATH.into(), aside_path(), waiting_path(Path::new(POLICY_PATH))];
    // ucf writes what it knows of configuration files without fsync: a power cut can leave it empty.
    let trees = ["/etc".into(), "/var/lib/ucf".into()];
    trees.map(Scope::Tree).into_iter().chain(entries.map(Scope::Entry)).collect()
}

/// Names and states: `install ok installed`. Asked of dpkg, which knows what a power cut left in its `updates/`.
fn states(node: &dyn Node) -> Result<Vec<(String, String)>> {
    let format = "-f=${Package}\t${Status}\n";
    let output = run_checked(node, &Invocation::new(DPKG_QUERY, &["-W", format]))?;
    let pair = |line: &str| line.split_once('\t').map(|(name, state)| (name.to_owned(), state.to_owned()));
    Ok(output.stdout.lines().filter_map(pair).collect())
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

/// Refreshes the lists as far as the sources let us, fetches what is needed, asks apt what it would do, and
/// refuses what cannot be taken back. The names that would be new are what the way back purges; the lists do not
/// change any more before they are installed.
pub fn inverse(node: &dyn Node, change: &PackagesChange, warnings: &mut Vec<String>) -> Result<Inverse> {
    let mut waited = 0;
    loop {
        let complaint = if change.directory.is_none() { update(node)? } else { None };
        let wanted = wanted(node, change)?;
        let simulated = node.run(&apt(&["-s"], &wanted).limit(SIMULATE_SECONDS))?;
        if simulated.success() {
            let new = judge(&simulated, change)?;
            let fetched = node.run(&apt(&["--download-only"], &wanted))?;
            if fetched.success() {
                if let Some(complaint) = complaint {
                    warnings.push(format!(
                        "a package source could not be read; the packages needed are there without it: {complaint}"
                    ));
                }
                return Ok(Inverse::Packages(new));
            }
            pause(node, &mut waited, "fetching the packages", &fetched, None)?;
        } else {
            pause(node, &mut waited, "looking for the packages", &simulated, complaint)?;
        }
    }
}

/// Waits a little longer each time; gives up when patience is over.
fn pause(
    node: &dyn Node,
    waited: &mut u64,
    doing: &str,
    output: &Output,
    complaint: Option<String>,
) -> Result<()> {
    if *waited >= PATIENCE_SECONDS || node.interrupted() {
        let mut error = Error::new(doing, output.complaint());
        if let Some(complaint) = complaint {
            error = error.hint(format!("apt-get update said: {complaint}"));
        }
        return Err(error);
    }
    let seconds = 10 + *waited / 4;
    node.sleep(Duration::from_secs(seconds));
    *waited += seconds;
    Ok(())
}

/// Runs `apt-get update`; returns what it complained about. A failing source is no failure (row H1). Somebody
/// else's update, such as PVE's own at its first start, is waited for: apt has no option for that lock.
fn update(node: &dyn Node) -> Result<Option<String>> {
    let mut waited = 0;
    loop {
        let output = node.run(&Invocation::new(APT_GET, &["-q", "-o", LOCK_OPTION, "update"]).limit(900))?;
        let text = format!("{}\n{}", output.stdout, output.stderr);
        if text.contains("/var/lib/apt/lists/lock") && waited < PATIENCE_SECONDS {
            node.sleep(Duration::from_secs(5));
            waited += 5;
            continue;
        }
        let mut complaints: Vec<&str> = text
            .lines()
            .filter(|line| ["E: ", "W: ", "Err:"].iter().any(|start| line.starts_with(start)))
            .map(str::trim)
            .collect();
        complaints.dedup();
        let failed = !output.success() || complaints.iter().any(|line| line.contains("Failed to fetch"));
        let said = || if complaints.is_empty() { output.complaint() } else { complaints.join("; ") };
        return Ok(failed.then(said));
    }
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

/// Reads apt's simulation: `Inst NAME (NEW …`, `Inst NAME [OLD] (NEW …`, `Remv NAME`. What it would upgrade is noted,
/// too: no way back does away with that.
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
            (Some("Inst"), Some(name), next) => {
                let name = name.split(':').next().unwrap_or(name);
                let before = next.and_then(|next| next.strip_prefix('['));
                new.push(match before {
                    Some(before) => removal::upgraded(name, before.trim_end_matches(']')),
                    None => name.to_owned(),
                });
            }
            _ => {}
        }
    }
    Ok(new)
}

/// Installs what was fetched (`--no-download` would say so, and breaks on `file:` sources), with every service held back until its configuration is there.
pub fn install(node: &dyn Node, change: &PackagesChange) -> Result<()> {
    let wanted = wanted(node, change)?;
    hold_services(node)?;
    let outcome = run_checked(node, &apt(&[], &wanted));
    release_services(node)?;
    outcome?;
    let left = missing(node, &change.names)?;
    if left.is_empty() {
        return Ok(());
    }
    let because = format!("apt-get ended well, and these are missing: {}", left.join(", "));
    Err(Error::new("installing the packages", because))
}

/// Puts our policy in place; one of somebody else waits aside. Safe to repeat.
fn hold_services(node: &dyn Node) -> Result<()> {
    let policy = Path::new(POLICY_PATH);
    if exists(node, policy)? {
        if node.read(policy)? == POLICY {
            return Ok(());
        }
        node.rename(policy, &aside_path())?;
    }
    let (content, owner) = (POLICY.to_vec(), "root".to_owned());
    write_file(node, &FileChange { path: policy.to_owned(), content, mode: 0o755, owner, public: true })
}

/// Takes our policy away again. Safe to repeat.
fn release_services(node: &dyn Node) -> Result<()> {
    let policy = Path::new(POLICY_PATH);
    if exists(node, policy)? && node.read(policy)? == POLICY {
        node.remove_file(policy)?;
    }
    if exists(node, &aside_path())? {
        node.rename(&aside_path(), policy)?;
    }
    node.sync_directory(Path::new("/usr/sbin"))
}

/// Where a policy of somebody else waits meanwhile.
fn aside_path() -> PathBuf {
    PathBuf::from(format!("{POLICY_PATH}.firstlight-aside"))
}
