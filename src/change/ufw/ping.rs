//! Whose pings are answered (row D3 in mode `ufw`).
//!
//! UFW has no command for it: its `before.rules` accept echo requests from everybody. Those lines, and no other, are
//! replaced by one for each network.

use super::super::FileChange;
use super::super::file::write_file;
use crate::error::{Error, Result};
use crate::node::{Node, read_text};
use std::path::Path;

/// File, and how its line for echo requests begins and ends, a source between them.
const FILES: [(&str, &str, &str, bool); 2] = [
    ("/etc/ufw/before.rules", "-A ufw-before-input -p icmp --icmp-type echo-request", "-j ACCEPT", false),
    (
        "/etc/ufw/before6.rules",
        "-A ufw6-before-input -p icmpv6 --icmpv6-type echo-request",
        "-j ACCEPT",
        true,
    ),
];
/// What keeps the place of the lines while there is none.
const MARK: &str = "# firstlight: echo requests";

/// Whether pings are answered as wanted. A missing file says yes: UFW is not installed yet, or has no IPv6.
pub fn holds(node: &dyn Node, wanted: &Option<Vec<String>>) -> Result<bool> {
    for (path, head, tail, six) in FILES {
        if let Some(text) = read_text(node, Path::new(path))? {
            let wanted = lines(wanted, head, tail, six);
            let found: Vec<&str> = text.lines().filter(|line| is_echo(line, head, tail)).collect();
            if found != wanted.iter().map(String::as_str).collect::<Vec<_>>() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Rewrites the lines; UFW reads them when it is enabled or reloaded.
pub fn make(node: &dyn Node, wanted: &Option<Vec<String>>) -> Result<()> {
    for (path, head, tail, six) in FILES {
        let Some(text) = read_text(node, Path::new(path))? else { continue };
        let lines = lines(wanted, head, tail, six);
        let Some(text) = rewritten(&text, &lines, head, tail) else {
            let because = "it has no line for echo requests, so whose pings are answered cannot be set";
            return Err(
                Error::new(format!("reading {path}"), because).hint("firstlight.firewall.ping = \"any\"")
            );
        };
        let mode = node.lookup(Path::new(path))?.map_or(0o640, |found| found.mode);
        let content = text.into_bytes();
        write_file(
            node,
            &FileChange { path: path.into(), content, mode, owner: "root".to_owned(), public: false },
        )?;
    }
    Ok(())
}

fn is_echo(line: &str, head: &str, tail: &str) -> bool {
    line.starts_with(head) && line.trim_end().ends_with(tail)
}

fn lines(wanted: &Option<Vec<String>>, head: &str, tail: &str, six: bool) -> Vec<String> {
    match wanted {
        None => vec![format!("{head} {tail}")],
        Some(networks) => networks
            .iter()
            .filter(|network| network.contains(':') == six)
            .map(|network| format!("{head} -s {network} {tail}"))
            .collect(),
    }
}

/// The text with the lines in the place of the first one found; `None` when there is neither a line nor our mark.
fn rewritten(text: &str, lines: &[String], head: &str, tail: &str) -> Option<String> {
    let ours = |line: &str| is_echo(line, head, tail) || line == MARK;
    let first = text.lines().position(ours)?;
    let mut result = String::with_capacity(text.len());
    for (number, line) in text.lines().enumerate() {
        if number == first {
            result.push_str(MARK);
            result.push('\n');
            lines.iter().for_each(|line| {
                result.push_str(line);
                result.push('\n');
            });
        }
        if !ours(line) {
            result.push_str(line);
            result.push('\n');
        }
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = FILES[0].1;
    const TAIL: &str = FILES[0].2;
    const TEXT: &str = "*filter\n\
        -A ufw-before-input -p icmp --icmp-type parameter-problem -j ACCEPT\n\
        -A ufw-before-input -p icmp --icmp-type echo-request -j ACCEPT\n\
        -A ufw-before-forward -p icmp --icmp-type echo-request -j ACCEPT\nCOMMIT\n";

    fn with(wanted: &Option<Vec<String>>, text: &str) -> String {
        rewritten(text, &lines(wanted, HEAD, TAIL, false), HEAD, TAIL).unwrap()
    }

    #[test]
    fn d3_ping_is_answered_for_the_networks_alone_and_forwarded_pings_are_left() {
        let wanted = Some(vec!["10.0.20.0/24".to_owned(), "fd00::/64".to_owned()]);
        let text = with(&wanted, TEXT);
        let expected = TEXT.replace(
            "-A ufw-before-input -p icmp --icmp-type echo-request -j ACCEPT\n",
            "# firstlight: echo requests\n\
             -A ufw-before-input -p icmp --icmp-type echo-request -s 10.0.20.0/24 -j ACCEPT\n",
        );
        assert_eq!(text, expected);
        assert_eq!(with(&wanted, &text), text, "again");
    }

    #[test]
    fn d3_ping_from_nowhere_finds_its_way_back_to_everybody() {
        let silent = with(&Some(Vec::new()), TEXT);
        assert!(!silent.contains("before-input -p icmp --icmp-type echo-request"), "{silent}");
        let open = with(&None, &silent);
        assert_eq!(open.replace("# firstlight: echo requests\n", ""), TEXT);
        assert_eq!(rewritten("*filter\nCOMMIT\n", &[], HEAD, TAIL), None);
    }
}
