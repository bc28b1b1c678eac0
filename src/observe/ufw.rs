//! UFW, from `ufw status verbose`; and the rules that the kernel has, UFW's and PVE's.

use super::rules::{Action, PING, PING6, Rule, of_line, of_words};
use super::{Observer, Verdict};
use crate::error::{Error, Result};
use crate::facts::networks;
use crate::gate::UFW_PROGRAM;
use crate::node::exists;
use crate::profile::Network;
use std::path::Path;

const IPTABLES_SAVE_PROGRAM: &str = "/usr/sbin/iptables-save";
const IP6TABLES_SAVE_PROGRAM: &str = "/usr/sbin/ip6tables-save";
const IPV6_PATH: &str = "/proc/sys/net/ipv6";

/// One of the kernel's two rule sets.
pub(super) struct Family {
    ipv4: bool,
    /// What UFW's chains start with.
    prefix: &'static str,
    pub(super) listing: String,
}

impl Observer<'_> {
    /// iptables-save and, where the kernel has IPv6, ip6tables-save.
    pub(super) fn families(&mut self) -> Result<Vec<Family>> {
        let listing = self.listing(IPTABLES_SAVE_PROGRAM, &[])?;
        let mut families = vec![Family { ipv4: true, prefix: "ufw", listing }];
        if exists(self.node, Path::new(IPV6_PATH))? {
            let listing = self.listing(IP6TABLES_SAVE_PROGRAM, &[])?;
            families.push(Family { ipv4: false, prefix: "ufw6", listing });
        }
        Ok(families)
    }

    pub(super) fn ufw_active(&mut self, [incoming, outgoing, routed]: [&str; 3]) -> Result<Verdict> {
        let status = self.listing(UFW_PROGRAM, &["status", "verbose"])?;
        if let Some(problem) = wrong_defaults(&status, [incoming, outgoing, routed]) {
            return Ok(Verdict::Fails(problem));
        }
        for family in self.families()? {
            // `reject` drops by policy too: UFW rejects in a chain before it.
            let closed = incoming == "allow" || has_line(&family.listing, ":INPUT DROP ");
            if !closed || !family.is_linked(false) {
                return Ok(Verdict::Fails(format!(
                    "the kernel does not filter {} with UFW's rules",
                    family.name()
                )));
            }
        }
        Ok(Verdict::Holds)
    }

    /// A rule of UFW or of PVE, as its words say.
    pub(super) fn rule(&mut self, words: &[String]) -> Result<Verdict> {
        let Some(mut rule) = of_words(words) else {
            return Err(Error::new(format!("reading the rule `{}`", words.join(" ")), "unknown form"));
        };
        let of_pve = words.first().is_some_and(|word| matches!(word.as_str(), "IN" | "OUT"));
        for family in self.families()? {
            if rule.network.is_some_and(|network| network.address().is_ipv4() != family.ipv4) {
                continue;
            }
            if !family.ipv4 && rule.protocol == PING.0 {
                (rule.protocol, rule.ports) = (PING6.0, vec![PING6.1]);
            }
            if let Some(problem) = family.problem(&rule, of_pve) {
                return Ok(Verdict::Fails(problem));
            }
        }
        Ok(Verdict::Holds)
    }

    /// Nobody but `allowed` comes to these ports by `chain`, nor by a chain where it goes on. `chain` is empty for that
    /// of UFW's rules.
    pub(super) fn nothing_wider(
        &mut self,
        chain: &str,
        ports: &[u16],
        allowed: &[Network],
    ) -> Result<Verdict> {
        for family in self.families()? {
            let first = if chain.is_empty() { family.chain(false) } else { chain.to_owned() };
            let mut chains = vec![first];
            let mut at = 0;
            while let Some(chain) = chains.get(at).cloned() {
                for (line, rule) in family.lines(&chain, false) {
                    let back = at > 0 && line.ends_with(" -j RETURN");
                    let on = !rule.jump.is_empty();
                    if is_quiet(line) || back || !(on || rule.action.accepts()) || !rule.concerns(ports) {
                        continue;
                    }
                    let Some(wide) = self.wide(&rule, allowed)? else { continue };
                    if !on {
                        return Ok(Verdict::Fails(format!("the kernel also has `{line}`: {wide}")));
                    }
                    if !has_controls_of_its_own(rule.jump) && !chains.iter().any(|chain| chain == rule.jump) {
                        chains.push(rule.jump.to_owned());
                    }
                }
                at += 1;
            }
        }
        Ok(Verdict::Holds)
    }

    /// A source of the rule that is in none of these networks.
    fn wide(&mut self, rule: &Rule<'_>, allowed: &[Network]) -> Result<Option<String>> {
        let within = |network: Network| allowed.iter().any(|outer| networks::covers(outer, &network));
        let sources = if rule.set.is_empty() {
            vec![rule.network.map_or_else(|| "everybody".to_owned(), |network| network.to_string())]
        } else {
            self.members(rule.set)?
        };
        Ok(sources.into_iter().find(|source| !Network::parse(source).is_ok_and(within)))
    }
}

/// Loopback and what is established let nobody in; PVE's mark is set by the groups of rules in front, which are chains
/// of their own.
fn is_quiet(line: &str) -> bool {
    [" -i lo ", " RELATED,ESTABLISHED ", " --mark 0x80000000/0x80000000 "]
        .iter()
        .any(|word| line.contains(word))
}

/// Whether other controls look at a chain where INPUT goes on.
fn has_controls_of_its_own(chain: &str) -> bool {
    chain == "PVEFW-INPUT" || chain.starts_with("ufw")
}

pub(super) fn has_line(listing: &str, start: &str) -> bool {
    listing.lines().any(|line| line.starts_with(start))
}

/// What is wrong with `Status:` and `Default:` of `ufw status verbose`.
fn wrong_defaults(status: &str, [incoming, outgoing, routed]: [&str; 3]) -> Option<String> {
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if value("Status:") != Some("active") {
        return Some("UFW is not active".to_owned());
    }
    let actual = value("Default:").unwrap_or_default();
    let wanted = format!("{incoming} (incoming), {outgoing} (outgoing), ");
    let rest = actual.strip_prefix(&wanted).unwrap_or_default();
    // `disabled`: the kernel does not forward, so nothing is routed (seen with ufw 0.36.2).
    let fits = rest == format!("{routed} (routed)") || rest == "disabled (routed)";
    (!fits).then(|| format!("UFW's defaults are {actual}"))
}

impl Family {
    pub(super) fn name(&self) -> &'static str {
        if self.ipv4 { "IPv4" } else { "IPv6" }
    }

    fn chain(&self, out: bool) -> String {
        format!("{}-user-{}", self.prefix, direction(out))
    }

    /// Whether packets come by the rules of the user.
    fn is_linked(&self, out: bool) -> bool {
        let (prefix, direction) = (self.prefix, direction(out));
        let builtin = direction.to_ascii_uppercase();
        has_line(&self.listing, &format!("-A {builtin} -j {prefix}-before-{direction}"))
            && has_line(&self.listing, &format!("-A {prefix}-before-{direction} -j {}", self.chain(out)))
    }

    /// The rules of a chain.
    fn lines<'a>(&'a self, chain: &'a str, out: bool) -> impl Iterator<Item = (&'a str, Rule<'a>)> {
        self.listing.lines().filter_map(move |line| Some((line, of_line(line, chain, out)?)))
    }

    /// Why the kernel does not decide as `wanted`: the first line that speaks about all of these packets counts. A
    /// line in front about a few of them is somebody's exception: one host that is denied, say.
    fn problem(&self, wanted: &Rule<'_>, of_pve: bool) -> Option<String> {
        let chain = match (of_pve, wanted.out) {
            (false, out) => self.chain(out),
            (true, false) => "PVEFW-HOST-IN".to_owned(),
            (true, true) => "PVEFW-HOST-OUT".to_owned(),
        };
        if !of_pve && !self.is_linked(wanted.out) {
            return Some(format!("the kernel does not filter {} with UFW's rules", self.name()));
        }
        // A rule without protocol becomes one line for each (ufw does so for plain ports).
        let own = [wanted.protocol];
        let each = wanted.protocol.is_empty() && !wanted.ports.is_empty();
        let protocols: &[&str] = if each { &["tcp", "udp"] } else { &own };
        protocols.iter().find_map(|protocol| self.first(wanted, protocol, &chain))
    }

    /// What the first rule of `chain` that speaks about all of these packets says against `wanted`.
    fn first(&self, wanted: &Rule<'_>, protocol: &str, chain: &str) -> Option<String> {
        let Some((line, rule)) = self
            .lines(chain, wanted.out)
            .find(|(_, rule)| rule.jump.is_empty() && rule.covers(wanted, protocol))
        else {
            return Some(format!("the kernel has no such rule for {}", self.name()));
        };
        let unlimited = wanted.action == Action::Limit && rule.action == Action::Allow;
        (rule.action.accepts() != wanted.action.accepts() || unlimited)
            .then(|| format!("the kernel comes by `{line}` first"))
    }
}

fn direction(out: bool) -> &'static str {
    if out { "output" } else { "input" }
}
