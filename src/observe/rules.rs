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
    /// Dropped or rejected.
    Deny,
}

impl Action {
    pub(super) fn accepts(self) -> bool {
        self != Self::Deny
    }
}

/// Packets from somewhere to some ports. What is `None` or empty stands for all.
pub(super) struct Rule<'a> {
    pub(super) action: Action,
    /// Outgoing, where `network` is the other end too.
    pub(super) out: bool,
    pub(super) network: Option<Network>,
    /// A set of addresses, as PVE's file names it.
    pub(super) set: &'a str,
    pub(super) protocol: &'a str,
    /// Of ICMP, the types.
    pub(super) ports: Vec<(u16, u16)>,
    /// Whether it has further conditions (an interface, a state), so that it may not apply.
    pub(super) conditional: bool,
    /// The chain where it goes on, for a line of the kernel's that does not decide itself.
    pub(super) jump: &'a str,
}

impl Rule<'_> {
    /// Whether one of these TCP ports may be meant.
    pub(super) fn concerns(&self, ports: &[u16]) -> bool {
        matches!(self.protocol, "" | "tcp")
            && (self.ports.is_empty() || ports.iter().any(|port| self.has((*port, *port))))
    }

    fn has(&self, ports: (u16, u16)) -> bool {
        self.ports.iter().any(|own| own.0 <= ports.0 && ports.1 <= own.1)
    }

    /// Whether every packet of `other`, if it is one of this protocol, is one of ours.
    pub(super) fn covers(&self, other: &Self, protocol: &str) -> bool {
        let network = match (&self.network, &other.network) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(theirs)) => covers(own, theirs),
        };
        let ports = self.ports.is_empty()
            || (!other.ports.is_empty() && other.ports.iter().all(|ports| self.has(*ports)));
        let fits = |own: &str, theirs: &str| own.is_empty() || own == theirs;
        !self.conditional
            && self.out == other.out
            && network
            && ports
            && fits(self.set, other.set)
            && fits(self.protocol, protocol)
    }
}

/// The words of a `ufw` call: the simple form (`allow out 123/udp`) and the full one (`allow from NETWORK to any
/// port PORTS proto PROTOCOL`), each with a comment or without. And those of a rule of ours in PVE's files, without its
/// comment: `IN ACCEPT -source +management -p tcp -dport 22`, `IN Ping(ACCEPT) -source +management`.
pub(super) fn of_words(words: &[String]) -> Option<Rule<'_>> {
    read(&mut words.iter().map(String::as_str), None)
}

/// One line of `iptables-save`, when it is a rule of `chain` that decides, or goes on elsewhere: `-A CHAIN … -j TARGET`.
pub(super) fn of_line<'a>(line: &'a str, chain: &str, out: bool) -> Option<Rule<'a>> {
    let words = line.strip_prefix("-A ")?.strip_prefix(chain)?.strip_prefix(' ')?;
    read(&mut words.split(' '), Some(out))
}

/// `kernel` is the direction of the chain in a line of the kernel's.
#[inline(never)]
fn read<'a>(words: &mut dyn Iterator<Item = &'a str>, kernel: Option<bool>) -> Option<Rule<'a>> {
    let out = kernel.unwrap_or_default();
    let mut rule = Rule {
        action: Action::Deny,
        out,
        network: None,
        set: "",
        protocol: "",
        ports: Vec::new(),
        conditional: false,
        jump: "",
    };
    let mut decides = false;
    let other_end = if out { "-d" } else { "-s" };
    while let Some(word) = words.next() {
        match (kernel, word) {
            (_, "-p") | (None, "proto") => rule.protocol = words.next()?,
            (None, "from" | "to" | "-source" | "-dest") => match words.next()? {
                "any" => {}
                other => match other.strip_prefix('+') {
                    Some(set) => rule.set = set,
                    None => rule.network = Some(Network::parse(other).ok()?),
                },
            },
            (Some(_), end) if end == other_end => rule.network = Some(Network::parse(words.next()?).ok()?),
            // UFW writes --dports; iptables-save prints it as --dports too.
            (None, "port" | "-dport")
            | (Some(_), "--dport" | "--dports" | "--icmp-type" | "--icmpv6-type") => {
                rule.ports = ports(words.next()?)?;
            }
            (None, "out" | "OUT") => rule.out = true,
            (None, "in" | "IN") => {}
            (None, "comment") => break,
            (None, "Ping(ACCEPT)") => {
                (rule.protocol, rule.ports) = (PING.0, vec![PING.1]);
                (rule.action, decides) = (Action::Allow, true);
            }
            (None, word) => {
                if let Some(action) = target(word, false) {
                    (rule.action, decides) = (action, true);
                } else {
                    let (numbers, protocol) = word.split_once('/').unwrap_or((word, ""));
                    (rule.ports, rule.protocol) = (ports(numbers)?, protocol);
                }
            }
            (Some(_), "-m") => {
                let known = ["tcp", "udp", "multiport", "set", "icmp", "icmp6"];
                rule.conditional |= !known.contains(&words.next()?);
            }
            (Some(_), "--match-set") => {
                rule.set = pve_set(words.next()?);
                rule.conditional |= words.next()? != if out { "dst" } else { "src" };
            }
            (Some(_), "-j" | "-g") => {
                let name = words.next()?;
                match target(name, true) {
                    Some(action) => (rule.action, decides) = (action, true),
                    None => rule.jump = name,
                }
            }
            (Some(_), "--reject-with") => {
                words.next();
            }
            // Whatever else a line asks for narrows it.
            (Some(_), _) => rule.conditional = true,
        }
    }
    (decides || !rule.jump.is_empty()).then_some(rule)
}

/// What a chain of the kernel, or a word, does with packets: a chain may have the name of a word.
fn target(name: &str, of_kernel: bool) -> Option<Action> {
    match (of_kernel, name) {
        // PVE lets a packet go on in INPUT, whose policy accepts (pve-contract 3.4); a group of rules marks it for that.
        (_, "ACCEPT" | "RETURN") | (true, "PVEFW-SET-ACCEPT-MARK") | (false, "allow") => Some(Action::Allow),
        (_, "ufw-user-limit-accept" | "ufw6-user-limit-accept") | (false, "limit") => Some(Action::Limit),
        (_, "DROP" | "REJECT" | "PVEFW-reject") | (false, "deny" | "reject") => Some(Action::Deny),
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
