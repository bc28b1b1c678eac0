//! What PVE's packages leave on a node beside programs and units: the record by which a node of PVE is known, and
//! settings of the kernel.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::process::Command;

use crate::context::Context;
use crate::version::Versions;

const STATUS: &str = "/var/lib/dpkg/status";
const NAME: &str = "pve-manager";

/// Settings as pve-cluster and pve-firewall bring them (pve-contract 3.8).
const SETTINGS: &[(&str, &str)] = &[
    (
        "/usr/lib/sysctl.d/10-pve.conf",
        "net.bridge.bridge-nf-call-ip6tables = 0\nnet.bridge.bridge-nf-call-iptables = 0\n\
         net.bridge.bridge-nf-call-arptables = 0\n",
    ),
    ("/usr/lib/sysctl.d/pve-firewall.conf", "net.ipv4.conf.all.rp_filter = 2\n"),
];

/// Writes the settings, and sets them as the boot of a node does.
pub fn settings(context: &Context) -> io::Result<()> {
    for (path, text) in SETTINGS {
        fs::write(context.path(path), text)?;
    }
    // The settings of bridges are there once this module is.
    Command::new("modprobe").args(["-q", "br_netfilter"]).status()?;
    let paths = SETTINGS.iter().map(|(path, _)| context.path(path));
    Command::new("sysctl").args(["-q", "-p"]).args(paths).status().map(drop)
}

/// A record without dependencies, and the two lists that `dpkg --audit` misses otherwise.
pub fn register(context: &Context) -> io::Result<()> {
    let status = context.path(STATUS);
    let known = fs::read_to_string(&status)?;
    if known.lines().any(|line| line == format!("Package: {NAME}")) {
        return Ok(());
    }
    let record = format!(
        "Package: {NAME}\nStatus: install ok installed\nPriority: optional\nSection: admin\n\
         Maintainer: Tests <tests@example.invalid>\nArchitecture: all\nVersion: {}\n\
         Description: stand-in for the package of that name\n\n",
        Versions::of(context).manager
    );
    let information = context.path("/var/lib/dpkg/info");
    fs::write(information.join(format!("{NAME}.list")), "/.\n")?;
    fs::write(information.join(format!("{NAME}.md5sums")), "")?;
    File::options().append(true).open(&status)?.write_all(record.as_bytes())
}
