//! `[firstlight.firewall]` with its sets, rules and groups.

use super::table::{ANY, Form, Item, Table, one_of};
use crate::profile::{
    AddressSet, Firewall, FirewallMode, Group, Management, Outgoing, Ping, Port, Rule, Service,
};
use toml::de::DeValue;

/// PVE's limits (pve-firewall's `Firewall.pm`).
const LONGEST_SET_NAME: usize = 64;
const LONGEST_GROUP_NAME: usize = 18;
/// A range counts as two.
const MOST_PORTS: usize = 15;

/// The set that every firewall of ours has.
const MANAGEMENT: &str = "management";
/// PVE drops what is in this one by itself.
const BLACKLIST: &str = "blacklist";
/// The set of `services-from`.
const SERVICES_SET: &str = "services";
/// A line of a firewall file.
const LONGEST_COMMENT: usize = 200;
/// The kernel's limit of rates (iptables-extensions(8), limit) is in tenths of a millisecond.
const MOST_PER_SECOND: u16 = 10_000;

pub(super) const MODES: &[&str] = &["pve", "ufw"];
const LEVELS: &[&str] = &["info", "nolog", "emerg", "alert", "crit", "err", "warning", "notice", "debug"];

pub(super) fn read(top: &Table<'_>) -> Firewall {
    let table = top.child("firewall");
    let sets = sets(&table);
    let mut names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
    names.push(MANAGEMENT);
    let firewall = Firewall {
        enabled: table.flag("enabled", true),
        mode: mode(&table),
        management: management(&table),
        datacenter: table.flag("datacenter", false),
        management_only_remote: table.flag("management-only-remote", false),
        narrow_local_network: table.flag("narrow-local-network", true),
        outgoing: match table.word("outgoing", &["accept", "drop"]) {
            1 => Outgoing::Drop,
            _ => Outgoing::Accept,
        },
        ping: match table.word("ping", &["management", "any", "none"]) {
            1 => Ping::Any,
            2 => Ping::None,
            _ => Ping::Management,
        },
        services: services(&table),
        services_from: table.networks("services-from"),
        log_level: table.chosen("log-level", LEVELS),
        log_rate: table.formed("log-rate", "1/second", RATE),
        rules: table.children("rule").iter().map(|rule| read_rule(rule, &names)).collect(),
        groups: groups(&table, &names),
        sets,
    };
    table.finish();
    firewall
}

fn mode(table: &Table<'_>) -> Option<FirewallMode> {
    let found = table.find("mode")?;
    if found.value.is_array() || found.value.as_str() == Some("both") {
        let reason = "must name one firewall, \"pve\" or \"ufw\": two that filter undo each other's rules";
        table.note("mode", reason);
        return None;
    }
    match table.as_word("mode", found, MODES) {
        1 => Some(FirewallMode::Ufw),
        _ => Some(FirewallMode::Pve),
    }
}

fn management(table: &Table<'_>) -> Management {
    let items = table.texts("management");
    match items.as_slice() {
        [] => Management::Default,
        [Item { text: "any", .. }] => Management::Any,
        _ => {
            if let Some(any) = items.iter().find(|item| item.text == "any") {
                table.note_at(any.at, "management", "\"any\" must stand alone, without networks".to_owned());
                return Management::Any;
            }
            Management::Networks(table.as_networks("management", &items))
        }
    }
}

const SERVICES: &[(&str, Service)] = &[
    ("cluster", Service::Cluster),
    ("migration", Service::Migration),
    ("ceph", Service::Ceph),
    ("nfs", Service::Nfs),
    ("cifs", Service::Cifs),
    ("backup-server", Service::BackupServer),
    ("spice", Service::Spice),
    ("vnc", Service::Vnc),
];

fn services(table: &Table<'_>) -> Vec<Service> {
    let mut services = Vec::new();
    for item in table.texts("services") {
        match SERVICES.iter().find(|(name, _)| *name == item.text) {
            Some(&(_, service)) => services.push(service),
            None => {
                let names: Vec<&str> = SERVICES.iter().map(|&(name, _)| name).collect();
                table.note_at(item.at, "services", one_of(&names));
            }
        }
    }
    services
}

fn sets(table: &Table<'_>) -> Vec<AddressSet> {
    let mut sets: Vec<AddressSet> = Vec::new();
    for entry in table.children("set") {
        let name = entry.required("name", SET_NAME);
        if sets.iter().any(|set| set.name == name) && !name.is_empty() {
            entry.note("name", "names a set that is there already");
        }
        let networks = entry.networks("networks");
        if networks.is_empty() {
            entry.note("networks", "must list at least one network");
        }
        sets.push(AddressSet { name, networks, comment: entry.formed("comment", "", COMMENT) });
        entry.finish();
    }
    sets
}

fn groups(table: &Table<'_>, names: &[&str]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for entry in table.children("group") {
        let name = entry.required("name", GROUP_NAME);
        if groups.iter().any(|group| group.name == name) && !name.is_empty() {
            entry.note("name", "names a group that is there already");
        }
        let rules: Vec<Rule> = entry.children("rules").iter().map(|rule| read_rule(rule, names)).collect();
        if rules.is_empty() {
            entry.note("rules", "must list at least one rule");
        }
        groups.push(Group { name, rules });
        entry.finish();
    }
    groups
}

fn read_rule(entry: &Table<'_>, names: &[&str]) -> Rule {
    let from = entry.required("from", ANY);
    if !from.is_empty() && !names.contains(&from.as_str()) {
        entry.note("from", format!("{}; addresses stand in a [[firstlight.firewall.set]]", one_of(names)));
    }
    let rule = Rule {
        from,
        protocol: required_word(entry, "protocol", &["tcp", "udp"]),
        ports: ports(entry),
        action: required_word(entry, "action", &["accept", "drop", "reject"]),
        comment: entry.formed("comment", "", COMMENT),
        enabled: entry.flag("enabled", true),
        scope: entry.chosen("scope", &["datacenter", "node"]),
    };
    entry.finish();
    rule
}

fn required_word(entry: &Table<'_>, key: &'static str, words: &[&str]) -> String {
    let Some(found) = entry.find(key) else {
        entry.note(key, format!("is required; {}", one_of(words)));
        return String::new();
    };
    words.get(entry.as_word(key, found, words)).copied().unwrap_or_default().to_owned()
}

fn ports(entry: &Table<'_>) -> Vec<(Port, Port)> {
    const RIGHT: &str =
        "must be ports from 1 to 65535 in quotes, such as \"8007\", \"5900-5999\" or \"80,443\"";
    let Some(found) = entry.find("ports") else {
        entry.note("ports", format!("is required; {RIGHT}"));
        return Vec::new();
    };
    let text = if let DeValue::String(text) = found.value { text } else { "" };
    let ranges: Option<Vec<(Port, Port)>> = text.split(',').map(range).collect();
    let Some(ranges) = ranges else {
        entry.note("ports", RIGHT);
        return Vec::new();
    };
    let count: usize = ranges.iter().map(|(first, last)| if first == last { 1 } else { 2 }).sum();
    if count > MOST_PORTS {
        entry.note("ports", "has more than 15 ports (a range counts as two); make two rules of it");
    }
    ranges
}

fn range(text: &str) -> Option<(Port, Port)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some((first, last))
}

/// A port in digits alone: no sign, no blanks.
pub(super) fn port(text: &str) -> Option<Port> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).and_then(Port::new)
}

const SET_NAME: Form = Form {
    fits: |text| {
        is_name(text, LONGEST_SET_NAME) && ![MANAGEMENT, SERVICES_SET, BLACKLIST, "any"].contains(&text)
    },
    right: "must be a lower-case letter, then letters, digits, `-` and `_`, at most 64; `management`, `services`, \
            `blacklist` and `any` are taken",
};

const GROUP_NAME: Form = Form {
    fits: |text| is_name(text, LONGEST_GROUP_NAME),
    right: "must be a lower-case letter, then lower-case letters, digits, `-` and `_`, at most 18",
};

/// Two characters at least: that is PVE's rule, too.
fn is_name(text: &str, longest: usize) -> bool {
    let tail = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    (2..=longest).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(tail)
}

const RATE: Form = Form {
    fits: |text| {
        text.split_once('/').is_some_and(|(number, unit)| {
            let number = port(number).map_or(0, Port::number);
            (1..=MOST_PER_SECOND).contains(&number) && ["second", "minute", "hour", "day"].contains(&unit)
        })
    },
    right: "must be a rate such as \"1/second\" or \"10/minute\", its number at most 10000",
};

/// In a firewall file, a line break in a comment would be a line of its own (pve-observed 3.6).
const COMMENT: Form = Form {
    fits: |text| text.len() <= LONGEST_COMMENT && !text.chars().any(char::is_control),
    right: "must be one line of at most 200 bytes, without control characters",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_ranges_and_lists() {
        let numbers = |text: &str| range(text).map(|(first, last)| (first.number(), last.number()));
        assert_eq!(numbers("8007"), Some((8007, 8007)));
        assert_eq!(numbers("5900-5999"), Some((5900, 5999)));
        for wrong in ["", "0", "65536", "-1", "+1", " 1", "5-4", "1-", "http", "1-2-3"] {
            assert_eq!(numbers(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn d2_d7_comments_are_one_line_and_rates_are_those_that_the_kernel_can_count() {
        for (comment, right) in
            [("mine # yours", true), ("x\nIN ACCEPT", false), ("\r", false), ("\u{85}", false)]
        {
            assert_eq!((COMMENT.fits)(comment), right, "{comment:?}");
        }
        for (rate, right) in [
            ("1/second", true),
            ("10000/second", true),
            ("10001/second", false),
            ("foo", false),
            ("0/day", false),
        ] {
            assert_eq!((RATE.fits)(rate), right, "{rate}");
        }
    }

    #[test]
    fn names_of_sets_are_those_that_pve_matches() {
        for (name, right) in
            [("backup", true), ("a", false), ("Backup", false), ("1a", false), ("a-_9", true)]
        {
            assert_eq!((SET_NAME.fits)(name), right, "{name}");
        }
        assert!(!(SET_NAME.fits)("management") && !(SET_NAME.fits)("services"));
        assert!((GROUP_NAME.fits)(&"a".repeat(18)) && !(GROUP_NAME.fits)(&"a".repeat(19)));
    }
}
