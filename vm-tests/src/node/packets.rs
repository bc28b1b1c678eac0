//! Packets of all kinds to the node, IPv6 too.

use anyhow::{Context, Result};

use super::Node;
use crate::network::{Reach, Side};

impl Node {
    /// Knocks at many ports at once.
    pub fn knock(&self, knocks: &[(Side, &str, u16)]) -> Result<Vec<Reach>> {
        self.network()?.knock(knocks)
    }

    /// Whether the node answers a ping.
    pub fn ping(&self, side: Side, address: &str) -> Result<bool> {
        let mut ping = self.network()?.command(side, "ping");
        let done = ping.args(["-n", "-q", "-c", "2", "-W", "4", address]).output().context("running ping")?;
        Ok(done.status.success())
    }

    /// Addresses of IPv6 for both sides and the node: fd00:20::/64 inside, 2001:db8:113::/64 outside.
    pub fn give_ipv6(&mut self) -> Result<()> {
        self.network()?.add_address(Side::Management, "fd00:20::5/64")?;
        self.network()?.add_address(Side::Outsider, "2001:db8:113::5/64")?;
        self.ok(
            "ip address replace fd00:20::10/64 dev vmbr0 nodad && ip address replace 2001:db8:113::10/64 dev ens19 nodad",
        )
        .map(drop)
    }
}
