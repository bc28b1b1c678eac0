//! Every call through the seam: counted, traced, and cut off where a test wants it.

use super::{Scripted, line};
use crate::error::{Error, Result};
use crate::node::{Invocation, Lock, Machine, Metadata, Node, Output};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

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

    fn set_times_to_zero(&self, path: &Path) -> Result<()> {
        self.step(&line("set-times-to-zero", path))?;
        self.files.machine.set_times_to_zero(path)
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
        let output = answer(&self.files, invocation);
        if self.files.full.take() {
            return Ok(Output { status: 1, stderr: "No space left on device".to_owned(), ..output });
        }
        Ok(output)
    }

    fn random(&self, length: usize) -> Result<Vec<u8>> {
        self.call()?;
        self.files.machine.random(length)
    }

    fn now(&self) -> u64 {
        self.clock.get()
    }

    fn interrupted(&self) -> bool {
        self.stop.get()
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
