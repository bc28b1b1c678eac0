//! `visudo -c` on the whole of sudoers, as staged.

use super::include::{below, file_name, words};
use super::stage::Stage;
use super::{VISUDO_PROGRAM, Verdict};
use crate::error::Result;
use crate::node::Invocation;
use std::path::{Path, PathBuf};

const SUDOERS_PATH: &str = "/etc/sudoers";
/// `%h` in an include is the host name; such a line is left as it is, and reads the node's file.
const HOST_ESCAPE: &str = "%h";

pub(super) fn run(stage: &Stage<'_>) -> Result<Verdict> {
    stage.copy(Path::new(SUDOERS_PATH), &rewrite)?;
    let sudoers = stage.text(Path::new(SUDOERS_PATH));
    let output = stage.node.run(&Invocation::new(VISUDO_PROGRAM, &["-c", "-f", &sudoers]))?;
    Ok(if output.success() { Verdict::Passed } else { Verdict::Failed(stage.real(&output.complaint())) })
}

/// Points `@include` and `@includedir` into the stage; `#` in place of `@` is the old spelling (sudoers(5)).
fn rewrite(stage: &Stage<'_>, path: &Path, text: &str) -> Result<(String, Vec<PathBuf>)> {
    let (mut lines, mut includes) = (String::with_capacity(text.len() + 64), Vec::new());
    let directory = path.parent().unwrap_or(Path::new("/")).display().to_string();
    for line in text.lines() {
        match include(line) {
            Some((kind, name)) => {
                let name = PathBuf::from(below(&directory, &name));
                if kind == "includedir" {
                    stage.make_directories(&stage.path(&name))?;
                    let files = stage.files_in(&name)?;
                    includes.extend(files.into_iter().filter(|file| is_read_by_sudo(file)));
                } else {
                    includes.push(name.clone());
                }
                lines.push_str(&format!("@{kind} {}", stage.text(&name)));
            }
            None => lines.push_str(line),
        }
        lines.push('\n');
    }
    Ok((lines, includes))
}

/// `include` or `includedir`, and the name behind it.
fn include(line: &str) -> Option<(&'static str, String)> {
    let directive = line.trim().strip_prefix(['@', '#'])?;
    let (kind, rest) = match directive.strip_prefix("includedir") {
        Some(rest) => ("includedir", rest),
        None => ("include", directive.strip_prefix("include")?),
    };
    if !rest.starts_with([' ', '\t']) || rest.contains(HOST_ESCAPE) {
        return None;
    }
    words(rest).into_iter().next().map(|name| (kind, name))
}

/// Packages' left-overs and editors' backups are skipped (sudoers(5)).
fn is_read_by_sudo(path: &Path) -> bool {
    let name = file_name(path);
    !name.contains('.') && !name.ends_with('~')
}
