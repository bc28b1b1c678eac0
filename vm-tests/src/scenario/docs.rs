//! Every command of the documentation is run: on a node, as the reader would type it, or by the test that is named for it.

mod sessions;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;

use std::fs;

use anyhow::{Context, Result, ensure};

use self::sessions::{PVE, Place, SESSIONS, Session};
use crate::bench::Bench;
use crate::node::Node;
use crate::progress::say;

/// Seconds of a machine with KVM: a session may hold a run and a rollback.
const SESSION: u64 = 900;
/// Where the sessions find an answer, in the directory they begin in.
const ANSWER: &str = "/root/answer.toml";

/// What an admin types on a node with UFW.
pub fn on_a_node(bench: &mut Bench) -> Result<()> {
    play_all(bench, SESSIONS)
}

/// And on one of PVE.
pub fn on_pve(bench: &mut Bench) -> Result<()> {
    play_all(bench, PVE)
}

fn play_all(bench: &mut Bench, sessions: &[Session]) -> Result<()> {
    let answer = fs::read_to_string(&bench.payload()?.answer).context("reading the answer")?;
    // One thing is different from what the node has: there is something to do.
    let answer = format!("{answer}\n[firstlight.ssh]\nalgorithms = \"strict\"\n");
    let mut wrong = Vec::new();
    for session in sessions {
        let node = match session.place {
            Place::Fresh => bench.armed()?,
            Place::Committed => bench.committed()?,
            Place::Pve => bench.pve_committed()?,
        };
        node.put(ANSWER, answer.as_bytes(), 0o600)?;
        let name = format!("{}: {}", session.files.join(", "), session.lines.first().unwrap_or(&""));
        match play(node, session) {
            Ok(()) => say(format_args!("  {name}: {} commands", session.lines.len())),
            Err(error) => {
                say(format_args!("  {name}: FAILED: {error:#}"));
                wrong.push(name);
            }
        }
    }
    ensure!(wrong.is_empty(), "{} sessions failed: {}", wrong.len(), wrong.join("; "));
    Ok(())
}

/// Types one session at a shell of root's: every command must end well, and what it is for must be true afterwards.
fn play(node: &mut Node, session: &Session) -> Result<()> {
    let mut script = String::from("export PATH=/usr/local/sbin:$PATH LC_ALL=C.UTF-8; cd /root\n");
    script.push_str(&format!(
        "( {} ) || {{ echo 'what was to be there before is not'; exit 1; }}\n",
        session.before
    ));
    for line in session.lines {
        let mut typed = (*line).to_owned();
        for (word, put) in session.words {
            typed = typed.replace(word, put);
        }
        // Only firstlight has a code for "done, but look".
        let good = if line.starts_with("firstlight ") { "0 | 3" } else { "0" };
        script.push_str(&format!(
            "{typed}\ncode=$?; case $code in {good}) ;; *) echo \"ended with $code: {}\"; exit 1 ;; esac\n",
            line.replace(['"', '$', '`', '\\', '\n'], " ")
        ));
    }
    script.push_str(&format!(
        "{} || {{ echo 'what was to be true afterwards is not'; exit 1; }}\n",
        session.after
    ));
    node.put("/root/session", script.as_bytes(), 0o700)?;
    let done = node.run_within("sh /root/session < /dev/null 2>&1", SESSION)?;
    ensure!(done.status == 0, "{}", last_lines(&done.stdout));
    Ok(())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n")
}
