//! PVE's files against literals, and what others wrote in them.

mod refusals;

use super::*;
use crate::areas::Area;
use crate::areas::example::{address, network};
use crate::areas::firewall::Firewall;
use crate::profile::{AddressSet, FirewallMode, Group, Management, Ping, Port, Rule};

fn profile(management: &[&str]) -> Profile {
    let mut profile = Profile::example();
    profile.firewall.mode = Some(FirewallMode::Pve);
    profile.firewall.ping = Ping::Management;
    if !management.is_empty() {
        profile.firewall.management =
            Management::Networks(management.iter().map(|text| network(text)).collect());
    }
    profile
}

fn any() -> Profile {
    let mut profile = profile(&[]);
    profile.firewall.management = Management::Any;
    profile
}

fn rule(from: &str, ports: (i64, i64), action: &str, scope: &str) -> Rule {
    Rule {
        from: from.to_owned(),
        protocol: "tcp".to_owned(),
        ports: vec![(Port::new(ports.0).unwrap(), Port::new(ports.1).unwrap())],
        action: action.to_owned(),
        comment: "it's\nIN ACCEPT # mine".to_owned(),
        enabled: true,
        scope: scope.to_owned(),
    }
}

fn messages(profile: &Profile, facts: &Facts) -> Vec<String> {
    crate::areas::tests::messages(Firewall.refused(profile, facts))
}

fn member() -> Facts {
    Facts {
        cluster_member: true,
        member_addresses: vec![address("10.0.20.5"), address("10.0.20.6"), address("10.0.20.7")],
        ..Facts::example()
    }
}

/// The lines of a section that hold `text`.
fn lines(file: &str, text: &str) -> Vec<String> {
    file.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

#[test]
fn d1_d2_d3_d7_d8_the_whole_file_of_a_silent_answer() {
    let expected = "\
# firstlight: lines with this name in their comment are written anew, all others are kept

[OPTIONS]
enable: 0
policy_in: DROP
policy_out: ACCEPT
log_ratelimit: enable=1,rate=1/second,burst=5

[ALIASES]
local_network 10.0.20.0/24 # firstlight: PVE lets this one in, and would take the node's whole network

[IPSET management] # firstlight: who manages the nodes
10.0.20.0/24 # firstlight: who manages the nodes

[RULES]
IN ACCEPT -source +management -p tcp -dport 22 # firstlight: SSH
IN ACCEPT -source +management -p tcp -dport 8006 # firstlight: web interface
IN Ping(ACCEPT) -source +management # firstlight: ping
";
    assert_eq!(cluster_file(&profile(&[]), &Facts::example()), expected);
    let on = Facts { cluster_firewall: Some(expected.replace("enable: 0", "enable: 1")), ..Facts::example() };
    assert_eq!(Some(cluster_file(&profile(&[]), &on)), on.cluster_firewall, "a second run changes nothing");
}

#[test]
fn d5_d7_the_whole_file_of_the_node() {
    let expected = "\
# firstlight: lines with this name in their comment are written anew, all others are kept

[OPTIONS]
enable: 1
ndp: 1
nosmurfs: 1
tcpflags: 1
protection_synflood: 1
protection_synflood_rate: 200
protection_synflood_burst: 1000
nf_conntrack_allow_invalid: 0
log_nf_conntrack: 0
log_level_in: info
smurf_log_level: info
tcp_flags_log_level: info
log_level_out: nolog

[RULES]
IN DROP -source +backup -p tcp -dport 9000:9100 # firstlight: it'sIN ACCEPT  mine
";
    let mut profile = with_backup();
    profile.firewall.rules = vec![rule("backup", (9000, 9100), "drop", "node")];
    assert_eq!(host_file(&profile, &Facts::example()), expected);
    let again = Facts { host_firewall: Some(expected.to_owned()), ..Facts::example() };
    assert_eq!(host_file(&profile, &again), expected);
}

fn with_backup() -> Profile {
    let mut profile = profile(&[]);
    let networks = vec![network("10.0.40.9/32"), network("fd00:40::/64")];
    profile.firewall.sets = vec![AddressSet { name: "backup".into(), networks, comment: String::new() }];
    profile
}

#[test]
fn d2_d4_services_come_from_their_own_set_and_the_operators_rules_name_sets() {
    let mut profile = with_backup();
    profile.firewall.services = vec![Service::Cluster, Service::Nfs];
    profile.firewall.services_from = vec![network("10.0.30.0/24")];
    profile.firewall.rules = vec![rule("backup", (8007, 8007), "accept", "datacenter")];
    let file = cluster_file(&profile, &Facts::example());
    assert!(file.contains("[IPSET services] # firstlight: who uses the services\n10.0.30.0/24 # "), "{file}");
    assert!(
        file.contains("[IPSET backup] # firstlight: backup\n10.0.40.9 # firstlight: backup\nfd00:40::/64 # ")
    );
    assert_eq!(
        lines(&file, "+services"),
        [
            "IN ACCEPT -source +services -p udp -dport 5405:5412 # firstlight: cluster",
            "IN ACCEPT -source +services -p tcp -dport 22,8006 # firstlight: cluster",
            "IN ACCEPT -source +services -p tcp -dport 111,2049 # firstlight: nfs",
            "IN ACCEPT -source +services -p udp -dport 111,2049 # firstlight: nfs",
        ]
    );
    assert_eq!(
        lines(&file, "+backup"),
        ["IN ACCEPT -source +backup -p tcp -dport 8007 # firstlight: it'sIN ACCEPT  mine"],
        "a comment brings no line of its own"
    );
    profile.firewall.services_from.clear();
    assert_eq!(lines(&cluster_file(&profile, &Facts::example()), "2049").len(), 2);
    assert!(!cluster_file(&profile, &Facts::example()).contains("services"));
}

#[test]
fn d1_outgoing_drop_leaves_the_node_a_client() {
    let mut profile = profile(&[]);
    profile.firewall.outgoing = Outgoing::Drop;
    profile.firewall.services = vec![Service::Cluster];
    let file = cluster_file(&profile, &Facts::example());
    assert!(file.contains("\npolicy_out: DROP\n"));
    assert_eq!(
        lines(&file, "OUT "),
        [
            "OUT ACCEPT -p tcp -dport 53 # firstlight: DNS",
            "OUT ACCEPT -p udp -dport 53 # firstlight: DNS",
            "OUT ACCEPT -p udp -dport 123 # firstlight: NTP",
            "OUT ACCEPT -p tcp -dport 80,443,587 # firstlight: HTTP, HTTPS and mail submission",
            "OUT ACCEPT -dest +management -p udp -dport 5405:5412 # firstlight: cluster",
            "OUT ACCEPT -dest +management -p tcp -dport 22,8006 # firstlight: cluster",
        ]
    );
    assert!(host_file(&profile, &Facts::example()).contains("log_level_out: info"));
}

#[test]
fn d2_for_everybody_only_ssh_and_the_web_interface_are_open() {
    let file = cluster_file(&any(), &Facts::example());
    assert_eq!(
        lines(&file, "IN "),
        [
            "IN ACCEPT -p tcp -dport 22 # firstlight: SSH",
            "IN ACCEPT -p tcp -dport 8006 # firstlight: web interface",
            "IN Ping(ACCEPT) # firstlight: ping",
        ]
    );
    // The set stays empty, and loopback is let in by PVE anyway.
    assert_eq!(lines(&file, "local_network ")[0].split(" #").next(), Some("local_network 127.0.0.0/8"));
    assert!(!lines(&file, "who manages").is_empty());
}

#[test]
fn d2_a_network_of_everything_becomes_two_that_the_kernel_can_hold() {
    let file = cluster_file(&profile(&["10.0.20.0/24", "0.0.0.0/0", "::/0"]), &Facts::example());
    let first = |line: &String| line.split(' ').next().unwrap().to_owned();
    let entries: Vec<String> = lines(&file, "# firstlight: who manages").iter().skip(1).map(first).collect();
    assert_eq!(entries, ["10.0.20.0/24", "0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"]);
}

#[test]
fn d6_d9_groups_and_staged_rules() {
    let mut profile = with_backup();
    let staged = Rule { enabled: false, ..rule("backup", (80, 80), "reject", "datacenter") };
    profile.firewall.groups =
        vec![Group { name: "web".into(), rules: vec![rule("backup", (80, 80), "accept", "datacenter")] }];
    profile.firewall.rules = vec![staged];
    let file = cluster_file(&profile, &Facts::example());
    assert!(file.contains("\n|IN REJECT -source +backup -p tcp -dport 80 # firstlight: "));
    let group = "\n[group web] # firstlight: security group\nIN ACCEPT -source +backup -p tcp -dport 80 # firstlight: ";
    assert!(file.contains(group), "{file}");
}

const BY_HAND: &str = "# mine\n[OPTIONS]\n\nenable: 1\nebtables: 0\npolicy_in: ACCEPT\n\n[ALIASES]\n\nprinter 10.0.20.9 # hall\n\n\
    [IPSET office] # ours\n\n10.0.20.0/25\n\n[ipset management]\n10.0.20.0/24\n10.0.20.77 # me\n\n[RULES]\n\n# first\n\
    IN ACCEPT -source +office -p tcp -dport 9090 -log nolog # metrics\n|IN DROP\n\n[group db]\n\nIN ACCEPT -p tcp -dport 5432\n";

#[test]
fn d1_what_others_wrote_is_kept_behind_ours_and_goes_through_a_second_run_unchanged() {
    let facts = Facts { cluster_firewall: Some(BY_HAND.to_owned()), ..Facts::example() };
    let file = cluster_file(&profile(&[]), &facts);
    let expected = "\
# firstlight: lines with this name in their comment are written anew, all others are kept
# mine

[OPTIONS]
enable: 1
policy_in: DROP
policy_out: ACCEPT
log_ratelimit: enable=1,rate=1/second,burst=5
ebtables: 0

[ALIASES]
local_network 10.0.20.0/24 # firstlight: PVE lets this one in, and would take the node's whole network
printer 10.0.20.9 # hall

[IPSET management] # firstlight: who manages the nodes
10.0.20.0/24 # firstlight: who manages the nodes
10.0.20.77 # me

[IPSET office] # ours
10.0.20.0/25

[RULES]
IN ACCEPT -source +management -p tcp -dport 22 # firstlight: SSH
IN ACCEPT -source +management -p tcp -dport 8006 # firstlight: web interface
IN Ping(ACCEPT) -source +management # firstlight: ping
# first
IN ACCEPT -source +office -p tcp -dport 9090 -log nolog # metrics
|IN DROP

[group db]
IN ACCEPT -p tcp -dport 5432
";
    assert_eq!(file, expected);
    let again = Facts { cluster_firewall: Some(file.clone()), ..Facts::example() };
    assert_eq!(cluster_file(&profile(&[]), &again), file);
    assert!(messages(&profile(&[]), &again).is_empty());
}

#[test]
fn d1_rules_of_an_earlier_answer_go_and_a_second_section_of_a_set_counts_alone_as_in_pve() {
    let text = "[IPSET old] # firstlight: old\n10.9.9.9 # firstlight: old\n[IPSET a1]\n10.1.1.1\n[IPSET a1]\n10.2.2.2\n\
        [RULES]\nIN ACCEPT -source +old -p tcp -dport 1 # firstlight: old\n[group web]\nIN ACCEPT -p tcp -dport 81\n";
    let facts = Facts { cluster_firewall: Some(text.to_owned()), ..Facts::example() };
    let mut profile = profile(&[]);
    profile.firewall.groups =
        vec![Group { name: "web".into(), rules: vec![rule("management", (80, 80), "accept", "datacenter")] }];
    let file = cluster_file(&profile, &facts);
    assert!(!file.contains("old") && !file.contains("10.1.1.1") && file.contains("10.2.2.2"), "{file}");
    assert!(file.contains("-dport 80 #") && file.ends_with("IN ACCEPT -p tcp -dport 81\n"), "{file}");
}

#[test]
fn d1_sections_of_others_that_come_twice_mean_what_they_meant() {
    let text = "[OPTIONS]\nebtables: 1\n[ALIASES]\nprinter 10.0.0.1\n[group web]\nIN ACCEPT -p tcp -dport 9999\n\
        [options]\nebtables: 0\n[ALIASES]\nPrinter 10.0.0.2\n[GROUP web]\nIN ACCEPT -p tcp -dport 80\n";
    let facts = Facts { cluster_firewall: Some(text.to_owned()), ..Facts::example() };
    let file = cluster_file(&profile(&[]), &facts);
    assert!(!file.contains("9999") && file.contains("-dport 80"), "PVE forgets the first group: {file}");
    assert_eq!(lines(&file, "ebtables").last().unwrap(), "ebtables: 0", "the last one counts");
    assert_eq!(lines(&file, "rinter 10").last().unwrap(), "Printer 10.0.0.2");
    let again = Facts { cluster_firewall: Some(file.clone()), ..Facts::example() };
    assert_eq!(cluster_file(&profile(&[]), &again), file);
}

#[test]
fn d1_hand_made_rules_that_let_more_in_are_named_and_nobody_outside_is_tried() {
    let wide = |rules: &str| {
        let facts = Facts { cluster_firewall: Some(format!("[RULES]\n{rules}\n")), ..Facts::example() };
        let proposal = crate::areas::tests::proposed(&Firewall, &profile(&[]), &facts);
        assert_eq!(proposal.reach.unwrap().open.is_none(), !proposal.warnings.is_empty());
        !proposal.warnings.is_empty()
    };
    for rule in [
        "IN ACCEPT",
        "IN SSH(ACCEPT)",
        "in PMG(ACCEPT) -source 203.0.113.0/24",
        "IN ACCEPT -p tcp -dport 1:65535",
        "IN ACCEPT -p tcp -dport ssh",
        "IN ACCEPT -p ip",
        "IN ACCEPT -source +unknown -p tcp -dport 80,8006",
        "GROUP web -i vmbr0",
        "[IPSET management]\n203.0.113.9",
    ] {
        assert!(wide(rule), "{rule}");
    }
    for rule in [
        "|IN ACCEPT",
        "IN HTTP(ACCEPT)",
        "OUT ACCEPT",
        "IN ACCEPT -p udp",
        "IN ACCEPT -p tcp -dport 80",
        "IN SSH(ACCEPT) -source +dc/management",
        "IN SSH(ACCEPT) -source 10.0.20.9,10.0.20.10",
        "IN DROP -p tcp -dport 22",
        "[IPSET management]\n10.0.20.9",
        "IN ACCEPT -source +office -p tcp -dport 22\n[IPSET office]\n10.0.20.128/25",
    ] {
        assert!(!wide(rule), "{rule}");
    }
}

#[test]
fn d1_a_hand_made_rule_that_no_longer_keeps_a_manager_out_is_named() {
    let warned = |rule: &str, profile: &Profile| {
        let text = format!("[IPSET guests]\n10.0.20.66\n[RULES]\n{rule}\n");
        let facts = Facts { cluster_firewall: Some(text), ..Facts::example() };
        let warnings = crate::areas::tests::proposed(&Firewall, profile, &facts).warnings;
        warnings.iter().any(|text| text.contains(&format!("`{rule}`, which is kept; but")))
    };
    for rule in ["IN DROP -source 10.0.20.66 -p tcp -dport 8006", "IN SSH(REJECT) -source +dc/guests"] {
        assert!(warned(rule, &profile(&[])), "{rule}");
    }
    for rule in [
        "IN DROP -source 203.0.113.9",
        "IN DROP -source 10.0.20.66 -p tcp -dport 80",
        "|IN DROP -source 10.0.20.66",
        "IN DROP -p tcp -dport 8006",
    ] {
        assert!(!warned(rule, &profile(&[])), "{rule}");
    }
    assert!(warned("IN DROP -source 203.0.113.9", &any()), "all get in before it");
}

#[test]
fn d8_the_alias_is_a_management_network_and_on_a_member_the_one_that_holds_all_nodes() {
    let alias = |profile: &Profile, facts: &Facts| {
        let file = cluster_file(profile, facts);
        lines(&file, "local_network ").first().map(|line| line.split(' ').nth(1).unwrap().to_owned())
    };
    let two = ["10.0.99.0/24", "10.0.0.0/16"];
    assert_eq!(alias(&profile(&two), &Facts::example()).as_deref(), Some("10.0.99.0/24"));
    assert_eq!(alias(&profile(&two), &member()).as_deref(), Some("10.0.0.0/16"));
    let mut wide = profile(&two);
    wide.firewall.narrow_local_network = false;
    assert_eq!(alias(&wide, &Facts::example()), None);
}

#[test]
fn j4_pves_firewall_filters_before_ufw_is_put_away() {
    let proposal = crate::areas::tests::proposed(&Firewall, &profile(&[]), &Facts::example());
    let kinds: Vec<&str> = proposal.changes.iter().map(|(_, change)| change.kind()).collect();
    assert_eq!(kinds, ["unit", "pve-file", "pve-file", "pve-firewall", "ufw-off"]);
    let ids: Vec<&str> = proposal.controls.iter().map(|control| &*control.id).collect();
    assert_eq!(ids, ["firewall.active", "firewall.after-reboot", "firewall.ufw-off", "firewall.alone"]);
    assert_eq!(proposal.gates.len(), 1);
}

#[test]
fn d5_pve_checks_once_the_sets_that_rules_of_the_node_name_are_there() {
    let checked = |facts: &Facts| -> Vec<bool> {
        let mut profile = with_backup();
        profile.firewall.rules = vec![rule("backup", (9100, 9100), "accept", "node")];
        let changes = crate::areas::tests::proposed(&Firewall, &profile, facts).changes;
        let files = changes.iter().filter_map(|(_, change)| match change {
            Change::PveFile(file) => Some(file.checked),
            _ => None,
        });
        files.collect()
    };
    assert_eq!(
        checked(&Facts::example()),
        [false, true],
        "host.fw comes first, with cluster.fw PVE knows all"
    );
    let there = cluster_file(&with_backup(), &Facts::example());
    let facts = Facts { cluster_firewall: Some(there), ..Facts::example() };
    assert_eq!(checked(&facts), [true, true], "host.fw alone is written");
}
