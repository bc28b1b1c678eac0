//! The way back of what was made in PVE: what is there now and was not before goes, by PVE's own tools.

use super::{DEMAND, KEYS, PVESH, PVEUM, call, seen};
use crate::change::PATIENCE_BACK_SECONDS;
use crate::error::{Error, Result};
use crate::facts::pve::{Access, FACTORS_PATH, REALMS_PATH, USERS_PATH};
use crate::handover;
use crate::node::Node;
use crate::transaction::record::PveInverse;
use std::path::{Path, PathBuf};

/// Secrets of API tokens.
const TOKENS_PATH: &str = "/etc/pve/priv/token.cfg";

/// A tool waits ten seconds for a lock; pmxcfs lets one that a dead process left behind go after two minutes, and an
/// enrolment takes two locks, one in the other.
const TRIES: u32 = 30;

/// Takes it back; believes the files alone. Safe to repeat.
pub fn undo(node: &dyn Node, inverse: &PveInverse) -> Result<()> {
    handover::remove(node, &inverse.title)?;
    sweep(node)?;
    let access = seen(node)?;
    let (user, name) = (inverse.user.as_str(), inverse.name.as_str());
    let new = inverse.was.is_empty();
    let token = format!("{user}!{name}");
    match inverse.kind.as_str() {
        "user" => match access.user(user) {
            Some(_) if new => again(node, PVEUM, &["user", "delete", user])?,
            Some(found) => match inverse.was.as_slice() {
                [enable, expire] if found.may_log_in() => {
                    again(node, PVEUM, &["user", "modify", user, "--enable", enable, "--expire", expire])?
                }
                _ => return Ok(()),
            },
            None => return Ok(()),
        },
        "role" => {
            let ours = [inverse.path.as_str(), user, name];
            if !new || !access.acls.iter().any(|acl| *acl == ours) {
                return Ok(());
            }
            again(node, PVEUM, &["acl", "delete", &inverse.path, "--users", user, "--roles", name])?;
        }
        "token" if new && access.tokens.contains(&token) => {
            again(node, PVEUM, &["user", "token", "delete", user, name])?;
        }
        "recovery" if new && access.factors(user, "recovery").next().is_some() => {
            again(node, PVESH, &["delete", &format!("/access/tfa/{user}/recovery")])?;
        }
        "realm" if new && access.demanded(name) == Some(DEMAND) => {
            again(node, PVEUM, &["realm", "modify", name, "--delete", "tfa"])?;
        }
        "totp" => factor(node, inverse, &access)?,
        _ => return Ok(()),
    }
    super::super::sync_pmxcfs(node)
}

/// Removes what a killed tool left beside its file: `tfa.cfg.tmp.PID` holds secrets (pve-contract 4.3). Under the file's
/// lock nobody is about to give it its name.
fn sweep(node: &dyn Node) -> Result<()> {
    for path in [USERS_PATH, REALMS_PATH, FACTORS_PATH, TOKENS_PATH].map(Path::new) {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { continue };
        let waiting = format!("{}.tmp.", name.to_string_lossy());
        if node.lookup(directory)?.is_none() || left_over(node, directory, &waiting)?.is_empty() {
            continue;
        }
        super::super::cluster_locked(node, path, PATIENCE_BACK_SECONDS, &mut || {
            for path in left_over(node, directory, &waiting)? {
                node.remove_file(&path)?;
            }
            super::super::sync_pmxcfs(node)
        })?;
    }
    Ok(())
}

fn left_over(node: &dyn Node, directory: &Path, start: &str) -> Result<Vec<PathBuf>> {
    let names = node.list(directory)?;
    let names = names.iter().filter(|name| name.to_string_lossy().starts_with(start));
    Ok(names.map(|name| directory.join(name)).collect())
}

/// Removes our entries that were not there before, and the mark that PVE leaves in `user.cfg` when an enrolment fails:
/// with it, nobody sees that there is no factor (pve-observed 3.4).
fn factor(node: &dyn Node, inverse: &PveInverse, access: &Access) -> Result<()> {
    let user = inverse.user.as_str();
    let ours =
        |id: &str, description: &str| description == inverse.name && !inverse.was.iter().any(|was| was == id);
    for factor in access.factors(user, "totp") {
        if ours(&factor.id, &factor.description) {
            again(node, PVESH, &["delete", &format!("/access/tfa/{user}/{}", factor.id)])?;
        }
    }
    let left = seen(node)?;
    let marked = left.user(user).is_some_and(|user| user.keys == "x");
    let others = left.factors.iter().any(|factor| factor.user == user) || left.factors_damaged;
    if marked && !others && !inverse.was.iter().any(|was| was == KEYS) {
        again(node, PVEUM, &["user", "tfa", "delete", user])?;
    }
    Ok(())
}

/// Waits for a lock that a dead run of ours may have left behind.
fn again(node: &dyn Node, program: &str, arguments: &[&str]) -> Result<()> {
    let invocation = call(program, arguments);
    let mut tries = 0;
    loop {
        tries += 1;
        let output = node.run(&invocation)?;
        if output.success() {
            return Ok(());
        }
        if tries == TRIES || !output.stderr.contains("lock request timeout") {
            return Err(Error::new(format!("running {}", invocation.line()), invocation.complaint(&output)));
        }
    }
}
