//! One rule: its properties by name, the line it is read from and the line it is written as.

use std::collections::BTreeMap;

use super::address::Family;
use super::names::LOG_LEVELS;
use super::{blank, truthy};

/// Every property the API knows of a rule.
pub const PROPERTIES: [&str; 15] = [
    "pos",
    "digest",
    "type",
    "action",
    "macro",
    "iface",
    "source",
    "dest",
    "proto",
    "enable",
    "log",
    "sport",
    "dport",
    "comment",
    "icmp-type",
];

/// Properties as texts, as Perl holds them, so that what is "true" there is true here: neither empty nor `0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    properties: BTreeMap<&'static str, String>,
    /// The family that addresses or protocol give.
    pub family: Option<Family>,
    /// What is wrong with it, by property. Such a rule is kept in the file and not used.
    pub errors: Vec<(String, String)>,
}

/// The name of a property as this crate holds it.
pub fn property(name: &str) -> Option<&'static str> {
    PROPERTIES.into_iter().find(|known| *known == name)
}

impl Rule {
    /// A property, if it is there at all.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// A property that Perl takes for true.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| truthy(value))
    }

    /// Sets a property.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.properties.insert(name, value.into());
    }

    /// Takes a property away.
    pub fn remove(&mut self, name: &str) {
        self.properties.remove(name);
    }

    /// `in`, `out`, `forward` or `group`; anything in a broken rule.
    pub fn kind(&self) -> &str {
        self.get("type").unwrap_or_default()
    }

    /// What happens to a packet, or the group's name.
    pub fn action(&self) -> &str {
        self.get("action").unwrap_or_default()
    }

    /// Every property with its value, sorted by name.
    pub fn properties(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.properties.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Whether the rule takes part at all.
    pub fn is_active(&self) -> bool {
        self.given("enable").is_some() && self.errors.is_empty()
    }

    /// Reads the syntax of a line; what its properties mean is looked at in `verify`.
    pub fn parse(line: &str) -> Result<Self, String> {
        let mut rule = Self::default();
        let mut rest = line;
        if let Some((before, comment)) = line.split_once('#') {
            rule.set("comment", comment.trim_matches(blank));
            rest = before;
        }
        let enabled = !rest.starts_with('|');
        rule.set("enable", if enabled { "1" } else { "0" });
        rest = rest.strip_prefix('|').unwrap_or(rest);
        let unreadable = || format!("unable to parse rule: {rest}");
        let (kind, after) = word(rest).ok_or_else(unreadable)?;
        let (action, mut rest) = word(after.trim_start_matches(blank)).ok_or_else(unreadable)?;
        rule.set("type", kind.to_lowercase());
        rule.set("action", action);
        rule.split_macro();
        rest = rest.trim_start_matches(blank);
        while !rest.is_empty() {
            let Some((name, value, after)) = option(rest, rule.kind() == "group") else {
                return Err(format!("unable to parse rule parameters: {rest}"));
            };
            rule.set(name, value);
            rest = after;
        }
        Ok(rule)
    }

    fn split_macro(&mut self) {
        if !matches!(self.kind(), "in" | "out" | "forward") {
            return;
        }
        let action = self.action().to_owned();
        let Some((name, target)) = action.strip_suffix(')').and_then(|text| text.rsplit_once('(')) else {
            return;
        };
        if !name.is_empty() && matches!(target, "ACCEPT" | "DROP" | "REJECT") {
            self.set("macro", name);
            self.set("action", target);
        }
    }

    /// The line of the rule in a file. Comments go in as they are, line ends included (pve-observed 3.6).
    pub fn line(&self, with_interface: bool) -> String {
        let mut line = String::new();
        if self.get("enable").is_some_and(|enable| !truthy(enable)) {
            line.push('|');
        }
        line.push_str(&self.kind().to_uppercase());
        match self.given("macro") {
            Some(name) => line.push_str(&format!(" {name}({})", self.action())),
            None => line.push_str(&format!(" {}", self.action())),
        }
        if with_interface && let Some(interface) = self.given("iface") {
            line.push_str(&format!(" -i {interface}"));
        }
        if self.kind() != "group" {
            for (name, option) in [
                ("source", "source"),
                ("dest", "dest"),
                ("proto", "p"),
                ("dport", "dport"),
                ("sport", "sport"),
                ("log", "log"),
            ] {
                if let Some(value) = self.given(name) {
                    line.push_str(&format!(" -{option} {value}"));
                }
            }
            if let Some(kind) = self.get("icmp-type").filter(|kind| !kind.is_empty()) {
                line.push_str(&format!(" -icmp-type {kind}"));
            }
        }
        line.push_str(&super::write::comment(self.get("comment")));
        line.push('\n');
        line
    }
}

/// The first word, and what follows the blanks behind it. The blanks must be there, or the end.
fn word(text: &str) -> Option<(&str, &str)> {
    let end = text.find(blank).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    (!word.is_empty()).then_some((word, rest))
}

/// One option with its value: exactly one blank between them.
fn option(text: &str, group: bool) -> Option<(&'static str, &str, &str)> {
    const OPTIONS: [(&str, &[&str]); 8] = [
        ("iface", &["-i "]),
        ("proto", &["-p ", "-proto ", "--proto "]),
        ("dport", &["-dport ", "--dport "]),
        ("sport", &["-sport ", "--sport "]),
        ("source", &["-source ", "--source "]),
        ("dest", &["-dest ", "--dest "]),
        ("log", &["-log ", "--log "]),
        ("icmp-type", &["-icmp-type ", "--icmp-type "]),
    ];
    for (name, spellings) in OPTIONS {
        if group && name != "iface" {
            return None;
        }
        for spelling in spellings {
            let Some(after) = text.strip_prefix(spelling) else { continue };
            let (value, rest) = if name == "log" { level(after)? } else { word(after)? };
            return Some((name, value, rest.trim_start_matches(blank)));
        }
    }
    None
}

/// A log level at the start of the text; the pattern of the real thing does not ask for a blank behind it.
fn level(text: &str) -> Option<(&str, &str)> {
    LOG_LEVELS.into_iter().find_map(|level| text.strip_prefix(level).map(|rest| (level, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(line: &str) -> String {
        Rule::parse(line).map_or_else(|error| error, |rule| rule.line(true).trim_end_matches('\n').to_owned())
    }

    #[test]
    fn a_rule_is_written_in_the_order_of_the_real_tool() {
        assert_eq!(
            round_trip("|in SSH(ACCEPT) -log info -p tcp --dport 22 -source +management   # a  b "),
            "|IN SSH(ACCEPT) -source +management -p tcp -dport 22 -log info # a  b"
        );
        assert_eq!(round_trip("GROUP webs -i vmbr0"), "GROUP webs -i vmbr0");
        assert_eq!(round_trip("IN ACCEPT -p tcp -dport 28#c"), "IN ACCEPT -p tcp -dport 28 # c");
    }

    #[test]
    fn what_cannot_be_read_is_named_as_the_real_tool_does() {
        assert_eq!(round_trip("hello"), "unable to parse rule: hello");
        assert_eq!(round_trip("IN SSH ACCEPT"), "unable to parse rule parameters: ACCEPT");
        assert_eq!(round_trip("IN ACCEPT -log loud"), "unable to parse rule parameters: -log loud");
        assert_eq!(round_trip("IN ACCEPT -p  tcp"), "unable to parse rule parameters: -p  tcp");
        assert_eq!(
            round_trip("IN ACCEPT -p tcp -dport 27 trailing junk"),
            "unable to parse rule parameters: trailing junk"
        );
    }

    #[test]
    fn port_zero_is_no_port_when_the_rule_is_written() {
        assert_eq!(round_trip("IN ACCEPT -p tcp -dport 0"), "IN ACCEPT -p tcp");
    }
}
