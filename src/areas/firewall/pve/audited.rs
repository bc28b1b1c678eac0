//! What the audit looks at beside the post-conditions of a run: every line of ours in the two files, as the kernel has
//! it. What no packet of the node comes by (groups for guests, staged rules) is looked for in the files, which are
//! what PVE itself goes by.

use super::text::MARK;
use super::{API_PORT, MANAGEMENT, SERVICES, cluster_file, host_file, set, ufw};
use crate::areas::control;
use crate::areas::firewall::tables;
use crate::control::{Check, Control};
use crate::facts::{Facts, cluster_firewall};
use crate::profile::{Network, Profile};
use std::path::Path;

/// Of a longer name the kernel has a sum (pve-firewall, `compute_ipset_chain_name`; names of sets have 31 bytes there).
const LONGEST_NAME: usize = 15;
/// The kernel's numbers are those of syslog(3).
const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

pub(in crate::areas::firewall) fn audited(
    profile: &Profile,
    facts: &Facts,
    management: &[Network],
) -> Vec<Control> {
    let mut controls = Vec::new();
    let host = cluster_firewall::host_path(&facts.node_name);
    of_file(&mut controls, profile, &host, &host_file(profile, facts));
    of_file(&mut controls, profile, cluster_firewall::PATH.as_ref(), &cluster_file(profile, facts));
    let names = [MANAGEMENT, SERVICES].into_iter();
    for name in names.chain(profile.firewall.sets.iter().map(|set| set.name.as_str())) {
        let mut networks = Vec::new();
        for network in set(profile, facts, name).unwrap_or_default() {
            networks.extend(super::halved(&network));
        }
        if !networks.is_empty() && name.len() <= LONGEST_NAME {
            let check = Check::PveSet { name: name.to_owned(), networks };
            let wanted = format!("the set {name} holds its networks in the kernel");
            push(&mut controls, format!("firewall.set.{name}"), "D2", wanted, check);
        }
    }
    if !management.is_empty() {
        let networks = ufw::known_networks(profile, management);
        let check = Check::PveNothingWider { ports: vec![profile.ssh.port.number(), API_PORT], networks };
        let wanted = "nobody else reaches SSH and the web interface".to_owned();
        controls.push(control("firewall.nothing-wider", "D8", wanted, check));
    }
    let host_rule = |text: &str| Check::PveHostRule(text.to_owned());
    for (id, wanted, text) in [
        ("firewall.smurfs", "packets from broadcast addresses are dropped", "-j PVEFW-smurfs"),
        ("firewall.tcp-flags", "impossible TCP flags are dropped", "-j PVEFW-tcpflags"),
    ] {
        controls.push(control(id, "D5", wanted.to_owned(), host_rule(text)));
    }
    let level = profile.firewall.log_level.as_str();
    if let Some(number) = LEVELS.iter().position(|known| *known == level) {
        let text = format!(":0:{number}:PVEFW-HOST-IN: policy DROP");
        let wanted = format!("what is dropped is logged at level {level}");
        controls.push(control("firewall.log", "D7", wanted, host_rule(&text)));
    }
    controls
}

/// The lines of ours that say what happens to packets.
fn of_file(controls: &mut Vec<Control>, profile: &Profile, path: &Path, text: &str) {
    let mut group = false;
    for (at, _) in text.match_indices(MARK) {
        let before = text.get(..at).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |start| start + 1);
        let line = text.get(start..at).unwrap_or_default().trim();
        let comment = text.get(at + MARK.len()..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        group = line.starts_with("[group") || group && !line.starts_with('[');
        let staged = line.starts_with('|');
        let requirement = match line {
            _ if group => "D6",
            _ if staged => "D9",
            _ if line.contains("Ping(") => "D3",
            _ if line.starts_with("OUT") => "D1",
            _ if !line.starts_with("IN") => continue,
            _ if profile.firewall.services.iter().any(|known| tables::service(*known).0 == comment) => "D4",
            _ => "D2",
        };
        let place = match requirement {
            "D6" => "group",
            "D9" => "staged",
            _ => "rule",
        };
        let id = format!("firewall.{place}.{}", slug(line.trim_end_matches(']')));
        let set = line.split_once('+').and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default();
        let seen = group || staged || set.len() <= LONGEST_NAME;
        if !seen || controls.iter().any(|known| known.id == id) {
            continue;
        }
        let check = if group || staged {
            Check::PveFile { path: path.to_owned(), text: line.to_owned() }
        } else {
            Check::PveRule(line.to_owned())
        };
        push(controls, id, requirement, format!("PVE does what `{line}` says"), check);
    }
}

fn push(controls: &mut Vec<Control>, id: String, requirement: &'static str, wanted: String, check: Check) {
    controls.push(Control { id: id.into(), requirement, wanted, check, changes: Vec::new() });
}

/// As a waiver names it: lower case, words joined.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() || "./,:_".contains(letter) {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug
}
