//! A file of AppArmor's profiles: read by the kernel, and enforced.
//!
//! What makes a profile complain alone, or keeps it out, is a link of its file's name in one of two directories, or a
//! flag in the file (apparmor_parser(8)). `aa-enforce` does the same, and is of a package that PVE does not have.

use super::Need;
use super::file::replace;
use crate::error::Result;
use crate::facts::apparmor::{DIRECTORY, ENFORCE, LOADED_PATH, enforcing, grants, mode, profiles, read_with};
use crate::manifest::Scope;
use crate::node::{Invocation, Node, exists, read_text, run_checked};
use crate::plan::View;
use crate::transaction::record::Inverse;
use std::path::{Path, PathBuf};

const PARSER: &str = "/usr/sbin/apparmor_parser";
/// Compiling takes its time under emulation.
const LOAD_SECONDS: u64 = 600;
const RELAXING: [&str; 2] = ["/etc/apparmor.d/disable/", "/etc/apparmor.d/force-complain/"];

/// A file, and all that is read with it.
#[derive(Default)]
struct Seen {
    /// What relaxes, and what is to stand there: nothing in the place of a link.
    relaxed: Vec<(PathBuf, String)>,
    /// Whether the kernel has one of its profiles.
    loaded: bool,
    /// Whether it enforces them all.
    enforced: bool,
}

fn look(node: &dyn Node, file: &str) -> Result<Seen> {
    let mut seen = Seen { enforced: true, ..Seen::default() };
    for directory in RELAXING {
        let link = PathBuf::from([directory, file].concat());
        if exists(node, &link)? {
            seen.relaxed.push((link, String::new()));
        }
    }
    let loaded = read_text(node, Path::new(LOADED_PATH))?.unwrap_or_default();
    let mut defined = Vec::new();
    for (path, _) in read_with(node, file)? {
        let text = read_text(node, &path)?.unwrap_or_default();
        profiles(&text, file, &mut defined);
        let after = enforcing(&text);
        if after != text {
            seen.relaxed.push((path, after));
        }
    }
    for profile in defined.iter().filter(|profile| !grants(profile)) {
        let mode = mode(&loaded, &profile[1]);
        seen.loaded |= !mode.is_empty();
        seen.enforced &= mode == ENFORCE;
    }
    Ok(seen)
}

/// What is missing for the file's profiles to be enforced, now and after a boot.
pub fn need(node: &dyn Node, file: &str) -> Result<Option<Need>> {
    let seen = look(node, file)?;
    if seen.relaxed.is_empty() && seen.enforced {
        return Ok(None);
    }
    let lines = seen.relaxed.iter().map(|(path, _)| path.display().to_string() + " relaxes them").collect();
    let title = ["AppArmor profiles of ", file, ": enforced"].concat();
    Ok(Some(Need { title, view: View::Lines(lines) }))
}

/// All of AppArmor's files: which are read with which is the parser's affair.
pub fn scopes() -> Vec<Scope> {
    vec![Scope::Tree(DIRECTORY.into())]
}

/// Whether the kernel had them before.
pub fn inverse(node: &dyn Node, file: &str) -> Result<Inverse> {
    Ok(Inverse::AppArmor { file: file.to_owned(), loaded: look(node, file)?.loaded })
}

/// Takes out what relaxes, and gives the file to the kernel.
pub fn make(node: &dyn Node, file: &str) -> Result<()> {
    for (path, content) in look(node, file)?.relaxed {
        if content.is_empty() {
            node.remove_file(&path)?;
        } else {
            replace(node, &path, content.as_bytes(), 0o644, (0, 0))?;
        }
    }
    parser(node, "-r", file)
}

/// The kernel forgets what it did not have, before a link keeps the parser from the file.
pub fn undo(node: &dyn Node, file: &str, loaded_before: bool) -> Result<()> {
    if loaded_before || !look(node, file)?.loaded { Ok(()) } else { parser(node, "-R", file) }
}

/// Once all paths are back: the kernel reads them again.
pub fn settle(node: &dyn Node, file: &str, loaded_before: bool) -> Result<()> {
    if loaded_before && exists(node, Path::new(LOADED_PATH))? { parser(node, "-r", file) } else { Ok(()) }
}

/// What was compiled earlier may be from before the change: it is not taken.
fn parser(node: &dyn Node, option: &str, file: &str) -> Result<()> {
    let path = [DIRECTORY, "/", file].concat();
    run_checked(node, &Invocation::new(PARSER, &[option, "-T", &path]).limit(LOAD_SECONDS)).map(drop)
}
