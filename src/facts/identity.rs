//! What tells this node from the others of its fleet.

use crate::answer::Identity;
use crate::node::{Invocation, Node, read_text};
use std::path::Path;

const HOSTNAME: &str = "/usr/bin/hostname";
const CARDS: &str = "/sys/class/net";
/// The board's own words (SMBIOS tables 1 and 3), as the kernel shows them to root.
const BOARD: [(&str, &str); 2] =
    [("serial", "/sys/class/dmi/id/product_serial"), ("asset-tag", "/sys/class/dmi/id/chassis_asset_tag")];

/// Asks the node; what it cannot say is left out.
pub fn identity(node: &dyn Node) -> Identity {
    let mut pairs = Vec::new();
    let mut add = |name, value: &str| {
        if !value.trim().is_empty() {
            pairs.push((name, value.trim().to_owned()));
        }
    };
    let named = node.run(&Invocation::new(HOSTNAME, &["--fqdn"]));
    add("fqdn", &named.map(|output| output.stdout).unwrap_or_default());
    let text = |path: &Path| read_text(node, path).ok().flatten().unwrap_or_default();
    for card in node.list(Path::new(CARDS)).unwrap_or_default() {
        let address = text(&Path::new(CARDS).join(card).join("address"));
        // Loopback has none.
        if !address.starts_with("00:00:00:00:00:00") {
            add("mac", &address);
        }
    }
    for (name, path) in BOARD {
        add(name, &text(Path::new(path)));
    }
    Identity(pairs)
}
