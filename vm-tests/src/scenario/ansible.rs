//! Day two by Ansible: the playbook of `iso-hooks/ansible/` on two nodes at once, with the real binary in them.

mod desk;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use self::desk::{Desk, Host};
use crate::bench::Bench;
use crate::command::{command, output};
use crate::network::Side;
use crate::payload::{ADMIN, ADMIN_PASSWORD, ADMIN_PASSWORD_HASH};
use crate::power::disk::Disk;
use crate::power::fault::HOOK;
use crate::power::lab::Lab;
use crate::power::record::FileSystem;
use crate::progress::say;
use crate::seed::seeded;
use crate::workspace::Workspace;

const NAMES: [&str; 2] = ["pve1", "pve2"];
/// A line that no sshd takes.
const BROKEN: &str = "/etc/ssh/sshd_config.d/99-broken.conf";

/// Runs a shell line as root in one of the two and returns what it printed.
type Look<'a> = &'a mut dyn FnMut(usize, &str) -> Result<String>;

/// Two guests after their first boot. Ansible logs in as the admin, whose next login confirms.
pub fn guests(bench: &mut Bench) -> Result<()> {
    let workspace = bench.workspace().clone();
    let payload = bench.payload()?;
    let binary = payload.binary.clone();
    let (key, answer) =
        (payload.admin_key.private.display().to_string(), fs::read_to_string(&payload.answer)?);
    let mut nodes = bench.two_committed()?;
    // ansible_host is a name, not the address: Ansible keeps its connections by it, and both have the same address.
    let hosts = |ssh: &dyn Fn(&str) -> String| {
        NAMES.map(|name| Host {
            name,
            variables: vec![
                format!("ansible_host={name}"),
                format!("ansible_user={ADMIN}"),
                "ansible_become=true".to_owned(),
                format!("ansible_become_password='{ADMIN_PASSWORD}'"),
                format!("ansible_ssh_private_key_file={key}"),
                format!("ansible_ssh_executable={}", ssh(name)),
                format!(
                    "ansible_ssh_common_args='-F none -o HostName={} -o IdentitiesOnly=yes -o IdentityAgent=none -o \
                     UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR'",
                    Side::Management.node_address()
                ),
                // A guest under software emulation is slow.
                "ansible_timeout=60".to_owned(),
            ],
        })
    };
    let place = tempfile::tempdir().context("making a directory")?;
    let path = |name: &str| place.path().join(format!("ssh-{name}"));
    let desk = Desk::set(&workspace, &hosts(&|name| path(name).display().to_string()))?;
    for (name, node) in NAMES.iter().zip(&nodes) {
        let enter = node.command_from(Side::Management, "ssh")?;
        let words: Vec<_> = enter.get_args().map(|word| word.to_string_lossy()).collect();
        wrapper(&path(name), &format!("exec ip {} \"$@\"", words.join(" ")))?;
    }
    let mut look = |node: usize, line: &str| nodes.get_mut(node).context("no such node")?.ok(line);
    acts(&desk, &binary, &answer, &mut look)?;
    for name in NAMES {
        let notes = desk.result(name)?["status"]["notes"].to_string();
        ensure!(notes.contains("confirmed by a login of ops from 10.0.20.5"), "{name}: {notes}");
    }
    Ok(())
}

/// The same natively: the node's disk is mounted twice, and runs in namespaces without systemd or a real login.
pub fn native(bench: &mut Bench) -> Result<()> {
    let workspace = bench.workspace().clone();
    let (image, _) = bench.image()?;
    let seeds = bench.native_seeds()?;
    let payload = bench.payload()?;
    let answer = fs::read_to_string(&payload.native.1).context("reading the answer")?;
    let binary = payload.binary.clone();
    let directory = workspace.run_directory().join("ansible");
    fs::create_dir_all(&directory).context("making a directory")?;
    let base = seeded(&image.disk, &directory.join("disk"), &seeds)?;
    let place = |name: &str| directory.join(name);
    Lab::enter(&place("one"), FileSystem::Ext4, |one| {
        Disk::copy_of(&base, &one.file("disk"))?;
        one.mounted(&one.file("disk"), || one.ok(HOOK).context("a first boot"))?;
        let first = one.file("disk");
        Lab::enter(&place("two"), FileSystem::Ext4, |two| {
            let second = two.file("disk");
            Disk::copy_of(&first, &second)?;
            one.mounted(&first, || two.mounted(&second, || in_labs(&workspace, [one, two], &binary, &answer)))
        })
    })
}

fn in_labs(workspace: &Workspace, labs: [&Lab; 2], binary: &Path, answer: &str) -> Result<()> {
    let booted = [labs[0].booted()?, labs[1].booted()?];
    let place = tempfile::tempdir().context("making a directory")?;
    // In the place of ssh: the last word is what it would run on the node.
    let host = |name: &'static str, user: &str, enter: &[String]| -> Result<Host> {
        let ssh = place.path().join(format!("{user}-{name}"));
        wrapper(&ssh, &format!("for last; do :; done\nexec {} \"$last\"", enter.join(" ")))?;
        let variables = vec![
            format!("ansible_user={user}"),
            "ansible_ssh_args=''".to_owned(),
            "ansible_ssh_transfer_method=piped".to_owned(),
            format!("ansible_ssh_executable={}", ssh.display()),
        ];
        Ok(Host { name, variables })
    };
    let (mut hosts, mut of_the_admin) = (Vec::new(), Vec::new());
    for (name, node) in NAMES.into_iter().zip(&booted) {
        hosts.push(host(name, "root", &node.enter())?);
        let mut admin = host(name, ADMIN, &node.enter_as(ADMIN))?;
        admin.variables.push("ansible_become=true".to_owned());
        admin.variables.push(format!("ansible_become_password='{ADMIN_PASSWORD}'"));
        of_the_admin.push(admin);
    }
    let desk = Desk::set(workspace, &hosts)?;
    let mut look = |node: usize, line: &str| {
        let words = booted.get(node).context("no such node")?.enter();
        let (program, rest) = words.split_first().context("no way in")?;
        output(command(program, rest).arg(line))
    };
    for node in 0..NAMES.len() {
        // What systemd starts at a boot.
        look(node, "/usr/local/sbin/firstlight apply --confirm none")?;
    }
    acts(&desk, binary, answer, &mut look)?;
    seen_as_admin(&Desk::set(workspace, &of_the_admin)?, answer)
}

/// Whose login is to confirm is the one who logs in, whatever he becomes afterwards.
fn seen_as_admin(desk: &Desk, answer: &str) -> Result<()> {
    for name in NAMES {
        desk.write(&format!("answers/{name}.toml"), answer, 0o600)?;
    }
    let seen = desk.play(&["--check", "-v"])?;
    let names = seen.text.matches(&format!("\"stdout\": \"{ADMIN}\"")).count();
    ensure!(seen.status == 0 && names == NAMES.len(), "{names} of 2 see the admin log in: {}", seen.text);
    say("  an admin who becomes root by the inventory is seen as the one who confirms");
    Ok(())
}

fn wrapper(path: &Path, line: &str) -> Result<()> {
    fs::write(path, format!("#!/bin/sh\n{line}\n"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .context("writing a program in the place of ssh")
}

/// What a playbook must do on two nodes on which this answer is committed.
fn acts(desk: &Desk, binary: &Path, answer: &str, look: Look<'_>) -> Result<()> {
    let give = |answers: [&str; 2]| -> Result<()> {
        for (name, text) in NAMES.iter().zip(answers) {
            desk.write(&format!("answers/{name}.toml"), text, 0o600)?;
        }
        Ok(())
    };
    let tries = |count: u32| format!("{answer}\n[firstlight.ssh]\nmax-auth-tries = {count}\n");
    let listed = desk.play(&["-i", "example.ini", "--list-hosts"])?;
    ensure!(listed.status == 0 && listed.text.contains("hosts (2)"), "{}", listed.text);

    let before = runs(look)?;
    give([answer, answer])?;
    desk.play(&[])?.expect_changes([0, 0])?;
    say("  what is right already is not touched");

    give([&tries(2), &tries(2)])?;
    let seen = desk.play(&["--check", "--diff"])?;
    seen.expect_changes([1, 1])?;
    ensure!(seen.text.contains("+MaxAuthTries 2"), "the plan is not shown: {}", seen.text);
    no_trace(&seen.text, look)?;
    expect(look, [3, 3], before)?;
    say("  --check --diff shows the plan and touches nothing");

    let done = desk.play(&["-vvv", "--diff"])?;
    done.expect_changes([1, 1])?;
    expect(look, [2, 2], before + 1)?;
    at_once(desk)?;
    no_trace(&done.text, look)?;
    desk.play(&[])?.expect_changes([0, 0])?;
    say("  both changed at once, no secret in Ansible's words, and once is enough");

    give([&tries(4), &format!("{answer}\nnonsense = 1\n")])?;
    desk.play(&[])?.expect_failure("pve2", "answer.toml:")?;
    expect(look, [4, 2], before + 1)?;
    look(1, &format!("echo Nonsense yes > {BROKEN}"))?;
    give([&tries(5), &tries(5)])?;
    desk.play(&[])?.expect_failure("pve2", "Nonsense")?;
    look(1, &format!("rm {BROKEN}"))?;
    expect(look, [5, 2], before + 2)?;
    no_trace("", look)?;
    say("  a wrong answer and a gate that refuses stop that node alone, with their sentence");

    let binary = format!("firstlight_binary={}", binary.display());
    desk.play(&["-e", &binary])?.expect_changes([0, 1])?;
    no_trace("", look)?;
    expect(look, [5, 5], before + 3)?;
    // One answer for a fleet: each node takes its part, which is what it has already.
    let fleet =
        format!("{answer}\n[[firstlight.node]]\nmatch = {{ fqdn = \"*\" }}\nssh.max-auth-tries = 5\n");
    give([&fleet, &fleet])?;
    let strict = desk.play(&["-e", "firstlight_fail_on_findings=true"])?;
    let finding = desk.result("pve1")?["audit"]["findings"].as_u64().unwrap_or_default() > 0;
    ensure!((strict.status != 0) == finding, "findings: {finding}, exit {}: {}", strict.status, strict.text);
    expect(look, [5, 5], before + 3)
}

/// What sshd really does on each, and how many runs there were on the second.
fn expect(look: Look<'_>, tries: [u32; 2], wanted: usize) -> Result<()> {
    for (node, wanted) in tries.into_iter().enumerate() {
        let said = look(node, "/usr/sbin/sshd -T | grep maxauthtries")?;
        ensure!(said.trim() == format!("maxauthtries {wanted}"), "node {}: {said}", node + 1);
    }
    let found = runs(look)?;
    ensure!(found == wanted, "{found} runs on the second node, not {wanted}");
    Ok(())
}

fn runs(look: Look<'_>) -> Result<usize> {
    look(1, "ls /var/lib/firstlight/tx | wc -l")?.trim().parse().context("counting runs")
}

/// Neither waited for the other.
fn at_once(desk: &Desk) -> Result<()> {
    let [one, two] = [desk.result(NAMES[0])?, desk.result(NAMES[1])?];
    let time =
        |result: &serde_json::Value, key: &str| result["status"][key].as_str().unwrap_or_default().to_owned();
    for result in [&one, &two] {
        let status = &result["status"];
        ensure!(status["outcome"] == "committed" && status["door"] == "command", "{status}");
        ensure!(result["audit"]["score"].is_u64(), "no audit: {}", result["audit"]);
    }
    let overlap =
        time(&one, "started") <= time(&two, "ended") && time(&two, "started") <= time(&one, "ended");
    ensure!(overlap, "one after the other: {} {}", one["status"], two["status"]);
    Ok(())
}

/// Neither in what Ansible said nor on the nodes.
fn no_trace(said: &str, look: Look<'_>) -> Result<()> {
    for secret in [ADMIN_PASSWORD_HASH, ADMIN_PASSWORD] {
        ensure!(!said.contains(secret), "Ansible says `{secret}`");
    }
    for node in 0..NAMES.len() {
        let left = look(
            node,
            "find /root/firstlight.* /root/.ansible/tmp /home/*/.ansible/tmp -mindepth 1 2> /dev/null || :",
        )?;
        ensure!(left.trim().is_empty(), "left on node {}: {left}", node + 1);
    }
    Ok(())
}
