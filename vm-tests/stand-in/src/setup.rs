//! `stand-in setup`: makes a guest a PVE node as far as tools, units and `/etc/pve` go.
//!
//! The program may lie anywhere: the tools are links to it. Doing it twice does no harm.

mod package;
mod units;

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::context::Context;
use crate::failure::Failure;
use crate::pmxcfs;
use units::UNITS;

/// Where PVE's packages have their programs.
const TOOLS: &[&str] = &[
    "/usr/bin/pmxcfs",
    "/usr/bin/pvecm",
    "/usr/bin/pvedaemon",
    "/usr/bin/pveproxy",
    "/usr/bin/pvesh",
    "/usr/bin/pveversion",
    "/usr/sbin/pve-firewall",
    "/usr/sbin/pveum",
];

/// Where the units go: a package's place, so that enabling them makes the links a package makes.
const UNIT_DIRECTORY: &str = "/usr/lib/systemd/system";

/// Links, units and database, then the units are started in their order; `--no-start` leaves that to the next boot.
pub fn run(context: &Context, arguments: &[String]) -> Result<(), Failure> {
    let start = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => true,
        ["--no-start"] => false,
        _ => return Err(Failure::die("usage: stand-in setup [--no-start]")),
    };
    let failed = |error: io::Error| Failure::die(format!("setting up the stand-in: {error}"));
    let program = std::env::current_exe().map_err(failed)?;
    pmxcfs::import(context).map_err(failed)?;
    for tool in TOOLS {
        link(&program, &context.path(tool)).map_err(failed)?;
    }
    for (name, text) in UNITS {
        let path = context.path(UNIT_DIRECTORY).join(name);
        fs::write(path, text).map_err(failed)?;
    }
    package::register(context).map_err(failed)?;
    package::settings(context).map_err(failed)?;
    root_key(context).map_err(failed)?;
    systemctl(&["daemon-reload"])?;
    let names: Vec<&str> = UNITS.iter().map(|(name, _)| *name).collect();
    systemctl(&[&["--quiet", "enable"], names.as_slice()].concat())?;
    if start {
        // What listens on 8006 until now is another program under the same name.
        systemctl(&[&["restart"], names.as_slice()].concat())?;
    }
    // A test may cut the power at once; what it loses then is to be PVE's, not this.
    nix::unistd::sync();
    Ok(())
}

/// Root's RSA key, which an installed node has. Half as long as `pvecm updatecerts` would make it: a guest without KVM
/// would take a minute for that.
fn root_key(context: &Context) -> io::Result<()> {
    let key = context.path("/root/.ssh/id_rsa");
    if !key.exists() {
        Command::new("ssh-keygen")
            .args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"])
            .arg(&key)
            .status()?;
    }
    Ok(())
}

fn link(program: &Path, tool: &Path) -> io::Result<()> {
    match fs::remove_file(tool) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(program, tool)
}

fn systemctl(arguments: &[&str]) -> Result<(), Failure> {
    match Command::new("systemctl").args(arguments).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Failure::die(format!("systemctl {} failed", arguments.join(" ")))),
        Err(error) => Err(Failure::die(format!("systemctl: {error}"))),
    }
}
