//! A configuration as the API writes it: the whole file, in its own order, without the comments and blank lines
//! somebody wrote by hand (pve-observed 3.5).

use std::collections::BTreeMap;

use super::config::{Config, Entry};
use super::{blank, shuffled};

/// A comment at the end of a line, if there is one that says something.
pub fn comment(text: Option<&str>) -> String {
    match text {
        Some(text) if super::truthy(text) && !text.trim_matches(blank).is_empty() => format!(" # {text}"),
        _ => String::new(),
    }
}

/// The text of `cluster.fw`; empty when nothing is left to say, and then the file is removed.
pub fn cluster(config: &Config) -> String {
    let mut text = options(config);
    if !config.aliases.is_empty() {
        text.push_str("[ALIASES]\n\n");
        for alias in config.aliases.values() {
            let comment = comment(alias.comment.as_deref());
            text.push_str(&format!("{} {}{comment}\n", alias.name, alias.network));
        }
        text.push('\n');
    }
    for (name, entries) in &config.ipsets {
        text.push_str(&header("IPSET", name, &config.ipset_comments));
        text.push_str(&members(entries));
        text.push('\n');
    }
    text.push_str(&rules(config));
    for (name, rules) in &config.groups {
        text.push_str(&header("group", name, &config.group_comments));
        text.extend(rules.iter().map(|rule| rule.line(false)));
        text.push('\n');
    }
    text
}

/// The text of a `host.fw`.
pub fn host(config: &Config) -> String {
    options(config) + &rules(config)
}

fn header(kind: &str, name: &str, comments: &BTreeMap<String, String>) -> String {
    match comments.get(name).filter(|comment| super::truthy(comment)) {
        Some(comment) => format!("[{kind} {name}] # {comment}\n\n"),
        None => format!("[{kind} {name}]\n\n"),
    }
}

fn members(entries: &[Entry]) -> String {
    let mut sorted: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in entries {
        sorted.entry(entry.network.as_deref().unwrap_or_default()).or_insert(entry);
    }
    sorted
        .into_iter()
        .map(|(network, entry)| {
            let mark = if entry.nomatch { "!" } else { "" };
            format!("{mark}{network}{}\n", comment(entry.comment.as_deref()))
        })
        .collect()
}

fn options(config: &Config) -> String {
    if config.options.is_empty() {
        return String::new();
    }
    let mut text = "[OPTIONS]\n\n".to_owned();
    for (key, value) in shuffled(config.options.iter().collect()) {
        text.push_str(&format!("{key}: {value}\n"));
    }
    text.push('\n');
    text
}

fn rules(config: &Config) -> String {
    if config.rules.is_empty() {
        return String::new();
    }
    let lines: String = config.rules.iter().map(|rule| rule.line(true)).collect();
    format!("[RULES]\n\n{lines}\n")
}
