//! Forgetting old transactions: their journals and snapshots, and the contents nobody refers to any more.

use super::record::Event;
use super::state::{self, OBJECTS_DIR, TRANSACTIONS_DIR, TransactionId};
use super::story::{Phase, Story};
use crate::error::{Error, Result};
use crate::manifest::{Manifest, State};
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
    let mut referred = Vec::new();
    for id in state::transactions(node)? {
        refer(node, &objects, id, &mut referred)?;
    }
    referred.sort_unstable();
    let swept = objects.sweep(&referred)?;
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

/// Everything a transaction refers to. A manifest that cannot be read stops the sweep: better too much than too
/// little.
fn refer(
    node: &dyn Node,
    objects: &Objects<'_>,
    id: TransactionId,
    referred: &mut Vec<ObjectId>,
) -> Result<()> {
    if exists(node, &id.snapshot())? {
        contents(&Manifest::take(node.read(&id.snapshot())?, None)?, referred);
    }
    for record in state::records(node, id)? {
        // What a way back that is not over has set aside is among it.
        let (Event::Intent { before: manifest, .. }
        | Event::Observed { after: manifest, .. }
        | Event::Reverting { foreign: manifest, .. }) = record.event
        else {
            continue;
        };
        referred.push(manifest);
        let decoded = Manifest::take(objects.read(&manifest)?, None)
            .map_err(|error| Error::new(format!("reading a manifest of transaction {id}"), error))?;
        contents(&decoded, referred);
    }
    Ok(())
}

fn contents(manifest: &Manifest, referred: &mut Vec<ObjectId>) {
    for entry in manifest.entries.values() {
        if let State::File { content, .. } = entry.state {
            referred.push(content);
        }
    }
}
