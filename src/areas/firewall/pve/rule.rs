//! Lines of a `[RULES]` section, as far as they decide about a few TCP ports (pve-contract 3.2).

use super::super::ufw::holds;
use crate::facts::networks::covers;
use crate::profile::Network;

/// An incoming rule that is live.
pub struct Line<'a> {
    /// What it does: `ACCEPT`, `DROP`, `REJECT`, or whatever a group does.
    action: &'a str,
    macro_name: Option<&'a str>,
    protocol: Option<&'a str>,
    ports: Option<&'a str>,
    source: Option<&'a str>,
}

/// `IN SSH(ACCEPT) -source +dc/office -p tcp -dport 22 -log nolog # comment`; nothing for comments, staged rules and
/// rules of another direction.
pub fn read(line: &str) -> Option<Line<'_>> {
    let mut words = line.split('#').next()?.split_whitespace();
    let kind = words.next()?.to_ascii_uppercase();
    let action = words.next()?;
    let (macro_name, action) = match action.split_once('(') {
        Some((name, action)) => (Some(name), action.trim_end_matches(')')),
        None => (None, action),
    };
    let mut rule = Line { action, macro_name, protocol: None, ports: None, source: None };
    match kind.as_str() {
        "IN" => {}
        // A group may hold anything.
        "GROUP" => rule.action = "GROUP",
        _ => return None,
    }
    while let Some(word) = words.next() {
        let place = match word.trim_start_matches('-') {
            "source" => &mut rule.source,
            "p" | "proto" => &mut rule.protocol,
            "dport" => &mut rule.ports,
            _ => continue,
        };
        *place = words.next();
    }
    Some(rule)
}

impl Line<'_> {
    pub fn accepts(&self) -> bool {
        matches!(self.action, "ACCEPT" | "GROUP")
    }

    /// A group may do so, too.
    pub fn refuses(&self) -> bool {
        self.action != "ACCEPT"
    }

    pub fn drops(&self) -> bool {
        matches!(self.action, "DROP" | "REJECT")
    }

    /// Whether it may decide about one of these TCP ports. A port by its name may be any.
    pub fn concerns(&self, ports: &[u16]) -> bool {
        if let Some(name) = self.macro_name {
            return match name.to_ascii_lowercase().as_str() {
                "ssh" => ports.contains(&22),
                "pmg" => ports.contains(&8006),
                _ => false,
            };
        }
        // The protocol 0 of /etc/protocols stands for all.
        let tcp = self.protocol.is_none_or(|name| matches!(name, "tcp" | "6" | "ip" | "hopopt" | "0"));
        let named = |list: &str| list.bytes().any(|byte| byte.is_ascii_alphabetic());
        let any = self.ports.is_none_or(|list| named(list) || ports.iter().any(|port| holds(list, *port)));
        tcp && any
    }

    /// The networks that it is about: `None` for everybody, an error for a set or alias that `set` does not know.
    pub fn networks(&self, set: &dyn Fn(&str) -> Option<Vec<Network>>) -> Option<Result<Vec<Network>, ()>> {
        let source = self.source?;
        if let Some(name) = source.strip_prefix('+') {
            return Some(set(name.trim_start_matches("dc/")).ok_or(()));
        }
        let networks: Result<Vec<Network>, _> = source.split(',').map(Network::parse).collect();
        Some(networks.map_err(|_| ()))
    }
}

/// Whether every one of `networks` lies in one of `outer`.
pub fn all_within(networks: &[Network], outer: &[Network]) -> bool {
    networks.iter().all(|network| outer.iter().any(|outer| covers(outer, network)))
}
