//! The test bench of one worker: nodes that are booted once and put back to a kept state for every scenario.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::accelerator::Pace;
use crate::image::{Image, Release};
use crate::kit::{Kit, State};
use crate::machine::{Hardware, Screen};
use crate::manifest::Manifest;
use crate::node::{Kept, Node};
use crate::payload::Payload;
use crate::progress::{Step, say};
use crate::scenario::{hook, totp_users};
use crate::seed::Seed;
use crate::workspace::Workspace;

/// Where the product lies in a guest before it has installed itself.
pub const BINARY_PATH: &str = "/root/vm-tests/firstlight";
/// The baked executable in a guest that was booted without one.
pub const FIRST_BOOT_PATH: &str = "/root/vm-tests/first-boot";

/// Names of kept states; a fresh node has the first two.
const IDLE: &str = "idle";
const ARMED: &str = "armed";
const COMMITTED: &str = "committed";
/// A fresh node with the stand-in for PVE up: made by the worker whose scenario is the first to need it.
const PVE: &str = "pve";
/// The same after its first boot.
const PVE_COMMITTED: &str = "pve-committed";
/// The executable that was baked for it.
const PVE_FIRST_BOOT_PATH: &str = "/root/vm-tests/pve-first-boot";

/// Which node a scenario used last: the one to ask when it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Current {
    Nothing,
    Kept(State),
    Own,
}

/// Everything a scenario can ask for.
pub struct Bench {
    kit: Arc<Kit>,
    /// In front of the names of this worker's nodes: two workers have nodes of the same kind.
    worker: usize,
    fresh: Option<Node>,
    committed: Option<Node>,
    own: Option<Node>,
    /// What the first boot of a node of PVE wrote on the serial line.
    pve_serial: Vec<u8>,
    /// What PVE had before it.
    pve_before: String,
    current: Current,
}

impl Bench {
    /// An empty bench; everything is made when it is first asked for.
    pub fn new(kit: &Arc<Kit>, worker: usize) -> Self {
        Self {
            kit: Arc::clone(kit),
            worker,
            fresh: None,
            committed: None,
            own: None,
            pve_serial: Vec::new(),
            pve_before: String::new(),
            current: Current::Nothing,
        }
    }

    /// The project.
    pub fn workspace(&self) -> &Workspace {
        &self.kit.workspace
    }

    /// What the guests are made of.
    pub fn release(&self) -> Release {
        self.kit.release
    }

    /// The image of the guests, and how they are started.
    pub fn image(&self) -> Result<(Image, Pace)> {
        self.kit.image()
    }

    /// The product, built and baked on first use.
    pub fn payload(&mut self) -> Result<&Payload> {
        self.kit.payload()
    }

    /// A node of PVE on which nothing of firstlight has ever run: the stand-in is on it and up, and firstlight's
    /// files lie in `/root/vm-tests`.
    pub fn pve(&mut self) -> Result<&mut Node> {
        let made = self.fresh.as_ref().is_some_and(|node| node.has(PVE));
        self.at(State::Fresh, if made { PVE } else { ARMED })?;
        if !made {
            let (stand_in, release) = (self.kit.stand_in()?, self.release());
            let node = self.fresh.as_mut().context("no fresh node")?;
            let step = Step::begin("making a node of PVE");
            node.pve().enable(&stand_in, release)?;
            node.pve().synchronise_clock()?;
            node.snapshot(PVE)?;
            step.done();
        }
        let node = self.fresh.as_mut().context("no fresh node")?;
        node.pve().synchronise_clock()?;
        Ok(node)
    }

    /// A node of PVE directly after a first boot that committed.
    pub fn pve_committed(&mut self) -> Result<&mut Node> {
        if self.fresh.as_ref().is_some_and(|node| node.has(PVE_COMMITTED)) {
            return self.at(State::Fresh, PVE_COMMITTED);
        }
        let first_boot = fs::read(&self.payload()?.pve.0).context("reading the baked executable")?;
        let node = self.pve()?;
        let had = totp_users::inhabited(node)?;
        let step = Step::begin("the first boot of a node of PVE");
        node.put(PVE_FIRST_BOOT_PATH, &first_boot, 0o700)?;
        let before = fs::read(node.serial_log()).context("reading the serial log")?.len();
        let end = hook::run_from(node, PVE_FIRST_BOOT_PATH)?;
        step.done();
        hook::expect_committed(node, &end)?;
        node.snapshot(PVE_COMMITTED)?;
        let said = fs::read(node.serial_log()).context("reading the serial log")?.split_off(before);
        (self.pve_serial, self.pve_before) = (said, had);
        self.fresh.as_mut().context("no fresh node")
    }

    /// What that first boot wrote on the serial line.
    pub fn pve_serial(&self) -> &[u8] {
        &self.pve_serial
    }

    /// What PVE had before it, beside its own users.
    pub fn pve_before(&self) -> &str {
        &self.pve_before
    }

    /// A node of PVE with a screen, on which nothing of firstlight has ever run; the binary lies in `/root/vm-tests`.
    pub fn pve_with_screen(&mut self, screen: Screen) -> Result<&mut Node> {
        self.pve_of_its_own("screen", &|hardware| hardware.screen = Some(screen))
    }

    /// A node of PVE with a serial line that is typed into.
    pub fn pve_with_line(&mut self) -> Result<&mut Node> {
        self.pve_of_its_own("line", &|hardware| hardware.typed = true)
    }

    /// A node of PVE with something in its firmware, in QEMU's words.
    pub fn with_firmware(&mut self, words: &[String]) -> Result<&mut Node> {
        self.pve_of_its_own("firmware", &|hardware| hardware.firmware = words.to_vec())
    }

    fn pve_of_its_own(&mut self, what: &str, make: &dyn Fn(&mut Hardware)) -> Result<&mut Node> {
        let binary = fs::read(&self.payload()?.binary).context("reading the product")?;
        let (stand_in, release) = (self.kit.stand_in()?, self.release());
        self.own = None;
        self.use_only(Current::Own)?;
        let (image, pace) = self.kit.image()?;
        let step = Step::begin(format!("booting a guest with a {what}"));
        let node = Node::boot_made(&self.kit.workspace, &image, pace, &self.label(what), make)?;
        let node = self.own.insert(node);
        node.wait_until_up()?;
        step.done();
        node.ok("mkdir -p /root/vm-tests")?;
        node.put(BINARY_PATH, &binary, 0o755)?;
        node.pve().enable(&stand_in, release)?;
        node.pve().synchronise_clock()?;
        Ok(node)
    }

    /// A booted node on which nothing of firstlight has ever run.
    pub fn idle(&mut self) -> Result<&mut Node> {
        self.at(State::Fresh, IDLE)
    }

    /// The same with the binary and the first-boot executable lying in `/root/vm-tests`.
    pub fn armed(&mut self) -> Result<&mut Node> {
        self.at(State::Fresh, ARMED)
    }

    /// The idle node as the scenario left it.
    pub fn same_idle(&mut self) -> Result<&mut Node> {
        self.fresh.as_mut().context("no idle node")
    }

    /// A node directly after a first boot that committed.
    pub fn committed(&mut self) -> Result<&mut Node> {
        self.at(State::Committed, COMMITTED)
    }

    /// Two nodes directly after a first boot that committed, at the same time; the caller has them alone.
    pub fn two_committed(&mut self) -> Result<[Node; 2]> {
        let kept = self.prepare(State::Committed)?;
        self.own = None;
        self.use_only(Current::Own)?;
        let (image, pace) = self.kit.image()?;
        // Twice as many guests as this worker is counted with.
        let pace = Pace { jobs: pace.jobs + 1, ..pace };
        let node = |name: &str| -> Result<Node> {
            let mut node = Node::from_kept(&self.kit.workspace, &image, pace, &self.label(name), &kept)?;
            node.restore(COMMITTED)?;
            Ok(node)
        };
        Ok([node("first")?, node("second")?])
    }

    /// A node of its own for one scenario.
    pub fn own(&mut self, seeds: &[Seed]) -> Result<&mut Node> {
        self.own = None;
        self.use_only(Current::Own)?;
        let node = self.boot("own", seeds)?;
        Ok(self.own.insert(node))
    }

    /// The baked executable and PVE's flag, as the installer leaves them.
    pub fn seeds(&mut self) -> Result<Vec<Seed>> {
        let path = self.payload()?.first_boot.clone();
        seeds(&path)
    }

    /// The same for a run on the host's own kernel.
    pub fn native_seeds(&mut self) -> Result<Vec<Seed>> {
        let path = self.payload()?.native.0.clone();
        seeds(&path)
    }

    /// `/etc` of a node that nothing of firstlight has ever touched.
    pub fn original(&mut self) -> Result<Manifest> {
        self.prepare(State::Fresh)?;
        self.kit.original().cloned().context("no manifest of the original node")
    }

    /// Makes sure that the state was made, here or by another worker.
    pub fn prepare(&mut self, state: State) -> Result<Kept> {
        let kit = Arc::clone(&self.kit);
        kit.kept(state, || self.make(state))
    }

    /// The node of a state, put back to it.
    fn at(&mut self, state: State, name: &str) -> Result<&mut Node> {
        self.current = Current::Nothing;
        let kept = self.prepare(state)?;
        self.use_only(Current::Kept(state))?;
        if !self.node(state).as_ref().is_some_and(|node| node.has(name)) {
            let (image, pace) = self.kit.image()?;
            let label = self.label(state.name());
            // The old one first: it has the names of the new one's wires.
            *self.node(state) = None;
            *self.node(state) = Some(Node::from_kept(&self.kit.workspace, &image, pace, &label, &kept)?);
        }
        let node = self.node(state).as_mut().context("no node in this state")?;
        node.restore(name)?;
        Ok(node)
    }

    fn make(&mut self, state: State) -> Result<Kept> {
        // Both need the product; its build is no part of a boot's time.
        let seeds = self.seeds()?;
        self.use_only(Current::Kept(state))?;
        match state {
            State::Fresh => self.make_fresh()?,
            State::Committed => self.make_committed(&seeds)?,
        }
        let overlay = self.kit.overlay(state);
        self.node(state).as_mut().context("no node to keep")?.keep(&overlay)
    }

    /// Boots a node, and keeps its state without and with our files.
    fn make_fresh(&mut self) -> Result<()> {
        let payload = self.payload()?;
        let binary = fs::read(&payload.binary).context("reading the product")?;
        let first_boot = fs::read(&payload.first_boot).context("reading the baked executable")?;
        let answer = fs::read(&payload.answer).context("reading the answer")?;
        let node = self.boot(State::Fresh.name(), &[])?;
        let node = self.fresh.insert(node);
        node.wait_until_up()?;
        node.snapshot(IDLE)?;
        let original = node.manifest()?;
        node.ok("mkdir -p /root/vm-tests")?;
        node.put(BINARY_PATH, &binary, 0o755)?;
        node.put(FIRST_BOOT_PATH, &first_boot, 0o700)?;
        node.put("/root/vm-tests/ufw.toml", &answer, 0o600)?;
        node.snapshot(ARMED)?;
        self.kit.set_original(original);
        Ok(())
    }

    /// Boots a node with the hook waiting on its disk, and keeps its state when the hook has ended.
    fn make_committed(&mut self, seeds: &[Seed]) -> Result<()> {
        let step = Step::begin("the first boot of a fresh node");
        let node = self.boot(State::Committed.name(), seeds)?;
        let node = self.committed.insert(node);
        let end = hook::wait_for_end(node)?;
        node.wait_until_up()?;
        // Whoever builds upon it would measure the old node otherwise.
        hook::expect_committed(node, &end)?;
        step.done();
        node.snapshot(COMMITTED)
    }

    fn boot(&mut self, name: &str, seeds: &[Seed]) -> Result<Node> {
        let (image, pace) = self.kit.image()?;
        let step = Step::begin(format!("booting a guest ({}, {name})", self.release().codename()));
        let node = Node::boot(&self.kit.workspace, &image, pace, &self.label(name), seeds)?;
        step.done();
        Ok(node)
    }

    fn label(&self, name: &str) -> String {
        format!("{}-{name}", self.worker)
    }

    fn node(&mut self, state: State) -> &mut Option<Node> {
        match state {
            State::Fresh => &mut self.fresh,
            State::Committed => &mut self.committed,
        }
    }

    /// One guest runs at a time: an idle one, too, takes its part of a processor from the others.
    fn use_only(&mut self, current: Current) -> Result<()> {
        self.current = current;
        for (is, node) in [
            (Current::Kept(State::Fresh), &mut self.fresh),
            (Current::Kept(State::Committed), &mut self.committed),
            (Current::Own, &mut self.own),
        ] {
            if is != current
                && let Some(node) = node
            {
                node.power_cut()?;
            }
        }
        Ok(())
    }

    /// Keeps what tells why a scenario failed and returns where.
    pub fn keep_evidence(&mut self, scenario: &str) -> Result<PathBuf> {
        let directory = self.workspace().vm.join("failures").join(self.release().codename()).join(scenario);
        if directory.exists() {
            fs::remove_dir_all(&directory).with_context(|| format!("removing {}", directory.display()))?;
        }
        fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
        let node = match self.current {
            Current::Nothing => None,
            Current::Kept(state) => self.node(state).as_mut(),
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

fn seeds(first_boot: &Path) -> Result<Vec<Seed>> {
    let content = fs::read(first_boot).with_context(|| format!("reading {}", first_boot.display()))?;
    Ok(vec![
        Seed { path: hook::EXECUTABLE_PATH, mode: 0o700, content },
        Seed { path: hook::PENDING_PATH, mode: 0o600, content: Vec::new() },
    ])
}
