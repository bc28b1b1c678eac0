//! A node for tests: real files in a temporary directory, commands answered by the test, a clock that only
//! `sleep` moves, and crashes: at any call, and with everything lost that was not made durable.

mod files;
mod others;
mod power;
mod tests;

use super::{Invocation, Lock, Machine, Metadata, Node, Output};
use crate::error::{Error, Result};
pub use files::Files;
pub use power::Lose;
use power::Power;
use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
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
        let directory = tempfile::tempdir().unwrap();
        let machine = Machine::open(directory.path()).unwrap();
        let files = Files { directory, machine };
        files.directory("/etc");
        files.directory("/var/lib");
        Self {
            files,
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

impl Node for Scripted {
    fn lookup(&self, path: &Path) -> Result<Option<Metadata>> {
        self.call()?;
        if self.real(path) {
            return Machine::open(Path::new("/"))?.lookup(path);
        }
        let found = self.files.machine.lookup(path)?;
        Ok(found.map(|mut found| {
            if self.in_cluster(path) {
                found.identity.0 = u64::MAX;
            }
            found
        }))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.call()?;
        if self.real(path) {
            return Machine::open(Path::new("/"))?.read(path);
        }
        self.files.machine.read(path)
    }

    fn read_seen(&self, path: &Path, seen: &Metadata) -> Result<Vec<u8>> {
        self.call()?;
        let mut seen = seen.clone();
        if let (true, Some(now)) = (self.in_cluster(path), self.files.machine.lookup(path)?) {
            seen.identity.0 = now.identity.0;
        }
        self.files.machine.read_seen(path, &seen)
    }

    fn immutable(&self, path: &Path) -> Result<Option<PathBuf>> {
        self.call()?;
        self.files.machine.immutable(path)
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf> {
        self.call()?;
        self.files.machine.read_link(path)
    }

    fn list(&self, directory: &Path) -> Result<Vec<OsString>> {
        self.call()?;
        if self.real(directory) {
            return Machine::open(Path::new("/"))?.list(directory);
        }
        self.files.machine.list(directory)
    }

    fn attributes(&self, path: &Path) -> Result<Vec<(String, Vec<u8>)>> {
        self.call()?;
        self.files.machine.attributes(path)
    }

    fn create(&self, path: &Path, content: &[u8], mode: u32) -> Result<()> {
        let machine = &self.files.machine;
        self.torn_step(&line("create", path), || {
            let half = content.get(..content.len() / 2).unwrap_or_default();
            if machine.create(path, half, 0o600).is_ok() {
                self.power.created(path);
            }
        })?;
        let private = path.components().any(|part| part.as_os_str() == "priv");
        if mode != if private { 0o600 } else { 0o640 } {
            self.settable(path)?;
        }
        machine.create(path, content, mode)?;
        self.power.created(path);
        Ok(())
    }

    fn create_for(&self, path: &Path, content: &[u8], mode: u32, owner: (u32, u32)) -> Result<()> {
        self.create(path, content, 0o600)?;
        let made = self.files.machine.lookup(path)?;
        if made.is_none_or(|made| (made.uid, made.gid) != owner) {
            self.set_owner(path, owner.0, owner.1)?;
        }
        if mode == 0o600 { Ok(()) } else { self.set_mode(path, mode) }
    }

    fn append(&self, path: &Path, content: &[u8]) -> Result<()> {
        let machine = &self.files.machine;
        let before = machine.lookup(path)?.map_or(0, |found| found.size);
        self.torn_step(&line("append", path), || {
            let half = content.get(..content.len() / 2).unwrap_or_default();
            if machine.append(path, half).is_ok() {
                self.power.appended(path, before);
            }
        })?;
        machine.append(path, content)?;
        self.power.appended(path, before);
        Ok(())
    }

    fn truncate(&self, path: &Path, size: u64) -> Result<()> {
        self.step(&line("truncate", path))?;
        let before = self.files.machine.read(path)?;
        self.files.machine.truncate(path, size)?;
        self.power.truncated(path, before);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.step(&format!("rename {} {}", from.display(), to.display()))?;
        let replaced = self.power.stash(&self.files, to);
        self.files.machine.rename(from, to)?;
        self.power.renamed(from, to, replaced);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.step(&line("remove", path))?;
        let removed = self.power.stash(&self.files, path);
        self.files.machine.remove_file(path)?;
        self.power.removed(path, removed);
        Ok(())
    }

    fn make_directory(&self, path: &Path, mode: u32) -> Result<()> {
        self.step(&line("make-directory", path))?;
        self.files.machine.make_directory(path, mode)?;
        self.power.made_directory(path);
        Ok(())
    }

    fn make_directory_for(&self, path: &Path, mode: u32, owner: (u32, u32)) -> Result<()> {
        match self.files.machine.lookup(path)? {
            None => self.make_directory(path, mode)?,
            Some(_) => self.set_mode(path, mode)?,
        }
        self.set_owner(path, owner.0, owner.1)
    }

    fn remove_directory(&self, path: &Path) -> Result<()> {
        self.step(&line("remove-directory", path))?;
        let before = self.files.machine.lookup(path)?;
        self.files.machine.remove_directory(path)?;
        self.power.removed_directory(path, before);
        Ok(())
    }

    fn make_link(&self, path: &Path, target: &Path) -> Result<()> {
        self.step(&line("make-link", path))?;
        self.files.machine.make_link(path, target)?;
        self.power.made_entry(path);
        Ok(())
    }

    fn make_name(&self, path: &Path, existing: &Path) -> Result<()> {
        self.step(&line("make-name", path))?;
        self.files.machine.make_name(path, existing)?;
        self.power.made_entry(path);
        Ok(())
    }

    fn set_owner(&self, path: &Path, uid: u32, gid: u32) -> Result<()> {
        self.step(&line("set-owner", path))?;
        self.settable(path)?;
        self.power.changing(&self.files, path);
        self.files.machine.set_owner(path, uid, gid)
    }

    fn set_mode(&self, path: &Path, mode: u32) -> Result<()> {
        self.step(&line("set-mode", path))?;
        self.settable(path)?;
        self.power.changing(&self.files, path);
        self.files.machine.set_mode(path, mode)
    }

    fn set_attribute(&self, path: &Path, name: &str, value: Option<&[u8]>) -> Result<()> {
        self.step(&line("set-attribute", path))?;
        self.settable(path)?;
        self.power.changing(&self.files, path);
        self.files.machine.set_attribute(path, name, value)
    }

    fn set_modified(&self, path: &Path, modified: (i64, u32)) -> Result<()> {
        self.step(&line("set-modified", path))?;
        self.settable(path)?;
        self.power.changing(&self.files, path);
        self.files.machine.set_modified(path, modified)
    }

    fn sync_file(&self, path: &Path) -> Result<()> {
        self.step(&line("sync-file", path))?;
        self.files.machine.lookup(path)?.ok_or_else(|| Error::new(line("sync-file", path), "not there"))?;
        self.power.synced_file(path);
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> Result<()> {
        self.step(&line("sync-directory", path))?;
        self.files.machine.list(path)?;
        self.power.synced_directory(path);
        Ok(())
    }

    fn sync_all(&self, path: &Path) -> Result<()> {
        self.step(&line("sync-all", path))?;
        self.files.machine.list(path)?;
        self.power.synced_all();
        Ok(())
    }

    fn run(&self, invocation: &Invocation) -> Result<Output> {
        let line = invocation.line();
        self.step(&format!("run {line}"))?;
        self.ran.borrow_mut().push(line.clone());
        let answers = self.answers.borrow();
        let fits = answers.iter().rev().filter(|(prefix, _)| line.starts_with(prefix.as_str()));
        let answer = fits.max_by_key(|(prefix, _)| prefix.len()).map(|(_, answer)| answer.clone());
        drop(answers);
        let answer = answer.ok_or_else(|| Error::new(format!("running {line}"), "no answer in this test"))?;
        Ok(answer(&self.files, invocation))
    }

    fn now(&self) -> u64 {
        self.clock.get()
    }

    fn boottime(&self) -> u64 {
        self.up.get()
    }

    fn stop_process(&self, process: u32, kill: bool) -> Result<()> {
        self.step(&format!("stop-process {process}"))?;
        self.stopped.borrow_mut().push((process, kill));
        if self.real_processes.get() { self.files.machine.stop_process(process, kill) } else { Ok(()) }
    }

    fn sleep(&self, duration: Duration) {
        let milliseconds = u64::try_from(duration.as_millis()).unwrap();
        self.clock.set(self.clock.get() + milliseconds);
        self.up.set(self.up.get() + milliseconds);
        if self.real_processes.get() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let act = self.meanwhile.borrow().clone();
        if let Some(act) = act {
            act(&self.files, self.up.get());
        }
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>> {
        self.step(&line("lock", path))?;
        self.files.machine.lock(path)
    }
}
