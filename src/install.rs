//! The binary and the recovery units on the node: what rolls back is itself part of no transaction.

use crate::change::{Change, FileChange};
use crate::error::{Error, Result};
use crate::node::{Invocation, Node, exists, run_checked};
use crate::payload;
use crate::transaction::state;
use std::path::{Path, PathBuf};

/// Where the binary lives; the package has its own place and its own units.
pub const BINARY_PATH: &str = "/usr/local/sbin/firstlight";
const PACKAGED_BINARY_PATH: &str = "/usr/sbin/firstlight";
const SYSTEMCTL: &str = "/usr/bin/systemctl";
const UNIT_DIR: &str = "/etc/systemd/system";

/// The two recovery units: files before the network, the rest after it.
const UNITS: [(&str, &str); 2] = [
    ("firstlight-recover-early.service", include_str!("install/firstlight-recover-early.service")),
    ("firstlight-recover.service", include_str!("install/firstlight-recover.service")),
];

/// Copies `executable` (without its payload) and the units to their places and enables the units. Idempotent;
/// nothing is done where the package is installed.
pub fn install(node: &dyn Node, executable: &Path) -> Result<()> {
    state::prepare(node)?;
    if exists(node, Path::new(PACKAGED_BINARY_PATH))? {
        return Ok(());
    }
    let image = node.read(executable)?;
    let mut changed = place(node, BINARY_PATH.into(), payload::executable(&image), 0o755)?;
    for (name, text) in UNITS {
        changed |= place(node, Path::new(UNIT_DIR).join(name), text.as_bytes(), 0o644)?;
    }
    if changed || !enabled(node)? {
        run_checked(node, &Invocation::new(SYSTEMCTL, &["daemon-reload"]))?;
        let mut arguments = vec!["--quiet", "enable"];
        arguments.extend(UNITS.iter().map(|(name, _)| *name));
        run_checked(node, &Invocation::new(SYSTEMCTL, &arguments))?;
        node.sync_all(Path::new(UNIT_DIR))?;
    }
    Ok(())
}

/// Disables and removes the units, then the binary. Snapshots and journals stay.
pub fn uninstall(node: &dyn Node) -> Result<()> {
    let paths = UNITS.map(|(name, _)| (name, Path::new(UNIT_DIR).join(name)));
    for (name, path) in &paths {
        if exists(node, path)? {
            run_checked(node, &Invocation::new(SYSTEMCTL, &["--quiet", "disable", name]))?;
        }
    }
    let units = paths.into_iter().map(|(_, path)| path);
    for path in units.chain([PathBuf::from(BINARY_PATH)]) {
        if exists(node, &path)? {
            node.remove_file(&path)?;
        }
    }
    run_checked(node, &Invocation::new(SYSTEMCTL, &["daemon-reload"])).map(drop)
}

/// Replaces the file unless it is right already; whether it had to.
fn place(node: &dyn Node, path: PathBuf, content: &[u8], mode: u32) -> Result<bool> {
    let parent = path.parent().map(Path::to_owned).unwrap_or_default();
    if !exists(node, &parent)? {
        return Err(Error::new(format!("installing {}", path.display()), "its directory does not exist"));
    }
    let change = Change::File(FileChange {
        path,
        content: content.to_vec(),
        mode,
        owner: "root".to_owned(),
        public: true,
    });
    let needed = change.need(node)?.is_some();
    if needed {
        change.effect(node)?;
    }
    Ok(needed)
}

fn enabled(node: &dyn Node) -> Result<bool> {
    for (name, text) in UNITS {
        let wanted_by = text.lines().find_map(|line| line.strip_prefix("WantedBy=")).unwrap_or_default();
        if !exists(node, &Path::new(UNIT_DIR).join(format!("{wanted_by}.wants")).join(name))? {
            return Ok(false);
        }
    }
    Ok(true)
}
