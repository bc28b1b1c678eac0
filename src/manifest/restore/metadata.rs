//! Owner, attributes, mode and time of something that stands, changed where they are not right.

use crate::error::{Error, Result};
use crate::manifest::{Entry, State};
use crate::node::{Metadata, Node};
use std::path::Path;

/// Corrects everything but content and time; says whether anything was changed.
///
/// The order matters: bits that nobody shall have go first, so that no new group or removed ACL opens the file for
/// a moment; a new owner takes set-id bits and capabilities away; an ACL changes the mode.
pub(super) fn correct(node: &dyn Node, path: &Path, entry: &Entry) -> Result<bool> {
    let found = standing(node, path)?;
    let mut changed = false;
    if !matches!(entry.state, State::Link { .. }) && found.mode & !entry.mode & !0o700 != 0 {
        node.set_mode(path, found.mode & entry.mode)?;
        changed = true;
    }
    if (found.uid, found.gid) != (entry.uid, entry.gid) {
        changed = true;
        node.set_owner(path, entry.uid, entry.gid)?;
    }
    changed |= correct_attributes(node, path, entry)?;
    if !matches!(entry.state, State::Link { .. }) {
        let mode = if changed { standing(node, path)?.mode } else { found.mode };
        if mode != entry.mode {
            node.set_mode(path, entry.mode)?;
            changed = true;
        }
    }
    Ok(changed)
}

fn correct_attributes(node: &dyn Node, path: &Path, entry: &Entry) -> Result<bool> {
    let found = node.attributes(path)?;
    let mut changed = false;
    for (name, _) in &found {
        if !entry.attributes.iter().any(|(wanted, _)| **wanted == **name) {
            node.set_attribute(path, name, None)?;
            changed = true;
        }
    }
    for (name, value) in &entry.attributes {
        if !found.iter().any(|(has, old)| **has == **name && **old == **value) {
            node.set_attribute(path, name, Some(value))?;
            changed = true;
        }
    }
    Ok(changed)
}

/// Corrects the modification time; says whether it was changed.
pub(super) fn correct_time(node: &dyn Node, path: &Path, entry: &Entry) -> Result<bool> {
    let changed = standing(node, path)?.modified != entry.modified;
    if changed {
        node.set_modified(path, entry.modified)?;
    }
    Ok(changed)
}

fn standing(node: &dyn Node, path: &Path) -> Result<Metadata> {
    let gone = || Error::new(format!("restoring {}", path.display()), "somebody removed it meanwhile");
    node.lookup(path)?.ok_or_else(gone)
}
