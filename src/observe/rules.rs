//! Lines of `iptables-save`, words of `ufw` calls and of PVE's firewall files, as far as UFW, PVE and we write them; all
//! become a [`Rule`].

use crate::facts::networks::covers;
use crate::profile::Network;

/// The name of a set of the datacenter in PVE's file, out of the kernel's; any other set's as it is.
pub(super) fn pve_set(name: &str) -> &str {
    let set = name.strip_prefix("PVEFW-0-").unwrap_or_default();
    set.strip_suffix("-v4").or(set.strip_suffix("-v6")).unwrap_or(name)
}

/// Protocol and type of an echo request, and the same of IPv6.
pub(super) const PING: (&str, (u16, u16)) = ("icmp", (8, 8));
pub(super) const PING6: (&str, (u16, u16)) = ("ipv6-icmp", (128, 128));

/// What happens to packets.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Action {
    Allow,
    Limit,
    Deny,
    Reject,
}

impl Action {
    pub(super) fn accepts(self) -> bool {
        matches!(self, Self::Allow | Self::Limit)
    }
}

/// Packets from somewhere to some ports. `None` and an empty list stand for all.
pub(super) struct Rule {
    pub(super) action: Action,
    /// Outgoing, where `network` is the other end too.
    pub(super) out: bool,
    pub(super) network: Option<Network>,
    /// A set of addresses, as PVE's file names it; `None` for all.
    pub(super) set: Option<String>,
    pub(super) protocol: Option<String>,
    /// Of ICMP, the types.
    pub(super) ports: Vec<(u16, u16)>,
    /// Whether it has further conditions (an interface, a state), so that it may not apply.
    pub(super) conditional: bool,
}

impl Rule {
    fn all(action: Action, out: bool) -> Self {
        let (network, set, protocol) = (None, None, None);
        Self { action, out, network, set, protocol, ports: Vec::new(), conditional: false }
    }

    /// Whether one of these TCP ports may be meant.
    pub(super) fn concerns(&self, ports: &[u16]) -> bool {
        self.protocol.as_deref().is_none_or(|protocol| protocol == "tcp")
            && (self.ports.is_empty()
                || ports.iter().any(|port| self.ports.iter().any(|own| own.0 <= *port && *port <= own.1)))
    }

    /// Whether every packet of `other` is one of ours.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let network = match (&self.network, &other.network) {
            (None, _) => true,
            (Some(ours), Some(theirs)) => covers(ours, theirs),
            (Some(_), None) => false,
        };
        let ports = self.ports.is_empty()
            || (!other.ports.is_empty()
                && other
                    .ports
                    .iter()
                    .all(|port| self.ports.iter().any(|own| own.0 <= port.0 && port.1 <= own.1)));
        let protocol = self.protocol.is_none() || self.protocol == other.protocol;
        let set = self.set.is_none() || self.set == other.set;
        !self.conditional && self.out == other.out && network && set && ports && protocol
    }
}

/// The words of a `ufw` call: the simple form (`allow out 123/udp`) and the full one (`allow from NETWORK to any
/// port PORTS proto PROTOCOL`), each with a comment or without. And those of a rule of ours in PVE's files, without its
/// comment: `IN ACCEPT -source +management -p tcp -dport 22`, `IN Ping(ACCEPT) -source +management`.
pub(super) fn of_words(words: &[String]) -> Option<Rule> {
    let mut words = words.iter().map(String::as_str);
    let mut rule = Rule::all(Action::Deny, false);
    let mut decides = false;
    while let Some(word) = words.next() {
        match word {
            "out" | "OUT" => rule.out = true,
            "in" | "IN" => {}
            "comment" => break,
            "from" | "to" | "-source" | "-dest" => match words.next()? {
                "any" => {}
                other => match other.strip_prefix('+') {
                    Some(set) => rule.set = Some(set.to_owned()),
                    None => rule.network = Some(Network::parse(other).ok()?),
                },
            },
            "port" | "-dport" => rule.ports = ports(words.next()?)?,
            "proto" | "-p" => rule.protocol = Some(words.next()?.to_owned()),
            other => {
                let action = match other {
                    "allow" => "ACCEPT",
                    "limit" => "ufw-user-limit-accept",
                    "deny" => "DROP",
                    "reject" => "REJECT",
                    "Ping(ACCEPT)" => {
                        (rule.protocol, rule.ports) = (Some(PING.0.to_owned()), vec![PING.1]);
                        "ACCEPT"
                    }
                    _ => other,
                };
                if let Some(action) = target(action) {
                    (rule.action, decides) = (action, true);
                    continue;
                }
                let (numbers, protocol) = other.split_once('/').unwrap_or((other, ""));
                rule.ports = ports(numbers)?;
                rule.protocol = (!protocol.is_empty()).then(|| protocol.to_owned());
            }
        }
    }
    decides.then_some(rule)
}

/// One line of `iptables-save`, when it is a rule of `chain` that decides: `-A CHAIN … -j TARGET`.
pub(super) fn of_line(line: &str, chain: &str, out: bool) -> Option<Rule> {
    let mut words = line.strip_prefix("-A ")?.strip_prefix(chain)?.strip_prefix(' ')?.split(' ');
    let mut rule = Rule::all(Action::Deny, out);
    let mut decides = false;
    while let Some(word) = words.next() {
        match word {
            "-s" if !out => rule.network = Some(Network::parse(words.next()?).ok()?),
            "-d" if out => rule.network = Some(Network::parse(words.next()?).ok()?),
            "-p" => rule.protocol = Some(words.next()?.to_owned()),
            "-m" => {
                let known = ["tcp", "udp", "multiport", "set", "icmp", "icmp6"];
                rule.conditional |= !known.contains(&words.next()?);
            }
            "--match-set" => {
                rule.set = Some(pve_set(words.next()?).to_owned());
                rule.conditional |= words.next()? != if out { "dst" } else { "src" };
            }
            // UFW writes --dports; iptables-save prints it as --dports too.
            "--dport" | "--dports" | "--icmp-type" | "--icmpv6-type" => rule.ports = ports(words.next()?)?,
            "-j" => {
                rule.action = target(words.next()?)?;
                decides = true;
            }
            "--reject-with" => {
                words.next();
            }
            // Whatever else a line asks for narrows it.
            _ => rule.conditional = true,
        }
    }
    decides.then_some(rule)
}

fn target(name: &str) -> Option<Action> {
    match name {
        // PVE lets a packet go on in INPUT, whose policy accepts (pve-contract 3.4).
        "ACCEPT" | "RETURN" => Some(Action::Allow),
        "ufw-user-limit-accept" | "ufw6-user-limit-accept" => Some(Action::Limit),
        "DROP" => Some(Action::Deny),
        "REJECT" | "PVEFW-reject" => Some(Action::Reject),
        _ => None,
    }
}

/// `22`, `5405:5412`, `111,2049`.
fn ports(text: &str) -> Option<Vec<(u16, u16)>> {
    text.split(',')
        .map(|item| {
            let (first, last) = item.split_once(':').unwrap_or((item, item));
            Some((first.parse().ok()?, last.parse().ok()?))
        })
        .collect()
}
