//! From a recording to every state that the disk may be in when the process or the power ends.
//!
//! A process that dies leaves what it did, and half of the write it died in. A power cut leaves what was synced,
//! and any part of the rest: names without contents, contents without names, one directory's names and not
//! another's, the first half of a write, zeros in the place of it. Nothing is assumed about order: neither between
//! directories nor within one. The one exception is the length of a file, which no file system forgets alone.

use super::disk::{CLUSTER_DEVICE, DISK_DEVICE, Entry, Event};
use super::tree::{Op, Part, Tree};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// How far combinations are tried.
#[derive(Clone, Copy)]
pub struct Depth {
    /// Up to so many changes that are not durable, every subset of them.
    pub all_subsets: usize,
    /// Beyond that, so many subsets at random, the same ones in every run.
    pub at_random: u64,
}

/// What ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Moment {
    /// The process alone: the kernel lives on.
    Process,
    /// The power.
    Power,
}

/// A disk as it may be found.
pub struct State {
    pub tree: Tree,
    pub moment: Moment,
    /// How many promises had been made.
    pub promised: usize,
    /// The same for the same disk.
    pub key: u64,
    /// Where it was in the recording, and what was lost.
    pub text: String,
}

struct Walk<'a> {
    live: Tree,
    durable: Tree,
    durable_key: u64,
    /// Changes so far.
    changes: usize,
    pending: Vec<(usize, Arc<Entry>)>,
    promised: usize,
    call: String,
    depth: Depth,
    wants: &'a mut dyn FnMut(u64) -> bool,
    visit: &'a mut dyn FnMut(State),
}

/// Shows every state that a crash anywhere in the recording can leave, each key that `wants` likes once. The sync
/// with number `without` in the recording is left out, as if it had never been called.
pub fn moments(
    base: &Tree,
    events: &[Event],
    without: Option<usize>,
    depth: Depth,
    wants: &mut dyn FnMut(u64) -> bool,
    visit: &mut dyn FnMut(State),
) {
    let mut walk = Walk {
        live: base.clone(),
        durable: base.clone(),
        durable_key: 0,
        changes: 0,
        pending: Vec::new(),
        promised: 0,
        call: String::new(),
        depth,
        wants,
        visit,
    };
    walk.process(String::new(), None);
    for (number, event) in events.iter().enumerate() {
        match event {
            Event::Change(entry) => walk.change(entry),
            _ if without == Some(number) => {}
            Event::Sync(ino, _) => {
                let found = walk.pending.iter().any(|(_, entry)| entry.keys.contains(ino));
                walk.flush(found, |entry| entry.keys.contains(ino));
            }
            Event::SyncAll(_) => walk.flush(!walk.pending.is_empty(), |_| true),
            Event::Call(text) => walk.call.clone_from(text),
            Event::Promise => {
                walk.promised += 1;
                walk.process(String::new(), None);
            }
        }
    }
    walk.power();
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Walk<'_> {
    fn change(&mut self, entry: &Arc<Entry>) {
        if let Some((ino, inode)) = &entry.born {
            for tree in [&mut self.live, &mut self.durable] {
                assert_eq!(tree.bear(Arc::clone(inode)), *ino);
            }
        }
        if let Op::Write { bytes, .. } = &entry.op
            && bytes.len() > 1
        {
            self.process(format!(", half of: {}", entry.text), Some((&entry.op, Part::Half)));
        }
        self.live.apply(&entry.op, Part::Whole);
        self.changes += 1;
        if matches!(entry.device, DISK_DEVICE | CLUSTER_DEVICE) {
            self.pending.push((self.changes, Arc::clone(entry)));
        }
        self.process(format!(", after: {}", entry.text), None);
    }

    /// The process dies here.
    fn process(&mut self, text: String, torn: Option<(&Op, Part)>) {
        let key = hash((Moment::Process, self.changes, torn.is_some(), self.promised));
        if !(self.wants)(key) {
            return;
        }
        let mut tree = self.live.clone();
        if let Some((op, part)) = torn {
            tree.apply(op, part);
        }
        let text = format!("process died at `{}`{text}", self.call);
        (self.visit)(State { tree, moment: Moment::Process, promised: self.promised, key, text });
    }

    /// What could be lost until now is looked at before it no longer can.
    fn flush(&mut self, anything: bool, which: impl Fn(&Entry) -> bool) {
        if !anything {
            return;
        }
        self.power();
        let pending = std::mem::take(&mut self.pending);
        for (number, entry) in pending {
            if which(&entry) {
                self.durable.apply(&entry.op, Part::Whole);
                self.durable_key ^= hash((number, Part::Whole));
            } else {
                self.pending.push((number, entry));
            }
        }
    }

    /// The power is cut here.
    fn power(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let all = vec![Some(Part::Whole); pending.len()];
        let none = vec![None; pending.len()];
        self.disk(&pending, all.clone());
        self.disk(&pending, none.clone());
        if pending.len() <= self.depth.all_subsets {
            for subset in 0..1_u32 << pending.len() {
                let kept = |number: usize| (subset >> number & 1 == 1).then_some(Part::Whole);
                self.disk(&pending, (0..pending.len()).map(kept).collect());
            }
        } else {
            self.many(&pending, &all, &none);
        }
        for (number, (_, entry)) in pending.iter().enumerate() {
            if matches!(entry.op, Op::Write { .. }) {
                for part in [Part::Half, Part::Zeros] {
                    let mut kept = all.clone();
                    kept[number] = Some(part);
                    self.disk(&pending, kept);
                }
                let mut kept = none.clone();
                kept[number] = Some(Part::Half);
                self.disk(&pending, kept);
            }
        }
        self.pending = pending;
    }

    /// More than can be tried in every combination: every prefix, every single one lost, every single one kept,
    /// every kind lost, every directory lost, and some at random.
    fn many(&mut self, pending: &[(usize, Arc<Entry>)], all: &[Option<Part>], none: &[Option<Part>]) {
        for number in 0..pending.len() {
            let mut lost = all.to_vec();
            lost[number] = None;
            self.disk(pending, lost);
            let mut kept = none.to_vec();
            kept[number] = Some(Part::Whole);
            self.disk(pending, kept);
            let mut prefix = all.to_vec();
            prefix[number..].fill(None);
            self.disk(pending, prefix);
        }
        let at_random = self.depth.at_random;
        let mut keep = |like: &dyn Fn(usize, &Entry) -> bool| {
            let kept = pending.iter().enumerate();
            let kept = kept.map(|(number, (_, entry))| like(number, entry).then_some(Part::Whole));
            self.disk(pending, kept.collect());
        };
        keep(&|_, entry| matches!(entry.op, Op::Entries(..)));
        keep(&|_, entry| !matches!(entry.op, Op::Entries(..)));
        keep(&|_, entry| !matches!(entry.op, Op::Write { .. } | Op::Cut { .. }));
        keep(&|_, entry| !matches!(entry.op, Op::Label { .. }));
        let mut keys: Vec<usize> = pending.iter().flat_map(|(_, entry)| entry.keys.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            keep(&|_, entry| !entry.keys.contains(&key));
            keep(&|_, entry| entry.keys.contains(&key));
        }
        for seed in 0..at_random {
            keep(&|number, _| hash((seed, number, pending.len())) & 1 == 1);
        }
    }

    fn disk(&mut self, pending: &[(usize, Arc<Entry>)], mut kept: Vec<Option<Part>>) {
        ordered_lengths(pending, &mut kept);
        whole_transactions(pending, &mut kept);
        let mut key = self.durable_key ^ hash((Moment::Power, self.promised));
        for ((number, _), part) in pending.iter().zip(&kept) {
            if let Some(part) = part {
                key ^= hash((number, part));
            }
        }
        if !(self.wants)(key) {
            return;
        }
        let mut tree = self.durable.clone();
        let mut lost = Vec::new();
        for ((_, entry), part) in pending.iter().zip(&kept) {
            match part {
                Some(part) => {
                    tree.apply(&entry.op, *part);
                    if *part != Part::Whole {
                        lost.push(format!("{part:?} of {}", entry.text));
                    }
                }
                None => lost.push(entry.text.clone()),
            }
        }
        let shown = lost.len().min(12);
        let text = format!(
            "power cut at `{}` (promises: {}), lost {} of {}: {}",
            self.call,
            self.promised,
            lost.len(),
            pending.len(),
            lost[..shown].join("; ")
        );
        (self.visit)(State { tree, moment: Moment::Power, promised: self.promised, key, text });
    }
}

/// pmxcfs keeps `/etc/pve` in a database with a write-ahead log: a power cut takes its last transactions, each as a whole.
fn whole_transactions(pending: &[(usize, Arc<Entry>)], kept: &mut [Option<Part>]) {
    let mut lost = false;
    let of_cluster = pending.iter().zip(kept).filter(|((_, entry), _)| entry.device == CLUSTER_DEVICE);
    for (_, part) in of_cluster {
        lost |= *part != Some(Part::Whole);
        if lost {
            *part = None;
        }
    }
}

/// What is written behind a cut comes after it.
fn ordered_lengths(pending: &[(usize, Arc<Entry>)], kept: &mut [Option<Part>]) {
    let mut uncut = Vec::new();
    for ((_, entry), part) in pending.iter().zip(kept) {
        match &entry.op {
            Op::Cut { ino, .. } | Op::Write { ino, .. } if uncut.contains(ino) => *part = None,
            Op::Cut { ino, .. } if part.is_none() => uncut.push(*ino),
            _ => {}
        }
    }
}
