//! I1: every row of the requirements is there, as a control, or named with the reason why it cannot be one.

use super::node::{facts, profile, pve_profile};
use super::*;
use crate::areas::example::network;
use crate::profile::{Algorithms, Group, Rule, Service};
use std::collections::BTreeSet;

/// Every row of requirements.md.
const ROWS: &str = "A1 A2 A3 A4 A5 A6 B1 B2 B3 B4 B5 B6 C1 C2 C3 C4 C5 C6 C7 C8 C9 D1 D2 D3 D4 D5 D6 D7 D8 D9 \
    E1 E2 E3 E4 F1 F2 F3 F4 G1 G2 G3 G4 G5 H1 H2 H3 I1 I2 I3 J1 J2 J3 J4 J5";

/// Rows that say something about firstlight itself and nothing about the node; docs/audit.md has the same list.
const NO_CONTROLS: &[(&str, &str)] = &[
    ("C2", "a QR code is on a screen for a moment, and leaves nothing on the node"),
    ("I3", "the audit's honesty is shown by tests that break a node"),
    ("J2", "that a run was asked for says nothing about the node afterwards"),
];

fn rows(profile: &Profile) -> BTreeSet<String> {
    let (controls, refusals) = areas::audited(profile, &facts());
    let texts: Vec<&str> = refusals.iter().map(|refusal| refusal.message.as_str()).collect();
    assert!(texts.is_empty(), "{texts:?}");
    let mut ids: Vec<&str> = controls.iter().map(|control| &*control.id).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "an id stands twice: {ids:?}");
    controls.iter().map(|control| control.requirement.to_owned()).collect()
}

#[test]
fn i1_every_row_of_the_requirements_is_a_control_or_has_a_reason() {
    let mut pve = pve_profile();
    pve.admin.api_token = "ansible".to_owned();
    pve.totp.second_device = true;
    pve.totp.enforced_realms = vec!["pam".to_owned()];
    pve.firewall.services = vec![Service::Nfs];
    let networks = vec![network("10.0.40.0/24")];
    pve.firewall.sets =
        vec![crate::profile::AddressSet { name: "backup".into(), networks, comment: String::new() }];
    let rule = Rule {
        from: "backup".to_owned(),
        protocol: "tcp".to_owned(),
        ports: vec![(crate::profile::Port::SSH, crate::profile::Port::SSH)],
        action: "accept".to_owned(),
        comment: String::new(),
        enabled: false,
        scope: "datacenter".to_owned(),
    };
    pve.firewall.groups = vec![Group { name: "web".into(), rules: vec![rule.clone()] }];
    pve.firewall.rules = vec![rule];
    let mut strict = profile();
    strict.ssh.algorithms = Algorithms::Strict;
    let mut found = rows(&pve);
    found.extend(rows(&strict));
    // What the plan refuses stands for the row of the audit itself.
    found.insert("I1".to_owned());
    for row in ROWS.split_ascii_whitespace() {
        let reason = NO_CONTROLS.iter().any(|(known, reason)| *known == row && !reason.is_empty());
        assert_ne!(found.contains(row), reason, "{row}: a control, or a reason why there is none");
    }
    let known: Vec<&str> = ROWS.split_ascii_whitespace().collect();
    let unknown: Vec<&String> = found.iter().filter(|row| !known.contains(&row.as_str())).collect();
    assert!(unknown.is_empty(), "no such rows: {unknown:?}");
}

#[test]
fn i1_every_weight_is_that_of_a_row_that_is_there() {
    for row in score::HIGH.split(' ').chain(score::LOW.split(' ')) {
        assert!(ROWS.split_ascii_whitespace().any(|known| known == row), "no such row: {row}");
    }
    assert!(!score::LOW.split(' ').any(|row| score::HIGH.contains(row)), "a row has two weights");
    assert_eq!([score::severity("A1").1, score::severity("A2").1, score::severity("A6").1], [5, 3, 1]);
}

#[test]
fn i1_items_of_the_benchmark_belong_to_controls_that_speak_about_the_same() {
    let (controls, _) = areas::audited(&profile(), &facts());
    let of = |id: &str| cis::of(controls.iter().find(|control| control.id == id).unwrap());
    for (id, items) in [
        ("ssh.tries.root", "5.1.17"),
        ("ssh.key-exchange", "5.1.12 5.1.13"),
        ("ssh.idle-count.admin", "5.1.7"),
        ("firewall.active", "4.1.3 4.1.4 4.1.5"),
        ("packages.installed.sudo", "5.2.1"),
        ("admin.account", ""),
        ("firewall.bridge-netfilter.ipv4", ""),
    ] {
        assert_eq!(of(id), items, "{id}");
    }
    let (controls, _) = areas::audited(&pve_profile(), &facts());
    assert!(
        controls.iter().filter(|it| it.id.starts_with("firewall.")).all(|it| cis::of(it).is_empty()),
        "UFW alone"
    );
}

#[test]
fn i1_every_control_stands_in_the_documentation_with_its_row() {
    let documented = include_str!("../../../docs/audit.md").split("## Every control").nth(1).unwrap();
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for line in documented.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        lines.push((cells[1].trim_matches('`'), cells[2]));
    }
    let fits = |pattern: &str, id: &str| match pattern.split_once('*') {
        Some((start, _)) => id.starts_with(start),
        None => id == pattern,
    };
    let mut with_more = pve_profile();
    with_more.admin.api_token = "x".to_owned();
    with_more.totp.second_device = true;
    for profile in [profile(), with_more] {
        for control in areas::audited(&profile, &facts()).0 {
            let found =
                lines.iter().filter(|(pattern, _)| fits(pattern, &control.id)).max_by_key(|it| it.0.len());
            let rows = found.map_or("", |(_, rows)| *rows);
            let is_there = rows.split(' ').any(|row| row == control.requirement);
            assert!(is_there, "docs/audit.md: {} of {} has no line: {rows}", control.id, control.requirement);
        }
    }
}
