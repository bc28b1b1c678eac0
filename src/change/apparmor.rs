//! A file of AppArmor's profiles: read by the kernel, and enforced.
//!
//! What makes a profile complain alone, or keeps it out, is a link of its file's name in one of two directories, or a
//! flag in the file (apparmor_parser(8)). `aa-enforce` does the same, and is of a package that PVE does not have.

use super::file::replace;
use super::{Need, with_parent, with_waiting};
use crate::error::Result;
use crate::facts::apparmor::{
    DIRECTORY, ENFORCE, LOADED_PATH, RELAXING, enforcing, has_flag, mode, profiles, read_with,
};
use crate::gate::APPARMOR_PROGRAM;
use crate::manifest::Scope;
use crate::node::{Invocation, Node, exists, read_text, run_checked};
use crate::plan::View;
use crate::transaction::record::Inverse;
use std::path::{Path, PathBuf};

/// Compiling takes its time under emulation.
const LOAD_SECONDS: u64 = 600;

fn links(file: &str) -> [PathBuf; 2] {
    RELAXING.map(|directory| Path::new(DIRECTORY).join(directory).join(file))
}

/// Modes in which the kernel has the profiles of a file that confine; nothing for one that it does not have.
fn modes(node: &dyn Node, file: &str) -> Result<Vec<String>> {
    let loaded = read_text(node, Path::new(LOADED_PATH))?.unwrap_or_default();
    let mut modes = Vec::new();
    for path in read_with(node, file)? {
        for profile in profiles(&read_text(node, &path)?.unwrap_or_default(), file) {
            if !has_flag(&profile.flags, "unconfined") {
                modes.push(mode(&loaded, &profile.name).unwrap_or_default().to_owned());
            }
        }
    }
    Ok(modes)
}

/// Files whose own flags relax, and what is to stand there.
fn rewrites(node: &dyn Node, file: &str) -> Result<Vec<(PathBuf, String)>> {
    let mut changed = Vec::new();
    for path in read_with(node, file)? {
        let before = read_text(node, &path)?.unwrap_or_default();
        let after = enforcing(&before);
        if after != before {
            changed.push((path, after));
        }
    }
    Ok(changed)
}

/// What is missing for the file's profiles to be enforced, now and after a boot.
pub fn need(node: &dyn Node, file: &str) -> Result<Option<Need>> {
    let mut lines = Vec::new();
    for link in links(file) {
        if exists(node, &link)? {
            lines.push(format!("- {}", link.display()));
        }
    }
    lines.extend(
        rewrites(node, file)?.iter().map(|(path, _)| format!("{}: no complain flag", path.display())),
    );
    if lines.is_empty() && modes(node, file)?.iter().all(|mode| mode == ENFORCE) {
        return Ok(None);
    }
    let title = format!("AppArmor profiles of {DIRECTORY}/{file}: enforced");
    Ok(Some(Need { title, view: View::Lines(lines) }))
}

/// The links, and every file that is read.
pub fn scopes(node: &dyn Node, file: &str) -> Result<Vec<Scope>> {
    let mut scopes: Vec<Scope> = links(file).iter().flat_map(|link| with_parent(link)).collect();
    scopes.extend(read_with(node, file)?.iter().flat_map(|path| with_waiting(path)));
    Ok(scopes)
}

/// Whether the kernel had them before.
pub fn inverse(node: &dyn Node, file: &str) -> Result<Inverse> {
    let loaded = modes(node, file)?.iter().any(|mode| !mode.is_empty());
    Ok(Inverse::AppArmor { file: file.to_owned(), loaded })
}

/// Takes out what relaxes, and gives the file to the kernel.
pub fn make(node: &dyn Node, file: &str) -> Result<()> {
    for link in links(file) {
        if exists(node, &link)? {
            node.remove_file(&link)?;
            link.parent().map_or(Ok(()), |directory| node.sync_directory(directory))?;
        }
    }
    for (path, content) in rewrites(node, file)? {
        replace(node, &path, content.as_bytes(), 0o644, (0, 0))?;
    }
    parser(node, "-r", file)
}

/// The kernel forgets what it did not have, before a link keeps the parser from the file.
pub fn undo(node: &dyn Node, file: &str, loaded_before: bool) -> Result<()> {
    if loaded_before || modes(node, file)?.iter().all(String::is_empty) {
        return Ok(());
    }
    parser(node, "-R", file)
}

/// Once all paths are back: the kernel reads them again.
pub fn settle(node: &dyn Node, file: &str, loaded_before: bool) -> Result<()> {
    if !loaded_before || !exists(node, Path::new(LOADED_PATH))? {
        return Ok(());
    }
    parser(node, "-r", file)
}

/// What was compiled earlier may be from before the change: it is not taken.
fn parser(node: &dyn Node, option: &str, file: &str) -> Result<()> {
    let path = format!("{DIRECTORY}/{file}");
    run_checked(node, &Invocation::new(APPARMOR_PROGRAM, &[option, "-T", &path]).limit(LOAD_SECONDS))
        .map(drop)
}
