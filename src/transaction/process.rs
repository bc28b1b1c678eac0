//! Processes as the kernel tells of them: who holds the lock, who is whose child, what a dead run left running.

use super::state::LOCK_PATH;
use crate::error::Result;
use crate::node::{Node, RUN_VARIABLE, read_text};
use std::path::{Path, PathBuf};

const LOCKS_PATH: &str = "/proc/locks";
/// More generations than anybody logs in through.
const GENERATIONS: usize = 32;

/// The process that holds the lock: the one that has written itself into it, if it still does.
pub fn holder(node: &dyn Node) -> Result<Option<u32>> {
    let Some(text) = read_text(node, Path::new(LOCK_PATH))? else { return Ok(None) };
    let Ok(process) = text.trim().parse() else { return Ok(None) };
    Ok(holds(node, process)?.then_some(process))
}

/// Whether the process holds the lock, by the kernel's own list: `LOCK: FLOCK ADVISORY WRITE PID DEVICE:INODE …`.
pub(super) fn holds(node: &dyn Node, process: u32) -> Result<bool> {
    let Some(metadata) = node.lookup(Path::new(LOCK_PATH))? else { return Ok(false) };
    let locks = read_text(node, Path::new(LOCKS_PATH))?.unwrap_or_default();
    let (process, inode) = (process.to_string(), metadata.identity.1.to_string());
    Ok(locks.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[_, "FLOCK", _, _, holder, file, ..] = words.as_slice() else { return false };
        // Device numbers are not compared: Btrfs and overlayfs show another one here than `stat` does. So a file of
        // another disk may have the number of ours, and somebody else hold that one.
        holder == process && file.rsplit(':').next() == Some(inode.as_str())
    }))
}

/// Whether a process descends from one of that name: an SSH session, whatever lies between (sudo, a shell).
pub fn descends_from(node: &dyn Node, mut process: u32, names: &[&str]) -> bool {
    for _ in 0..GENERATIONS {
        match stat(node, process) {
            Some(stat) if names.contains(&stat.name.as_str()) => return true,
            Some(stat) if stat.parent > 1 => process = stat.parent,
            _ => break,
        }
    }
    false
}

/// When a process began, in the kernel's ticks; 0 when there is no such process.
pub(super) fn began(node: &dyn Node, process: u32) -> u64 {
    stat(node, process).map_or(0, |stat| stat.began)
}

/// Children of a run and their descendants, by the word in their environment: they live on when the run is killed.
/// What systemd started for them is not among them. Where `/proc` is not mounted (a rescue system), nobody can tell.
pub(super) fn left_behind(node: &dyn Node, run: u32) -> Vec<u32> {
    let word = format!("{RUN_VARIABLE}={run}");
    let mut left = Vec::new();
    for name in node.list(Path::new("/proc")).unwrap_or_default() {
        let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // One that ends while it is looked at is none.
        let environment = node.read(&place(process).join("environ")).unwrap_or_default();
        if environment.split(|&byte| byte == 0).any(|variable| variable == word.as_bytes()) {
            left.push(process);
        }
    }
    left
}

struct Stat {
    name: String,
    parent: u32,
    began: u64,
}

fn place(process: u32) -> PathBuf {
    Path::new("/proc").join(process.to_string())
}

/// `PID (NAME) STATE PARENT … BEGAN …`; the name may hold anything, brackets too.
fn stat(node: &dyn Node, process: u32) -> Option<Stat> {
    let text = read_text(node, &place(process).join("stat")).ok()??;
    let (head, tail) = text.rsplit_once(')')?;
    let words: Vec<&str> = tail.split_whitespace().collect();
    Some(Stat {
        name: head.split_once('(')?.1.to_owned(),
        parent: words.get(1)?.parse().ok()?,
        began: words.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::scripted::Scripted;

    #[test]
    fn j3_an_ssh_session_is_known_through_sudo_and_shells() {
        let node = Scripted::new();
        let rest = "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 777 0";
        for (process, name, parent) in
            [(40, "firstlight", 30), (30, "sudo) S 1 (", 20), (20, "sshd-session", 10), (10, "sshd", 1)]
        {
            node.files.put(&format!("/proc/{process}/stat"), format!("{process} ({name}) S {parent} {rest}"));
        }
        assert!(descends_from(&node, 40, &["sshd", "sshd-session"]));
        assert!(!descends_from(&node, 40, &["login"]));
        assert!(!descends_from(&node, 41, &["sshd"]), "no such process");
        assert_eq!(began(&node, 30), 777);
    }

    #[test]
    fn j3_a_lock_of_the_same_number_on_another_disk_hides_nobody() {
        let node = Scripted::new();
        node.files.put(LOCK_PATH, "412\n");
        let inode = node.lookup(Path::new(LOCK_PATH)).unwrap().unwrap().identity.1;
        let other = format!("1: FLOCK  ADVISORY  WRITE 77 00:19:{inode} 0 EOF\n");
        node.files.put(LOCKS_PATH, format!("{other}2: FLOCK  ADVISORY  WRITE 412 fd:01:{inode} 0 EOF\n"));
        assert!(holds(&node, 412).unwrap());
        assert_eq!(holder(&node).unwrap(), Some(412));
        node.files.put(LOCKS_PATH, other);
        assert!(!holds(&node, 412).unwrap());
        assert_eq!(holder(&node).unwrap(), None, "somebody else's lock is no run of ours");
    }

    #[test]
    fn j3_children_of_a_dead_run_are_told_from_everybody_elses() {
        let node = Scripted::new();
        node.files.put("/proc/50/environ", "PATH=/bin\0FIRSTLIGHT_RUN=7\0");
        node.files.put("/proc/51/environ", "FIRSTLIGHT_RUN=77\0");
        node.files.put("/proc/52/environ", "A=FIRSTLIGHT_RUN=7\0");
        node.files.put("/proc/53/comm", "gone");
        assert_eq!(left_behind(&node, 7), [50]);
    }
}
