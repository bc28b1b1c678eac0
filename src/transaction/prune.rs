//! Forgetting old transactions: their journals and snapshots, and the contents nobody refers to any more.

use super::record::Event;
use super::state::{self, OBJECTS_DIR, TRANSACTIONS_DIR, TransactionId};
use super::story::{Phase, Story};
use crate::error::{Error, Result};
use crate::manifest::{Manifest, State};
use crate::node::{Node, exists};
use crate::objects::{ObjectId, Objects};
use std::collections::BTreeSet;
use std::path::Path;

/// Forgets all but the newest `keep` transactions, then sweeps the contents. A transaction that could still be
/// rolled back next, or is not over, is never forgotten. Returns what was forgotten and how many objects went.
pub fn prune(node: &dyn Node, keep: usize) -> Result<(Vec<TransactionId>, usize)> {
    let all = state::transactions(node)?;
    let old = all.len().saturating_sub(keep);
    let last_standing = state::standing(node)?.last().copied();
    let mut forgotten = Vec::new();
    for id in all.iter().take(old).copied() {
        let unfinished = Story::of(&state::records(node, id)?).phase() == Phase::Unfinished;
        if unfinished || Some(id) == last_standing {
            continue;
        }
        // The journal goes first: without it the directory is nothing, whatever a crash leaves of it.
        node.remove_file(&id.journal())?;
        node.sync_directory(&id.directory())?;
        state::remove_tree(node, &id.directory())?;
        forgotten.push(id);
    }
    if exists(node, Path::new(TRANSACTIONS_DIR))? {
        node.sync_directory(Path::new(TRANSACTIONS_DIR))?;
    }
    let objects = Objects::new(node, Path::new(OBJECTS_DIR));
    let mut referred = BTreeSet::new();
    for id in state::transactions(node)? {
        refer(node, &objects, id, &mut referred)?;
    }
    let swept = objects.sweep(&referred)?;
    Ok((forgotten, swept))
}

/// Everything a transaction refers to. A manifest that cannot be read stops the sweep: better too much than too
/// little.
fn refer(
    node: &dyn Node,
    objects: &Objects<'_>,
    id: TransactionId,
    referred: &mut BTreeSet<ObjectId>,
) -> Result<()> {
    if exists(node, &id.snapshot())? {
        contents(&Manifest::decode(&node.read(&id.snapshot())?)?, referred);
    }
    for record in state::records(node, id)? {
        // What a way back that is not over has set aside is among it.
        let (Event::Intent { before: manifest, .. }
        | Event::Observed { after: manifest, .. }
        | Event::Reverting { foreign: manifest, .. }) = record.event
        else {
            continue;
        };
        referred.insert(manifest);
        let decoded = Manifest::decode(&objects.read(&manifest)?)
            .map_err(|error| Error::new(format!("reading a manifest of transaction {id}"), error))?;
        contents(&decoded, referred);
    }
    Ok(())
}

fn contents(manifest: &Manifest, referred: &mut BTreeSet<ObjectId>) {
    for entry in manifest.entries.values() {
        if let State::File { content, .. } = entry.state {
            referred.insert(content);
        }
    }
}
