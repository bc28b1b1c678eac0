//! A host key of the SSH server, made anew with more bits by `ssh-keygen` (row A6).

use super::file::waiting_path;
use super::{HostKeyChange, Need};
use crate::error::Result;
use crate::manifest::Scope;
use crate::node::{Invocation, Node, exists, run_checked};
use crate::plan::View;
use crate::transaction::record::Inverse;
use std::path::{Path, PathBuf};

const SSH_KEYGEN: &str = "/usr/bin/ssh-keygen";
const PVECM: &str = "/usr/bin/pvecm";
/// Looking for two large primes has no upper bound; under emulation a minute is common.
const MAKE_SECONDS: u64 = 900;

/// Bits of a key; `None` when there is no such key. `ssh-keygen -l` prints them first.
pub fn bits(node: &dyn Node, path: &Path) -> Result<Option<u32>> {
    let public = public_path(path);
    if !exists(node, &public)? {
        return Ok(None);
    }
    let output = node.run(&Invocation::new(SSH_KEYGEN, &["-l", "-f", &public.to_string_lossy()]))?;
    Ok(output.stdout.split_whitespace().next().and_then(|word| word.parse().ok()))
}

/// The files of the pair, and where the new ones wait.
pub fn scopes(change: &HostKeyChange) -> Vec<Scope> {
    let waiting = waiting_path(&change.path);
    let parent = change.path.parent().map(Path::to_owned);
    let pair = [public_path(&change.path), change.path.clone(), public_path(&waiting), waiting];
    parent.into_iter().chain(pair).map(Scope::Entry).collect()
}

/// What is missing for the key to have as many bits as wanted.
pub fn need(node: &dyn Node, change: &HostKeyChange) -> Result<Option<Need>> {
    Ok(bits(node, &change.path)?.filter(|bits| *bits < change.bits).map(|bits| Need {
        title: format!(
            "host key {}: made anew, {} bits instead of {bits}",
            change.path.display(),
            change.bits
        ),
        view: View::Lines(vec!["clients that know the old key will ask about the new one".to_owned()]),
    }))
}

/// The paths; and on PVE, what it publishes of them.
pub fn inverse(node: &dyn Node) -> Result<Inverse> {
    Ok(if exists(node, Path::new(PVECM))? { Inverse::HostKey } else { Inverse::Paths })
}

/// Makes the pair beside the old one, then lets it take its place.
pub fn make(node: &dyn Node, change: &HostKeyChange) -> Result<()> {
    let waiting = waiting_path(&change.path);
    let public = public_path(&waiting);
    for path in [&waiting, &public] {
        if exists(node, path)? {
            node.remove_file(path)?;
        }
    }
    let (bits, file) = (change.bits.to_string(), waiting.to_string_lossy().into_owned());
    let arguments = ["-q", "-t", "rsa", "-b", &bits, "-N", "", "-f", &file];
    run_checked(node, &Invocation::new(SSH_KEYGEN, &arguments).limit(MAKE_SECONDS))?;
    node.sync_file(&waiting)?;
    node.sync_file(&public)?;
    node.rename(&public, &public_path(&change.path))?;
    node.rename(&waiting, &change.path)?;
    if let Some(parent) = change.path.parent() {
        node.sync_directory(parent)?;
    }
    publish(node)
}

/// PVE publishes the RSA host key to whoever asks for this node (pve-contract 4.6).
pub fn publish(node: &dyn Node) -> Result<()> {
    if exists(node, Path::new(PVECM))? {
        run_checked(node, &Invocation::new(PVECM, &["updatecerts"]).limit(120))?;
    }
    Ok(())
}

fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Change;
    use crate::node::scripted::Scripted;

    const KEY: &str = "/etc/ssh/ssh_host_rsa_key";

    fn node() -> Scripted {
        let node = Scripted::new();
        node.files.put(KEY, "old");
        node.files.put("/etc/ssh/ssh_host_rsa_key.pub", "ssh-rsa old");
        node.on("/usr/bin/ssh-keygen -l", |files, _| {
            let old = files.text("/etc/ssh/ssh_host_rsa_key.pub").contains("old");
            let stdout = format!("{} SHA256:x root@pve1 (RSA)\n", if old { 3072 } else { 4096 });
            crate::node::Output { status: 0, stdout, stderr: String::new() }
        });
        node.on("/usr/bin/ssh-keygen -q", |files, invocation| {
            let file = invocation.arguments.last().unwrap();
            files.put(file, "new");
            files.put(&format!("{file}.pub"), "ssh-rsa new");
            crate::node::Output { status: 0, stdout: String::new(), stderr: String::new() }
        });
        node
    }

    fn change() -> Change {
        Change::HostKey(HostKeyChange { path: KEY.into(), bits: 4096 })
    }

    #[test]
    fn a6_a_host_key_with_too_few_bits_is_made_anew_once() {
        let node = node();
        let need = change().need(&node).unwrap().unwrap();
        assert_eq!(need.title, "host key /etc/ssh/ssh_host_rsa_key: made anew, 4096 bits instead of 3072");
        change().effect(&node).unwrap();
        assert_eq!(node.files.text(KEY), "new");
        assert_eq!(node.files.text("/etc/ssh/ssh_host_rsa_key.pub"), "ssh-rsa new");
        assert!(change().need(&node).unwrap().is_none());
        assert!(!node.ran().iter().any(|line| line.contains("pvecm")), "there is no PVE here");
    }

    #[test]
    fn a6_pve_publishes_the_new_key_and_the_old_one_again() {
        let node = node();
        node.files.put(PVECM, "");
        node.says("/usr/bin/pvecm updatecerts", "");
        let inverse = change().inverse(&node, &mut Vec::new()).unwrap();
        change().effect(&node).unwrap();
        crate::change::settle(&node, &inverse).unwrap();
        let published = node.ran().iter().filter(|line| line.contains("updatecerts")).count();
        assert_eq!(published, 2);
    }
}
