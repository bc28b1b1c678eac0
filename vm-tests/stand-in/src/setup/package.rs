//! What dpkg knows of PVE: whoever asks whether a machine is a node of PVE asks for this package.

use std::fs::{self, File};
use std::io::{self, Write as _};

use crate::context::Context;
use crate::version::VERSION;

const STATUS: &str = "/var/lib/dpkg/status";
const NAME: &str = "pve-manager";

/// A record without dependencies, and the two lists that `dpkg --audit` misses otherwise.
pub fn register(context: &Context) -> io::Result<()> {
    let status = context.path(STATUS);
    let known = fs::read_to_string(&status)?;
    if known.lines().any(|line| line == format!("Package: {NAME}")) {
        return Ok(());
    }
    let record = format!(
        "Package: {NAME}\nStatus: install ok installed\nPriority: optional\nSection: admin\n\
         Maintainer: Tests <tests@example.invalid>\nArchitecture: all\nVersion: {VERSION}\n\
         Description: stand-in for the package of that name\n\n"
    );
    let information = context.path("/var/lib/dpkg/info");
    fs::write(information.join(format!("{NAME}.list")), "/.\n")?;
    fs::write(information.join(format!("{NAME}.md5sums")), "")?;
    File::options().append(true).open(&status)?.write_all(record.as_bytes())
}
