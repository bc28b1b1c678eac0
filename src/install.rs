//! The binary and the recovery units on the node: what rolls back is itself part of no transaction.

use crate::areas::AUDIT_TIMER;
use crate::change::{Change, FileChange};
use crate::error::{Error, Result};
use crate::node::{Invocation, Node, exists, run_checked};
use crate::packed::packed;
use crate::payload;
use crate::transaction::state;
use std::path::{Path, PathBuf};

/// Where the binary lives; the package has its own place and its own units.
pub const BINARY_PATH: &str = "/usr/local/sbin/firstlight";
const PACKAGED_BINARY_PATH: &str = "/usr/sbin/firstlight";
const SYSTEMCTL: &str = "/usr/bin/systemctl";
const UNIT_DIR: &str = "/etc/systemd/system";

/// The two recovery units (files before the network, the rest after it), the dead-man timer, which no boot starts, and
/// the audit. Its timer comes with the answer, and starts nothing without the service: it has no text here, and goes too.
fn units() -> [(&'static str, &'static str); 6] {
    [
        ("firstlight-recover-early.service", packed!("firstlight-recover-early.service")),
        ("firstlight-recover.service", packed!("firstlight-recover.service")),
        ("firstlight-deadline.service", packed!("firstlight-deadline.service")),
        ("firstlight-deadline.timer", packed!("firstlight-deadline.timer")),
        ("firstlight-audit.service", packed!("firstlight-audit.service")),
        (AUDIT_TIMER, ""),
    ]
}

/// Copies `executable` (without its payload) and the units to their places and enables the units. Idempotent;
/// nothing is done where the package is installed.
pub fn install(node: &dyn Node, executable: &Path) -> Result<()> {
    state::prepare(node)?;
    if exists(node, Path::new(PACKAGED_BINARY_PATH))? {
        return Ok(());
    }
    let image = node.read(executable)?;
    let mut changed = place(node, BINARY_PATH.into(), payload::executable(&image), 0o755)?;
    for (name, text) in units().iter().filter(|(_, text)| !text.is_empty()) {
        changed |= place(node, Path::new(UNIT_DIR).join(name), text.as_bytes(), 0o644)?;
    }
    if changed || !enabled(node)? {
        run_checked(node, &Invocation::new(SYSTEMCTL, &["daemon-reload"]))?;
        let mut arguments = vec!["--quiet", "enable"];
        arguments.extend(units().iter().filter(|unit| target(unit).is_some()).map(|(name, _)| *name));
        run_checked(node, &Invocation::new(SYSTEMCTL, &arguments))?;
        node.sync_all(Path::new(UNIT_DIR))?;
    }
    Ok(())
}

/// Disables and removes the units, then the binary. Snapshots and journals stay.
pub fn uninstall(node: &dyn Node) -> Result<()> {
    let paths = units().map(|(name, _)| (name, Path::new(UNIT_DIR).join(name)));
    for (name, path) in &paths {
        if exists(node, path)? {
            // Some of them are never enabled, and a timer may still run for a moment.
            run_checked(node, &Invocation::new(SYSTEMCTL, &["--quiet", "disable", name]))?;
            if name.ends_with(".timer") {
                run_checked(node, &Invocation::new(SYSTEMCTL, &["stop", name]))?;
            }
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
    for unit in &units() {
        let (name, Some(wanted_by)) = (unit.0, target(unit)) else { continue };
        if !exists(node, &Path::new(UNIT_DIR).join(format!("{wanted_by}.wants")).join(name))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What starts a unit at boot, if anything does.
fn target((_, text): &(&str, &'static str)) -> Option<&'static str> {
    text.lines().find_map(|line| line.strip_prefix("WantedBy="))
}

#[cfg(test)]
mod tests {
    use super::units;
    use std::path::Path;

    #[test]
    fn a_unit_is_installed_as_it_lies_in_the_source_but_for_its_comments() {
        for (name, text) in units().iter().filter(|(_, text)| !text.is_empty()) {
            let source = std::fs::read_to_string(Path::new("src/install").join(name)).unwrap();
            let lines = |text: &str| -> Vec<String> {
                let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
                lines.map(str::to_owned).collect()
            };
            assert_eq!(lines(text), lines(&source), "{name}");
        }
    }

    #[test]
    fn j3_another_target_does_not_stop_the_keeper_of_the_deadline() {
        for (name, text) in units().iter().filter(|(name, _)| name.starts_with("firstlight-deadline")) {
            let unit = text.split("\n[").next().unwrap_or_default();
            assert!(unit.lines().any(|line| line == "IgnoreOnIsolate=yes"), "{name}");
        }
    }
}
