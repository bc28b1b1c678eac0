//! `firstlight bake`: the two files of an unattended installation. For anybody, on any machine.

use super::{Ended, Stop, engine};
use crate::error::{Error, Result};
use crate::node::{Node, exists};
use crate::report::terminal::{print, visible};
use crate::transaction::state::write_atomically;
use std::path::{Path, PathBuf};

/// Writes `answer.toml` and `first-boot` into `out`.
pub fn run(node: &dyn Node, file: &Path, out: &Path, executable: Option<&Path>) -> Ended {
    let answer = engine::read_answer(node, file)?;
    let executable = match executable {
        Some(path) => engine::absolute(path)?,
        None => engine::own_executable()?,
    };
    let baked = engine::bake(&answer, &node.read(&executable)?)?;
    let out = directory(node, out)?;
    let (answer, first_boot) = (out.join("answer.toml"), out.join("first-boot"));
    // Both may hold secrets: nobody else reads them, at no moment.
    write_atomically(node, &answer, baked.answer_toml.as_bytes())?;
    write_atomically(node, &first_boot, &baked.first_boot)?;
    node.set_mode(&first_boot, 0o700)?;
    let (answer, first_boot) = (answer.to_string_lossy(), first_boot.to_string_lossy());
    print(&visible_lines(&format!(
        "{answer}\n{first_boot}, {} bytes\n\nBoth may hold secrets. The next step, where Proxmox's tool is:\n\n  \
         proxmox-auto-install-assistant prepare-iso ISO --fetch-from iso \\\n    --answer-file {answer} \\\n    \
         --on-first-boot {first_boot}\n",
        baked.first_boot.len()
    )));
    Ok(0)
}

/// The directory with all links resolved, because the node never writes through one; made when it is missing.
fn directory(node: &dyn Node, out: &Path) -> std::result::Result<PathBuf, Stop> {
    let out = engine::absolute(out)?;
    if let Ok(resolved) = out.canonicalize() {
        return Ok(resolved);
    }
    let (Some(parent), Some(name)) = (out.parent(), out.file_name()) else { return Ok(out) };
    let made = resolve(parent)?.join(name);
    if !exists(node, &made)? {
        node.make_directory(&made, 0o700)?;
    }
    Ok(made)
}

fn resolve(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| Error::new(format!("finding {}", path.display()), error))
}

fn visible_lines(text: &str) -> String {
    text.lines().map(|line| visible(line) + "\n").collect()
}
