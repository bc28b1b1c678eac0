//! `cluster.fw` and `host.fw` as PVE reads them: line by line, lenient where it should not be, and with what it says
//! about each line (transcripts 33 and 34, pve-observed 3.7).

mod reader;

use std::collections::BTreeMap;

use super::address::Family;
use super::names::{Names, is_name};
use super::rule::Rule;
use super::verify::scoped;
use reader::Reader;

/// A name for an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name as it was written; references ignore its case.
    pub name: String,
    /// The address or network.
    pub network: String,
    /// Its family.
    pub family: Family,
    /// The comment of its line.
    pub comment: Option<String>,
}

/// A member of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Address, network or alias; nothing where the line could not be read at all.
    pub network: Option<String>,
    /// The set does not match these.
    pub nomatch: bool,
    /// The comment of its line.
    pub comment: Option<String>,
    /// What is wrong with it.
    pub error: Option<String>,
}

/// What one file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Options by name.
    pub options: BTreeMap<String, String>,
    /// Aliases by their names in lower case.
    pub aliases: BTreeMap<String, Alias>,
    /// Sets by name.
    pub ipsets: BTreeMap<String, Vec<Entry>>,
    /// Comments of the sets.
    pub ipset_comments: BTreeMap<String, String>,
    /// Security groups by name.
    pub groups: BTreeMap<String, Vec<Rule>>,
    /// Comments of the groups.
    pub group_comments: BTreeMap<String, String>,
    /// Rules in their order.
    pub rules: Vec<Rule>,
}

/// Something PVE says while it reads a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A line that could not be read: always on stderr, never in the daemon's log.
    Warning(String),
    /// A rule or member that is wrong: on stderr of `compile` and `status`, else in the system's log.
    Fault(String),
    /// A wrong member of a set: on stderr of `compile` and `status`, else nowhere.
    Member(String),
}

/// A file that was read.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// What it says.
    pub config: Config,
    /// What PVE says about it.
    pub messages: Vec<Message>,
}

impl Config {
    /// An option's value.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// Whether the firewall of the datacenter is on.
    pub fn enabled(&self) -> bool {
        self.option("enable").is_some_and(super::truthy)
    }

    /// The network of an alias a set refers to.
    pub fn resolve(&self, reference: &str) -> Result<(&str, Family), String> {
        let (prefix, name) = scoped(reference, &["guest/", "dc/"]);
        let alias = self.aliases.get(&name.to_lowercase()).filter(|_| prefix != "guest/");
        let alias = alias.ok_or_else(|| format!("no such alias '{name}'"))?;
        Ok((&alias.network, alias.family))
    }
}

/// Whether a member of a set is the name of an alias.
pub fn is_alias(text: &str) -> bool {
    is_name(scoped(text, &["guest/", "dc/"]).1)
}

/// Reads the text of `cluster.fw`. `now` decides whether a time in `enable` is over.
pub fn cluster(path: &str, text: &[u8], names: &Names, now: u64) -> Read {
    let mut reader = Reader::new(path, names, None, now);
    reader.run(text);
    reader.read
}

/// Reads the text of a `host.fw` of a datacenter.
pub fn host(path: &str, text: &[u8], names: &Names, datacenter: &Config) -> Read {
    let mut reader = Reader::new(path, names, Some(datacenter), 0);
    reader.run(text);
    reader.read
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Read {
        cluster("cluster.fw", text.as_bytes(), Names::of_the_machine(), 0)
    }

    /// What is said about a file.
    fn messages(text: &str) -> Vec<String> {
        let inner = |message| match message {
            Message::Warning(text) | Message::Fault(text) | Message::Member(text) => text,
        };
        read(text).messages.into_iter().map(inner).collect()
    }

    #[test]
    fn a_rule_above_the_set_it_needs_has_no_set() {
        let text = "[RULES]\nIN ACCEPT -source +ok\n[IPSET ok]\n10.0.0.1\n";
        assert_eq!(
            messages(text),
            [
                "cluster.fw (line 2) - errors in rule parameters: IN ACCEPT -source +ok",
                "  source: no such ipset 'ok'"
            ]
        );
        assert!(messages("[IPSET ok]\n10.0.0.1\n[RULES]\nIN ACCEPT -source +ok\n").is_empty());
    }

    #[test]
    fn a_second_section_of_a_set_replaces_the_first_and_other_sections_add_up() {
        let config =
            read("[IPSET ok]\n10.0.0.1\n[OPTIONS]\nenable: 1\n[IPSET ok]\n10.0.0.2\n[OPTIONS]\nenable: 0\n")
                .config;
        assert_eq!(config.ipsets["ok"].len(), 1);
        assert_eq!(config.option("enable"), Some("0"));
    }

    #[test]
    fn an_impossible_prefix_is_taken_without_a_word() {
        assert!(messages("[IPSET ok]\n10.0.0.0/33\n[ALIASES]\nbad 10.0.0.0/40\n").is_empty());
    }

    #[test]
    fn the_last_byte_of_some_letters_is_a_blank_to_the_real_tool() {
        let config = read("[RULES]\nIN ACCEPT # voilà\nIN DROP # Größe\n").config;
        let comments: Vec<_> = config.rules.iter().filter_map(|rule| rule.get("comment")).collect();
        assert_eq!(comments, ["voil\u{fffd}", "Größe"]);
    }

    #[test]
    fn an_alias_takes_exactly_one_blank() {
        let config = read("[ALIASES]\none 10.0.0.1\ntwo  10.0.0.2\n").config;
        assert_eq!(config.aliases.keys().collect::<Vec<_>>(), ["one"]);
    }
}
