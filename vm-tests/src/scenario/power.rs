//! Power cuts at the flushes of a recorded first boot.

use anyhow::Result;

use crate::bench::Bench;
use crate::power::{self, FileSystem};

/// At ten flushes that matter.
pub fn few(bench: &mut Bench) -> Result<()> {
    power::cuts(bench, "power-cuts", FileSystem::Ext4, power::few)
}

/// At the flushes around every record and many others, and between flushes.
pub fn many(bench: &mut Bench) -> Result<()> {
    power::cuts(bench, "power-flushes", FileSystem::Ext4, power::many)
}

/// The same on XFS.
pub fn xfs(bench: &mut Bench) -> Result<()> {
    power::cuts(bench, "power-xfs", FileSystem::Xfs, power::some)
}

/// The same on btrfs.
pub fn btrfs(bench: &mut Bench) -> Result<()> {
    power::cuts(bench, "power-btrfs", FileSystem::Btrfs, power::some)
}
