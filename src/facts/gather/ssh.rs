//! What the SSH server is and says: its effective configuration, its algorithms, its host keys.

use super::{output, text};
use crate::change;
use crate::facts::{Facts, fingerprint};
use crate::gate::{self, SSHD_PROGRAM};
use crate::node::Node;
use std::path::Path;

const SSH_PROGRAM: &str = "/usr/bin/ssh";
const SYSTEMCTL_PROGRAM: &str = "/usr/bin/systemctl";
const SSHD_CONFIG_PATH: &str = "/etc/ssh/sshd_config";
const SSH_DIR: &str = "/etc/ssh";
/// The RSA host key, which PVE publishes.
pub const RSA_HOST_KEY_PATH: &str = "/etc/ssh/ssh_host_rsa_key";
const DROP_IN_PATH: &str = "/etc/ssh/sshd_config.d/00-firstlight.conf";

pub(super) fn gather(node: &dyn Node, facts: &mut Facts) {
    // OpenSSH 9.2 wants /run/sshd even for -T, which ssh.service makes: empty when the service is stopped.
    facts.sshd = options(&output(node, SSHD_PROGRAM, &["-T", "-C", gate::SSHD_NO_CONNECTION]));
    facts.ssh_key_exchanges = output(node, SSH_PROGRAM, &["-Q", "kex"]).lines().map(str::to_owned).collect();
    facts.ssh_socket = output(node, SYSTEMCTL_PROGRAM, &["is-active", "ssh.socket"]).trim() == "active";
    let config = text(node, SSHD_CONFIG_PATH);
    facts.sshd_includes_drop_ins = includes_drop_ins(&config);
    facts.sshd_names_host_keys = names_host_keys(&config);
    facts.host_keys = host_keys(node);
    facts.rsa_host_key_bits = change::host_key_bits(node, Path::new(RSA_HOST_KEY_PATH)).ok().flatten();
}

/// Algorithm and fingerprint of every host key.
pub fn host_keys(node: &dyn Node) -> Vec<(String, String)> {
    let names = node.list(Path::new(SSH_DIR)).unwrap_or_default();
    let names = names.iter().map(|name| name.to_string_lossy());
    names
        .filter(|name| name.starts_with("ssh_host_") && name.ends_with("_key.pub"))
        .filter_map(|name| host_key(&text(node, &format!("{SSH_DIR}/{name}"))))
        .collect()
}

/// Lines of `sshd -T`: a lower-case key and the rest.
pub(crate) fn options(listing: &str) -> Vec<(String, String)> {
    let pairs = listing.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect()
}

fn host_key(line: &str) -> Option<(String, String)> {
    let mut words = line.split_ascii_whitespace();
    Some((words.next()?.to_owned(), fingerprint(words.next()?)?))
}

/// Whether the main file includes our drop-in for everybody: an Include below a Match line is conditional.
fn includes_drop_ins(config: &str) -> bool {
    for line in config.lines() {
        let (keyword, values) = gate::keyword(line);
        if keyword.eq_ignore_ascii_case("match") {
            return false;
        }
        if keyword.eq_ignore_ascii_case("include")
            && gate::words(values)
                .iter()
                .any(|word| gate::matches_path(&gate::below(SSH_DIR, word), DROP_IN_PATH))
        {
            return true;
        }
    }
    false
}

fn names_host_keys(config: &str) -> bool {
    config.lines().any(|line| gate::keyword(line).0.eq_ignore_ascii_case("hostkey"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b4_a_line_for_a_host_key_is_seen_and_one_for_algorithms_is_none() {
        assert!(names_host_keys("Port 22\n hostkey /etc/ssh/ssh_host_rsa_key\n"));
        assert!(!names_host_keys("#HostKey /etc/ssh/ssh_host_rsa_key\nHostKeyAlgorithms ssh-ed25519\n"));
    }

    #[test]
    fn b2_an_include_counts_in_every_spelling_but_not_below_match() {
        assert!(includes_drop_ins("Include /etc/ssh/sshd_config.d/*.conf\nPort 22\n"));
        assert!(includes_drop_ins("\tinclude = \"sshd_config.d/*.conf\"\n"));
        assert!(!includes_drop_ins("#Include /etc/ssh/sshd_config.d/*.conf\n"));
        assert!(!includes_drop_ins("Match User x\nInclude /etc/ssh/sshd_config.d/*.conf\n"));
        assert!(!includes_drop_ins("Include /etc/ssh/sshd_config.d/50-*.conf\n"));
    }

    #[test]
    fn a_match_block_for_a_port_does_not_hide_what_sshd_says() {
        let node = crate::node::scripted::Scripted::new();
        node.refuses(
            "/usr/sbin/sshd -T",
            255,
            "'Match LocalPort' in configuration but 'lport' not in connection test",
        );
        node.says("/usr/sbin/sshd -T -C lport=1", "port 22\ndenyusers eve\n");
        assert_eq!(crate::facts::gather(&node).unwrap().sshd_values("denyusers"), ["eve"]);
    }

    #[test]
    fn sshd_options_keep_their_order_and_repetitions() {
        let options = options("port 22\nallowusers root\nallowusers ops\nlistenaddress [::]:22\n");
        assert_eq!(options[2], ("allowusers".to_owned(), "ops".to_owned()));
    }
}
