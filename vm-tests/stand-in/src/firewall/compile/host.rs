//! The two chains of the node itself, and those of security groups.

use super::sets::chain_name;
use super::{Compiler, HostRule};
use crate::firewall::address::Family;

const COROSYNC: &str = "-p udp --dport 5404:5405";
const MARKED: &str = "0x80000000/0x80000000";

/// Ports the set `management` always reaches: API, consoles, SPICE, SSH, migration (contract 3.4, step 6).
const MANAGEMENT: [&str; 5] = ["8006", "5900:5999", "3128", "22", "60000:60050"];

/// Ports the node always reaches in the local network.
const NEIGHBOURS: [&str; 4] = ["8006", "22", "5900:5999", "3128"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    In,
    Out,
}

impl Direction {
    fn kind(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Direction::In => "IN",
            Direction::Out => "OUT",
        }
    }
}

impl Compiler<'_> {
    pub(super) fn host_firewall(&mut self) {
        let chain = "PVEFW-HOST-IN";
        self.create(chain);
        let level = self.level("log_level_in");
        self.add(chain, "-i lo", "-j ACCEPT");
        self.connections(chain, false);
        self.neighbour_discovery(chain, Direction::In);
        self.input_filters(chain, level.as_deref());
        self.add(chain, "-p igmp", "-j RETURN");
        self.host_rules(chain, Direction::In);
        let set = chain_name("management", self.family);
        for ports in MANAGEMENT {
            let found = format!("-m set --match-set {set} src -p tcp --dport {ports}");
            self.add(chain, &found, "-j RETURN");
        }
        self.corosync(chain, Direction::In);
        let policy = self.datacenter.option("policy_in").unwrap_or("DROP").to_owned();
        self.policy(chain, &policy, level.as_deref());

        let chain = "PVEFW-HOST-OUT";
        self.create(chain);
        let level = self.level("log_level_out");
        self.add(chain, "-o lo", "-j ACCEPT");
        self.connections(chain, false);
        self.neighbour_discovery(chain, Direction::Out);
        self.add(chain, "-p igmp", "-j RETURN");
        self.host_rules(chain, Direction::Out);
        self.neighbours(chain);
        self.corosync(chain, Direction::Out);
        let policy = self.datacenter.option("policy_out").unwrap_or("ACCEPT").to_owned();
        self.policy(chain, &policy, level.as_deref());
        self.add("PVEFW-OUTPUT", "", "-j PVEFW-HOST-OUT");
        self.add("PVEFW-INPUT", "", "-j PVEFW-HOST-IN");
    }

    fn neighbour_discovery(&mut self, chain: &str, direction: Direction) {
        if self.family != Family::V6 || self.input.host.option("ndp") == Some("0") {
            return;
        }
        let kinds = [
            "router-solicitation",
            "router-advertisement",
            "neighbor-solicitation",
            "neighbor-advertisement",
        ];
        for kind in kinds {
            if direction == Direction::In || kind != "router-advertisement" {
                self.add(chain, &format!("-p icmpv6 --icmpv6-type {kind}"), "-j RETURN");
            }
        }
    }

    fn host_rules(&mut self, chain: &str, direction: Direction) {
        let mut rules = std::mem::take(&mut self.rules);
        let family = self.family;
        for rule in rules.iter_mut().filter(|rule| rule.applies(family)) {
            rule.message = format!("{}: ", rule.action);
            let kind = rule.rule.kind().to_owned();
            let interface = rule.rule.given("iface").map(|name| match direction {
                Direction::In => format!("-i {name}"),
                Direction::Out => format!("-o {name}"),
            });
            let done = if kind == "group" {
                self.group_rule(chain, rule, direction, interface.as_deref())
            } else if kind == direction.kind() {
                rule.substitute("RETURN");
                self.rule(chain, rule, interface.as_deref())
            } else {
                Ok(())
            };
            self.warnings.extend(done.err());
        }
        self.rules = rules;
    }

    fn group_rule(
        &mut self,
        chain: &str,
        rule: &HostRule,
        direction: Direction,
        interface: Option<&str>,
    ) -> Result<(), String> {
        let group = rule.rule.action();
        let name = format!("GROUP-{group}-{}", direction.suffix());
        if !self.chains.contains_key(&name) {
            self.group(group)?;
        }
        self.add(chain, interface.unwrap_or_default(), &format!("-j {name}"));
        self.add(chain, &format!("-m mark --mark {MARKED}"), "-j RETURN");
        Ok(())
    }

    fn group(&mut self, group: &str) -> Result<(), String> {
        let mut rules = self.groups.remove(group);
        if rules.is_none() {
            self.warnings.push(format!("no such security group '{group}'"));
        }
        let (mut outcome, family) = (Ok(()), self.family);
        for direction in [Direction::In, Direction::Out] {
            let chain = format!("GROUP-{group}-{}", direction.suffix());
            if chain.len() > 28 {
                outcome = Err(format!("Invalid chain name '{chain}' (28 char max)"));
                break;
            }
            self.create(&chain);
            self.add(&chain, "", "-j MARK --set-mark 0x00000000/0x80000000");
            let used = |rule: &&mut HostRule| rule.rule.kind() == direction.kind() && rule.applies(family);
            for rule in rules.iter_mut().flatten().filter(used) {
                rule.substitute("PVEFW-SET-ACCEPT-MARK");
                if outcome.is_ok() {
                    outcome = self.rule(&chain, rule, None);
                }
            }
            if outcome.is_err() {
                break;
            }
        }
        if let Some(rules) = rules {
            self.groups.insert(group.to_owned(), rules);
        }
        outcome
    }

    fn neighbours(&mut self, chain: &str) {
        let Some(alias) = self.datacenter.aliases.get("local_network") else { return };
        if alias.family != self.family {
            return;
        }
        let network = alias.network.clone();
        for ports in NEIGHBOURS {
            self.add(chain, &format!("-d {network} -p tcp --dport {ports}"), "-j RETURN");
        }
    }

    /// Traffic between the nodes, on each link by itself (contract 3.4, step 7).
    fn corosync(&mut self, chain: &str, direction: Direction) {
        let Some(corosync) = self.input.corosync else { return };
        if corosync.multicast {
            self.add(chain, &format!("-m addrtype --dst-type MULTICAST {COROSYNC}"), "-j RETURN");
        }
        let (node, family) = (self.input.node, self.family);
        for other in corosync.links.iter().filter(|link| link.node != node && link.family == family) {
            let own = corosync.links.iter().find(|link| link.node == node && link.key == other.key);
            let Some(own) = own.filter(|own| own.family == family) else { continue };
            let ends = match direction {
                Direction::In => format!("-d {} -s {}", own.address, other.address),
                Direction::Out => format!("-s {} -d {}", own.address, other.address),
            };
            self.add(chain, &format!("{ends} {COROSYNC}"), "-j RETURN");
        }
    }

    fn policy(&mut self, chain: &str, policy: &str, level: Option<&str>) {
        let message = format!("policy {policy}: ");
        match policy {
            "ACCEPT" => self.push(chain, format!("-A {chain}  -j RETURN")),
            "REJECT" => {
                self.add(chain, "", "-j PVEFW-Reject");
                self.add_logged(chain, "", "-g PVEFW-reject", level, &message);
            }
            _ => {
                self.add(chain, "", "-j PVEFW-Drop");
                self.add_logged(chain, "", "-j DROP", level, &message);
            }
        }
    }
}
