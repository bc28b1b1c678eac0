//! PVE's firewall, and whoever else may filter, from the rules that the kernel has.

use super::ufw::has_line;
use super::{Observer, Verdict};
use crate::change::PVE_FIREWALL_PROGRAM;
use crate::error::Result;
use crate::facts::cluster_firewall;
use crate::json::Value;
use crate::node::exists;
use std::path::Path;

/// Jump of the iptables firewall into PVE's chains; pve-firewall removes it within 10 s of being switched off.
const PVE_JUMP: &str = "-A INPUT -j PVEFW-INPUT";
/// What PVE does in the end with what no rule let in.
const PVE_DROP: &str = "-A PVEFW-HOST-IN -j DROP";
/// What the alternatives choose, and both kinds of iptables (pve-contract 3.8).
const KINDS: [(&str, [&str; 2]); 2] = [
    ("/etc/alternatives/iptables-save", ["/usr/sbin/iptables-legacy-save", "/usr/sbin/iptables-nft-save"]),
    ("/etc/alternatives/ip6tables-save", ["/usr/sbin/ip6tables-legacy-save", "/usr/sbin/ip6tables-nft-save"]),
];
const NFT_PROGRAM: &str = "/usr/sbin/nft";
/// What iptables itself keeps in nftables.
const IPTABLES_TABLES: [&str; 5] = ["filter", "raw", "mangle", "nat", "security"];
/// Tables of fail2ban shut addresses out, and let nobody in.
const BANS: &str = "f2b";

impl Observer<'_> {
    pub(super) fn pve_firewall_on(&mut self) -> Result<Verdict> {
        let status = self.listing(PVE_FIREWALL_PROGRAM, &["status"])?;
        if status.trim() != "Status: enabled/running" {
            return Ok(Verdict::Fails(format!("pve-firewall says `{}`", status.trim())));
        }
        for family in self.families()? {
            for line in [PVE_JUMP, PVE_DROP] {
                if !has_line(&family.listing, line) {
                    return Ok(Verdict::Fails(format!(
                        "the kernel does not filter {} by `{line}`",
                        family.name()
                    )));
                }
            }
            // PVE lets packets through to the end of the chain.
            if !has_line(&family.listing, ":INPUT ACCEPT ") {
                return Ok(Verdict::Fails(format!(
                    "{} drops what PVE lets in: its policy is left over",
                    family.name()
                )));
            }
        }
        Ok(Verdict::Holds)
    }

    pub(super) fn pve_firewall_off(&mut self) -> Result<Verdict> {
        if cluster_firewall::is_enabled(&self.text(cluster_firewall::PATH)?) {
            return Ok(Verdict::Fails(format!("{} switches PVE's firewall on", cluster_firewall::PATH)));
        }
        for family in self.families()? {
            if has_line(&family.listing, PVE_JUMP) {
                return Ok(Verdict::Fails("the kernel still has PVE's rules in front".to_owned()));
            }
        }
        Ok(Verdict::Holds)
    }

    pub(super) fn ufw_gone(&mut self) -> Result<Verdict> {
        for program in KINDS.into_iter().flat_map(|(_, both)| both) {
            if exists(self.node, Path::new(program))? && has_line(&self.listing(program, &[])?, ":ufw") {
                return Ok(Verdict::Fails(format!("the kernel still has chains of UFW: {program}")));
            }
        }
        Ok(Verdict::Holds)
    }

    pub(super) fn no_foreign_tables(&mut self) -> Result<Verdict> {
        for (choice, both) in KINDS {
            let chosen = self.node.read_link(Path::new(choice)).unwrap_or_default();
            for other in both {
                let path = Path::new(other);
                if chosen.as_os_str().is_empty() || chosen == path || !exists(self.node, path)? {
                    continue;
                }
                if let Some(line) = deciding(&self.listing(other, &[])?) {
                    return Ok(Verdict::Fails(format!("{other} also has `{line}`")));
                }
            }
        }
        if !exists(self.node, Path::new(NFT_PROGRAM))? {
            return Ok(Verdict::Holds);
        }
        let listing = self.listing(NFT_PROGRAM, &["-j", "list", "chains"])?;
        Ok(foreign_table(&listing).map_or(Verdict::Holds, |table| {
            Verdict::Fails(format!("the table {table} of nftables filters, too"))
        }))
    }
}

/// The first line of another iptables that decides about packets: a rule in a built-in chain, a policy, or a table that
/// iptables itself cannot show.
fn deciding(listing: &str) -> Option<&str> {
    let mut filter = false;
    let built_in = |rest: &str| ["INPUT ", "FORWARD ", "OUTPUT "].iter().any(|chain| rest.starts_with(chain));
    listing.lines().find(|line| {
        if line.starts_with('*') {
            filter = *line == "*filter";
        }
        let rule = line.strip_prefix("-A ").is_some_and(built_in);
        let policy = line.strip_prefix(':').is_some_and(|rest| built_in(rest) && !rest.contains(" ACCEPT"));
        filter && (rule || policy) || line.contains("`filter' is incompatible")
    })
}

/// The first table with a filter for incoming packets that is neither iptables' own nor one of bans.
fn foreign_table(listing: &str) -> Option<String> {
    let listing = Value::read(listing)?;
    for chain in listing.get("nftables")?.list().iter().filter_map(|object| object.get("chain")) {
        let field = |name: &str| chain.get(name).and_then(Value::text).unwrap_or_default();
        let (family, table) = (field("family"), field("table"));
        let own = family != "inet" && IPTABLES_TABLES.contains(&table) || table.starts_with(BANS);
        if field("hook") == "input" && field("type") == "filter" && !own {
            return Some(format!("{family} {table}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j4_a_table_of_somebody_else_is_named_and_those_of_iptables_and_fail2ban_are_not() {
        let chain = |family: &str, table: &str, hook: &str| {
            format!(
                r#"{{"chain":{{"family":"{family}","table":"{table}","name":"c","handle":1,"type":"filter","hook":"{hook}","prio":0,"policy":"accept"}}}}"#
            )
        };
        let listing = |chains: &[String]| {
            format!(r#"{{"nftables":[{{"metainfo":{{"version":"1.1.3"}}}},{}]}}"#, chains.join(","))
        };
        let known = [
            chain("ip", "filter", "input"),
            chain("inet", "f2b-table", "input"),
            chain("inet", "firewalld", "prerouting"),
        ];
        assert_eq!(foreign_table(&listing(&known)), None);
        assert_eq!(foreign_table("{\"nftables\":[]}"), None);
        let pve = [known[0].clone(), chain("inet", "proxmox-firewall", "input")];
        assert_eq!(foreign_table(&listing(&pve)).as_deref(), Some("inet proxmox-firewall"));
    }
}
