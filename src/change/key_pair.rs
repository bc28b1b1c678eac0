//! The admin's own key pair, made on the node by `ssh-keygen` (row A3): the public key into the file that sshd reads, the
//! private one to the hand-over. Between the two it lies in memory alone (`/run`), in a directory that only root enters.
//!
//! The line in the file has a mark behind its comment. By it a second run knows that there is a pair.

use super::file::{owner_ids, replace};
use super::{KeyPairChange, Need, with_waiting};
use crate::error::{Error, Result};
use crate::facts::accounts::{PASSWD_PATH, entry};
use crate::facts::{authorized_blob, fingerprint};
use crate::handover;
use crate::manifest::Scope;
use crate::node::{Invocation, Kind, Node, exists, read_text, run_checked};
use crate::plan::View;
use crate::profile::Passphrase;
use crate::transaction::state::{make_directories, remove_tree};
use std::path::Path;

/// Makes keys.
const SSH_KEYGEN: &str = "/usr/bin/ssh-keygen";
const SETSID: &str = "/usr/bin/setsid";
/// For the rounds, on a slow machine.
const SECONDS: u64 = 180;
/// Where the private key lies until it is handed over.
const DIRECTORY: &str = "/run/firstlight/pair";
/// Behind the comment of a line of ours.
pub const MARK: &str = " (made by firstlight)";

/// The public key of the ed25519 pair in `file`, which is made if it is not there. Without a passphrase the rounds count
/// once somebody gives it one (`ssh-keygen -p`).
pub fn public(node: &dyn Node, comment: &str, file: &Path, passphrase: &Passphrase) -> Result<String> {
    if !exists(node, file)? {
        let name = file.to_string_lossy();
        let mut arguments = vec![SSH_KEYGEN, "-q", "-t", "ed25519", "-a", "100", "-C", comment];
        let twice = [passphrase.reveal(), "\n", passphrase.reveal(), "\n"].concat().into_bytes();
        if passphrase.reveal().is_empty() {
            arguments.extend(["-N", ""]);
        } else {
            // It asks on the terminal of its session, and on its input where there is none (readpassphrase(3)).
            arguments.splice(..0, [SETSID, "--wait"]);
        }
        arguments.extend(["-f", &name]);
        let Some((program, arguments)) = arguments.split_first() else { return Ok(String::new()) };
        run_checked(node, &Invocation::new(program, arguments).input(twice).limit(SECONDS))?;
        // Whatever the umask and the file system made of it.
        node.set_mode(file, 0o600)?;
    }
    Ok(read_text(node, &file.with_extension("pub"))?.unwrap_or_default())
}

/// Heading of the hand-over.
pub fn title(change: &KeyPairChange) -> String {
    [handover::SSH_KEY, &change.name].concat()
}

/// The file, and where the new text waits.
pub fn scopes(change: &KeyPairChange) -> Vec<Scope> {
    with_waiting(&change.path)
}

/// What is missing for there to be a pair.
pub fn need(node: &dyn Node, change: &KeyPairChange) -> Result<Option<Need>> {
    if String::from_utf8_lossy(&content(node, &change.path)?).lines().any(is_ours) {
        return Ok(None);
    }
    let line = "ed25519, made on the node; the private key is handed over once".to_owned();
    Ok(Some(Need { title: [&title(change), ": new"].concat(), view: View::Lines(vec![line]) }))
}

/// Makes the pair and hands it over.
pub fn make(node: &dyn Node, change: &KeyPairChange) -> Result<()> {
    let owner = owner_ids(node, &change.name)?;
    let mut content = content(node, &change.path)?;
    let directory = Path::new(DIRECTORY);
    remove_tree(node, directory)?;
    make_directories(node, directory)?;
    let file = directory.join("id");
    let public = public(node, &change.comment, &file, &change.passphrase)?;
    let private = read_text(node, &file)?.unwrap_or_default();
    handover::add(node, change.handover, &title(change), private.trim_end())?;
    if content.last().is_some_and(|last| *last != b'\n') {
        content.push(b'\n');
    }
    content.extend_from_slice([public.trim_end(), MARK, "\n"].concat().as_bytes());
    replace(node, &change.path, &content, 0o600, owner)?;
    remove_tree(node, directory)
}

/// Takes away what was handed over and what lay between. The file is among the paths.
pub fn undo(node: &dyn Node, title: &str) -> Result<()> {
    handover::remove(node, title)?;
    remove_tree(node, Path::new(DIRECTORY))
}

/// Adds fingerprints of the keys that were made for this user.
pub fn made(node: &dyn Node, name: &str, keys: &mut Vec<String>) {
    let passwd = read_text(node, Path::new(PASSWD_PATH)).ok().flatten().unwrap_or_default();
    let Some(entry) = entry(&passwd, name) else { return };
    let content = content(node, &Path::new(entry.home).join(".ssh/authorized_keys")).unwrap_or_default();
    for line in String::from_utf8_lossy(&content).lines().filter(|line| is_ours(line)) {
        keys.extend(authorized_blob(line).and_then(fingerprint));
    }
}

fn is_ours(line: &str) -> bool {
    line.ends_with(MARK) && authorized_blob(line).is_some()
}

/// What the file holds, which need not be text; never through a link, which the user could have put there.
fn content(node: &dyn Node, path: &Path) -> Result<Vec<u8>> {
    match node.lookup(path)? {
        None => Ok(Vec::new()),
        Some(found) if found.kind == Kind::File => node.read_seen(path, &found),
        Some(_) => Err(Error::new(format!("reading {}", path.display()), "it is no regular file")),
    }
}

#[cfg(test)]
mod tests;
