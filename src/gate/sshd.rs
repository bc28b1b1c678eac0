//! `sshd -t`, and `sshd -T -C` for the connections that must go on working, on the staged configuration.
//!
//! `sshd -t` alone passes for a server that lets nobody in (OpenSSH checks the form, not the meaning).

use super::include::{below, keyword, words};
use super::stage::Stage;
use super::{SSHD_PROGRAM, Verdict};
use crate::error::{Error, Result};
use crate::node::{Invocation, exists};
use crate::observe;
use std::path::{Path, PathBuf};

const CONFIG_PATH: &str = "/etc/ssh/sshd_config";
const CONFIG_DIR: &str = "/etc/ssh";
/// sshd refuses to run without it; ssh.service makes it while it runs (`RuntimeDirectory=sshd`).
const PRIVILEGE_DIR: &str = "/run/sshd";

pub(super) fn run(stage: &Stage<'_>, connections: &[(String, Vec<(String, String)>)]) -> Result<Verdict> {
    if !exists(stage.node, Path::new(PRIVILEGE_DIR))? {
        return Err(Error::new("checking the configuration of sshd", format!("{PRIVILEGE_DIR} is missing"))
            .hint("sshd does not run: start it with `systemctl start ssh`, then try again"));
    }
    stage.copy(Path::new(CONFIG_PATH), &rewrite)?;
    let config = stage.text(Path::new(CONFIG_PATH));
    let output = stage.node.run(&Invocation::new(SSHD_PROGRAM, &["-t", "-f", &config]))?;
    if !output.success() {
        return Ok(Verdict::Failed(stage.real(&output.complaint())));
    }
    for (connection, expected) in connections {
        let invocation = Invocation::new(SSHD_PROGRAM, &["-T", "-f", &config, "-C", connection]);
        let output = stage.node.run(&invocation)?;
        if !output.success() {
            return Ok(Verdict::Failed(stage.real(&output.complaint())));
        }
        for (key, value) in expected {
            if let Err(actual) = observe::sshd_says(&output.stdout, key, std::slice::from_ref(value)) {
                return Ok(Verdict::Failed(format!(
                    "for {connection} sshd would use `{key} {actual}` instead of `{key} {value}`; \
                     another file of its configuration decides that"
                )));
            }
        }
    }
    Ok(Verdict::Passed)
}

/// Points Include lines into the stage. Several may stand in a file, below Match too; relative names are
/// relative to `/etc/ssh` in every file (sshd_config(5)).
fn rewrite(stage: &Stage<'_>, _: &Path, text: &str) -> Result<(String, Vec<PathBuf>)> {
    let (mut lines, mut includes) = (String::with_capacity(text.len() + 64), Vec::new());
    for line in text.lines() {
        let (keyword, arguments) = keyword(line);
        if keyword.eq_ignore_ascii_case("include") {
            lines.push_str("Include");
            for word in words(arguments) {
                let pattern = below(CONFIG_DIR, &word);
                includes.extend(stage.expand(&pattern)?);
                lines.push_str(&format!(" \"{}\"", stage.text(Path::new(&pattern))));
            }
        } else {
            lines.push_str(line);
        }
        lines.push('\n');
    }
    Ok((lines, includes))
}
