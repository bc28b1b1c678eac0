//! The units' exposure, as systemd counts it, and whether systemd understands them.

use anyhow::{Context, Result, ensure};

use crate::command::{command, output};
use crate::host;
use crate::progress::say;
use crate::workspace::Workspace;

/// Tenths that each may have; docs/units.md says what is in the way of less.
const LIMITS: [(&str, u32); 4] = [
    ("firstlight-audit.service", 28),
    ("firstlight-recover-early.service", 25),
    ("firstlight-recover.service", 75),
    ("firstlight-deadline.service", 75),
];

pub fn run(workspace: &Workspace, _full: bool) -> Result<()> {
    host::install_for_tests(&["systemd-analyze"])?;
    for (name, limit) in LIMITS {
        let path = workspace.root.join("src/install").join(name);
        let threshold = format!("--threshold={limit}");
        let security = ["security", "--offline=true", "--no-pager", &threshold];
        let mut analyze = command("systemd-analyze", security);
        let said = output(analyze.arg(&path))
            .with_context(|| format!("{name} is exposed to more than {}", f64::from(limit) / 10.0))?;
        let last = said.lines().last().unwrap_or_default();
        say(format_args!("{}", last.trim_start_matches(['→', ' '])));
        // A setting that systemd does not know is a word in its log and no error.
        let done = command("systemd-analyze", ["verify", "--man=no"]).arg(&path).output();
        let done = done.context("running systemd-analyze")?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        // The program is not where the unit says, on a machine that is no node.
        let wrong = said.lines().find(|line| line.contains(name) && !line.contains("is not executable"));
        ensure!(wrong.is_none(), "systemd does not understand {name}: {said}");
    }
    Ok(())
}
