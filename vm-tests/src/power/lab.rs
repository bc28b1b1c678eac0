//! Mounting a replayed disk on the host, and running the guest's own programs in it.
//!
//! Everything happens in a mount namespace of one thread: whatever ends us, mounts and loop devices go with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};

use crate::command::{command, output};
use crate::manifest::{self, Manifest};

/// Room for the pristine disk, one copy, and what recovery writes; memory that is not used costs nothing.
const ROOM: &str = "size=6g,mode=0700";

/// The place where disks are mounted.
pub struct Lab {
    directory: PathBuf,
}

/// What a program of the guest returned.
pub struct Ran {
    pub status: i32,
    pub output: String,
}

impl Lab {
    /// Runs `act` in a lab on a thread of its own.
    pub fn enter<T: Send>(directory: &Path, act: impl FnOnce(&Self) -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| act(&Self::open(directory)?));
            thread.join().unwrap_or_else(|_| bail!("a thread of the harness has panicked"))
        })
    }

    fn open(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
        unshare(CloneFlags::CLONE_NEWNS).context("making a mount namespace")?;
        output(&mut command("mount", ["--make-rprivate", "/"]))?;
        output(command("mount", ["-t", "tmpfs", "-o", ROOM, "tmpfs"]).arg(directory))?;
        let lab = Self { directory: directory.to_owned() };
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
        output(command("mount", ["-o", "loop"]).arg(disk).arg(self.root()))
            .context("mounting a replayed disk (the host's kernel needs loop devices and its file system)")?;
        let outcome = act();
        let ended = output(command("umount", ["--recursive"]).arg(self.root()));
        let value = outcome?;
        ended.context("unmounting a replayed disk")?;
        Ok(value)
    }

    /// Runs a shell command in the mounted tree, in namespaces of its own, with everything that a boot mounts. The
    /// kernel's settings are the host's: only those of the network, which are not, can be written.
    pub fn run(&self, line: &str) -> Result<Ran> {
        let mut unshare =
            command("unshare", ["--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child"]);
        unshare.args(["sh", "-ec", PROLOGUE, "sh"]).arg(self.root()).arg(line).env_clear();
        unshare.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        unshare.env("HOME", "/root").env("LC_ALL", "C.UTF-8");
        let done = unshare.output().context("running unshare")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let output = text(&done.stdout) + &text(&done.stderr);
        Ok(Ran { status: done.status.code().unwrap_or(-1), output })
    }

    /// The same for a command that must succeed.
    pub fn ok(&self, line: &str) -> Result<String> {
        let ran = self.run(line)?;
        if ran.status != 0 {
            bail!("in the replayed node: `{line}` ended with {}: {}", ran.status, ran.output.trim());
        }
        Ok(ran.output)
    }

    /// The whole root file system as it is now, but for `left_out`.
    pub fn manifest(&self, left_out: &[&str]) -> Result<Manifest> {
        manifest::parse(&self.ok(&manifest::command(".", left_out))?)
    }

    /// Every package that dpkg knows, with its state.
    pub fn packages(&self) -> Result<String> {
        let all = self.ok("dpkg-query --show --showformat='${Package} ${Version} ${Status}\\n'")?;
        Ok(all
            .lines()
            .filter(|line| !line.ends_with(" not-installed"))
            .map(|line| format!("{line}\n"))
            .collect())
    }
}

const PROLOGUE: &str = "\
root=$1
mount -t proc proc \"$root/proc\"
mount --bind \"$root/proc/sys\" \"$root/proc/sys\"
mount --bind \"$root/proc/sys/net\" \"$root/proc/sys/net\"
mount -o remount,bind,ro \"$root/proc/sys\"
mount -t sysfs -o ro sysfs \"$root/sys\"
mount -t tmpfs -o mode=0755 tmpfs \"$root/run\"
# As on a booted node: maintainer scripts then ask systemctl, which starts and stops nothing in a chroot.
mkdir -p \"$root/run/lock\" \"$root/run/systemd/system\"
ip link set lo up
hostname pve1
# Process 1 stays outside: systemctl and invoke-rc.d look at it to see that nothing is running here.
chroot \"$root\" sh -c \"$2\"
";
