//! Lines of `iptables-save` and words of `ufw` calls, as far as UFW writes them; both become a [`Rule`].

use crate::facts::networks::covers;
use crate::profile::Network;

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
    pub(super) protocol: Option<String>,
    pub(super) ports: Vec<(u16, u16)>,
    /// Whether it has further conditions (an interface, a state), so that it may not apply.
    pub(super) conditional: bool,
}

impl Rule {
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
        !self.conditional && self.out == other.out && network && ports && protocol
    }
}

/// The words of a `ufw` call: the simple form (`allow out 123/udp`) and the full one (`allow from NETWORK to any
/// port PORTS proto PROTOCOL`), each with a comment or without.
pub(super) fn of_words(words: &[String]) -> Option<Rule> {
    let mut words = words.iter().map(String::as_str).peekable();
    let action = match words.next()? {
        "allow" => Action::Allow,
        "limit" => Action::Limit,
        "deny" => Action::Deny,
        "reject" => Action::Reject,
        _ => return None,
    };
    let mut rule =
        Rule { action, out: false, network: None, protocol: None, ports: Vec::new(), conditional: false };
    while let Some(word) = words.next() {
        match word {
            "out" => rule.out = true,
            "in" => {}
            "comment" => break,
            "from" | "to" => match words.next()? {
                "any" => {}
                network => rule.network = Some(Network::parse(network).ok()?),
            },
            "port" => rule.ports = ports(words.next()?)?,
            "proto" => rule.protocol = Some(words.next()?.to_owned()),
            simple => {
                let (numbers, protocol) = match simple.split_once('/') {
                    Some((numbers, protocol)) => (numbers, Some(protocol.to_owned())),
                    None => (simple, None),
                };
                rule.ports = ports(numbers)?;
                rule.protocol = protocol;
            }
        }
    }
    Some(rule)
}

/// One line of `iptables-save`, when it is a rule of `chain` that decides: `-A CHAIN … -j TARGET`.
pub(super) fn of_line(line: &str, chain: &str, out: bool) -> Option<Rule> {
    let mut words = line.strip_prefix("-A ")?.strip_prefix(chain)?.strip_prefix(' ')?.split(' ');
    let mut rule = Rule {
        action: Action::Deny,
        out,
        network: None,
        protocol: None,
        ports: Vec::new(),
        conditional: false,
    };
    let mut decides = false;
    while let Some(word) = words.next() {
        match word {
            "-s" if !out => rule.network = Some(Network::parse(words.next()?).ok()?),
            "-d" if out => rule.network = Some(Network::parse(words.next()?).ok()?),
            "-p" => rule.protocol = Some(words.next()?.to_owned()),
            "-m" => rule.conditional |= !matches!(words.next()?, "tcp" | "udp" | "multiport"),
            // UFW writes --dports; iptables-save prints it as --dports too.
            "--dport" | "--dports" => rule.ports = ports(words.next()?)?,
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
        "ACCEPT" => Some(Action::Allow),
        "ufw-user-limit-accept" | "ufw6-user-limit-accept" => Some(Action::Limit),
        "DROP" => Some(Action::Deny),
        "REJECT" => Some(Action::Reject),
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
