//! Programs of the host: run, capture, and an error that names the program.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A program with its arguments, ready for more settings.
pub fn command<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a program and returns its standard output; anything but success is an error with its complaint.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.output().with_context(|| format!("running {name}"))?;
    if !done.status.success() {
        let complaint = String::from_utf8_lossy(&done.stderr);
        let first = command.get_args().next().unwrap_or_default().to_string_lossy().into_owned();
        bail!("running {name} {first}: {}: {}", done.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Runs a program whose output the user sees.
pub fn show(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("running {name}"))?;
    if !status.success() {
        bail!("running {name}: {status}");
    }
    Ok(())
}

/// Where a program is on the search path, sbin directories included.
pub fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(program).is_file())
}
