//! Faults in the middle of a first boot, natively: the baked executable runs in a mounted node with real apt, dpkg, ufw
//! and sshd, and something goes wrong.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::judge::State;
use super::lab::Lab;
use super::record::FileSystem;
use crate::bench::Bench;
use crate::progress::{say, seconds};
use crate::seed::seeded;

/// One thing that goes wrong. Everything is shell, run as root in the node.
pub struct Fault {
    /// For people.
    pub name: &'static str,
    /// Before the hook starts.
    pub before: &'static str,
    /// Asked again and again while the hook runs; it is an error if it never holds.
    pub moment: &'static str,
    /// What goes wrong then; `$hook` is the hook's process.
    pub act: &'static str,
    /// Whether the power goes then, too: nobody waits for the hook to end.
    pub ends_there: bool,
    /// Exit codes the hook may end with.
    pub codes: &'static [i32],
    /// What happens between the hook's end and the boot: to the state, or to the fault's cause.
    pub boot: &'static str,
    /// How recovery must end.
    pub end: End,
}

/// How a fault must end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The node is the old one.
    Old,
    /// The node is the new one.
    New,
    /// The old one, or the new one where the hook said success.
    Either,
    /// Recovery refuses, says why and what to type, and touches nothing.
    Refused,
    /// The same, and the hook's next try makes the new one: there is nothing left to recover from.
    Again,
}

/// A fault in which nothing is special.
pub const PLAIN: Fault = Fault {
    name: "",
    before: "true",
    moment: "true",
    act: "true",
    ends_there: false,
    codes: &[1],
    boot: "true",
    end: End::Old,
};

/// Makes every fault happen to a node of its own, and says how each ended.
pub fn all(bench: &mut Bench, name: &str, faults: &[Fault]) -> Result<()> {
    let workspace = bench.workspace().clone();
    let (image, _) = bench.image()?;
    let seeds = bench.native_seeds()?;
    let answer = std::fs::read(&bench.payload()?.native.1).context("reading the answer")?;
    let directory = workspace.run_directory().join(name);
    std::fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
    let base = seeded(&image.disk, &directory.join("disk"), &seeds)?;
    let wrong = Lab::enter(&directory.join("lab"), FileSystem::Ext4, |lab| {
        let stage = Stage::set(lab, &base, &answer)?;
        let mut wrong = Vec::new();
        for (number, fault) in faults.iter().enumerate() {
            let since = std::time::Instant::now();
            let outcome = stage.play(fault);
            let took = seconds(since.elapsed());
            let place = format!("{}/{} {}", number + 1, faults.len(), fault.name);
            match outcome {
                Ok(said) => say(format_args!("  {place}: {said} ({took})")),
                Err(error) => {
                    say(format_args!("  {place}: FAILED ({took}): {error:#}"));
                    wrong.push(fault.name);
                }
            }
        }
        Ok(wrong)
    })?;
    ensure!(wrong.is_empty(), "{} of {} faults ended badly: {}", wrong.len(), faults.len(), wrong.join("; "));
    Ok(())
}

struct Stage<'a> {
    lab: &'a Lab,
    old: State,
    new: State,
}

/// Words for the shell lines of faults.
const WORDS: &str = "\
log=/run/hook.log; journal=/var/lib/firstlight/tx/0001/journal
# Leaves so many KiB of the disk; ext4 keeps 16 MiB for itself, from root too.
fill() { set -- $1 $(stat -f -c '%f %S' /); fallocate -l $(($2 * $3 / 1024 - 16384 - $1))K /var/tmp/filler 2> /dev/null; set -- $1 $(stat -f -c '%f %S' /); \
    [ $(($2 * $3 / 1024 - 16384 - $1)) -lt 1024 ] || echo missed; }
kill_dpkg() {
    for program in /proc/[0-9]*; do
        [ \"$(readlink $program/exe)\" != /usr/bin/dpkg ] || kill -9 ${program#/proc/}
    done
}
# Replaces the first record by what a sed script makes of it, with a right checksum.
first_record() {
    body=$(head -n 1 $journal | cut -f 2- | sed \"$1\"); rest=$(tail -n +2 $journal)
    printf '%s\\t%s\\n%s\\n' \"$(printf %s \"$body\" | sha256sum | cut -c 1-16)\" \"$body\" \"$rest\" > $journal
}
";
/// PVE's hook as its unit starts it.
pub const HOOK: &str = "/var/lib/proxmox-first-boot/proxmox-first-boot fully-up";

impl<'a> Stage<'a> {
    /// Looks at the node before, and after a run in which nothing goes wrong.
    fn set(lab: &'a Lab, base: &Path, answer: &[u8]) -> Result<Self> {
        let disk = lab.file("disk");
        super::disk::Disk::copy_of(base, &disk)?;
        let (old, new) = lab.mounted(&disk, || {
            std::fs::write(lab.root().join("root/ufw.toml"), answer).context("writing the answer")?;
            let old = State::of(lab)?;
            let said = lab.ok(HOOK).context("a first boot without any fault")?;
            // A budget that is measured natively, on a disk in memory (design 11).
            let cost = said.lines().find(|line| line.contains("of processor time"));
            say(format_args!("  a first boot without any fault: {}", cost.map_or("?", str::trim)));
            Ok((old, State::of(lab)?))
        })?;
        super::disk::Disk::copy_of(base, &disk)?;
        lab.mounted(&disk, || {
            std::fs::write(lab.root().join("root/ufw.toml"), answer).context("writing the answer")
        })?;
        Ok(Self { lab, old, new })
    }

    fn play(&self, fault: &Fault) -> Result<String> {
        let disk = self.lab.file("fault");
        super::disk::Disk::copy_of(&self.lab.file("disk"), &disk)?;
        let code = self.lab.mounted(&disk, || self.run(fault))?;
        // What a boot does, on a fresh mount: nothing of the first one is remembered.
        self.lab.mounted(&disk, || self.boot(fault, code))
    }

    /// The hook and the fault; the hook's exit code, if it came to one.
    fn run(&self, fault: &Fault) -> Result<Option<i32>> {
        let Fault { before, moment, act, ends_there, .. } = fault;
        let wait = if *ends_there { "" } else { "wait $hook; echo \"hook=$?\"" };
        let ran = self.lab.run(&format!(
            "{WORDS}{before}\n{HOOK} > $log 2>&1 & hook=$!\n\
             until {moment}; do kill -0 $hook 2> /dev/null || {{ cat $log; echo missed; exit 1; }}; sleep 0.02; done\n\
             {act}\n{wait}\ncat $log"
        ))?;
        let code = ran.output.lines().find_map(|line| line.strip_prefix("hook=")?.trim().parse().ok());
        ensure!(!ran.output.lines().any(|line| line == "missed"), "the moment never came: {}", ran.output);
        if *ends_there {
            return Ok(None);
        }
        let code: i32 = code.with_context(|| format!("the hook has no end: {}", ran.output))?;
        ensure!(fault.codes.contains(&code), "the hook ended with {code}: {}", ran.output);
        ensure!(
            code != 5 || helps(&ran.output),
            "the hook ended with 5 and names no command: {}",
            ran.output
        );
        Ok(Some(code))
    }

    fn boot(&self, fault: &Fault, code: Option<i32>) -> Result<String> {
        let root = self.lab.root();
        ensure!(
            code == Some(0) || root.join("var/lib/proxmox-first-boot/pending-first-boot-setup").exists(),
            "PVE's flag is gone after one try that failed"
        );
        let tries = self.lab.run("grep -ac 'try.at=' /var/lib/firstlight/hook")?;
        ensure!(
            tries.status != 0 || tries.output.trim() == "1",
            "{} tries were counted",
            tries.output.trim()
        );
        self.lab.ok(&format!("{WORDS}{}", fault.boot))?;
        let found = State::of(self.lab)?;
        let early = self.lab.run("[ ! -x /usr/local/sbin/firstlight ] || firstlight recover --early")?;
        let late = self.lab.run("[ ! -x /usr/local/sbin/firstlight ] || firstlight recover")?;
        if let End::Refused | End::Again = fault.end {
            ensure!(late.status == 5, "recovery ended with {}: {}", late.status, late.output);
            ensure!(helps(&late.output), "recovery names no command: {}", late.output);
            let touched = found.differences(&State::of(self.lab)?, false);
            ensure!(touched.is_empty(), "recovery refuses and touches:\n    {}", touched.join("\n    "));
        }
        if fault.end == End::Refused {
            return Ok("refused with the commands to type".to_owned());
        }
        if fault.end == End::Again {
            self.lab.ok(HOOK).context("the next try")?;
        } else {
            ensure!(early.status == 0, "the early recovery ended with {}: {}", early.status, early.output);
            ensure!(late.status == 0, "the recovery ended with {}: {}", late.status, late.output);
        }
        let new = match fault.end {
            End::New | End::Again => true,
            End::Either => code == Some(0),
            _ => false,
        };
        let wrong = if new { &self.new } else { &self.old }.differences(&State::of(self.lab)?, new);
        ensure!(wrong.is_empty(), "neither old nor new:\n    {}", wrong.join("\n    "));
        let code = code.map_or("no exit".to_owned(), |code| format!("exit {code}"));
        Ok(format!("{code}, {}", if new { "new" } else { "old" }))
    }
}

/// The break-glass text with its commands.
fn helps(text: &str) -> bool {
    ["Break glass", "firstlight recover", "dpkg --configure -a", "ufw disable"]
        .iter()
        .all(|part| text.contains(part))
}
