//! What the audit looks at beside the post-conditions of a run: every line of ours in the two files, as the kernel has
//! it. What no packet of the node comes by (groups for guests, staged rules) is looked for in the files, which are
//! what PVE itself goes by.

use super::text::MARK;
use super::{cluster_file, host_file};
use crate::areas::also;
use crate::areas::firewall::tables;
use crate::control::{Check, Control};
use crate::facts::{Facts, cluster_firewall};
use crate::profile::Profile;
use std::path::Path;

/// Of a longer name the kernel has a sum (pve-firewall, `compute_ipset_chain_name`; names of sets have 31 bytes there).
const LONGEST_NAME: usize = 15;
/// The kernel's numbers are those of syslog(3).
const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

pub(in crate::areas::firewall) fn audited(profile: &Profile, facts: &Facts) -> Vec<Control> {
    let mut controls = Vec::new();
    let host = cluster_firewall::host_path(&facts.node_name);
    of_file(&mut controls, profile, &host, &host_file(profile, facts));
    of_file(&mut controls, profile, cluster_firewall::PATH.as_ref(), &cluster_file(profile, facts));
    let level = profile.firewall.log_level.as_str();
    let number = LEVELS.iter().position(|known| *known == level).unwrap_or(LEVELS.len());
    let log = format!(":0:{number}:PVEFW-HOST-IN: policy DROP");
    for (id, row, text) in [
        ("firewall.smurfs", "D5", "-j PVEFW-smurfs"),
        ("firewall.tcp-flags", "D5", "-j PVEFW-tcpflags"),
        ("firewall.log", "D7", log.as_str()),
    ] {
        // Without a level nothing is logged.
        if row == "D5" || number < LEVELS.len() {
            let wanted = ["the kernel has PVE's rule `", text, "`"];
            also(&mut controls, &[id], row, &wanted, Check::PveHostRule(text.to_owned()));
        }
    }
    controls
}

/// The lines of ours, each once.
fn of_file(controls: &mut Vec<Control>, profile: &Profile, path: &Path, text: &str) {
    let mut section = "";
    for line in text.lines() {
        if line.starts_with('[') {
            section = line.split_inclusive(']').next().unwrap_or_default();
        } else if let Some((said, comment)) = line.split_once(MARK) {
            of_line(controls, profile, path, section, (said.trim(), comment));
        }
    }
}

/// What a line of ours says, if it is about packets and new.
fn of_line(
    controls: &mut Vec<Control>,
    profile: &Profile,
    path: &Path,
    section: &str,
    (said, comment): (&str, &str),
) {
    let (kind, name) = section.split_once(' ').unwrap_or_default();
    let name = name.trim_end_matches(']');
    let set = if kind == "[IPSET" { name } else { said.split_once('+').map_or("", |(_, rest)| rest) };
    let long = set.split(' ').next().unwrap_or_default().len() > LONGEST_NAME;
    let text = said.to_owned();
    let (requirement, place) = match kind {
        "[group" => ("D6", "group."),
        _ if said.starts_with('|') => ("D9", "staged."),
        _ if long => return,
        "[IPSET" => ("D2", "set."),
        _ if !said.starts_with("IN ") && !said.starts_with("OUT ") => return,
        _ => {
            let of_service = |known| tables::service(known).0 == comment;
            let row = match said.get(..4) {
                Some("OUT ") => "D1",
                Some("IN P") => "D3",
                _ if profile.firewall.services.iter().copied().any(of_service) => "D4",
                _ => "D2",
            };
            (row, "rule.")
        }
    };
    let check = match place {
        "rule." => Check::Rule(said.split(' ').map(str::to_owned).collect()),
        "set." => Check::PveSet { name: name.to_owned(), entry: text },
        _ => Check::PveFile { path: path.display().to_string(), section: section.to_owned(), text },
    };
    let dot = if name.is_empty() { "" } else { "." };
    let id = ["firewall.", place, name, dot, &said.replace(" ", "-")].concat();
    if controls.iter().all(|known| known.id != id) {
        also(controls, &[&id], requirement, &["PVE does what `", said, "` says"], check);
    }
}
