//! Mounting a replayed disk on the host, and running the guest's own programs in it.
//!
//! Everything happens in a mount namespace of one thread: whatever ends us, mounts and loop devices go with it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};

use super::record::FileSystem;
use crate::command::{command, output};

/// Room for the pristine disk, one copy, and what recovery writes; memory that is not used costs nothing.
const ROOM: &str = "size=6g,mode=0700";

/// The place where disks are mounted.
pub struct Lab {
    directory: PathBuf,
    kind: FileSystem,
}

/// What a program of the guest returned.
pub struct Ran {
    pub status: i32,
    pub output: String,
}

impl Lab {
    /// Runs `act` in a lab on a thread of its own.
    pub fn enter<T: Send>(
        directory: &Path,
        kind: FileSystem,
        act: impl FnOnce(&Self) -> Result<T> + Send,
    ) -> Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| act(&Self::open(directory, kind)?));
            thread.join().unwrap_or_else(|_| bail!("a thread of the harness has panicked"))
        })
    }

    fn open(directory: &Path, kind: FileSystem) -> Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
        unshare(CloneFlags::CLONE_NEWNS).context("making a mount namespace")?;
        output(&mut command("mount", ["--make-rprivate", "/"]))?;
        output(command("mount", ["-t", "tmpfs", "-o", ROOM, "tmpfs"]).arg(directory))?;
        let lab = Self { directory: directory.to_owned(), kind };
        fs::create_dir(lab.root()).context("making a mount point")?;
        Ok(lab)
    }

    /// A file in the lab's memory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Where the disk is mounted.
    pub fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// Mounts a disk, acts, and unmounts it whatever came of it.
    pub fn mounted<T>(&self, disk: &Path, act: impl FnOnce() -> Result<T>) -> Result<T> {
        // Copies of one disk have one identity, which XFS and btrfs want to see once.
        let options = if self.kind == FileSystem::Xfs { "loop,nouuid" } else { "loop" };
        output(command("mount", ["-o", options]).arg(disk).arg(self.root()))
            .context("mounting a replayed disk (the host's kernel needs loop devices and its file system)")?;
        let outcome = act();
        let ended = output(command("umount", ["--recursive"]).arg(self.root()));
        if self.kind == FileSystem::Btrfs {
            // Nothing to forget is a failure to it.
            let _ = output(&mut command("btrfs", ["device", "scan", "--forget"]));
        }
        let value = outcome?;
        ended.context("unmounting a replayed disk")?;
        Ok(value)
    }

    /// The mounted tree as a booted node that stays up, for others to run commands in.
    pub fn booted(&self) -> Result<Booted> {
        let mut unshare = self.unshared();
        let booted = unshare.arg("echo up; exec sleep infinity").stdout(Stdio::piped());
        let mut process = booted.spawn().context("running unshare")?;
        let mut line = String::new();
        let said = process.stdout.take().context("unshare has no standard output")?;
        BufReader::new(said).read_line(&mut line).context("reading from the node")?;
        // The first process of its namespaces is the only child.
        let children = format!("/proc/{0}/task/{0}/children", process.id());
        let inner = fs::read_to_string(children).unwrap_or_default().trim().to_owned();
        let booted = Booted { process, inner, root: self.root() };
        if line != "up\n" || booted.inner.is_empty() {
            bail!("the node in {} does not come up", self.root().display());
        }
        Ok(booted)
    }

    fn unshared(&self) -> Command {
        // pdeathsig: what runs in there ends with us.
        let mut unshare = command("setpriv", ["--pdeathsig", "KILL", "unshare", "--kill-child", "--fork"]);
        unshare.args(["--mount", "--pid", "--net", "--uts", "--ipc", "sh", "-ec", PROLOGUE, "sh"]);
        unshare.arg(self.root()).env_clear().env("PATH", PATH);
        unshare.env("HOME", "/root").env("LC_ALL", "C.UTF-8");
        unshare
    }

    /// Runs shell commands one after the other in the mounted tree, in namespaces of their own, as on a booted node
    /// whose services run only in the memory of a stand-in for systemctl.
    pub fn run_all(&self, lines: &[&str]) -> Result<Vec<Ran>> {
        let script: Vec<String> =
            lines.iter().map(|line| format!("({line}\n) 2>&1; printf '\\036%s\\036' $?\n")).collect();
        let done = self.unshared().arg(script.concat()).output().context("running unshare")?;
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let mut parts = text.split('\x1e');
        let mut ran = Vec::new();
        while let (Some(output), Some(status)) = (parts.next(), parts.next()) {
            ran.push(Ran { status: status.parse().unwrap_or(-1), output: output.to_owned() });
        }
        if ran.len() != lines.len() {
            let complaint = String::from_utf8_lossy(&done.stderr);
            bail!("only {} of {} commands ended in the node: {text}{complaint}", ran.len(), lines.len());
        }
        Ok(ran)
    }

    /// The same for one command.
    pub fn run(&self, line: &str) -> Result<Ran> {
        self.run_all(&[line])?.pop().context("a command did not run")
    }

    /// The same for a command that must succeed.
    pub fn ok(&self, line: &str) -> Result<String> {
        let ran = self.run(line)?;
        if ran.status != 0 {
            bail!("in the replayed node: `{line}` ended with {}: {}", ran.status, ran.output.trim());
        }
        Ok(ran.output)
    }
}

/// A node of [`Lab::booted`]; it goes down with its owner.
pub struct Booted {
    process: Child,
    /// Process 1 of its namespaces, as the host counts.
    inner: String,
    root: PathBuf,
}

impl Booted {
    /// What runs a shell line in it, as words of a command line.
    pub fn enter(&self) -> Vec<String> {
        self.words("")
    }

    /// The same as one of its users.
    pub fn enter_as(&self, name: &str) -> Vec<String> {
        self.words(&format!("setpriv --reuid={name} --regid={name} --init-groups --reset-env"))
    }

    fn words(&self, before: &str) -> Vec<String> {
        let root = self.root.display();
        let line = format!(
            "nsenter --target {} --mount --pid --net --uts --ipc env -i PATH={PATH} HOME=/root LC_ALL=C.UTF-8 \
             chroot {root} {before} /bin/sh -c",
            self.inner
        );
        line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The search path of a node.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a boot mounts and starts, as far as it matters here.
const PROLOGUE: &str = include_str!("booted.sh");
