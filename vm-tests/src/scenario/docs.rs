//! Every command of the documentation is run: on a node, as the reader would type it, or by the test that is named for it.

mod sessions;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use self::sessions::{PVE, Place, SESSIONS, Session};
use super::hook;
use crate::bench::Bench;
use crate::container::Container;
use crate::power::disk::Disk;
use crate::power::lab::Lab;
use crate::power::record::FileSystem;
use crate::progress::say;
use crate::seed::seeded;

/// Seconds of a machine with KVM.
const SESSION: u64 = 900;
/// Where the sessions find an answer, in the directory they begin in.
const ANSWER: &str = "root/answer.toml";
/// The program, where nothing of it has run.
const BINARY: &str = "root/vm-tests/firstlight";
const SCRIPT: &str = "root/session";
/// What stands in front of each.
const WORDS: &str = include_str!("docs/words.sh");

/// What an admin types on a node with UFW: without a virtual machine, each session on a disk and a boot of its own.
pub fn on_a_node(bench: &mut Bench) -> Result<()> {
    let workspace = bench.workspace().clone();
    let (image, _) = bench.image()?;
    let seeds = bench.native_seeds()?;
    let payload = bench.payload()?;
    let (binary, answer) = (payload.binary.clone(), another(&payload.native.1)?);
    let directory = workspace.run_directory().join("docs");
    fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
    let seeded = seeded(&image.disk, &directory.join("disk"), &seeds)?;
    Lab::enter(&directory.join("lab"), FileSystem::Ext4, |lab| {
        let committed = first_boot(lab, &seeded)?;
        let mut wrong = Vec::new();
        for session in SESSIONS {
            let fresh = session.place == Place::Fresh;
            let disk = lab.file("disk");
            Disk::copy_of(if fresh { &image.disk } else { &committed }, &disk)?;
            let outcome = lab.mounted(&disk, || {
                let root = lab.root();
                fs::create_dir_all(root.join("root/vm-tests")).context("making a directory")?;
                fs::copy(&binary, root.join(BINARY)).context("bringing the program")?;
                fs::write(root.join(ANSWER), &answer).context("bringing the answer")?;
                fs::write(root.join(SCRIPT), script(session)).context("bringing the session")?;
                let ran = Container::boot(&root)?.run(&format!("sh /{SCRIPT} < /dev/null"))?;
                judge(session, ran.status == 0, &ran.output)
            });
            wrong.extend(outcome.err().map(|error| format!("{error:#}")));
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    })
}

/// PVE's own unit starts the first boot; the disk that it leaves.
fn first_boot(lab: &Lab, seeded: &Path) -> Result<PathBuf> {
    let disk = lab.file("committed");
    Disk::copy_of(seeded, &disk)?;
    lab.mounted(&disk, || {
        let node = Container::boot(&lab.root())?;
        let told = node.ok(&format!("{} status --wait", hook::INSTALLED_PATH))?;
        ensure!(told.contains("committed"), "the first boot: {told}");
        // Nothing of it is in memory alone when the container ends.
        node.ok("systemctl is-active proxmox-first-boot-multi-user.service && sync").map(drop)
    })?;
    Ok(disk)
}

/// And on one of PVE.
pub fn on_pve(bench: &mut Bench) -> Result<()> {
    let answer = another(&bench.payload()?.answer)?;
    let mut wrong = Vec::new();
    for session in PVE {
        let node = bench.pve_committed()?;
        node.put(&format!("/{ANSWER}"), answer.as_bytes(), 0o600)?;
        node.put(&format!("/{SCRIPT}"), script(session).as_bytes(), 0o700)?;
        let done = node.run_within(&format!("sh /{SCRIPT} < /dev/null 2>&1"), SESSION)?;
        wrong.extend(judge(session, done.status == 0, &done.stdout).err().map(|error| format!("{error:#}")));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The answer of the first boot with one thing that is different: there is something to do.
fn another(answer: &Path) -> Result<String> {
    let answer = fs::read_to_string(answer).context("reading the answer")?;
    Ok(format!("{answer}\n[firstlight.ssh]\nalgorithms = \"strict\"\n"))
}

/// What root types: every command must end well, and what it is for must be true afterwards.
fn script(session: &Session) -> String {
    let mut script = WORDS.to_owned();
    script.push_str(&format!(
        "( {} ) || {{ echo 'it does not begin as it should'; exit 1; }}\n",
        session.before
    ));
    for line in session.lines {
        let mut typed = (*line).to_owned();
        for (word, put) in session.words {
            typed = typed.replace(word, put);
        }
        // Only firstlight has a code for "done, but look".
        let good = if line.starts_with("firstlight ") { "0 | 3" } else { "0" };
        let name = line.replace(['"', '$', '`', '\\', '\n'], " ");
        script.push_str(&format!(
            "{typed}\ncode=$?; case $code in {good}) ;; *) echo \"ended with $code: {name}\"; exit 1 ;; esac\n"
        ));
    }
    script.push_str(&format!(
        "{{ {}; }} || {{ echo 'it does not end as it should'; exit 1; }}\n",
        session.after
    ));
    script
}

fn judge(session: &Session, good: bool, output: &str) -> Result<()> {
    let name = format!("{}: {}", session.files.join(", "), session.lines.first().unwrap_or(&""));
    let lines: Vec<&str> = output.lines().collect();
    let last = lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n");
    ensure!(good, "{name}: {last}");
    say(format_args!("  {name}: {} commands", session.lines.len()));
    Ok(())
}
