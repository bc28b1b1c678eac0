//! Snapshots as a transaction takes them, and the way back.

use crate::contenders::Contender;
use crate::{Outcome, text};
use firstlight::error::Result;
use firstlight::manifest::{Manifest, Scope, capture_like, record, restore};
use firstlight::node::{Machine, Node};
use firstlight::objects::Objects;
use std::path::{Path, PathBuf};

/// A tree and its snapshots, all below one directory.
pub struct Snapshots {
    machine: Machine,
    root: PathBuf,
    /// Entries and new objects of the last first snapshot.
    pub entries: usize,
    pub objects: usize,
    fresh: bool,
}

impl Snapshots {
    pub fn new(root: &Path) -> Outcome<Self> {
        let machine = Machine::open(Path::new("/")).map_err(text)?;
        Ok(Self { machine, root: root.join("firstlight"), entries: 0, objects: 0, fresh: true })
    }

    fn scopes(&self) -> [Scope; 1] {
        [Scope::Tree(self.tree())]
    }

    fn store(&self) -> PathBuf {
        self.root.join("objects")
    }

    fn snapshot_path(&self) -> PathBuf {
        self.root.join("snapshot")
    }

    /// Contents and manifest under their final names, everything durable, like `Run::snapshot`; and the memory for
    /// the next one. Entries, and objects that are new.
    pub fn take(&self) -> Result<(usize, usize)> {
        let (machine, path) = (&self.machine, self.snapshot_path());
        let objects = Objects::remembering(machine, &self.store(), &self.root.join("run/index"));
        let waiting = path.with_extension("new");
        machine.create(&waiting, b"", 0o600)?;
        let mut batch = objects.batch()?;
        let mut write = |piece: &[u8]| machine.append(&waiting, piece);
        let entries = record(machine, &self.scopes(), &[], (&mut batch, &|_| true), &mut write)?;
        let fresh = batch.commit_with(Some(&waiting))?;
        machine.rename(&waiting, &path)?;
        machine.sync_directory(&self.root)?;
        objects.save_index()?;
        Ok((entries, fresh))
    }

    /// Looks at everything anew, as recovery does, and restores what differs, durably.
    pub fn restore(&self) -> Result<usize> {
        let machine = &self.machine;
        let before = Manifest::take(machine.read(&self.snapshot_path())?, None)?;
        let now = capture_like(machine, &self.scopes(), &[], &[&before])?;
        let objects = Objects::new(machine, &self.store());
        let wanted = before.restoration(&now);
        restore(machine, &objects, &wanted)?;
        Ok(wanted.len())
    }
}

impl Contender for Snapshots {
    fn name(&self) -> &'static str {
        "**firstlight**, durable"
    }

    fn tree(&self) -> PathBuf {
        self.root.join("etc")
    }

    fn forget(&mut self) -> Outcome<()> {
        for name in ["objects", "run"] {
            if self.root.join(name).exists() {
                std::fs::remove_dir_all(self.root.join(name))?;
            }
        }
        self.fresh = true;
        Ok(())
    }

    fn snapshot(&mut self) -> Outcome<()> {
        let (entries, objects) = self.take().map_err(text)?;
        if self.fresh {
            (self.entries, self.objects) = (entries, objects);
        } else if objects > 0 {
            return Err(format!("the second snapshot stored {objects} objects").into());
        }
        self.fresh = false;
        Ok(())
    }

    fn put_back(&mut self) -> Outcome<()> {
        let count = self.restore().map_err(text)?;
        if count < crate::CHANGED { Err(format!("only {count} paths were put back").into()) } else { Ok(()) }
    }
}
