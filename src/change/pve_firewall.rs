//! PVE's firewall: its files as a whole, under PVE's own locks, and its daemon waited for.
//!
//! pve-firewall reads nothing but its live files, so a text is checked where it lies: with `enable: 0` where the firewall
//! is off, so that it filters nothing before `pve-firewall compile` is content; where it is on, at once after it was
//! written, which is before the daemon's next look but for its bad luck. `compile` and `status` say what is wrong on
//! standard error alone (pve-observed 3.7), and only the sum of both is complete: what a rule refers to is looked up when
//! the firewall is on.

use super::cluster::{self, PATIENCE_SECONDS};
use super::{FileChange, Need, PveFileChange, Switch, file, kernel};
use crate::error::{Error, Result};
use crate::facts::cluster_firewall;
use crate::manifest;
use crate::node::{Invocation, Node, Output, exists, read_text};
use crate::plan::View;
use crate::transaction::deadline_seconds;
use crate::transaction::record::Inverse;
use std::path::Path;
use std::time::Duration;

/// The daemon's own command.
pub const PROGRAM: &str = "/usr/sbin/pve-firewall";
/// The daemon looks every ten seconds, and takes longer on a slow machine.
const SETTLING_MILLISECONDS: u64 = 60_000;
/// PVE itself turns the firewall off so long after the time that stands in its file (pve-contract 3.3).
const PVE_GRACE_SECONDS: u64 = 60;
/// What pve-firewall sets in the kernel whenever it applies rules, and never sets back (its `apply_ruleset`).
const SETTINGS: [&str; 6] = [
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.ipv4.tcp_syncookies",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_timeout_established",
    "net.netfilter.nf_conntrack_tcp_timeout_syn_recv",
];

/// The file with what pmxcfs gives to every file outside of `priv` (pve-contract 4.2).
fn as_file(path: &Path, content: &str) -> FileChange {
    FileChange {
        path: path.to_owned(),
        content: content.as_bytes().to_vec(),
        mode: 0o640,
        owner: "root".to_owned(),
        public: true,
    }
}

fn text(node: &dyn Node) -> Result<Option<String>> {
    read_text(node, Path::new(cluster_firewall::PATH))
}

/// What is missing for the file to be as wanted.
pub fn file_need(node: &dyn Node, change: &PveFileChange) -> Result<Option<Need>> {
    file::file_need(node, &as_file(&change.path, &change.content))
}

/// What is missing for the firewall to be on or off.
pub fn switch_need(node: &dyn Node, switch: Switch) -> Result<Option<Need>> {
    let text = text(node)?.unwrap_or_default();
    if switch != Switch::Off {
        let title = "PVE's firewall: switched on".to_owned();
        let needed = !cluster_firewall::is_on(&text);
        return Ok(needed.then_some(Need { title, view: View::Lines(Vec::new()) }));
    }
    if !cluster_firewall::is_enabled(&text) {
        return Ok(None);
    }
    let off = cluster_firewall::switched(&text, 0);
    file::file_need(node, &as_file(Path::new(cluster_firewall::PATH), &off))
}

/// What the kernel was set to, for the way back.
pub fn inverse(node: &dyn Node) -> Result<Inverse> {
    let mut settings = Vec::new();
    for name in SETTINGS {
        settings.extend(kernel::value(node, name)?.map(|value| (name.to_owned(), value)));
    }
    Ok(Inverse::PveFirewall(settings))
}

/// Writes the datacenter's file. The caller holds its lock.
pub fn replace(node: &dyn Node, text: &str) -> Result<()> {
    file::write_file(node, &as_file(Path::new(cluster_firewall::PATH), text))
}

/// Writes what `decide` makes of what stands there then, all under PVE's lock.
fn put(
    node: &dyn Node,
    path: &Path,
    decide: &dyn Fn(Option<String>) -> Result<Option<String>>,
) -> Result<()> {
    cluster::locked(node, path, PATIENCE_SECONDS, &mut || {
        let Some(content) = decide(read_text(node, path)?)? else { return Ok(()) };
        if let Some(directory) = path.parent()
            && !exists(node, directory)?
        {
            // It may have gone while the lock was waited for.
            cluster::mounted(node, "changing /etc/pve")?;
            manifest::make_directory(node, directory, 0o755)?;
        }
        file::write_file(node, &as_file(path, &content))
    })
}

/// Writes the file. With the last one PVE says whether it can read them all and, where the firewall is on, the kernel has
/// them.
pub fn write(node: &dyn Node, change: &PveFileChange) -> Result<()> {
    put(node, &change.path, &|found| {
        if found == change.base {
            return Ok(Some(change.content.clone()));
        }
        Err(Error::new(
            format!("writing {}", change.path.display()),
            "somebody changed it since the plan was made",
        )
        .hint("plan again: what they wrote is kept then"))
    })?;
    if !change.checked {
        return Ok(());
    }
    if let Some(complaint) = lint(node)? {
        return Err(Error::new("checking PVE's firewall files", complaint));
    }
    let on = text(node)?.is_some_and(|text| cluster_firewall::is_on(&text));
    if on { settled(node, Some(true)) } else { Ok(()) }
}

/// Switches PVE's firewall, every other line as it is by then, and waits until the kernel has it.
pub fn switch(node: &dyn Node, switch: Switch) -> Result<()> {
    let wanted = match switch {
        Switch::Off => 0,
        Switch::On => 1,
        Switch::Until(seconds) => seconds.saturating_sub(PVE_GRACE_SECONDS),
        Switch::Trial => deadline_seconds(node)?.saturating_sub(PVE_GRACE_SECONDS),
    };
    let path = Path::new(cluster_firewall::PATH);
    put(node, path, &|found| {
        let other = |text: &String| match wanted {
            0 => cluster_firewall::is_enabled(text),
            _ => cluster_firewall::value(text) != wanted,
        };
        Ok(found.filter(other).map(|text| cluster_firewall::switched(&text, wanted)))
    })?;
    if exists(node, Path::new(PROGRAM))? { settled(node, Some(wanted != 0)) } else { Ok(()) }
}

/// Once the files are back: waits until the kernel has no rules of other ones, and sets back what PVE never does.
pub fn settle(node: &dyn Node, settings: &[(String, String)]) -> Result<()> {
    if exists(node, Path::new(PROGRAM))? {
        settled(node, None)?;
    }
    settings.iter().try_for_each(|(name, value)| kernel::undo(node, name, value))
}

fn ask(node: &dyn Node, word: &str) -> Result<Output> {
    node.run(&Invocation::new(PROGRAM, &[word]).limit(120))
}

/// What PVE finds wrong with the files as they are.
pub fn lint(node: &dyn Node) -> Result<Option<String>> {
    let output = ask(node, "compile")?;
    Ok(if output.success() { complaints(&output.stderr) } else { Some(output.complaint()) })
}

/// Files of guests are not ours, and waiting for its own lock is no complaint.
fn complaints(stderr: &str) -> Option<String> {
    let mut guests = false;
    let ours = |line: &&str| {
        if !line.starts_with(' ') {
            let inside = line.strip_prefix("/etc/pve/firewall/").or(line.strip_prefix("/etc/pve/sdn/"));
            guests = inside.is_some_and(|name| !name.starts_with("cluster.fw"));
        }
        !guests && !matches!(line.trim(), "" | "trying to acquire lock..." | "OK")
    };
    let lines: Vec<&str> = stderr.lines().filter(ours).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Waits until the kernel has what the files say: on, off, or (`None`) either. Nobody changes anything while the
/// daemon is stopped, so that there is nothing to wait for on the way back.
fn settled(node: &dyn Node, on: Option<bool>) -> Result<()> {
    let since = node.boottime();
    loop {
        let output = ask(node, "status")?;
        let status = output.stdout.trim().trim_start_matches("Status: ");
        let there = match on {
            Some(true) => status == "enabled/running",
            Some(false) => status == "disabled/running" || status == "disabled/stopped",
            None => matches!(status, "enabled/running" | "disabled/running") || status.ends_with("/stopped"),
        };
        let complaint = complaints(&output.stderr).filter(|_| on == Some(true));
        if there && complaint.is_none() {
            return Ok(());
        }
        if complaint.is_some() || node.boottime().saturating_sub(since) >= SETTLING_MILLISECONDS {
            let said = if output.success() { format!("it says `{status}`") } else { output.complaint() };
            return Err(Error::new("waiting for PVE's firewall", complaint.unwrap_or(said))
                .hint("journalctl -u pve-firewall"));
        }
        node.sleep(Duration::from_secs(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Change;
    use crate::node::scripted::Scripted;

    const OFF: &str = "[OPTIONS]\nenable: 0\n[RULES]\nIN Ping(ACCEPT)\n";

    fn node() -> Scripted {
        let node = Scripted::new();
        node.mount_cluster();
        node.files.directory("/etc/pve/priv/lock");
        node.files.put(PROGRAM, "");
        node
    }

    fn answers(status: i32, stdout: &str, stderr: &str) -> Output {
        Output { status, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
    }

    fn change(base: Option<&str>) -> Change {
        Change::PveFile(PveFileChange {
            path: cluster_firewall::PATH.into(),
            content: OFF.to_owned(),
            base: base.map(str::to_owned),
            checked: true,
        })
    }

    // Recorded (transcripts 33, 34, 36).
    const RULE: &str = "/etc/pve/firewall/cluster.fw (line 9) - errors in rule parameters: IN ACCEPT -dport 22\n  \
        proto: missing property - 'dport' requires this property\n";

    #[test]
    fn d1_what_compile_says_on_standard_error_is_a_failure_whatever_its_status() {
        let node = node();
        node.on(&format!("{PROGRAM} compile"), |_, _| answers(0, "no changes\nfirewall disabled\n", RULE));
        let error = change(None).effect(&node).unwrap_err().to_string();
        assert!(error.contains("missing property"), "{error}");
    }

    #[test]
    fn d5_while_the_file_with_the_sets_is_still_to_come_pve_is_not_asked() {
        let node = node();
        node.on(&format!("{PROGRAM} compile"), |_, _| answers(0, "", RULE));
        let Change::PveFile(first) = change(None) else { panic!() };
        Change::PveFile(PveFileChange { checked: false, ..first }).effect(&node).unwrap();
        assert_eq!(node.files.text(cluster_firewall::PATH), OFF);
        assert!(node.ran().is_empty(), "{:?}", node.ran());
    }

    #[test]
    fn d1_files_of_guests_and_waiting_for_a_lock_are_no_complaint() {
        assert_eq!(complaints("trying to acquire lock...\n OK\n"), None);
        let guest =
            "/etc/pve/firewall/100.fw (line 2) - errors in rule parameters: IN foo\n  action: unknown\n";
        assert_eq!(complaints(guest), None);
        assert_eq!(complaints(&format!("{guest}{RULE}")).unwrap(), RULE.trim_end());
        let missing = "no such security group 'nosuchgroup'\n";
        assert_eq!(complaints(missing).as_deref(), Some(missing.trim_end()));
    }

    #[test]
    fn d1_the_file_is_written_under_its_lock_and_never_over_what_somebody_wrote_since_the_plan() {
        let node = node();
        node.says(&format!("{PROGRAM} compile"), "no changes\nfirewall disabled\n");
        change(None).effect(&node).unwrap();
        assert_eq!(node.files.text(cluster_firewall::PATH), OFF);
        let trace = node.trace();
        let at = |what: &str| trace.iter().position(|step| step.starts_with(what)).unwrap();
        assert!(at("make-directory /etc/pve/priv/lock/firewall-cluster") < at("rename"), "{trace:?}");
        node.files.put(cluster_firewall::PATH, "[OPTIONS]\n");
        let error = change(None).effect(&node).unwrap_err().to_string();
        assert!(error.contains("somebody changed it"), "{error}");
        assert_eq!(node.files.text(cluster_firewall::PATH), "[OPTIONS]\n");
    }

    #[test]
    fn j1_pmxcfs_that_goes_while_its_lock_is_held_leaves_nothing_in_the_plain_directory() {
        let node = node();
        node.files.put(crate::facts::pmxcfs::PROGRAM_PATH, "");
        let path = Path::new(cluster_firewall::PATH);
        let error = put(&node, path, &|_| {
            node.unmount_cluster();
            Ok(Some(OFF.to_owned()))
        });
        assert!(error.unwrap_err().to_string().contains("pmxcfs is not mounted"));
        assert!(!node.trace().iter().any(|step| step.contains("/etc/pve/firewall")), "{:?}", node.trace());
        // In the moment between that look and its making.
        let directory = Path::new("/etc/pve/firewall");
        let error = manifest::make_directory(&node, directory, 0o755).unwrap_err().to_string();
        assert!(error.contains("pmxcfs was stopped"), "{error}");
        assert!(!node.files.has("/etc/pve/firewall"));
    }

    #[test]
    fn d1_pending_changes_are_waited_for_and_not_for_ever() {
        let node = node();
        node.files.put(cluster_firewall::PATH, OFF.replace("enable: 0", "enable: 1767225600"));
        node.on(&format!("{PROGRAM} status"), |_, _| {
            answers(0, "Status: enabled/running (pending changes)\n", "")
        });
        let before = node.boottime();
        let error = Change::PveFirewall(Switch::On).effect(&node).unwrap_err().to_string();
        assert!(error.contains("pending changes"), "{error}");
        assert!(node.boottime() - before >= 60_000);
        node.on(&format!("{PROGRAM} status"), |_, _| answers(0, "Status: enabled/running\n", ""));
        Change::PveFirewall(Switch::On).effect(&node).unwrap();
        assert_eq!(node.files.text(cluster_firewall::PATH), OFF.replace("enable: 0", "enable: 1"));
    }
}
