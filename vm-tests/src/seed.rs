//! Files that lie on a node's disk before anything has booted from it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::{command, output};
use crate::machine::COPY;

/// A file that lies on the node's disk before its first boot.
pub struct Seed {
    pub path: &'static str,
    pub mode: u32,
    pub content: Vec<u8>,
}

/// A copy of a root file system with files put into it, before anything has booted from it.
pub fn seeded(disk: &Path, directory: &Path, seeds: &[Seed]) -> Result<PathBuf> {
    // Beside the node's directory: copies of its overlay outlive the node.
    let copy = directory.with_extension("raw");
    let parts = directory.with_extension("seeds");
    fs::create_dir_all(&parts).with_context(|| format!("creating {}", parts.display()))?;
    output(command("cp", COPY).arg(disk).arg(&copy))?;
    let mut script = String::new();
    for (number, seed) in seeds.iter().enumerate() {
        let source = parts.join(format!("seed{number}"));
        fs::write(&source, &seed.content).context("writing a seed")?;
        // debugfs writes with the caller's mode and owner: both are set afterwards.
        script.push_str(&format!(
            "write {source} {path}\nsif {path} mode 0{mode:o}\nsif {path} uid 0\nsif {path} gid 0\n",
            source = source.display(),
            path = seed.path,
            mode = 0o100_000 | seed.mode
        ));
    }
    let file = parts.join("seeds.debugfs");
    fs::write(&file, script).context("writing a script for debugfs")?;
    debugfs(&copy, &file).context("putting files into the guest's disk")?;
    Ok(copy)
}

/// Runs a script of debugfs on a file system.
pub fn debugfs(disk: &Path, script: &Path) -> Result<()> {
    let done = command("debugfs", ["-w", "-f"]).arg(script).arg(disk).output().context("running debugfs")?;
    let complaints = String::from_utf8_lossy(&done.stderr);
    // debugfs ends with success whatever happened; beyond its version it complains on this channel.
    if complaints.lines().any(|line| !line.starts_with("debugfs ")) {
        bail!("debugfs: {}", complaints.trim());
    }
    Ok(())
}
