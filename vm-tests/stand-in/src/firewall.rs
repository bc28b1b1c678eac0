//! The firewall: its files, its API, `pve-firewall`.

use crate::api::Method;
use crate::context::Context;
use crate::failure::Failure;

/// The methods below `/cluster/firewall` and `/nodes/{node}/firewall`.
pub static METHODS: &[&Method] = &[];

/// `pve-firewall`.
pub fn run(_context: &Context, arguments: &[String]) -> Result<(), Failure> {
    Err(Failure::die(format!("ERROR: unknown command 'pve-firewall {}'", arguments.join(" "))))
}
