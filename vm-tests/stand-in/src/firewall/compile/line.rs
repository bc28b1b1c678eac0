//! One rule as lines for iptables.

use super::sets::chain_name;
use super::{Compiler, HostRule};
use crate::firewall::address::Family;
use crate::firewall::config::Config;
use crate::firewall::macros;
use crate::firewall::names::{ICMP_TYPES, ICMPV6_TYPES, has_ports, is_icmp, is_name};
use crate::firewall::verify::scoped;

/// What of a rule a macro decides.
struct Match<'a> {
    protocol: Option<&'a str>,
    ports: Option<&'a str>,
    source_ports: Option<&'a str>,
}

impl Compiler<'_> {
    /// Adds the lines of a rule to a chain: all of them, or none and the reason.
    pub(super) fn rule(
        &mut self,
        chain: &str,
        rule: &HostRule,
        interface: Option<&str>,
    ) -> Result<(), String> {
        let mut lines = Vec::new();
        for found in self.matches(rule) {
            let text = self.found(rule, &found, interface)?;
            let target = match rule.action.as_str() {
                "PVEFW-SET-ACCEPT-MARK" => format!("-g {}", rule.action),
                action => format!("-j {action}"),
            };
            if let Some(level) = rule.rule.get("log").filter(|level| *level != "nolog") {
                let log = self.log(chain, level, &rule.message);
                lines.push(format!("-A {chain} {text} {log}"));
            }
            lines.push(format!("-A {chain} {text} {target}"));
        }
        for line in lines {
            self.push(chain, line);
        }
        Ok(())
    }

    fn matches<'a>(&self, rule: &'a HostRule) -> Vec<Match<'a>> {
        let own = Match {
            protocol: rule.rule.get("proto"),
            ports: rule.rule.get("dport"),
            source_ports: rule.rule.get("sport"),
        };
        let Some(name) = rule.rule.given("macro") else { return vec![own] };
        macros::expand(name, Some(self.family))
            .into_iter()
            .map(|one| Match {
                protocol: Some(one.protocol),
                ports: one.ports.or(own.ports),
                source_ports: one.source_ports.or(own.source_ports),
            })
            .collect()
    }

    fn found(&self, rule: &HostRule, found: &Match<'_>, interface: Option<&str>) -> Result<String, String> {
        let mut parts: Vec<String> = interface.map(str::to_owned).into_iter().collect();
        let own = rule.from_host.then_some(self.input.host);
        for (property, end) in [("source", 's'), ("dest", 'd')] {
            if let Some(text) = rule.rule.given(property) {
                parts.push(address(text, end, self.family, self.datacenter, own)?);
            }
        }
        match found.protocol.filter(|protocol| crate::firewall::truthy(protocol)) {
            Some(protocol) => self.protocol(rule, protocol, found, &mut parts)?,
            None => {
                for (what, ports) in [("destination", found.ports), ("source", found.source_ports)] {
                    if let Some(ports) = ports.filter(|ports| crate::firewall::truthy(ports)) {
                        return Err(format!("{what} port '{ports}', but no protocol specified"));
                    }
                }
            }
        }
        Ok(parts.join(" "))
    }

    fn protocol(
        &self,
        rule: &HostRule,
        protocol: &str,
        found: &Match<'_>,
        parts: &mut Vec<String>,
    ) -> Result<(), String> {
        parts.push(format!("-p {protocol}"));
        let several = |ports: Option<&str>, icmp: bool| match ports {
            Some(ports) => self.input.names.verify_ports(ports, icmp),
            None => Ok(false),
        };
        let several_destinations = several(found.ports, is_icmp(protocol))?;
        let several_sources = several(found.source_ports, false)?;
        if let Some(kind) = rule.rule.get("icmp-type").filter(|kind| !kind.is_empty()) {
            let option = if protocol == "icmp" { "icmp-type" } else { "icmpv6-type" };
            parts.push(format!("-m {protocol} --{option} {kind}"));
        }
        // A single port stands before several ones.
        if several_sources {
            parts.extend(destination(protocol, found.ports, several_destinations)?);
        }
        if let Some(ports) = found.source_ports.filter(|ports| crate::firewall::truthy(ports)) {
            if !has_ports(protocol) {
                return Err(format!("protocol {protocol} does not have ports"));
            }
            parts.push(if several_sources {
                format!("--match multiport --sports {ports}")
            } else {
                format!("--sport {ports}")
            });
        }
        if !several_sources {
            parts.extend(destination(protocol, found.ports, several_destinations)?);
        }
        Ok(())
    }
}

/// The match of destination ports; with ICMP it is the type.
fn destination(protocol: &str, ports: Option<&str>, several: bool) -> Result<Option<String>, String> {
    let Some(ports) = ports else { return Ok(None) };
    match protocol {
        "icmp" => {
            icmp_type(ports, &ICMP_TYPES)?;
            Ok(Some(format!("-m icmp --icmp-type {ports}")))
        }
        "icmpv6" => {
            icmp_type(ports, &ICMPV6_TYPES)?;
            Ok(Some(format!("-m icmpv6 --icmpv6-type {ports}")))
        }
        _ if !has_ports(protocol) => Err(format!("protocol {protocol} does not have ports")),
        _ if several => Ok(Some(format!("--match multiport --dports {ports}"))),
        _ if !crate::firewall::truthy(ports) => Ok(None),
        _ => Ok(Some(format!("--dport {ports}"))),
    }
}

fn icmp_type(kind: &str, known: &[&str]) -> Result<(), String> {
    if kind.bytes().all(|byte| byte.is_ascii_digit()) {
        return kind.parse::<u8>().map(drop).map_err(|_| format!("invalid icmp-type '{kind}'"));
    }
    if known.contains(&kind) {
        return Ok(());
    }
    Err(format!("unknown icmp-type '{kind}'"))
}

fn address(
    text: &str,
    end: char,
    family: Family,
    datacenter: &Config,
    own: Option<&Config>,
) -> Result<String, String> {
    let word = if end == 's' { "src" } else { "dst" };
    if let Some(set) = text.strip_prefix('+') {
        let (prefix, name) = scoped(set, &["guest/", "dc/", "sdn/"]);
        if !is_name(name) {
            return Err(format!("invalid security group name '{text}'"));
        }
        if !matches!(prefix, "" | "dc/") || !datacenter.ipsets.contains_key(name) {
            return Err(format!("no such ipset '{name}'"));
        }
        return Ok(format!("-m set --match-set {} {word}", chain_name(name, family)));
    }
    let (prefix, name) = scoped(text, &["guest/", "dc/"]);
    if is_name(name) {
        let key = name.to_lowercase();
        let own = own.and_then(|own| own.aliases.get(&key)).filter(|_| prefix != "dc/");
        let shared = datacenter.aliases.get(&key).filter(|_| prefix != "guest/");
        let alias = own.or(shared).ok_or_else(|| format!("no such alias '{text}'"))?;
        return Ok(format!("-{end} {}", alias.network));
    }
    if text.contains('-') {
        return Ok(format!("-m iprange --{word}-range {text}"));
    }
    Ok(format!("-{end} {text}"))
}
