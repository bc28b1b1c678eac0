//! The reading itself, line by line.

use super::{Alias, Entry, Message, Read, is_alias};
use crate::firewall::address::{NOT_AN_ADDRESS, parse_network};
use crate::firewall::config::Config;
use crate::firewall::names::{Names, is_name};
use crate::firewall::options;
use crate::firewall::rule::Rule;
use crate::firewall::verify::{Place, Scope, verify};
use crate::firewall::{blank, shuffled, truthy};

/// Where a line stands.
enum Section {
    None,
    Options,
    Aliases,
    Rules,
    Group(String),
    Set(String, Vec<String>),
}

/// The state of reading one file.
pub(super) struct Reader<'a> {
    path: &'a str,
    names: &'a Names,
    datacenter: Option<&'a Config>,
    now: u64,
    knows_sets: bool,
    knows_aliases: bool,
    prefix: String,
    section: Section,
    pub(super) read: Read,
}

impl<'a> Reader<'a> {
    pub(super) fn new(path: &'a str, names: &'a Names, datacenter: Option<&'a Config>, now: u64) -> Self {
        Self {
            path,
            names,
            datacenter,
            now,
            knows_sets: datacenter.is_none(),
            knows_aliases: datacenter.is_none(),
            prefix: String::new(),
            section: Section::None,
            read: Read::default(),
        }
    }

    pub(super) fn run(&mut self, text: &[u8]) {
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            // The pattern's horizontal blanks are bytes, the no-break space's among them: it eats the end of an `à`.
            let line = trim(line);
            let line = String::from_utf8_lossy(line);
            if line.starts_with('#') || line.trim_matches(blank).is_empty() {
                continue;
            }
            self.prefix = format!("{} (line {})", self.path, number + 1);
            if !self.header(&line) {
                self.line(&line);
            }
        }
    }

    fn warn(&mut self, message: &str) {
        let text = format!("{}: {message}", self.prefix);
        self.read.messages.push(Message::Warning(text));
    }

    fn perl(&mut self, message: &str, line: u32) {
        let text = format!("{message} at /usr/share/perl5/PVE/Firewall.pm line {line}.");
        self.read.messages.push(Message::Warning(text));
    }

    fn header(&mut self, line: &str) -> bool {
        let is = |name: &str| line.eq_ignore_ascii_case(name);
        if is("[options]") {
            self.section = Section::Options;
        } else if self.knows_aliases && is("[aliases]") {
            self.section = Section::Aliases;
        } else if is("[rules]") {
            self.section = Section::Rules;
        } else if self.datacenter.is_none()
            && let Some((name, comment)) = named_header(line, "[group")
        {
            self.named("security group", name.to_lowercase(), comment);
        } else if self.knows_sets
            && let Some((name, comment)) = named_header(line, "[ipset")
        {
            self.named("ipset", name.to_lowercase(), comment);
        } else {
            return false;
        }
        true
    }

    fn named(&mut self, what: &str, name: String, comment: Option<&str>) {
        let set = what == "ipset";
        let longest = if set { 64 } else { 18 };
        self.section = Section::None;
        if name.len() > longest {
            return self.warn(&format!("{what} name too long"));
        }
        if !is_name(&name) {
            return self.warn(&format!("invalid {what} name '{name}'"));
        }
        let config = &mut self.read.config;
        let comment = comment.filter(|text| truthy(text)).map(str::to_owned);
        if set {
            config.ipsets.insert(name.clone(), Vec::new());
            config.ipset_comments.extend(comment.map(|text| (name.clone(), text)));
            self.section = Section::Set(name, Vec::new());
        } else {
            config.groups.insert(name.clone(), Vec::new());
            config.group_comments.extend(comment.map(|text| (name.clone(), text)));
            self.section = Section::Group(name);
        }
    }

    fn line(&mut self, line: &str) {
        match &self.section {
            Section::None => self.warn("skip line - no section"),
            Section::Options => {
                let option = match self.datacenter {
                    None => options::cluster(line, self.now),
                    Some(_) => options::host(line),
                };
                match option {
                    Ok((name, value)) => {
                        self.read.config.options.insert(name, value);
                    }
                    Err(message) => self.warn(&message),
                }
            }
            Section::Aliases => self.alias(line),
            Section::Rules => {
                let place = if self.datacenter.is_some() { Place::Host } else { Place::Cluster };
                if let Some(rule) = self.rule(line, place) {
                    self.read.config.rules.push(rule);
                }
            }
            Section::Group(name) => {
                let name = name.clone();
                if let Some(rule) = self.rule(line, Place::Group) {
                    self.read.config.groups.entry(name).or_default().push(rule);
                }
            }
            Section::Set(name, _) => {
                let name = name.clone();
                self.member(&name, line);
            }
        }
    }

    fn alias(&mut self, line: &str) {
        let (text, comment) = match line.split_once('#') {
            Some((text, comment)) => (text.trim_end_matches(blank), Some(comment.trim_matches(blank))),
            None => (line, None),
        };
        let parts = text.split_once(blank).filter(|(_, value)| !value.is_empty() && !value.contains(blank));
        let Some((name, value)) = parts else {
            return self.perl("Use of uninitialized value in lc", 3544);
        };
        match parse_network(value) {
            Ok((network, family)) => {
                let alias = Alias {
                    name: name.to_owned(),
                    network,
                    family,
                    comment: comment.filter(|text| truthy(text)).map(str::to_owned),
                };
                self.read.config.aliases.insert(name.to_lowercase(), alias);
            }
            Err(message) => {
                self.warn(message);
            }
        }
    }

    fn rule(&mut self, line: &str, place: Place) -> Option<Rule> {
        let mut rule = match Rule::parse(line) {
            Ok(rule) => rule,
            Err(message) => {
                self.warn(&message);
                return None;
            }
        };
        let own = (place != Place::Group).then_some(&self.read.config);
        let scope = Scope {
            cluster: Some(self.datacenter.unwrap_or(&self.read.config)),
            own,
            place,
            names: self.names,
        };
        let verdict = match verify(&mut rule, scope) {
            Ok(verdict) => verdict,
            Err(message) => {
                self.warn(&message);
                return None;
            }
        };
        self.knows_sets |= verdict.touched_sets && place == Place::Host;
        self.knows_aliases |= verdict.touched_aliases && place == Place::Host;
        self.read.messages.extend(verdict.warnings.into_iter().map(Message::Warning));
        if !verdict.errors.is_empty() {
            let head = format!("{} - errors in rule parameters: {line}", self.prefix);
            self.read.messages.push(Message::Fault(head));
            for (property, message) in shuffled(verdict.errors.clone()) {
                self.read.messages.push(Message::Fault(format!("  {property}: {message}")));
            }
        }
        rule.errors = verdict.errors;
        Some(rule)
    }

    fn member(&mut self, set: &str, line: &str) {
        let (text, comment) = match line.split_once('#') {
            Some((text, comment)) => (text, Some(comment.trim_matches(blank))),
            None => (line, None),
        };
        let nomatch = text.starts_with('!');
        let network = text.strip_prefix('!').unwrap_or(text).trim_matches(blank);
        let mut entry = Entry {
            nomatch,
            comment: comment.filter(|text| truthy(text)).map(str::to_owned),
            ..Entry::default()
        };
        if network.is_empty() || network.contains(blank) {
            return self.unreadable_member(set, line, entry);
        }
        let (network, mut error) = self.member_network(network);
        let seen = match &self.section {
            Section::Set(_, seen) => seen.contains(&network),
            _ => false,
        };
        if error.is_none() && seen {
            error = Some(format!("duplicate ipset entry for '{network}'"));
        }
        if network.rsplit_once('/').is_some_and(|(_, prefix)| is_zero(prefix)) {
            error = Some("a zero prefix is not allowed in ipset entries\n".to_owned());
        }
        if let Some(error) = &error {
            self.member_fault(set, line, error);
        }
        if let Section::Set(_, seen) = &mut self.section {
            seen.push(network.clone());
        }
        entry.network = Some(network);
        entry.error = error;
        self.read.config.ipsets.entry(set.to_owned()).or_default().push(entry);
    }

    fn member_network(&self, text: &str) -> (String, Option<String>) {
        if is_alias(text) {
            let config = self.datacenter.unwrap_or(&self.read.config);
            return (text.to_owned(), config.resolve(text).err());
        }
        match parse_network(text) {
            Ok((network, _)) => (network, None),
            Err(message) => (text.to_owned(), Some(message.to_owned())),
        }
    }

    /// A line with several words: Perl goes on with a value that is not there, and says so.
    fn unreadable_member(&mut self, set: &str, line: &str, mut entry: Entry) {
        const MATCH: &str = "Use of uninitialized value $cidr in pattern match (m//)";
        for number in [3577, 3398, 3401, 3592] {
            self.perl(MATCH, number);
        }
        self.member_fault(set, line, NOT_AN_ADDRESS);
        self.perl("Use of uninitialized value $cidr in hash element", 3609);
        entry.nomatch = true;
        entry.error = Some(NOT_AN_ADDRESS.to_owned());
        self.read.config.ipsets.entry(set.to_owned()).or_default().push(entry);
    }

    fn member_fault(&mut self, set: &str, line: &str, error: &str) {
        let line = line.split_once('#').map_or(line, |(text, _)| text);
        let head = format!("{} - errors in ipset '{set}': {line}", self.prefix);
        self.read.messages.extend([Message::Member(head), Message::Member(format!("  cidr: {error}"))]);
    }
}

fn is_zero(prefix: &str) -> bool {
    !prefix.is_empty() && prefix.bytes().all(|byte| byte == b'0')
}

fn trim(line: &[u8]) -> &[u8] {
    let horizontal = |byte: &u8| matches!(byte, b' ' | b'\t' | 0xa0);
    let start = line.iter().position(|byte| !horizontal(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !horizontal(byte)).map_or(start, |last| last + 1);
    line.get(start..end).unwrap_or_default()
}

/// Name and comment of a header like `[IPSET name] # comment`.
fn named_header<'a>(line: &'a str, start: &str) -> Option<(&'a str, Option<&'a str>)> {
    let rest = line.get(start.len()..)?;
    if !line.get(..start.len())?.eq_ignore_ascii_case(start) || !rest.starts_with(blank) {
        return None;
    }
    let rest = rest.trim_start_matches(blank);
    let end = rest.find(blank).unwrap_or(rest.len());
    for (position, _) in rest.get(..end)?.rmatch_indices(']') {
        let name = rest.get(..position)?;
        let after = rest.get(position + 1..)?.trim_start_matches(blank);
        if name.is_empty() {
            return None;
        }
        if after.is_empty() {
            return Some((name, None));
        }
        if let Some(comment) = after.strip_prefix('#') {
            return Some((name, Some(comment.trim_matches(blank))));
        }
    }
    None
}
