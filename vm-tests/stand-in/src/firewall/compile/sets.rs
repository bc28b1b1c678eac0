//! Sets of addresses as `ipset` gets them.

use std::collections::BTreeMap;

use super::Ruleset;
use crate::firewall::address::{Family, compressed, parse_network};
use crate::firewall::config::{Config, Entry, is_alias};
use crate::firewall::digest::short;

/// `ipset` takes 31 characters; PVE keeps room for its prefix and `_swap`.
const LONGEST: usize = 31 - "PVEFW-".len() - "_swap".len();

/// The name of a set of the datacenter in the kernel.
pub fn chain_name(set: &str, family: Family) -> String {
    let name = format!("0-{set}-v{family}");
    if name.len() > LONGEST {
        return format!("PVEFW-{}", short(&name));
    }
    format!("PVEFW-{name}")
}

pub(super) fn sets(datacenter: &Config, warnings: &mut Vec<String>) -> Ruleset {
    let mut rules = Ruleset::new();
    for (name, entries) in &datacenter.ipsets {
        // PVE lets the local network in twice, which shows in the size it asks for.
        let count = entries.len() + usize::from(name == "management");
        let members = members(datacenter, entries, warnings);
        for family in [Family::V4, Family::V6] {
            let set = chain_name(name, family);
            let size = count.max(64).next_power_of_two();
            let kind = if family == Family::V4 { "inet" } else { "inet6" };
            let mut lines = vec![format!(
                "create {set} hash:net family {kind} hashsize {size} maxelem {size} bucketsize 12"
            )];
            for ((_, network), nomatch) in members.iter().filter(|((own, _), _)| *own == family) {
                let mark = if *nomatch { " nomatch" } else { "" };
                lines.push(format!("add {set} {network}{mark}"));
            }
            rules.insert(set, lines);
        }
    }
    rules
}

fn members(
    datacenter: &Config,
    entries: &[Entry],
    warnings: &mut Vec<String>,
) -> BTreeMap<(Family, String), bool> {
    let mut members = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.error.is_none()) {
        let Some(text) = entry.network.as_deref() else { continue };
        let resolved = if is_alias(text) {
            datacenter.resolve(text).map(|(network, family)| (network.to_owned(), family))
        } else {
            parse_network(text).map_err(str::to_owned)
        };
        match resolved {
            Ok((network, family)) => {
                let network = if family == Family::V6 { compressed(&network) } else { network };
                members.insert((family, network), entry.nomatch);
            }
            Err(message) => warnings.push(message),
        }
    }
    members
}
