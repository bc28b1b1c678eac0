//! What happened on this node and what is true now: a fold over the journals, for people and for programs.
//!
//! Reads only, except [`write_file`], and never takes the lock: a `status` at the wrong moment must not make
//! the first boot find the lock held.

mod fold;
pub mod json;
mod story;
#[cfg(test)]
mod tests;
pub mod text;
pub mod time;

pub use fold::{Evidence, Outcome, Status, fold};
pub use story::{Checked, Standing, StepOutcome, StepStory, Story};

use crate::audit::record;
use crate::error::Result;
use crate::factor;
use crate::node::{Node, boot_id, exists};
use crate::transaction::holder;
use crate::transaction::journal::read_records;
use crate::transaction::record::{Event, Record};
use crate::transaction::state::{HOOK_PATH, STATUS_PATH, records, transactions, write_atomically};
use std::path::Path;
use std::time::Duration;

/// PVE starts the first-boot executable while this is there, and removes it after success.
pub const PENDING_PATH: &str = "/var/lib/proxmox-first-boot/pending-first-boot-setup";

/// Reads what happened.
pub fn read(node: &dyn Node) -> Result<Status> {
    read_with(node, holder(node)?)
}

/// Writes `status.json` for other programs, whole or not at all. For the holder of the lock, at the end of its
/// work: the lock does not count.
pub fn write_file(node: &dyn Node) -> Result<Status> {
    let status = read_with(node, None)?;
    write_atomically(node, Path::new(STATUS_PATH), json::value(&status).to_string().as_bytes())?;
    Ok(status)
}

/// Waits until nothing more happens by itself in this boot; `None` when `limit` was not enough.
pub fn wait(node: &dyn Node, limit: Duration) -> Result<Option<Status>> {
    let deadline = node.boottime().saturating_add(limit.as_millis().try_into().unwrap_or(u64::MAX));
    loop {
        let status = read(node)?;
        if status.settled {
            return Ok(Some(status));
        }
        let left = deadline.saturating_sub(node.boottime());
        if left == 0 {
            return Ok(None);
        }
        node.sleep(Duration::from_millis(left.min(1000)));
    }
}

fn read_with(node: &dyn Node, holder: Option<u32>) -> Result<Status> {
    let mut stories = Vec::new();
    for id in transactions(node)? {
        stories.push(match records(node, id) {
            Ok(records) => Story::read(id, &records),
            Err(error) => Story::damaged(id, error.to_string()),
        });
    }
    let hook = Path::new(HOOK_PATH);
    let hook = if exists(node, hook)? {
        // Without it nobody knows how many tries there were: the hook has given up.
        read_records(node, hook).unwrap_or_else(|error| {
            let event = Event::Ended { outcome: "gave-up".to_owned(), message: error.to_string() };
            vec![Record { at: 0, event }]
        })
    } else {
        Vec::new()
    };
    let boot = boot_id(node);
    let pending = exists(node, Path::new(PENDING_PATH))?;
    let (unverified, unacknowledged) = (factor::unverified(node), factor::unacknowledged(node));
    let (up, now) = (node.boottime(), node.now());
    let audit = record::last(node);
    Ok(fold(Evidence { stories, hook, holder, pending, unverified, unacknowledged, audit, boot, up, now }))
}
