//! A node for tests: real files in a temporary directory, commands answered by the test, a clock that only
//! `sleep` moves, and crashes: at any call, and with everything lost that was not made durable.

mod files;
mod others;
mod power;
mod seam;
mod tests;

use super::{Invocation, Machine, Output};
use crate::error::{Error, Result};
pub use files::Files;
pub use power::Lose;
use power::Power;
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// What a test says a command does: it may change files, and says how it ended.
type Answer = Rc<dyn Fn(&Files, &Invocation) -> Output>;

/// What a test lets happen while somebody waits: it gets the time since the boot.
type Meanwhile = Rc<dyn Fn(&Files, u64)>;

/// The scripted node.
pub struct Scripted {
    /// Its files.
    pub files: Files,
    stop: Rc<Cell<bool>>,
    answers: RefCell<Vec<(String, Answer)>>,
    ran: RefCell<Vec<String>>,
    calls: Cell<usize>,
    fail_at: Cell<Option<usize>>,
    steps: Cell<usize>,
    fail_at_step: Cell<Option<usize>>,
    down: Cell<bool>,
    trace: RefCell<Vec<String>>,
    power: Power,
    clock: Cell<u64>,
    up: Cell<u64>,
    meanwhile: RefCell<Option<Meanwhile>>,
    stopped: RefCell<Vec<(u32, bool)>>,
    real_processes: Cell<bool>,
    cluster: Cell<bool>,
}

/// 2026-01-01 00:00:00 UTC, in milliseconds.
const START: u64 = 1_767_225_600_000;

const CLUSTER: &str = "/etc/pve";

impl Default for Scripted {
    fn default() -> Self {
        Self::new()
    }
}

impl Scripted {
    /// A node without any file; `/etc` and `/var/lib` are there.
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// The same with its files on another disk, which keeps nothing for a power cut.
    pub fn on_disk(disk: &Path) -> Self {
        let node = Self::below(disk);
        node.power.keep_nothing();
        node
    }

    fn below(disk: &Path) -> Self {
        let directory = tempfile::tempdir_in(disk).unwrap();
        let machine = Machine::open(directory.path()).unwrap();
        let files = Files { directory, machine, full: Cell::new(false) };
        files.directory("/etc");
        files.directory("/var/lib");
        Self {
            files,
            stop: Rc::default(),
            answers: RefCell::default(),
            ran: RefCell::default(),
            calls: Cell::new(0),
            fail_at: Cell::new(None),
            steps: Cell::new(0),
            fail_at_step: Cell::new(None),
            down: Cell::new(false),
            trace: RefCell::default(),
            power: Power::default(),
            clock: Cell::new(START),
            up: Cell::new(60_000),
            meanwhile: RefCell::default(),
            stopped: RefCell::default(),
            real_processes: Cell::new(false),
            cluster: Cell::new(false),
        }
    }

    /// What a test sets when somebody asks the run to stop.
    pub fn stop_switch(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.stop)
    }

    /// Answers every command whose line begins with `prefix`; the longest prefix wins, then the newest.
    pub fn on(&self, prefix: &str, answer: impl Fn(&Files, &Invocation) -> Output + 'static) {
        self.answers.borrow_mut().insert(0, (prefix.to_owned(), Rc::new(answer)));
    }

    /// Answers with success and this text.
    pub fn says(&self, prefix: &str, stdout: &str) {
        let output = Output { status: 0, stdout: stdout.to_owned(), stderr: String::new() };
        self.on(prefix, move |_, _| output.clone());
    }

    /// Answers with a failure and this complaint.
    pub fn refuses(&self, prefix: &str, status: i32, stderr: &str) {
        let output = Output { status, stdout: String::new(), stderr: stderr.to_owned() };
        self.on(prefix, move |_, _| output.clone());
    }

    /// The lines of all commands that were run, oldest first.
    pub fn ran(&self) -> Vec<String> {
        self.ran.borrow().clone()
    }

    /// Calls until now, reads among them, since the last [`revive`](Self::revive).
    pub fn calls(&self) -> usize {
        self.calls.get()
    }

    /// The call number `number` (from 0, counted since the last revival) fails, and every one after it: the
    /// process has died there. A write that dies leaves half of what it wrote.
    pub fn fail_at(&self, number: usize) {
        self.fail_at.set(Some(number));
    }

    /// Calls until now that change something, make something durable or run a command.
    pub fn steps(&self) -> usize {
        self.steps.get()
    }

    /// Like [`fail_at`](Self::fail_at), counted in [`steps`](Self::steps): fewer crash points, the same outcomes.
    pub fn fail_at_step(&self, number: usize) {
        self.fail_at_step.set(Some(number));
    }

    /// Whether the injected crash has happened.
    pub fn is_down(&self) -> bool {
        self.down.get()
    }

    /// A new process on the same node: nothing fails any more, counters and the trace start again.
    pub fn revive(&self) {
        self.down.set(false);
        self.fail_at.set(None);
        self.fail_at_step.set(None);
        self.calls.set(0);
        self.steps.set(0);
        self.trace.borrow_mut().clear();
    }

    /// From now on `/etc/pve` is pmxcfs, as far as a restore can tell: another file system, with modes, owners
    /// and times that nobody may set.
    pub fn mount_cluster(&self) {
        self.files.directory(CLUSTER);
        self.cluster.set(true);
    }

    /// Stops pmxcfs: the plain directory is seen again.
    pub fn unmount_cluster(&self) {
        self.cluster.set(false);
    }

    fn in_cluster(&self, path: &Path) -> bool {
        self.cluster.get() && path.starts_with(CLUSTER)
    }

    /// Fails where pmxcfs does.
    fn settable(&self, path: &Path) -> Result<()> {
        if self.in_cluster(path) {
            Err(Error::new(line("setting", path), "Operation not permitted"))
        } else {
            Ok(())
        }
    }

    /// A power cut, and a new boot: what was not made durable is lost.
    pub fn cut_power(&self, lose: Lose) {
        self.power.cut(&self.files, lose);
        self.revive();
    }

    /// What a power cut would take away now: empty after work that has made itself durable.
    pub fn not_durable(&self) -> Vec<String> {
        self.power.pending()
    }

    /// Every changing call since the last revival: `rename /etc/.x /etc/x`.
    pub fn trace(&self) -> Vec<String> {
        self.trace.borrow().clone()
    }

    /// Counts a reading call.
    fn call(&self) -> Result<()> {
        let number = self.calls.replace(self.calls.get() + 1);
        if self.fail_at.get().is_some_and(|at| number >= at) {
            self.down.set(true);
        }
        if self.down.get() { Err(Error::new("calling the node", "injected crash")) } else { Ok(()) }
    }

    /// Counts a changing call.
    fn step(&self, what: &str) -> Result<()> {
        let number = self.steps.replace(self.steps.get() + 1);
        if self.fail_at_step.get().is_some_and(|at| number >= at) {
            self.down.set(true);
        }
        self.trace.borrow_mut().push(what.to_owned());
        self.call()
    }

    /// Counts a changing call that, if this is the one to die at, does half of its work.
    fn torn_step(&self, what: &str, half: impl FnOnce()) -> Result<()> {
        let alive = !self.down.get();
        self.step(what).inspect_err(|_| {
            if alive {
                half();
            }
        })
    }
}

fn line(verb: &str, path: &Path) -> String {
    format!("{verb} {}", path.display())
}
