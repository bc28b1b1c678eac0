//! What a rule's properties must be. From a file the faults are noted and the rule is left out; the API refuses at the
//! first (transcripts 32, 33, 34).

use super::address::{Family, net_ip};
use super::config::Config;
use super::macros;
use super::names::{ICMP_TYPES, ICMPV6_TYPES, Names, has_ports, is_icmp, is_name};
use super::rule::Rule;

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `[RULES]` of `cluster.fw`.
    Cluster,
    /// `[RULES]` of a `host.fw`.
    Host,
    /// A security group.
    Group,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Place::Cluster => "cluster",
            Place::Host => "host",
            Place::Group => "group",
        }
    }
}

/// What a rule may refer to.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The datacenter's configuration, where the rule's own is another one.
    pub cluster: Option<&'a Config>,
    /// The configuration the rule belongs to.
    pub own: Option<&'a Config>,
    /// Where it stands.
    pub place: Place,
    /// Services and protocols.
    pub names: &'a Names,
}

/// What a look at a rule brought up besides its faults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The first fault of each property, in the order they were found.
    pub errors: Vec<(String, String)>,
    /// Perl's own warnings about values that are not there.
    pub warnings: Vec<String>,
    /// The look made an empty table of sets in the rule's configuration, so that `[IPSET …]` is known there from now on.
    pub touched_sets: bool,
    /// The same for aliases.
    pub touched_aliases: bool,
}

impl Verdict {
    fn add(&mut self, property: &str, message: impl Into<String>) {
        if !self.errors.iter().any(|(known, _)| known == property) {
            self.errors.push((property.to_owned(), message.into()));
        }
    }
}

const MIXED: &str = "detected mixed ipv4/ipv6 addresses in rule";

/// Looks at a rule and gives it its family and the canonical name of its macro. An error is one that the real tool does
/// not catch: the whole line is lost.
pub fn verify(rule: &mut Rule, scope: Scope<'_>) -> Result<Verdict, String> {
    let mut verdict = Verdict::default();
    kind_and_action(rule, scope.place, &mut verdict);
    interface(rule, scope.place, &mut verdict);
    if let Some(name) = rule.given("macro").map(str::to_owned) {
        match macros::canonical(&name) {
            Some(canonical) => rule.set("macro", canonical),
            None => verdict.add("macro", format!("unknown macro '{name}'")),
        }
    }
    let mut family = None;
    if let Some(protocol) = rule.given("proto") {
        if let Err(message) = scope.names.verify_protocol(protocol) {
            verdict.add("proto", message);
        }
        match protocol {
            "icmp" => family = Some(Family::V4),
            "icmpv6" | "ipv6-icmp" => family = Some(Family::V6),
            _ => {}
        }
    }
    ports(rule, scope.names, &mut verdict);
    for end in ["source", "dest"] {
        address(rule, end, scope, &mut family, &mut verdict)?;
    }
    rule.family = family;
    if verdict.errors.is_empty() && rule.given("macro").is_some() {
        against_macro(rule, &mut verdict);
    }
    Ok(verdict)
}

fn kind_and_action(rule: &Rule, place: Place, verdict: &mut Verdict) {
    let (kind, action) = (rule.kind(), rule.action());
    for (name, value) in [("type", kind), ("action", action)] {
        if !super::truthy(value) {
            verdict.add(name, "missing property");
        }
    }
    let known = matches!(kind, "in" | "out" | "forward") || kind == "group" && place != Place::Group;
    if !known {
        verdict.add("type", format!("invalid rule type '{kind}' for rule_env '{}'", place.name()));
    }
    match kind {
        "in" | "out" | "forward" => {
            if kind == "forward" && action == "REJECT" {
                verdict.add("action", "cannot define REJECT rules on forward chain");
            }
            if !matches!(action, "ACCEPT" | "DROP" | "REJECT") {
                verdict.add("action", format!("unknown action '{action}'"));
            }
        }
        "group" if !is_name(action) => verdict.add("action", "invalid characters in security group name"),
        _ => {}
    }
}

fn interface(rule: &Rule, place: Place, verdict: &mut Verdict) {
    let Some(name) = rule.given("iface") else { return };
    if place == Place::Group {
        verdict.add("type", "parameter -i not allowed for this rule type");
    }
    if !is_interface(name) {
        verdict.add("iface", format!("invalid network interface name '{name}'"));
    }
}

/// A network interface as PVE names it: a letter and up to twenty letters, digits or `_`, then perhaps `.N` or `:N`.
pub fn is_interface(name: &str) -> bool {
    let (base, number) = match name.split_once([':', '.']) {
        Some((base, number)) => (base, Some(number)),
        None => (name, None),
    };
    base.starts_with(|c: char| c.is_ascii_alphabetic())
        && (2..=21).contains(&base.len())
        && base.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && number.is_none_or(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn ports(rule: &Rule, names: &Names, verdict: &mut Verdict) {
    let protocol = rule.given("proto");
    let icmp = protocol.is_some_and(is_icmp);
    if let Some(list) = rule.given("dport") {
        one_end("dport", list, icmp, 1872, rule, names, verdict);
    }
    if let Some(kind) = rule.given("icmp-type") {
        if !icmp {
            verdict.add("proto", "missing property - 'icmp-type' requires this property");
        }
        if rule.given("dport").is_some() {
            verdict.add("icmp-type", "'icmp-type' cannot be specified together with 'dport'");
        }
        let known = match protocol {
            Some("icmp") => ICMP_TYPES.contains(&kind),
            Some("icmpv6" | "ipv6-icmp") => ICMPV6_TYPES.contains(&kind),
            _ => true,
        };
        if !known {
            let protocol = protocol.unwrap_or_default();
            verdict.add("icmp-type", format!("invalid icmp-type '{kind}' for proto '{protocol}'"));
        }
    }
    if let Some(list) = rule.given("sport") {
        one_end("sport", list, false, 1897, rule, names, verdict);
    }
}

fn one_end(end: &str, list: &str, icmp: bool, line: u32, rule: &Rule, names: &Names, verdict: &mut Verdict) {
    if let Err(message) = names.verify_ports(list, icmp) {
        verdict.add(end, message);
    }
    let protocol = rule.given("proto").unwrap_or_default();
    if protocol.is_empty() {
        verdict.add("proto", format!("missing property - '{end}' requires this property"));
    }
    if has_ports(protocol) || icmp {
        return;
    }
    if rule.get("proto").is_none() {
        for what in ["hash element", "concatenation (.) or string"] {
            verdict.warnings.push(format!(
                "Use of uninitialized value $proto in {what} at /usr/share/perl5/PVE/Firewall.pm line {line}."
            ));
        }
    }
    verdict.add(end, format!("protocol '{protocol}' does not support ports"));
}

fn address(
    rule: &Rule,
    end: &str,
    scope: Scope<'_>,
    family: &mut Option<Family>,
    verdict: &mut Verdict,
) -> Result<(), String> {
    let Some(text) = rule.given(end) else { return Ok(()) };
    match address_list(text) {
        Ok(found) => {
            if narrow(family, found).is_err() {
                verdict.add(end, MIXED);
            }
        }
        Err(message) => verdict.add(end, message),
    }
    if let Some(set) = text.strip_prefix('+') {
        reference_to_set(text, set, end, scope, verdict);
        return Ok(());
    }
    let (prefix, alias) = scoped(text, &["guest/", "dc/"]);
    if !is_name(alias) {
        return Ok(());
    }
    let key = alias.to_lowercase();
    let find = |config: Option<&Config>| {
        config.and_then(|config| config.aliases.get(&key)).map(|alias| alias.family)
    };
    let (cluster, own) = (find(scope.cluster), find(scope.own));
    verdict.touched_aliases |= cluster.is_none() || prefix != "dc/";
    if cluster.is_none() && own.is_none() {
        verdict.add(end, format!("no such alias '{text}'"));
    }
    let own = own.filter(|_| prefix != "dc/");
    let found = own.or(cluster.filter(|_| prefix != "guest/"));
    narrow(family, found).map_err(str::to_owned)
}

fn reference_to_set(text: &str, set: &str, end: &str, scope: Scope<'_>, verdict: &mut Verdict) {
    let (_, name) = scoped(set, &["guest/", "dc/", "sdn/"]);
    if !is_name(name) {
        verdict.add(end, format!("invalid ipset name '{text}'"));
        return;
    }
    let has = |config: Option<&Config>| config.is_some_and(|config| config.ipsets.contains_key(name));
    if has(scope.cluster) {
        return;
    }
    verdict.touched_sets = true;
    if !has(scope.own) {
        verdict.add(end, format!("no such ipset '{name}'"));
    }
}

/// Splits one of the prefixes off a reference.
pub fn scoped<'a>(text: &'a str, prefixes: &[&str]) -> (&'a str, &'a str) {
    for prefix in prefixes {
        if let Some(rest) = text.strip_prefix(prefix) {
            return text.split_at_checked(text.len() - rest.len()).unwrap_or(("", rest));
        }
    }
    ("", text)
}

fn narrow(family: &mut Option<Family>, found: Option<Family>) -> Result<(), &'static str> {
    match (*family, found) {
        (Some(known), Some(found)) if known != found => Err(MIXED),
        (_, None) => Ok(()),
        (_, Some(found)) => {
            *family = Some(found);
            Ok(())
        }
    }
}

/// A source or destination: a set, an alias, or a list of addresses of one family, which is given back.
pub fn address_list(text: &str) -> Result<Option<Family>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.starts_with('+') && text.len() > 1 && !text.contains(super::blank) {
        return if text.len() > 65 { Err("ipset name too long".to_owned()) } else { Ok(None) };
    }
    if is_name(scoped(text, &["guest/", "dc/"]).1) {
        return if text.len() > 64 { Err("alias name too long".to_owned()) } else { Ok(None) };
    }
    if text.ends_with(',') {
        return Err("extraneous commas in list".to_owned());
    }
    let mut family = None;
    for element in text.split(',') {
        let found = net_ip(element).map_err(|error| format!("invalid IP address: {error}"))?;
        if family.is_some_and(|known| known != found) {
            return Err(format!("detected mixed ipv4/ipv6 addresses in address list '{text}'"));
        }
        family = Some(found);
    }
    if text.contains('-') && text.contains(',') {
        return Err("you can't use a range in a list".to_owned());
    }
    Ok(family)
}

fn against_macro(rule: &Rule, verdict: &mut Verdict) {
    let name = rule.given("macro").unwrap_or_default();
    for one in macros::expand(name, rule.family) {
        let fixed = [("proto", Some(one.protocol)), ("dport", one.ports), ("sport", one.source_ports)];
        for (property, value) in fixed {
            if let (Some(value), Some(given)) = (value, rule.get(property))
                && value != given
            {
                verdict.add(
                    property,
                    format!("parameter '{property}' already define in macro (value = '{value}')"),
                );
                return;
            }
        }
    }
}
