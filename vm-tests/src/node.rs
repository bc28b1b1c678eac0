//! The node a scenario talks to: boot it, run commands in it, knock at it, cut its power, put it back.

mod login;
mod packets;
pub mod pve;
mod seen;

pub use login::SSH_OPTIONS;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};

use crate::accelerator::Pace;
use crate::agent::{Agent, Output};
use crate::command::{command, output};
use crate::image::Image;
use crate::machine::{COPY, Hardware, Machine};
use crate::manifest::{self, Manifest};
use crate::network::{Network, Reach, Side};
use crate::progress::{say, took};
use crate::seed::{Seed, seeded};
use crate::workspace::{KeyPair, Workspace};

/// Seconds a command may take natively.
const COMMAND: u64 = 60;
/// Seconds a boot may take natively.
const BOOT: u64 = 90;

/// States of a node on the disk: other nodes start from a copy.
#[derive(Clone)]
pub struct Kept {
    overlay: PathBuf,
    states: BTreeMap<String, usize>,
}

/// One guest with its disks and wires.
pub struct Node {
    name: String,
    hardware: Hardware,
    /// None where nobody knocks.
    network: Option<Network>,
    machine: Option<Machine>,
    agent: Option<Agent>,
    root_key: KeyPair,
    /// How many disks the machine had when a state was kept: QEMU takes it back with the same ones only.
    states: BTreeMap<String, usize>,
}

impl Node {
    /// Makes a node and waits until its agent answers; the boot may still be going on then.
    pub fn boot(
        workspace: &Workspace,
        image: &Image,
        pace: Pace,
        name: &str,
        seeds: &[Seed],
    ) -> Result<Self> {
        let directory = workspace.run_directory().join(name);
        let base =
            if seeds.is_empty() { image.disk.clone() } else { seeded(&image.disk, &directory, seeds)? };
        let hardware = Hardware::new(image, &base, pace, &directory)?;
        let mut node = Self::new(workspace, hardware, name)?;
        node.start(None)?;
        Ok(node)
    }

    /// The same of another make: a screen, a serial line that is typed into, something in its firmware.
    pub fn boot_made(
        workspace: &Workspace,
        image: &Image,
        pace: Pace,
        name: &str,
        make: &dyn Fn(&mut Hardware),
    ) -> Result<Self> {
        let directory = workspace.run_directory().join(name);
        let mut hardware = Hardware::new(image, &image.disk, pace, &directory)?;
        make(&mut hardware);
        let mut node = Self::new(workspace, hardware, name)?;
        node.start(None)?;
        Ok(node)
    }

    /// The same with cards whose wires end in the air: that needs no root.
    pub fn boot_alone(workspace: &Workspace, image: &Image, pace: Pace, name: &str) -> Result<Self> {
        let directory = workspace.run_directory().join(name);
        let hardware = Hardware::new(image, &image.disk, pace, &directory)?;
        let mut node = Self::with_network(workspace, hardware, name, None)?;
        node.start(None)?;
        Ok(node)
    }

    /// Makes a switched-off node with the states of another one: `restore` starts it.
    pub fn from_kept(
        workspace: &Workspace,
        image: &Image,
        pace: Pace,
        name: &str,
        kept: &Kept,
    ) -> Result<Self> {
        let directory = workspace.run_directory().join(name);
        let hardware = Hardware::copy(image, &kept.overlay, pace, &directory)?;
        let mut node = Self::new(workspace, hardware, name)?;
        node.states.clone_from(&kept.states);
        Ok(node)
    }

    /// A node on a base disk of the caller's, with every write to it logged.
    pub fn boot_recorded(
        workspace: &Workspace,
        image: &Image,
        pace: Pace,
        name: &str,
        base: &Path,
        writes: &Path,
    ) -> Result<Self> {
        let directory = workspace.run_directory().join(name);
        let mut hardware = Hardware::new(image, base, pace, &directory)?;
        std::fs::write(writes, []).with_context(|| format!("creating {}", writes.display()))?;
        hardware.writes = Some(writes.to_owned());
        let mut node = Self::new(workspace, hardware, name)?;
        node.start(None)?;
        Ok(node)
    }

    fn new(workspace: &Workspace, hardware: Hardware, name: &str) -> Result<Self> {
        Self::with_network(workspace, hardware, name, Some(Network::create(name)?))
    }

    fn with_network(
        workspace: &Workspace,
        hardware: Hardware,
        name: &str,
        network: Option<Network>,
    ) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            hardware,
            network,
            machine: None,
            agent: None,
            root_key: workspace.key("root")?,
            states: BTreeMap::new(),
        })
    }

    /// Starts the machine on its disks and waits for the agent.
    fn start(&mut self, snapshot: Option<&str>) -> Result<()> {
        self.machine = Some(Machine::start(&self.hardware, self.network.as_ref(), snapshot)?);
        self.synchronise(self.limit(BOOT))
    }

    fn synchronise(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        // QEMU serves one connection at a time.
        self.agent = None;
        let mut agent = Agent::connect(&self.hardware.agent_socket())?;
        loop {
            self.check()?;
            if agent.synchronise(Duration::from_secs(1)).is_ok() {
                self.agent = Some(agent);
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the guest does not come up:\n{}", crate::machine::tail(&self.hardware.serial));
            }
        }
    }

    fn check(&mut self) -> Result<()> {
        match &mut self.machine {
            Some(machine) => machine.check(),
            None => bail!("the node {} is switched off", self.name),
        }
    }

    fn agent<T>(&mut self, act: impl FnOnce(&mut Agent) -> Result<T>) -> Result<T> {
        let agent = self.agent.as_mut().with_context(|| format!("the node {} is switched off", self.name))?;
        let outcome = act(agent);
        if outcome.is_err() {
            // The death of QEMU explains more than a closed socket does.
            self.check()?;
        }
        outcome
    }

    /// Runs a shell command as root, whatever it returns.
    pub fn run(&mut self, command: &str) -> Result<Output> {
        self.run_within(command, COMMAND)
    }

    /// The same with a limit of its own, in seconds of a machine with KVM.
    pub fn run_within(&mut self, command: &str, seconds: u64) -> Result<Output> {
        let limit = self.limit(seconds);
        self.agent(|agent| agent.shell(command, limit, Duration::from_secs(2)))
    }

    /// The same for a command whose end is a moment that must not be missed.
    pub fn watch(&mut self, command: &str, seconds: u64) -> Result<Output> {
        let limit = self.limit(seconds);
        self.agent(|agent| agent.shell(command, limit, Duration::from_millis(250)))
    }

    /// Runs a shell command that must succeed and returns its output.
    pub fn ok(&mut self, command: &str) -> Result<String> {
        let done = self.run(command)?;
        if done.status != 0 {
            bail!(
                "in the guest: `{command}` ended with {}: {}{}",
                done.status,
                done.stdout,
                done.stderr.trim()
            );
        }
        Ok(done.stdout)
    }

    /// Whether a shell command succeeds.
    pub fn holds(&mut self, command: &str) -> Result<bool> {
        Ok(self.run(command)?.status == 0)
    }

    /// Writes a file with a mode.
    pub fn put(&mut self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        self.agent(|agent| agent.put(path, content))
            .with_context(|| format!("writing {path} in the guest"))?;
        self.ok(&format!("chmod {mode:o} '{path}'")).map(drop)
    }

    /// Reads a file.
    pub fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        self.agent(|agent| agent.get(path)).with_context(|| format!("reading {path} in the guest"))
    }

    /// Waits until a shell command succeeds; the limit is in seconds of a machine with KVM.
    pub fn wait_for(&mut self, what: &str, seconds: u64, command: &str) -> Result<()> {
        let deadline = Instant::now() + self.limit(seconds);
        while !self.holds(command)? {
            if Instant::now() > deadline {
                bail!("waited in vain until {what} (`{command}`)");
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    /// Waits until systemd has nothing left to start.
    pub fn wait_until_up(&mut self) -> Result<()> {
        let since = Instant::now();
        let state = self.run_within("systemctl is-system-running --wait", 600)?;
        took("until all units had started", since);
        let state = state.stdout.trim();
        if state != "running" && state != "degraded" {
            bail!("the guest is {state} after its boot");
        }
        Ok(())
    }

    /// Restarts the guest in order and waits for its agent.
    pub fn reboot(&mut self) -> Result<()> {
        let since = Instant::now();
        let before = self.boot_id()?;
        self.ok("systemctl --no-block reboot")?;
        let deadline = Instant::now() + self.limit(BOOT);
        loop {
            // The agent of the old boot may answer for a while, the one of the new boot is another.
            let patience = deadline.saturating_duration_since(Instant::now());
            self.synchronise(patience).context("rebooting the guest")?;
            if self.boot_id().is_ok_and(|id| id != before) {
                took("a reboot", since);
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the guest does not reboot:\n{}", crate::machine::tail(&self.hardware.serial));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn boot_id(&mut self) -> Result<String> {
        self.ok("cat /proc/sys/kernel/random/boot_id")
    }

    /// Kills QEMU: what the guest has not flushed is lost.
    pub fn power_cut(&mut self) -> Result<()> {
        self.agent = None;
        match self.machine.take() {
            Some(mut machine) => machine.kill(),
            None => Ok(()),
        }
    }

    /// Starts the machine again on the same disks.
    pub fn power_on(&mut self) -> Result<()> {
        let since = Instant::now();
        self.start(None)?;
        took("a boot", since);
        Ok(())
    }

    /// Starts the machine again with more words on its kernel's command line, which stay for later starts.
    pub fn power_on_with(&mut self, kernel_words: &str) -> Result<()> {
        kernel_words.clone_into(&mut self.hardware.kernel_words);
        self.start(None)
    }

    /// Takes those words away again, for the next start.
    pub fn forget_kernel_words(&mut self) {
        self.hardware.kernel_words.clear();
    }

    /// Adds an empty disk (a size as qemu-img reads it); it appears at the next `power_on`.
    pub fn add_disk(&mut self, size: &str) -> Result<()> {
        self.hardware.add_disk(size)
    }

    /// Keeps the whole running state under a name.
    pub fn snapshot(&mut self, name: &str) -> Result<()> {
        self.check()?;
        let machine = self.machine.as_mut().context("the node is switched off")?;
        machine.qmp.monitor(&format!("savevm {name}"))?;
        self.states.insert(name.to_owned(), self.hardware.disks.len());
        Ok(())
    }

    /// Copies the disk with the states kept so far, for other nodes.
    pub fn keep(&mut self, overlay: &Path) -> Result<Kept> {
        self.check()?;
        let machine = self.machine.as_mut().context("the node is switched off")?;
        // QEMU writes all it has of the disk when it stops the guest.
        machine.qmp.monitor("stop")?;
        let copied = output(command("cp", COPY).args(&self.hardware.disks).arg(overlay));
        machine.qmp.monitor("cont")?;
        copied.context("copying the disk of a kept state")?;
        Ok(Kept { overlay: overlay.to_owned(), states: self.states.clone() })
    }

    /// Whether a state was kept under this name.
    pub fn has(&self, name: &str) -> bool {
        self.states.contains_key(name)
    }

    /// Goes back to a kept state, also after a power cut.
    pub fn restore(&mut self, name: &str) -> Result<()> {
        let disks = *self.states.get(name).with_context(|| format!("no state {name} was kept"))?;
        if disks != self.hardware.disks.len() {
            self.power_cut()?;
            self.hardware.disks.truncate(disks);
        }
        if self.check().is_ok() {
            let machine = self.machine.as_mut().context("the node is switched off")?;
            machine.qmp.monitor(&format!("loadvm {name}"))?;
            self.synchronise(self.limit(BOOT))?;
        } else {
            self.start(Some(name))?;
        }
        // Before anything else: certificates, timers and sudo's time stamps believe the clock.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.ok(&format!("date --utc --set=@{}.{:03}", now.as_secs(), now.subsec_millis())).map(drop)
    }

    fn network(&self) -> Result<&Network> {
        self.network.as_ref().with_context(|| format!("the node {} has no network", self.name))
    }

    /// Root's key pair.
    pub fn root_key(&self) -> &KeyPair {
        &self.root_key
    }

    /// Knocks at a port from a side.
    pub fn probe(&self, side: Side, port: u16) -> Result<Reach> {
        self.network()?.probe(side, port)
    }

    /// All of /etc, as it is now.
    pub fn manifest(&mut self) -> Result<Manifest> {
        manifest::read(self)
    }

    /// The serial log of all boots.
    pub fn serial_log(&self) -> &Path {
        &self.hardware.serial
    }

    /// A time limit for this node.
    pub fn limit(&self, seconds: u64) -> Duration {
        self.hardware.pace.limit(seconds)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self.power_cut() {
            say(format_args!("ending the node {}: {error:#}", self.name));
        }
        if let Some(directory) = self.hardware.serial.parent() {
            // What is left is swept by the next run.
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}
