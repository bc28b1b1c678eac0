//! KVM only where a guest kernel really starts under it; software emulation everywhere else.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Once;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::command::command;
use crate::image::Image;
use crate::progress::say;
use crate::workspace::Workspace;

/// A kernel that starts prints its first line within a second; a broken /dev/kvm never does.
const PATIENCE: Duration = Duration::from_secs(15);

/// One sentence about it is enough.
static SAID: Once = Once::new();

/// How guests are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor's virtualisation.
    Kvm,
    /// QEMU's software emulation.
    Emulation,
}

impl Accelerator {
    /// Tries KVM with the guest's kernel once per machine and kernel, and remembers the outcome.
    pub fn detect(workspace: &Workspace, image: &Image) -> Result<Self> {
        let found = Self::look(workspace, image)?;
        if found == Self::Emulation {
            SAID.call_once(|| say("KVM is not to be had here: the guests run under software emulation"));
        }
        Ok(found)
    }

    fn look(workspace: &Workspace, image: &Image) -> Result<Self> {
        // A user who may not open it learns nothing about KVM, and must not remember that for others.
        if fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
            return Ok(Self::Emulation);
        }
        let memory = workspace.vm.join("accelerator");
        let machine = identity(image)?;
        let known = fs::read_to_string(&memory).unwrap_or_default();
        let works = match known.strip_prefix(&machine).map(str::trim) {
            Some("works") => true,
            Some("fails") => false,
            _ => {
                let works = boots_under_kvm(workspace, image)?;
                let outcome = if works { "works" } else { "fails" };
                fs::write(&memory, format!("{machine} {outcome}\n"))
                    .context("remembering whether KVM works")?;
                works
            }
        };
        Ok(if works { Self::Kvm } else { Self::Emulation })
    }

    /// QEMU's options for it.
    pub fn options(self) -> [&'static str; 6] {
        match self {
            Self::Kvm => ["-machine", "pc", "-accel", "kvm", "-cpu", "host"],
            Self::Emulation => ["-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", "max"],
        }
    }
}

/// How the guests of one run are started: by what, and how many of them side by side.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub accelerator: Accelerator,
    /// Guests that run at the same time.
    pub jobs: usize,
}

impl Pace {
    /// Processors of one guest: the host's cores are shared out, and more than two do not make a boot faster.
    pub fn processors(self) -> usize {
        (cores() / self.jobs.max(1)).clamp(1, 2)
    }

    /// A time limit that a guest can keep, from the seconds a machine with KVM takes at most.
    pub fn limit(self, seconds: u64) -> Duration {
        let factor = match (self.accelerator, self.jobs) {
            (Accelerator::Kvm, 0..=1) => 1,
            (Accelerator::Kvm, _) => 2,
            (Accelerator::Emulation, 0..=1) => 4,
            (Accelerator::Emulation, _) => 6,
        };
        Duration::from_secs(seconds * factor)
    }
}

/// Cores of this host that we may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What the outcome depends on: this host's kernel and processor, and the guest's kernel.
fn identity(image: &Image) -> Result<String> {
    let mut hasher = Sha256::new();
    hasher.update(fs::read("/proc/version").context("reading /proc/version")?);
    let processor = fs::read_to_string("/proc/cpuinfo").context("reading /proc/cpuinfo")?;
    hasher.update(processor.lines().find(|line| line.starts_with("model name")).unwrap_or_default());
    hasher.update(fs::read(&image.kernel).context("reading the guest's kernel")?);
    Ok(hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

fn boots_under_kvm(workspace: &Workspace, image: &Image) -> Result<bool> {
    let serial = workspace.vm.join(format!("kvm-{}.log", std::process::id()));
    let mut qemu = command("setpriv", ["--pdeathsig", "KILL", "qemu-system-x86_64"])
        .args(Accelerator::Kvm.options())
        .args(["-m", "512", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial"])
        .arg(format!("file:{}", serial.display()))
        .arg("-kernel")
        .arg(&image.kernel)
        .args(["-append", "console=ttyS0 earlyprintk=serial panic=-1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting QEMU to try KVM")?;
    let deadline = Instant::now() + PATIENCE;
    let mut works = false;
    while !works && Instant::now() < deadline && qemu.try_wait()?.is_none() {
        std::thread::sleep(Duration::from_millis(100));
        works = spoke(&serial);
    }
    works = works || spoke(&serial);
    // It may have ended by itself.
    let _ = qemu.kill();
    qemu.wait().context("ending QEMU")?;
    let _ = fs::remove_file(&serial);
    Ok(works)
}

fn spoke(serial: &Path) -> bool {
    fs::read(serial).is_ok_and(|log| String::from_utf8_lossy(&log).contains("Linux version"))
}
