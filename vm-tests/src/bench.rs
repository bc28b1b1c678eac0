//! The test bench: nodes that are booted once and put back to a kept state for every scenario.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::accelerator::Accelerator;
use crate::image::{Image, Release};
use crate::manifest::Manifest;
use crate::node::{Node, Seed};
use crate::payload::Payload;
use crate::progress::{Step, say};
use crate::scenario::hook;
use crate::workspace::Workspace;

/// Where the product lies in a guest before it has installed itself.
pub const BINARY_PATH: &str = "/root/vm-tests/firstlight";
/// The baked executable in a guest that was booted without one.
pub const FIRST_BOOT_PATH: &str = "/root/vm-tests/first-boot";

/// Which node a scenario used last: the one to ask when it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Current {
    Nothing,
    Idle,
    Committed,
    Own,
}

/// Everything a scenario can ask for.
pub struct Bench {
    workspace: Workspace,
    accelerator: Option<Accelerator>,
    payload: Option<Payload>,
    idle: Option<Node>,
    committed: Option<Node>,
    own: Option<Node>,
    armed: bool,
    original: Option<Manifest>,
    current: Current,
}

impl Bench {
    /// An empty bench; everything is made when it is first asked for.
    pub fn new(workspace: &Workspace) -> Self {
        Self {
            workspace: workspace.clone(),
            accelerator: None,
            payload: None,
            idle: None,
            committed: None,
            own: None,
            armed: false,
            original: None,
            current: Current::Nothing,
        }
    }

    /// The project.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// The product, built and baked on first use.
    pub fn payload(&mut self) -> Result<&Payload> {
        if self.payload.is_none() {
            self.payload = Some(Payload::make(&self.workspace)?);
        }
        self.payload.as_ref().context("the product is not built")
    }

    /// A booted node on which nothing of firstlight has ever run.
    pub fn idle(&mut self) -> Result<&mut Node> {
        self.current = Current::Idle;
        if let Some(node) = &mut self.idle {
            node.restore("idle")?;
        } else {
            let node = self.boot("idle", Release::Trixie, &[])?;
            let node = self.idle.insert(node);
            node.wait_until_up()?;
            node.snapshot("idle")?;
        }
        self.armed = self.armed && self.idle.is_some();
        self.idle.as_mut().context("no idle node")
    }

    /// The same with the binary and the first-boot executable lying in `/root/vm-tests`.
    pub fn armed(&mut self) -> Result<&mut Node> {
        if self.armed
            && let Some(node) = &mut self.idle
        {
            self.current = Current::Idle;
            node.restore("armed")?;
        } else {
            let payload = self.payload()?;
            let binary = fs::read(&payload.binary).context("reading the product")?;
            let first_boot = fs::read(&payload.first_boot).context("reading the baked executable")?;
            let answer = fs::read(&payload.answer).context("reading the answer")?;
            let node = self.idle()?;
            node.ok("mkdir -p /root/vm-tests")?;
            node.put(BINARY_PATH, &binary, 0o755)?;
            node.put(FIRST_BOOT_PATH, &first_boot, 0o700)?;
            node.put("/root/vm-tests/ufw.toml", &answer, 0o600)?;
            node.snapshot("armed")?;
            self.armed = true;
        }
        self.idle.as_mut().context("no idle node")
    }

    /// The idle node as the scenario left it.
    pub fn same_idle(&mut self) -> Result<&mut Node> {
        self.idle.as_mut().context("no idle node")
    }

    /// A node directly after a first boot that committed.
    pub fn committed(&mut self) -> Result<&mut Node> {
        if self.committed.is_some() {
            self.current = Current::Committed;
        } else {
            self.first_boot()?;
        }
        let node = self.committed.as_mut().context("no committed node")?;
        node.restore("committed")?;
        Ok(node)
    }

    /// Boots a fresh node with the hook waiting on its disk, and keeps its state when the hook has ended.
    pub fn first_boot(&mut self) -> Result<&mut Node> {
        self.original()?;
        let seeds = self.seeds()?;
        self.current = Current::Committed;
        let step = Step::begin("the first boot of a fresh node");
        let node = self.boot("first-boot", Release::Trixie, &seeds)?;
        let node = self.committed.insert(node);
        hook::wait_for_end(node)?;
        node.wait_until_up()?;
        step.done();
        node.snapshot("committed")?;
        Ok(node)
    }

    /// A node of its own for one scenario.
    pub fn own(&mut self, release: Release, seeds: &[Seed]) -> Result<&mut Node> {
        self.own = None;
        self.current = Current::Own;
        let node = self.boot("own", release, seeds)?;
        Ok(self.own.insert(node))
    }

    /// The baked executable and PVE's flag, as the installer leaves them.
    pub fn seeds(&mut self) -> Result<Vec<Seed>> {
        let path = self.payload()?.first_boot.clone();
        let content = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(vec![
            Seed { path: hook::EXECUTABLE_PATH, mode: 0o700, content },
            Seed { path: hook::PENDING_PATH, mode: 0o600, content: Vec::new() },
        ])
    }

    /// `/etc` of a node that nothing of firstlight has ever touched.
    pub fn original(&mut self) -> Result<Manifest> {
        if self.original.is_none() {
            let manifest = self.idle()?.manifest()?;
            self.original = Some(manifest);
        }
        self.original.clone().context("no manifest of the original node")
    }

    fn boot(&mut self, name: &str, release: Release, seeds: &[Seed]) -> Result<Node> {
        let image = Image::obtain(&self.workspace, release)?;
        let accelerator = match self.accelerator {
            Some(known) => known,
            None => *self.accelerator.insert(Accelerator::detect(&self.workspace, &image)?),
        };
        let step = Step::begin(format!("booting a guest ({}, {name})", release.codename()));
        let node = Node::boot(&self.workspace, &image, accelerator, name, seeds)?;
        step.done();
        Ok(node)
    }

    /// Keeps what tells why a scenario failed and returns where.
    pub fn keep_evidence(&mut self, scenario: &str) -> Result<PathBuf> {
        let directory = self.workspace.vm.join("failures").join(scenario);
        if directory.exists() {
            fs::remove_dir_all(&directory).with_context(|| format!("removing {}", directory.display()))?;
        }
        fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
        let node = match self.current {
            Current::Nothing => None,
            Current::Idle => self.idle.as_mut(),
            Current::Committed => self.committed.as_mut(),
            Current::Own => self.own.as_mut(),
        };
        if let Some(node) = node {
            fs::copy(node.serial_log(), directory.join("serial.log")).context("keeping the serial log")?;
            for (name, command) in EVIDENCE {
                match node.run(command) {
                    Ok(done) => fs::write(directory.join(name), format!("{}{}", done.stdout, done.stderr))
                        .with_context(|| format!("keeping {name}"))?,
                    Err(error) => say(format_args!("  no {name}: {error:#}")),
                }
            }
        }
        Ok(directory)
    }
}

/// Asked of the node of a failed scenario.
const EVIDENCE: &[(&str, &str)] = &[
    ("journal.txt", "journalctl --no-pager --output=short-monotonic | tail -n 20000"),
    (
        "status.json",
        "f=/usr/local/sbin/firstlight; [ -x $f ] || f=/root/vm-tests/firstlight; $f status --json",
    ),
    (
        "units.txt",
        "systemctl --no-pager --failed; systemctl --no-pager status 'proxmox-first-boot*' 'firstlight*'",
    ),
    ("state.txt", "find /var/lib/firstlight /var/lib/proxmox-first-boot -ls"),
];
