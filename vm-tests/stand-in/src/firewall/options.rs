//! The `[OPTIONS]` of `cluster.fw` and `host.fw` as a line gives them (contract 3.3, transcript 34).

use super::blank;
use super::names::LOG_LEVELS;

const HOST_FLAGS: [&str; 8] = [
    "enable",
    "nosmurfs",
    "tcpflags",
    "ndp",
    "log_nf_conntrack",
    "nf_conntrack_allow_invalid",
    "protection_synflood",
    "nftables",
];
const HOST_LEVELS: [&str; 5] =
    ["log_level_in", "log_level_out", "log_level_forward", "tcp_flags_log_level", "smurf_log_level"];
const HOST_NUMBERS: [&str; 6] = [
    "nf_conntrack_max",
    "nf_conntrack_tcp_timeout_established",
    "nf_conntrack_tcp_timeout_syn_recv",
    "protection_synflood_rate",
    "protection_synflood_burst",
    "protection_limit",
];

/// Conntrack helpers: name, protocol, port, and whether IPv6 has it as well.
pub const HELPERS: [(&str, &str, &str, bool); 9] = [
    ("amanda", "udp", "10080", true),
    ("ftp", "tcp", "21", true),
    ("irc", "tcp", "6667", false),
    ("netbios-ns", "udp", "137", false),
    ("pptp", "tcp", "1723", false),
    ("sane", "tcp", "6566", true),
    ("sip", "udp", "5060", true),
    ("snmp", "udp", "161", false),
    ("tftp", "udp", "69", true),
];

/// How long the firewall stays on behind the time an `enable` above 1 gives.
const GRACE_SECONDS: u64 = 60;

/// Key and value of a line in lower case where PVE does not care about it; the colon stands directly behind the key.
fn split(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.split_once(':')?;
    Some((key.to_lowercase(), value.trim_matches(blank)))
}

fn refused(line: &str) -> String {
    format!("can't parse option '{line}'")
}

fn is_flag(value: &str) -> bool {
    matches!(value, "0" | "1")
}

fn number(value: &str) -> Option<String> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse::<u64>().unwrap_or(u64::MAX).to_string())
}

/// A line of the datacenter's options. `enable` above 1 is a time: 60 s after it the firewall counts as off.
pub fn cluster(line: &str, now: u64) -> Result<(String, String), String> {
    let (key, value) = split(line).ok_or_else(|| refused(line))?;
    let value = match key.as_str() {
        "enable" => number(value).map(|text| expired(text, now)),
        "ebtables" => is_flag(value).then(|| value.to_owned()),
        "policy_in" | "policy_out" | "policy_forward" => Some(value.to_uppercase())
            .filter(|policy| matches!(policy.as_str(), "ACCEPT" | "DROP" | "REJECT")),
        "log_ratelimit" if line.starts_with("log_ratelimit") => {
            (!value.is_empty() && !value.contains(blank)).then(|| value.to_owned())
        }
        _ => None,
    };
    value.map(|value| (key, value)).ok_or_else(|| refused(line))
}

fn expired(text: String, now: u64) -> String {
    match text.parse::<u64>() {
        Ok(time) if time > 1 && now.saturating_sub(time) > GRACE_SECONDS => "0".to_owned(),
        _ => text,
    }
}

/// A line of a node's options.
pub fn host(line: &str) -> Result<(String, String), String> {
    let (key, value) = split(line).ok_or_else(|| refused(line))?;
    let value = match key.as_str() {
        flag if HOST_FLAGS.contains(&flag) => is_flag(value).then(|| value.to_owned()),
        level if HOST_LEVELS.contains(&level) => {
            let level = value.to_lowercase();
            (level.is_empty() || LOG_LEVELS.contains(&level.as_str())).then_some(level)
        }
        "nf_conntrack_helpers" if !value.is_empty() && !value.contains(blank) => {
            let list = value.to_lowercase();
            verify_helpers(&list)?;
            Some(list)
        }
        known if HOST_NUMBERS.contains(&known) => number(value),
        _ => None,
    };
    value.map(|value| (key, value)).ok_or_else(|| refused(line))
}

/// A list of conntrack helpers.
pub fn verify_helpers(list: &str) -> Result<(), String> {
    if list.ends_with(',') {
        return Err("extraneous commas in list".to_owned());
    }
    match list.split(',').find(|name| !HELPERS.iter().any(|(known, ..)| known == name)) {
        None => Ok(()),
        Some(name) => Err(format!("unknown helper {name} at /usr/share/perl5/PVE/Firewall.pm line 1168.")),
    }
}

/// Whether an option is a number in the API's answers.
pub fn is_number(key: &str) -> bool {
    !matches!(key, "policy_in" | "policy_out" | "policy_forward" | "log_ratelimit" | "nf_conntrack_helpers")
        && !HOST_LEVELS.contains(&key)
}

/// What `log_ratelimit` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Whether it is on.
    pub enable: bool,
    /// `N/unit`.
    pub rate: Option<String>,
    /// How many packets pass at once.
    pub burst: Option<String>,
}

/// Reads `log_ratelimit`: faults by property, empty for one of the whole text.
pub fn rate_limit(text: &str) -> Result<RateLimit, Vec<(String, String)>> {
    let whole = |message: String| Err(vec![(String::new(), message)]);
    let (mut enable, mut rate, mut burst) = (None, None, None);
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (key, value) = match part.split_once('=') {
            None => ("enable", part),
            Some((key, value)) if !key.is_empty() && !value.is_empty() => (key, value),
            Some(_) => return whole("missing key in comma-separated list property".to_owned()),
        };
        let slot = match key {
            "enable" => &mut enable,
            "rate" => &mut rate,
            "burst" => &mut burst,
            _ => return whole(format!("invalid key in comma-separated list property: {key}")),
        };
        if slot.replace(value.to_owned()).is_some() {
            return whole(format!("duplicate key in comma-separated list property: {key}"));
        }
    }
    let mut errors = Vec::new();
    let on = match enable.as_deref().map(str::to_lowercase).as_deref() {
        Some("1" | "on" | "yes" | "true") => true,
        Some("0" | "off" | "no" | "false") => false,
        Some(_) => {
            let given = enable.unwrap_or_default();
            errors.push(("enable".to_owned(), format!("type check ('boolean') failed - got '{given}'")));
            false
        }
        None => {
            errors.push(("enable".to_owned(), "property is missing and it is not optional".to_owned()));
            false
        }
    };
    if rate.as_deref().is_some_and(|rate| !is_rate(rate)) {
        errors.push(("rate".to_owned(), "value does not match the regex pattern".to_owned()));
    }
    if let Some(given) = burst.as_deref().filter(|burst| number(burst).is_none()) {
        errors.push(("burst".to_owned(), format!("type check ('integer') failed - got '{given}'")));
    }
    if errors.is_empty() {
        return Ok(RateLimit { enable: on, rate, burst });
    }
    Err(errors)
}

fn is_rate(rate: &str) -> bool {
    rate.split_once('/').is_some_and(|(count, unit)| {
        !count.starts_with('0')
            && number(count).is_some()
            && matches!(unit, "second" | "minute" | "hour" | "day")
    })
}

/// The message of a file whose `log_ratelimit` cannot be read: it ends every command that reads the file.
pub fn rate_limit_message(errors: Vec<(String, String)>) -> String {
    let mut lines = vec!["format error".to_owned()];
    for (property, message) in super::shuffled(errors) {
        if property.is_empty() {
            return message;
        }
        lines.push(format!("{property}: {message}"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_means_on_until_sixty_seconds_behind_it() {
        let enable = |time: u64| cluster(&format!("enable: {time}"), 2_000_000_000).unwrap_or_default().1;
        assert_eq!(enable(2_000_000_300), "2000000300");
        assert_eq!(enable(1_999_999_970), "1999999970");
        assert_eq!(enable(1_999_999_940), "1999999940");
        assert_eq!(enable(1_999_999_939), "0");
        assert_eq!(enable(2), "0");
        assert_eq!(enable(1), "1");
    }

    #[test]
    fn option_lines_are_strict_where_the_real_ones_are() {
        for line in
            ["policy_in : DROP", "policy_in: DROP # c", "enable: maybe", "ebtables: 7", "x y", "nftables: 1"]
        {
            assert_eq!(cluster(line, 0), Err(format!("can't parse option '{line}'")));
        }
        assert_eq!(cluster("policy_in:drop", 0), Ok(("policy_in".to_owned(), "DROP".to_owned())));
        assert!(host("policy_in: DROP").is_err());
        assert_eq!(host("log_level_in:"), Ok(("log_level_in".to_owned(), String::new())));
    }

    #[test]
    fn a_rate_limit_without_enable_is_fatal() {
        assert!(rate_limit("1").is_ok_and(|limit| limit.enable));
        let message = |text| rate_limit_message(rate_limit(text).unwrap_err());
        assert_eq!(message("foo"), "format error\nenable: type check ('boolean') failed - got 'foo'");
        assert_eq!(
            message("rate=1/second"),
            "format error\nenable: property is missing and it is not optional"
        );
    }
}
