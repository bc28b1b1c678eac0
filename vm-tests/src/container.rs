//! A node without a virtual machine: its own systemd as process 1 of a container, booted in a second or two.
//!
//! It has a kernel that is not its own, no disk and no boot loader, and is for what systemd and packages do. What it
//! lies in is mounted by `power::lab`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::command;
use crate::power::lab::Ran;

const SCRIPT: &str = include_str!("container.sh");
/// A boot takes two seconds; a machine may be busy.
const BOOT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(200);

/// A booted tree. It ends with this value.
pub struct Container {
    child: Child,
    /// Its process 1, in our numbers.
    init: u32,
    cgroup: PathBuf,
}

impl Container {
    /// Boots the tree at `root`, which is mounted, and waits until nothing more is to be started.
    pub fn boot(root: &Path) -> Result<Self> {
        // Scenarios side by side have one each.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cgroup = hierarchy()?.join(format!("vm-tests-{}-{number}", std::process::id()));
        fs::create_dir_all(&cgroup).context("making a control group")?;
        let mut shell = command("sh", ["-ec", "echo $$ > \"$0/cgroup.procs\"; exec \"$@\""]);
        shell.arg(&cgroup).args(["setpriv", "--pdeathsig", "KILL", "unshare", "--kill-child", "--fork"]);
        shell.args(["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "sh", "-ec", SCRIPT, "sh"]);
        let child = shell.arg(root).spawn().context("running unshare")?;
        let mut container = Self { child, init: 0, cgroup };
        let since = Instant::now();
        while !container.is_up()? {
            if since.elapsed() > BOOT {
                bail!("a container has not booted after {} s", BOOT.as_secs());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(container)
    }

    fn is_up(&mut self) -> Result<bool> {
        if let Some(status) = self.child.try_wait().context("waiting for a container")? {
            bail!("a container ended while it booted: {status}");
        }
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let Some(init) = children.split_whitespace().next().and_then(|pid| pid.parse().ok()) else {
            return Ok(false);
        };
        self.init = init;
        let name = fs::read_to_string(format!("/proc/{init}/comm")).unwrap_or_default();
        if name.trim() != "systemd" {
            return Ok(false);
        }
        // What a container has no use for may fail; what we look at is asked by its name.
        Ok(matches!(self.run("systemctl is-system-running")?.output.trim(), "running" | "degraded"))
    }

    /// Runs a shell line in it.
    pub fn run(&self, line: &str) -> Result<Ran> {
        let mut enter: Command = command("nsenter", ["--target", &self.init.to_string()]);
        enter.args(["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--root", "--wd"]);
        enter.args(["sh", "-c", &format!("({line}\n) 2>&1")]).env_clear();
        enter.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let done = enter.env("HOME", "/root").env("LC_ALL", "C.UTF-8").output().context("running nsenter")?;
        let output = String::from_utf8_lossy(&done.stdout).into_owned();
        Ok(Ran { status: done.status.code().unwrap_or(-1), output })
    }

    /// The same for a line that must succeed.
    pub fn ok(&self, line: &str) -> Result<String> {
        let ran = self.run(line)?;
        if ran.status != 0 {
            bail!("in the container: `{line}` ended with {}: {}", ran.status, ran.output.trim());
        }
        Ok(ran.output)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Process 1 dies with it, and everything else with process 1.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for _ in 0..50 {
            remove(&self.cgroup);
            if !self.cgroup.exists() {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Removes a control group with those that systemd made in it, once nobody is left in them.
fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

/// Where the host has the unified hierarchy, alone or beside the old ones.
fn hierarchy() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").context("reading /proc/mounts")?;
    let found = mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (_, place, kind) = (words.next(), words.next()?, words.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(place))
    });
    found.context("a container needs cgroup2 mounted on the host")
}
