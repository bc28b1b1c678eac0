//! The device nodes of a root file system, for one who may not make any: the root of a user namespace.
//!
//! A guest that boots needs none of them, but a disk that is mounted without a boot (`power/`) does.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::seed;

/// Those that mmdebstrap makes, all of them open to everybody: name, major and minor number.
const NODES: &[(&str, u32, u32)] = &[
    ("console", 5, 1),
    ("full", 1, 7),
    ("null", 1, 3),
    ("ptmx", 5, 2),
    ("random", 1, 8),
    ("tty", 5, 0),
    ("urandom", 1, 9),
    ("zero", 1, 5),
];

/// What tar must leave out.
pub fn excluded() -> impl Iterator<Item = String> {
    NODES.iter().map(|(name, ..)| format!("--exclude=./dev/{name}"))
}

/// Writes them into the finished file system, past the kernel.
pub fn add(disk: &Path) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new().context("making a temporary file")?;
    file.write_all(script().as_bytes()).context("writing a script for debugfs")?;
    seed::debugfs(disk, file.path()).context("making device nodes in the image")
}

fn script() -> String {
    let mut script = "cd /dev\n".to_owned();
    for (name, major, minor) in NODES {
        // debugfs chooses a mode of its own.
        script.push_str(&format!("mknod {name} c {major} {minor}\nsif {name} mode 020666\n"));
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_made() {
        assert!(excluded().any(|option| option == "--exclude=./dev/null"));
        assert!(script().contains("\nmknod null c 1 3\nsif null mode 020666\n"));
    }
}
