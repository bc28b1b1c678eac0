//! The Debian package on a node that is booted without a virtual machine: its whole life, and its units at their work.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::bench::Bench;
use crate::container::Container;
use crate::power::disk::Disk;
use crate::power::lab::Lab;
use crate::power::record::FileSystem;
use crate::progress::say;
use crate::release::Release;
use crate::workspace::TARGET;

const APPLY: &str = "firstlight apply /root/answer.toml --confirm";
/// A file of the operator's own.
const OWN_FILE: &str =
    "\n[[firstlight.file]]\npath = \"/etc/issue.net\"\ncontent = \"Authorised access only.\\n\"\n";
/// Every name with ours in it, but for what lies in the user's own places.
const OURS: &str = "find / -xdev \\( -path /proc -o -path /sys -o -path /root -o -path /tmp \\) -prune \
     -o -name '*firstlight*' -print | sort";
/// What is left of us when the package is purged: the hardening.
const HARDENING: &str = "\
/etc/apt/apt.conf.d/52firstlight
/etc/ssh/sshd_config.d/00-firstlight.conf
/etc/sudoers.d/firstlight
";
const UNITS: [&str; 4] = [
    "firstlight-recover-early.service",
    "firstlight-recover.service",
    "firstlight-deadline.timer",
    "firstlight-audit.service",
];

/// Installed, hardens, waits, is upgraded, removed, purged.
pub fn life(bench: &mut Bench) -> Result<()> {
    let workspace = bench.workspace().clone();
    let (image, _) = bench.image()?;
    let answer = fs::read_to_string(&bench.payload()?.native.1).context("reading the answer")?;
    let out = workspace.run_directory().join("deb");
    let mut release = Release::of(&workspace, TARGET)?;
    let first = release.make(&out)?.package;
    release.version = format!("{}+next", release.version);
    let second = release.make(&out.join("next"))?.package;
    Lab::enter(&workspace.run_directory().join("deb-lab"), FileSystem::Ext4, |lab| {
        let disk = lab.file("disk");
        Disk::copy_of(&image.disk, &disk)?;
        lab.mounted(&disk, || {
            let root = lab.root();
            let home = root.join("root");
            fs::copy(&first, home.join("first.deb")).context("bringing the package")?;
            fs::copy(&second, home.join("second.deb")).context("bringing the package")?;
            fs::write(home.join("answer.toml"), answer.clone() + OWN_FILE).context("bringing the answer")?;
            let node = Container::boot(&root)?;
            installed(&node)?;
            hardened(&node)?;
            bundled(&node)?;
            drop(node);
            // As a power cut does: nothing was told to stop.
            let node = Container::boot(&root)?;
            booted(&node)?;
            upgraded(&node)?;
            removed(&node)?;
            beside_our_own(&node, &root)
        })
    })
}

fn installed(node: &Container) -> Result<()> {
    node.ok("dpkg --install /root/first.deb")?;
    let version = node.ok("firstlight --version && command -v firstlight")?;
    ensure!(version.ends_with("/usr/sbin/firstlight\n"), "which one runs: {version}");
    node.ok("gzip -t /usr/share/man/man8/firstlight.8.gz /usr/share/man/man5/firstlight-answer.5.gz")?;
    node.ok("bash -c '. /usr/share/bash-completion/completions/firstlight && complete -p firstlight'")?;
    node.ok("firstlight check /usr/share/doc/firstlight/examples/complete.toml")?;
    // The hook and `install` leave the node to the package.
    node.ok("firstlight install && test ! -e /usr/local/sbin/firstlight")?;
    for unit in UNITS {
        let said = node.ok(&format!("systemctl show -p FragmentPath -p LoadState {unit}"))?;
        // Debian 12's systemd names the same directory without `/usr`.
        ensure!(said.contains("/lib/systemd/system/") && said.contains("LoadState=loaded"), "{unit}: {said}");
        node.ok(&format!("systemd-analyze verify --man=no {unit}"))?;
    }
    for (target, unit) in [("sysinit", "recover-early"), ("multi-user", "recover")] {
        let wants = node.ok(&format!("systemctl show -p Wants {target}.target"))?;
        ensure!(wants.contains(&format!("firstlight-{unit}.service")), "{target}.target wants {wants}");
    }
    let never = node.run("firstlight status")?;
    ensure!(never.status == 0, "status of a node where nothing ran: {}", never.output);
    Ok(())
}

/// A run commits, and the audit's unit sees what the command sees, with all that it is shut off from.
fn hardened(node: &Container) -> Result<()> {
    let done = node.run(&format!("{APPLY} none"))?;
    ensure!(matches!(done.status, 0 | 3), "apply ended with {}: {}", done.status, done.output);
    node.ok("systemctl start firstlight-audit.service")?;
    let kept = controls(&node.ok("cat /var/lib/firstlight/audit.json")?)?;
    let seen = node.run("firstlight audit --json")?;
    ensure!(matches!(seen.status, 0 | 3), "audit ended with {}: {}", seen.status, seen.output);
    let seen = controls(&seen.output)?;
    say(format_args!("  the audit's unit and the command agree on {} controls", seen.len()));
    for (kept, seen) in kept.iter().zip(&seen) {
        ensure!(kept == seen, "the audit's unit sees {kept} where the command sees {seen}");
    }
    node.ok("grep -qx 'Authorised access only.' /etc/issue.net && echo Hello > /etc/issue.net")?;
    let changed = node.run("firstlight audit --json")?;
    let changed = controls(&changed.output)?;
    let red: Vec<_> = changed
        .iter()
        .filter(|control| control["state"] == "fails")
        .map(|control| &control["control"])
        .collect();
    ensure!(red.contains(&&"file./etc/issue.net".into()), "a changed file of the answer is not red: {red:?}");
    ensure!(kept.len() == seen.len() && seen.len() > 30, "{} and {} controls", kept.len(), seen.len());
    ensure!(node.ok("systemctl is-active firstlight-audit.timer")? == "active\n", "the timer does not run");
    // The next one is cut off in the middle.
    node.ok("printf '\\n[firstlight.updates]\\nproxmox = true\\n' >> /root/answer.toml")?;
    let waits = node.run(&format!("{APPLY} login"))?;
    ensure!(waits.status == 4, "apply ended with {}: {}", waits.status, waits.output);
    Ok(())
}

/// Secrets of one unit of ours, as a defect would leave them in the journal.
const PLANTED: [&str; 3] = [
    "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ",
    "root@pam GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    "value 0e1f2a3b-4c5d-6e7f-8a9b-0c1d2e3f4a5b",
];
/// Every hash of a password, and a line of every private key.
const OF_THE_NODE: &str = "cut -d: -f2 /etc/shadow | grep -F '$'; for key in /etc/ssh/ssh_host_*_key; do sed -n 3p $key; done; \
     sed -n 's/^password-hash = \"\\(.*\\)\"/\\1/p' /root/answer.toml";

/// What leaves the node for somebody's help has what helps, and no secret.
fn bundled(node: &Container) -> Result<()> {
    for secret in PLANTED {
        node.ok(&format!("systemd-run --quiet --wait --unit firstlight-planted echo '{secret}'"))?;
    }
    node.ok("journalctl --sync && journalctl -u firstlight-planted | grep -q 0e1f2a3b")?;
    let bundle = node.ok("firstlight bundle /root/bundle.txt > /dev/null && cat /root/bundle.txt")?;
    ensure!(node.ok("stat -c '%a %U' /root/bundle.txt")? == "600 root\n", "others can read the bundle");
    for part in [
        "===== /usr/sbin/firstlight audit",
        "ssh.password-login.root",
        "schema = 1",
        "entry=/etc/ssh",
        "passwordauthentication no",
    ] {
        ensure!(bundle.contains(part), "`{part}` is not in the bundle: {bundle}");
    }
    let of_the_node = node.ok(OF_THE_NODE)?;
    ensure!(of_the_node.lines().count() >= 6, "too few secrets to look for: {of_the_node}");
    let planted = PLANTED.iter().flat_map(|line| line.split(' '));
    for secret in of_the_node.lines().chain(planted.filter(|word| word.len() > 20)) {
        ensure!(!bundle.contains(secret), "`{secret}` is in the bundle");
    }
    let again = node.run("firstlight bundle /root/bundle.txt")?;
    ensure!(again.status == 2, "a second bundle of that name ended with {}: {}", again.status, again.output);
    Ok(())
}

fn controls(json: &str) -> Result<Vec<serde_json::Value>> {
    let audit: serde_json::Value = serde_json::from_str(json).context("reading an audit")?;
    audit.get("controls").and_then(|list| list.as_array()).cloned().context("an audit without controls")
}

/// What waited for confirmation when the power went was put back by the package's units.
fn booted(node: &Container) -> Result<()> {
    for unit in UNITS {
        let state = node.run(&format!("systemctl is-failed {unit}"))?.output;
        ensure!(state.trim() != "failed", "{unit} failed: {}", node.ok(&format!("journalctl -b -u {unit}"))?);
    }
    node.ok("systemctl is-active firstlight-recover-early.service firstlight-recover.service")?;
    let status = node.run("firstlight status")?;
    ensure!(status.status == 1, "after the boot: {} {}", status.status, status.output);
    ensure!(!node.ok("cat /etc/apt/apt.conf.d/52firstlight")?.contains("origin=Proxmox"), "not put back");
    Ok(())
}

/// Not while a run waits; then to another version and back to work.
fn upgraded(node: &Container) -> Result<()> {
    let waits = node.run(&format!("{APPLY} login"))?;
    ensure!(waits.status == 4, "apply ended with {}: {}", waits.status, waits.output);
    for line in ["dpkg --install /root/second.deb", "dpkg --remove firstlight"] {
        let refused = node.run(line)?;
        ensure!(
            refused.status != 0 && refused.output.contains("a run is not over yet"),
            "`{line}` while a run waits: {}",
            refused.output
        );
        node.ok("dpkg-query -W -f '${Version} ${db:Status-Status}' firstlight | grep -qv next")?;
    }
    node.ok("firstlight confirm && dpkg --install /root/second.deb")?;
    let version = node.ok("dpkg-query -W -f '${Version} ${db:Status-Status}' firstlight")?;
    ensure!(version.ends_with("+next installed"), "upgraded to {version}");
    let status = node.run("firstlight status")?;
    ensure!(matches!(status.status, 0 | 3), "after the upgrade: {} {}", status.status, status.output);
    node.ok("systemctl start firstlight-audit.service && systemctl is-active firstlight-audit.timer")
        .map(drop)
}

/// Removed, the hardening and the state stay; purged, the hardening alone.
fn removed(node: &Container) -> Result<()> {
    node.ok("dpkg --remove firstlight")?;
    node.ok(
        "test -e /var/lib/firstlight/profile.toml && test ! -e /etc/systemd/system/firstlight-audit.timer",
    )?;
    let known = node.ok("systemctl list-units --all --plain --no-legend 'firstlight*'")?;
    ensure!(known.is_empty(), "units after removal: {known}");
    node.ok("dpkg --purge firstlight")?;
    let left = node.ok(OURS)?;
    ensure!(left == HARDENING, "after the purge there are:\n{left}");
    node.ok("sshd -T | grep -qx 'passwordauthentication no'").map(drop)
}

/// Where `firstlight install` has been, its program goes first, says so, and outlives the package.
fn beside_our_own(node: &Container, root: &Path) -> Result<()> {
    node.ok("dpkg-deb --fsys-tarfile /root/first.deb | tar -x -C /root ./usr/sbin/firstlight")?;
    node.ok("/root/usr/sbin/firstlight install && test -x /usr/local/sbin/firstlight")?;
    let said = node.ok("dpkg --install /root/first.deb")?;
    ensure!(said.contains("/usr/local/sbin/firstlight uninstall"), "the package says nothing of it: {said}");
    let path = node.ok("systemctl show -p FragmentPath firstlight-recover.service")?;
    ensure!(path.contains("/etc/systemd/system/"), "the unit is {path}");
    node.ok("dpkg --purge firstlight && /usr/local/sbin/firstlight status")?;
    ensure!(root.join("var/lib/firstlight").is_dir(), "the state went with the package");
    node.ok(
        "/usr/local/sbin/firstlight uninstall && test ! -e /etc/systemd/system/firstlight-recover.service",
    )
    .map(drop)
}
