//! Forgetting old transactions: their journals and snapshots, and the contents nobody refers to any more.

use super::record::Event;
use super::state::{self, OBJECTS_DIR, TRANSACTIONS_DIR, TransactionId};
use super::story::{Phase, Story};
use crate::error::{Error, Result};
use crate::manifest::{self, State};
use crate::node::{Node, exists};
use crate::objects::{ObjectId, Objects};
use crate::progress::{Importance, Watch};
use std::path::Path;

/// How many stay without being asked for another number.
pub const KEPT: usize = 10;

/// Forgets all but the newest `keep` of the transactions that stand, and all but the newest `keep` of the others: a
/// run that fails again and again takes nobody's way back away. One that is not over is never forgotten. Then the
/// contents are swept. Returns what was forgotten and how many objects went.
pub fn prune(node: &dyn Node, keep: usize) -> Result<(Vec<TransactionId>, usize)> {
    let forgotten = surplus(node, keep)?;
    for id in forgotten.iter().copied() {
        // The journal goes first: without it the directory is nothing, whatever a crash leaves of it.
        node.remove_file(&id.journal())?;
        node.sync_directory(&id.directory())?;
        state::remove_tree(node, &id.directory())?;
    }
    remove_remains(node)?;
    let objects = Objects::new(node, Path::new(OBJECTS_DIR));
    let mut referred = Referred::default();
    for id in state::transactions(node)? {
        refer(node, &objects, id, &mut referred)?;
    }
    let swept = objects.sweep(referred.all())?;
    Ok((forgotten, swept))
}

/// The same after a commit, so that the disk never fills: only when there is something to forget.
pub fn tidy(node: &dyn Node) -> Result<()> {
    if surplus(node, KEPT)?.is_empty() { Ok(()) } else { prune(node, KEPT).map(drop) }
}

/// The same; what cannot be forgotten now is said, and forgotten after the next run.
pub fn tidy_or_say(node: &dyn Node, watch: &mut dyn Watch) {
    if let Err(error) = tidy(node) {
        watch.say(Importance::Warning, &error.to_string());
    }
}

/// What may be forgotten, oldest first.
fn surplus(node: &dyn Node, keep: usize) -> Result<Vec<TransactionId>> {
    let (mut standing, mut over) = (0, 0);
    let mut surplus = Vec::new();
    for id in state::transactions(node)?.into_iter().rev() {
        let count = match Story::of(&state::records(node, id)?).phase() {
            Phase::Unfinished => continue,
            Phase::Committed => &mut standing,
            Phase::Over => &mut over,
        };
        *count += 1;
        if *count > keep.max(1) {
            surplus.push(id);
        }
    }
    surplus.reverse();
    Ok(surplus)
}

/// Removes directories without a journal: what a crash left of one that was forgotten, or never began.
fn remove_remains(node: &dyn Node) -> Result<()> {
    let directory = Path::new(TRANSACTIONS_DIR);
    if !exists(node, directory)? {
        return Ok(());
    }
    for name in node.list(directory)? {
        let Some(id) = name.to_str().and_then(TransactionId::parse) else { continue };
        if !exists(node, &id.journal())? {
            state::remove_tree(node, &id.directory())?;
        }
    }
    node.sync_directory(directory)
}

/// What is still needed. Transactions refer to nearly the same contents: each is held once, or nearly.
#[derive(Default)]
struct Referred {
    ids: Vec<ObjectId>,
    /// So many of them are sorted, and each is there once.
    sorted: usize,
}

impl Referred {
    /// How many are added before they are sorted again: 1 MiB.
    const MANY: usize = 32 * 1024;

    fn add(&mut self, id: ObjectId) {
        self.ids.push(id);
        if self.ids.len() - self.sorted > Self::MANY {
            self.all();
        }
    }

    fn all(&mut self) -> &[ObjectId] {
        self.ids.sort_unstable();
        self.ids.dedup();
        self.sorted = self.ids.len();
        &self.ids
    }

    fn contents(&mut self, manifest: Vec<u8>) -> Result<()> {
        manifest::read_entries(manifest, &mut |_, entry| {
            if let State::File { content, .. } = entry.state {
                self.add(content);
            }
        })
    }
}

/// Everything a transaction refers to. A manifest that cannot be read stops the sweep: better too much than too
/// little.
fn refer(node: &dyn Node, objects: &Objects<'_>, id: TransactionId, referred: &mut Referred) -> Result<()> {
    if exists(node, &id.snapshot())? {
        referred.contents(node.read(&id.snapshot())?)?;
    }
    for record in state::records(node, id)? {
        // What a way back that is not over has set aside is among it.
        let (Event::Intent { before: manifest, .. }
        | Event::Observed { after: manifest, .. }
        | Event::Reverting { foreign: manifest, .. }) = record.event
        else {
            continue;
        };
        referred.add(manifest);
        referred
            .contents(objects.read(&manifest)?)
            .map_err(|error| Error::new(format!("reading a manifest of transaction {id}"), error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j3_twenty_snapshots_of_one_node_take_the_room_of_one() {
        let mut referred = Referred::default();
        let mut most = 0;
        for _ in 0..20 {
            for number in 0..100_000_u32 {
                let mut name = [b'0'; 64];
                name[..8].copy_from_slice(format!("{number:08x}").as_bytes());
                referred.add(ObjectId::parse(&name).unwrap());
                most = most.max(referred.ids.capacity());
            }
        }
        assert_eq!(referred.all().len(), 100_000);
        assert!(most * size_of::<ObjectId>() <= 9 * 1024 * 1024, "{most}");
    }
}
