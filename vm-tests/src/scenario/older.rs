//! The first boot on Debian 12, the system below PVE 8.

use anyhow::{Result, ensure};

use super::first::hardened;
use super::hook;
use crate::bench::Bench;
use crate::image::Release;

/// The same first boot, and the same node afterwards.
pub fn unattended(bench: &mut Bench) -> Result<()> {
    let seeds = bench.seeds()?;
    let key = bench.payload()?.admin_key.clone();
    let node = bench.own(Release::Bookworm, &seeds)?;
    let version = node.ok("cat /etc/debian_version")?;
    ensure!(version.starts_with("12."), "this is Debian {version}");
    let end = hook::wait_for_end(node)?;
    hook::expect_committed(node, &end)?;
    hardened(node, &key)
}
