//! Power cuts at the flushes of a recorded first boot.

use anyhow::Result;

use crate::bench::Bench;
use crate::power;

/// At ten flushes that matter.
pub fn few(bench: &mut Bench) -> Result<()> {
    power::cuts(bench, power::few)
}

/// At the flushes around every record and many others, and between flushes.
pub fn many(bench: &mut Bench) -> Result<()> {
    power::cuts(bench, power::many)
}
