//! What a run hands over once: TOTP secrets, recovery keys, tokens. Kept in memory (`/run`) until somebody has seen it,
//! or in the file that the answer asks for; never in the journal, the plan, a report or `status`.
//!
//! A step adds its own section before it is done, and its way back takes that section out again.

use crate::change::waiting_path;
use crate::error::Result;
use crate::node::{Node, exists, read_text};
use crate::profile::Handover;
use crate::transaction::state::{RUN_DIR, make_directories, prepare, write_atomically};
use std::path::Path;

/// Where it lies with `handover = "file"`.
pub const FILE_PATH: &str = "/root/firstlight-handover.txt";
/// Where it lies until the console has shown it, and the next boot takes it away.
pub const RUN_PATH: &str = "/run/firstlight/handover.txt";

/// Headings of what can be shown once only and was shown on a console, until somebody has acknowledged it.
const SHOWN_PATH: &str = "/var/lib/firstlight/shown-once";

const MARK: &str = "## ";

/// Adds a section, in the place of one with the same heading; durable.
pub fn add(node: &dyn Node, to: Handover, heading: &str, body: &str) -> Result<()> {
    let path = match to {
        Handover::Console => Path::new(RUN_PATH),
        Handover::File => Path::new(FILE_PATH),
    };
    if to == Handover::Console {
        make_directories(node, Path::new(RUN_DIR))?;
        // A TOTP secret can be shown again at any time.
        if !heading.starts_with("TOTP") {
            prepare(node)?;
            note(node, heading, true)?;
        }
    }
    let text = without(&read_text(node, path)?.unwrap_or_default(), heading);
    write_atomically(node, path, format!("{text}{MARK}{heading}\n\n{body}\n\n").as_bytes())
}

/// Takes a section out, wherever it is, and the file with its last one. Safe to repeat.
pub fn remove(node: &dyn Node, heading: &str) -> Result<()> {
    remove_from(node, FILE_PATH, heading)?;
    remove_from(node, RUN_PATH, heading)?;
    note(node, heading, false)
}

/// Forgets what is a user's: they have seen it. What the answer wants in a file stays there until its owner removes it: PVE
/// shows recovery keys once.
pub fn seen(node: &dyn Node, user: &str) -> Result<()> {
    for (heading, _) in pending(node)?.iter().filter(|(heading, _)| is_of(heading, user)) {
        remove_from(node, RUN_PATH, heading)?;
    }
    for heading in unacknowledged(node)?.iter().filter(|heading| is_of(heading, user)) {
        note(node, heading, false)?;
    }
    Ok(())
}

/// Whether a heading names this user: `recovery keys of USER`, `TOTP of USER, second device`, `PVE API token USER!NAME`.
pub fn is_of(heading: &str, user: &str) -> bool {
    heading.split([' ', ',', '!']).any(|word| word == user)
}

/// Headings of what was shown on a console and nobody has acknowledged, in this boot or an earlier one.
pub fn unacknowledged(node: &dyn Node) -> Result<Vec<String>> {
    let text = read_text(node, Path::new(SHOWN_PATH))?.unwrap_or_default();
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Notes durably that it was shown, or that it need not be any more.
fn note(node: &dyn Node, heading: &str, shown: bool) -> Result<()> {
    let mut headings = unacknowledged(node)?;
    if headings.iter().any(|known| known == heading) == shown {
        return Ok(());
    }
    headings.retain(|known| known != heading);
    if shown {
        headings.push(heading.to_owned());
    }
    write_atomically(node, Path::new(SHOWN_PATH), (headings.join("\n") + "\n").as_bytes())
}

fn remove_from(node: &dyn Node, path: &str, heading: &str) -> Result<()> {
    let path = Path::new(path);
    let waiting = waiting_path(path);
    if exists(node, &waiting)? {
        node.remove_file(&waiting)?;
    }
    let Some(text) = read_text(node, path)? else { return Ok(()) };
    let rest = without(&text, heading);
    if rest.is_empty() {
        node.remove_file(path)?;
        return path.parent().map_or(Ok(()), |parent| node.sync_directory(parent));
    }
    if rest != text { write_atomically(node, path, rest.as_bytes()) } else { Ok(()) }
}

/// What nobody has acknowledged yet: headings and bodies.
pub fn pending(node: &dyn Node) -> Result<Vec<(String, String)>> {
    let text = read_text(node, Path::new(RUN_PATH))?.unwrap_or_default();
    let section = |part: &str| {
        let (heading, body) = part.split_once('\n')?;
        Some((heading.trim().to_owned(), body.trim().to_owned()))
    };
    Ok(parts(&text).filter_map(section).collect())
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n')
        .scan(0, |start, line| {
            let begin = *start;
            *start += line.len();
            Some((begin, line))
        })
        .filter(|(_, line)| line.starts_with(MARK))
        .filter_map(|(begin, _)| {
            let rest = text.get(begin + MARK.len()..)?;
            let end = rest.find("\n## ").map_or(rest.len(), |end| end + 1);
            rest.get(..end)
        })
}

fn without(text: &str, heading: &str) -> String {
    let others = parts(text).filter(|part| part.lines().next() != Some(heading));
    others.map(|part| format!("{MARK}{part}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Kind;
    use crate::node::scripted::Scripted;

    #[test]
    fn c4_sections_come_and_go_in_a_file_that_root_alone_reads() {
        for (to, path) in [(Handover::File, FILE_PATH), (Handover::Console, RUN_PATH)] {
            let node = Scripted::new();
            node.files.directory("/root");
            add(&node, to, "recovery keys of a", "1\n2").unwrap();
            add(&node, to, "recovery keys of ab", "3").unwrap();
            add(&node, to, "recovery keys of a", "4").unwrap();
            assert_eq!(
                node.files.text(path),
                "## recovery keys of ab\n\n3\n\n## recovery keys of a\n\n4\n\n"
            );
            let found = node.lookup(Path::new(path)).unwrap().unwrap();
            assert_eq!((found.mode, found.kind), (0o600, Kind::File));
            let seen = pending(&node).unwrap();
            assert_eq!(seen.len(), if to == Handover::Console { 2 } else { 0 });
            let noted = unacknowledged(&node).unwrap();
            assert_eq!(noted.len(), if to == Handover::Console { 2 } else { 0 }, "a file is kept: {noted:?}");
            remove(&node, "recovery keys of a").unwrap();
            remove(&node, "recovery keys of a").unwrap();
            assert_eq!(node.files.text(path), "## recovery keys of ab\n\n3\n\n");
            remove(&node, "recovery keys of ab").unwrap();
            assert!(!node.files.has(path) && unacknowledged(&node).unwrap().is_empty());
        }
    }
}
