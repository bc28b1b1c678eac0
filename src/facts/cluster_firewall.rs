//! PVE's firewall files: `/etc/pve/firewall/cluster.fw` as pve-firewall reads it (pve-contract 3.2, 3.3): blanks around a line do not
//! count, lines that start with `#` are comments, section names and keys know no case, the last value wins.

use std::path::{Path, PathBuf};

/// The datacenter's file.
pub const PATH: &str = "/etc/pve/firewall/cluster.fw";

/// One directory for each node.
pub const NODES_PATH: &str = "/etc/pve/nodes";

/// The file of one node; `local` is a link, and nothing is written through links.
pub fn host_path(node_name: &str) -> PathBuf {
    Path::new(NODES_PATH).join(node_name).join("host.fw")
}

const SECTIONS: [&str; 3] = ["[options]", "[aliases]", "[rules]"];
const NAMED_SECTIONS: [&str; 2] = ["[ipset", "[group"];

/// Whether this `host.fw` chooses PVE's firewall of nftables.
pub fn uses_nftables(text: &str) -> bool {
    let value =
        |line: &str| line.trim().to_ascii_lowercase().strip_prefix("nftables:").map(|it| it.trim() == "1");
    text.lines().filter_map(value).next_back().unwrap_or(false)
}

/// Whether the datacenter firewall may be on. An epoch time counts as on: it is PVE's own dead man's switch.
pub fn is_enabled(text: &str) -> bool {
    value(text) != 0
}

/// Whether the datacenter firewall is on for good.
pub fn is_on(text: &str) -> bool {
    value(text) == 1
}

/// Whether there is a line to switch it by.
pub fn has_switch(text: &str) -> bool {
    switched(text, 0) != switched(text, 1)
}

/// The last valid `enable`: 0, 1, or a time in seconds since 1970 one minute after which PVE switches it off.
pub fn value(text: &str) -> u64 {
    let mut last = 0;
    each_enable_line(text, &mut |line, value| {
        last = value;
        line.to_owned()
    });
    last
}

/// The same text with another `enable`, every other line as it was (row E1).
pub fn switched(text: &str, value: u64) -> String {
    each_enable_line(text, &mut |_, _| format!("enable: {value}\n"))
}

/// Rebuilds the text line by line; lines with a valid `enable` in `[OPTIONS]` go through `replace`.
fn each_enable_line(text: &str, replace: &mut dyn FnMut(&str, u64) -> String) -> String {
    let (mut rebuilt, mut options) = (String::with_capacity(text.len()), false);
    for line in text.split_inclusive('\n') {
        let content = line.trim().to_ascii_lowercase();
        if SECTIONS.contains(&content.as_str()) || NAMED_SECTIONS.iter().any(|name| content.starts_with(name))
        {
            options = content == "[options]";
        }
        match enable_value(&content).filter(|_| options) {
            Some(value) => rebuilt.push_str(&replace(line, value)),
            None => rebuilt.push_str(line),
        }
    }
    rebuilt
}

/// More digits than fit are a time far away: on.
fn enable_value(content: &str) -> Option<u64> {
    let (key, value) = content.split_once(':')?;
    let value = value.trim();
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    (key.trim_end() == "enable" && digits).then(|| value.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# ours\n[Options]\n\nenable: 0\n ENABLE: 1\npolicy_in: DROP\n[RULES]\n\nIN Ping(ACCEPT)\nenable: 1\n";

    #[test]
    fn j4_the_last_enable_in_options_wins_whatever_its_case() {
        assert!(is_enabled(TEXT));
        assert!(!is_enabled("[OPTIONS]\nenable: 1\nenable: 0\n"));
        assert!(is_enabled("[OPTIONS]\nenable: 1795000000\n"));
        assert!(!is_enabled("[OPTIONS]\n#enable: 1\nenable: yes\n"));
        assert!(!is_enabled("[RULES]\nenable: 1\n"));
        assert!(!is_enabled(""));
    }

    #[test]
    fn e1_every_other_line_is_kept() {
        let off = switched(TEXT, 0);
        assert_eq!(
            off,
            "# ours\n[Options]\n\nenable: 0\nenable: 0\npolicy_in: DROP\n[RULES]\n\nIN Ping(ACCEPT)\nenable: 1\n"
        );
        assert!(!is_enabled(&off));
    }
}
