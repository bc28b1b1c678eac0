//! From the two files to chains and sets: pure, so that tests can read what would be loaded.
//!
//! The order in a chain is that of contract 3.4, the wording of each line that of the recordings (transcript 33, 35),
//! down to its double blanks: the daemon compares checksums of these lines.

mod host;
mod line;
mod sets;
mod standard;

use std::collections::BTreeMap;

use super::address::{Family, parse_network};
use super::config::{Alias, Config, Entry};
use super::names::Names;
use super::options;
use super::rule::Rule;

/// Chains or sets by name, each with its lines.
pub type Ruleset = BTreeMap<String, Vec<String>>;

/// An address of a cluster's node on one of its links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The node.
    pub node: String,
    /// `ring0_addr` and the like.
    pub key: String,
    /// The address.
    pub address: String,
    /// Its family.
    pub family: Family,
}

/// The cluster a node belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corosync {
    /// Addresses of all nodes.
    pub links: Vec<Link>,
    /// The legacy transport, which needs multicast.
    pub multicast: bool,
}

/// Everything rules are made of.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// `cluster.fw`.
    pub datacenter: &'a Config,
    /// `host.fw`.
    pub host: &'a Config,
    /// The network PVE found for the node itself.
    pub local_network: Option<&'a str>,
    /// The node's name.
    pub node: &'a str,
    /// Its cluster, if it is in one.
    pub corosync: Option<&'a Corosync>,
    /// Services and protocols.
    pub names: &'a Names,
}

/// Everything that is to be loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// Sets of addresses.
    pub sets: Ruleset,
    /// Chains of `iptables -t filter`.
    pub filter_v4: Ruleset,
    /// Chains of `ip6tables -t filter`.
    pub filter_v6: Ruleset,
    /// Chains of `iptables -t raw`.
    pub raw_v4: Ruleset,
    /// Chains of `ip6tables -t raw`.
    pub raw_v6: Ruleset,
    /// Chains of `ebtables`.
    pub bridge: Ruleset,
    /// What PVE says about rules that cannot be made into lines.
    pub warnings: Vec<String>,
}

/// Makes the chains and sets; none at all while the firewall is off.
pub fn compile(input: Input<'_>) -> Compiled {
    if !input.datacenter.enabled() {
        return Compiled::default();
    }
    let datacenter = with_local_network(input.datacenter, input.local_network);
    let mut compiler = Compiler::new(input, &datacenter);
    let mut compiled = Compiled {
        filter_v4: compiler.filter(Family::V4),
        raw_v4: raw(input.host, Family::V4),
        filter_v6: compiler.filter(Family::V6),
        raw_v6: raw(input.host, Family::V6),
        bridge: bridge(&datacenter),
        warnings: compiler.warnings,
        ..Compiled::default()
    };
    compiled.sets = sets::sets(&datacenter, &mut compiled.warnings);
    compiled
}

/// Defines the alias `local_network` where nobody has, and lets its network into the set `management`.
fn with_local_network(datacenter: &Config, detected: Option<&str>) -> Config {
    let mut config = datacenter.clone();
    let detected = detected.unwrap_or("127.0.0.0/8");
    if !config.aliases.contains_key("local_network")
        && let Ok((network, family)) = parse_network(detected)
    {
        let alias = Alias { name: "local_network".to_owned(), network, family, comment: None };
        config.aliases.insert("local_network".to_owned(), alias);
    }
    let network = config.aliases.get("local_network").map(|alias| alias.network.clone());
    let entry = Entry { network, ..Entry::default() };
    config.ipsets.entry("management".to_owned()).or_default().push(entry);
    config
}

/// State of one compilation. The rules are changed on the way, as PVE changes them: what IPv4 did to an action is what
/// IPv6 begins with, and shows in its log lines.
struct Compiler<'a> {
    input: Input<'a>,
    datacenter: &'a Config,
    rules: Vec<HostRule>,
    groups: BTreeMap<String, Vec<HostRule>>,
    limit: Option<String>,
    chains: Ruleset,
    family: Family,
    warnings: Vec<String>,
}

/// A rule with what has become of its action.
#[derive(Clone, Debug)]
struct HostRule {
    rule: Rule,
    action: String,
    message: String,
    from_host: bool,
}

impl HostRule {
    fn new(rule: &Rule, from_host: bool) -> Self {
        Self { rule: rule.clone(), action: rule.action().to_owned(), message: String::new(), from_host }
    }

    fn substitute(&mut self, accept: &str) {
        match self.action.as_str() {
            "ACCEPT" => self.action = accept.to_owned(),
            "REJECT" => self.action = "PVEFW-reject".to_owned(),
            _ => {}
        }
    }

    fn applies(&self, family: Family) -> bool {
        self.rule.is_active() && self.rule.family.is_none_or(|own| own == family)
    }
}

impl<'a> Compiler<'a> {
    fn new(input: Input<'a>, datacenter: &'a Config) -> Self {
        let own = input.host.rules.iter().map(|rule| HostRule::new(rule, true));
        let shared = datacenter.rules.iter().map(|rule| HostRule::new(rule, false));
        let groups = datacenter.groups.iter().map(|(name, rules)| {
            let rules = rules.iter().map(|rule| HostRule::new(rule, false)).collect();
            (name.clone(), rules)
        });
        Self {
            input,
            datacenter,
            rules: own.chain(shared).collect(),
            groups: groups.collect(),
            limit: log_limit(datacenter),
            chains: Ruleset::new(),
            family: Family::V4,
            warnings: Vec::new(),
        }
    }

    fn filter(&mut self, family: Family) -> Ruleset {
        self.family = family;
        self.chains = Ruleset::new();
        let options = self.input.host;
        for chain in ["PVEFW-INPUT", "PVEFW-OUTPUT", "PVEFW-FORWARD", "PVEFW-FWBR-IN", "PVEFW-FWBR-OUT"] {
            self.create(chain);
        }
        let allow_invalid = options.option("nf_conntrack_allow_invalid") == Some("1");
        self.connections("PVEFW-FORWARD", allow_invalid);
        let level = self.level("log_level_out");
        self.input_filters("PVEFW-FWBR-IN", level.as_deref());
        for (direction, chain) in [("in", "PVEFW-FWBR-IN"), ("out", "PVEFW-FWBR-OUT")] {
            let found = format!("-m physdev --physdev-is-bridged --physdev-{direction} fwln+");
            self.add("PVEFW-FORWARD", &found, &format!("-j {chain}"));
        }
        self.standard_chains();
        if options.option("enable") != Some("0") {
            self.host_firewall();
        }
        std::mem::take(&mut self.chains)
    }

    fn create(&mut self, chain: &str) {
        self.chains.insert(chain.to_owned(), Vec::new());
    }

    fn push(&mut self, chain: &str, line: String) {
        self.chains.entry(chain.to_owned()).or_default().push(line);
    }

    /// A line without log.
    fn add(&mut self, chain: &str, found: &str, action: &str) {
        let gap = if found.is_empty() { "" } else { " " };
        self.push(chain, format!("-A {chain} {found}{gap}{action}"));
    }

    /// A line with the log line of its level in front.
    fn add_logged(&mut self, chain: &str, found: &str, action: &str, level: Option<&str>, message: &str) {
        if let Some(level) = level {
            let log = self.log(chain, level, message);
            self.push(chain, format!("-A {chain} {found} {log}"));
        }
        self.add(chain, found, action);
    }

    fn log(&self, chain: &str, level: &str, message: &str) -> String {
        const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
        let number = LEVELS.iter().position(|known| *known == level).unwrap_or_default();
        let limit = self.limit.as_ref().map(|limit| format!("-m limit {limit} ")).unwrap_or_default();
        format!("{limit}-j NFLOG --nflog-prefix \":0:{number}:{chain}: {message}\"")
    }

    /// The level of an option of the node; nothing where it says nothing is logged.
    fn level(&self, option: &str) -> Option<String> {
        self.input.host.option(option).filter(|level| !matches!(*level, "" | "nolog")).map(str::to_owned)
    }

    fn connections(&mut self, chain: &str, allow_invalid: bool) {
        if !allow_invalid {
            self.add(chain, "-m conntrack --ctstate INVALID", "-j DROP");
        }
        self.add(chain, "-m conntrack --ctstate RELATED,ESTABLISHED", "-j ACCEPT");
    }

    /// Blacklist, smurfs and flags.
    fn input_filters(&mut self, chain: &str, level: Option<&str>) {
        if self.datacenter.ipsets.contains_key("blacklist") {
            if !self.chains.contains_key("PVEFW-blacklist") {
                self.create("PVEFW-blacklist");
                self.add_logged("PVEFW-blacklist", "", "-j DROP", level, "DROP: ");
            }
            let set = sets::chain_name("blacklist", self.family);
            self.add(chain, &format!("-m set --match-set {set} src"), "-j PVEFW-blacklist");
        }
        if self.input.host.option("nosmurfs") != Some("0") && self.family == Family::V4 {
            self.add(chain, "-m conntrack --ctstate INVALID,NEW", "-j PVEFW-smurfs");
        }
        if self.input.host.option("tcpflags") == Some("1") {
            self.add(chain, "-p tcp", "-j PVEFW-tcpflags");
        }
    }
}

/// How often a log line may be written.
fn log_limit(datacenter: &Config) -> Option<String> {
    let default = || Some("--limit 1/sec".to_owned());
    let Some(Ok(limit)) = datacenter.option("log_ratelimit").map(options::rate_limit) else {
        return default();
    };
    if !limit.enable {
        return None;
    }
    let mut text = limit.rate.map_or_else(|| "--limit 1/sec".to_owned(), |rate| format!("--limit {rate}"));
    if let Some(burst) = limit.burst.filter(|burst| super::truthy(burst)) {
        text.push_str(&format!(" --limit-burst {burst}"));
    }
    Some(text)
}

/// Protection against floods, and helpers of conntrack.
fn raw(host: &Config, family: Family) -> Ruleset {
    const CHAIN: &str = "PVEFW-PREROUTING";
    let flood = host.option("protection_synflood") == Some("1");
    let helpers = host.option("nf_conntrack_helpers").unwrap_or_default();
    let mut rules = Ruleset::new();
    if !flood && helpers.is_empty() {
        return rules;
    }
    let mut lines = Vec::new();
    if flood {
        let number = |name: &str, default: &str| {
            host.option(name).filter(|value| super::truthy(value)).unwrap_or(default).to_owned()
        };
        let rate = number("protection_synflood_rate", "200");
        let burst = number("protection_synflood_burst", "1000");
        let expire = number("nf_conntrack_tcp_timeout_syn_recv", "60");
        let mask = if family == Family::V4 { 32 } else { 64 };
        lines.push(format!(
            "-A {CHAIN} -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m hashlimit --hashlimit-above {rate}/sec \
             --hashlimit-burst {burst} --hashlimit-mode srcip --hashlimit-name syn --hashlimit-htable-size 2097152 \
             --hashlimit-srcmask {mask} --hashlimit-htable-expire {expire}000 -j DROP"
        ));
    }
    for name in helpers.split(',') {
        let known = options::HELPERS.iter().find(|(helper, ..)| *helper == name);
        if let Some((_, protocol, port, v6)) = known
            && (*v6 || family == Family::V4)
        {
            lines
                .push(format!("-A {CHAIN} -p {protocol} -m {protocol} --dport {port} -j CT --helper {name}"));
        }
    }
    rules.insert(CHAIN.to_owned(), lines);
    rules
}

fn bridge(datacenter: &Config) -> Ruleset {
    if datacenter.option("ebtables") == Some("0") {
        return Ruleset::new();
    }
    let lines = ["-p IPv4 -j ACCEPT", "-p IPv6 -j ACCEPT", "-o fwln+ -j PVEFW-FWBR-OUT"];
    let forward = lines.iter().map(|line| format!("-A PVEFW-FORWARD {line}")).collect();
    Ruleset::from([("PVEFW-FORWARD".to_owned(), forward), ("PVEFW-FWBR-OUT".to_owned(), Vec::new())])
}

#[cfg(test)]
mod tests;
