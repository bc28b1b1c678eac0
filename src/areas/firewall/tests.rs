//! Rules of UFW against literals, and every refusal by its sentence.

use super::*;
use crate::areas::example::{address, network};
use crate::change::UfwChange;
use crate::profile::{AddressSet, Management, Network, Outgoing, Ping, Port, Rule, Service};

fn propose(profile: &Profile, facts: &Facts) -> Proposal {
    crate::areas::tests::proposed(&Firewall, profile, facts)
}

fn ufw_of(profile: &Profile, facts: &Facts) -> UfwChange {
    let proposal = propose(profile, facts);
    let found = proposal.changes.into_iter().find_map(|(_, change)| match change {
        Change::Ufw(ufw) => Some(ufw),
        _ => None,
    });
    found.unwrap()
}

/// The rules as a person would type them.
fn rules(profile: &Profile, facts: &Facts) -> Vec<String> {
    let line = |rule: &Vec<String>| {
        let quoted = |word: &String| if word.contains(' ') { format!("'{word}'") } else { word.clone() };
        rule.iter().map(quoted).collect::<Vec<_>>().join(" ")
    };
    ufw_of(profile, facts).rules.iter().map(line).collect()
}

fn messages(profile: &Profile, facts: &Facts) -> Vec<String> {
    crate::areas::tests::messages(Firewall.refused(profile, facts))
}

fn with_networks(networks: &[&str]) -> Profile {
    let mut profile = Profile::example();
    profile.firewall.management = Management::Networks(networks.iter().map(|text| network(text)).collect());
    profile
}

fn rule(from: &str, ports: &[(i64, i64)], action: &str) -> Rule {
    Rule {
        from: from.to_owned(),
        protocol: "tcp".to_owned(),
        ports: ports.iter().map(|(a, b)| (Port::new(*a).unwrap(), Port::new(*b).unwrap())).collect(),
        action: action.to_owned(),
        comment: "it's\nmine".to_owned(),
        enabled: true,
        scope: "node".to_owned(),
    }
}

#[test]
fn e3_a_silent_answer_lets_the_nodes_own_private_network_in() {
    assert_eq!(
        rules(&Profile::example(), &Facts::example()),
        [
            "allow from 10.0.20.0/24 to any port 22 proto tcp comment 'firstlight: SSH'",
            "allow from 10.0.20.0/24 to any port 8006 proto tcp comment 'firstlight: web interface'",
        ]
    );
}

#[test]
fn e3_a_live_peer_from_elsewhere_stays_in() {
    let facts = Facts { ssh_peers: vec![address("192.168.7.9"), address("fd00::9")], ..Facts::example() };
    let rules = rules(&Profile::example(), &facts);
    assert!(
        rules.contains(
            &"allow from 192.168.7.9 to any port 22 proto tcp comment 'firstlight: SSH'".to_owned()
        )
    );
    assert!(
        rules.contains(&"allow from fd00::9 to any port 22 proto tcp comment 'firstlight: SSH'".to_owned())
    );
}

#[test]
fn e3_for_everybody_ssh_is_limited() {
    let mut profile = Profile::example();
    profile.firewall.management = Management::Any;
    profile.ssh.port = Port::new(2222).unwrap();
    let proposal = propose(&profile, &Facts::example());
    assert!(!proposal.controls.iter().any(|control| control.id == "firewall.nothing-wider"));
    assert_eq!(
        rules(&profile, &Facts::example()),
        ["limit 2222/tcp comment 'firstlight: SSH'", "allow 8006/tcp comment 'firstlight: web interface'"]
    );
}

#[test]
fn e2_incoming_is_denied_and_routed_guests_go_on_as_before() {
    let mut profile = Profile::example();
    let change = ufw_of(&profile, &Facts::example());
    let defaults = [change.incoming, change.outgoing, change.routed, change.logging];
    assert_eq!(defaults, ["deny", "allow", "deny", "low"]);
    let facts = Facts { forwards: true, ..Facts::example() };
    assert_eq!(ufw_of(&profile, &facts).routed, "allow");
    profile.firewall.log_level = "nolog".to_owned();
    assert_eq!(ufw_of(&profile, &facts).logging, "off");
}

#[test]
fn e4_ufw_starts_at_boot_and_its_ipv6_is_on() {
    let proposal = propose(&Profile::example(), &Facts::example());
    let unit = proposal.changes.iter().any(|(_, change)| {
        matches!(change, Change::Unit(unit) if unit.name == "ufw.service" && unit.enabled == Some(true))
    });
    assert!(unit);
    let facts = Facts { ufw_without_ipv6: true, ..Facts::example() };
    assert_eq!(
        messages(&Profile::example(), &facts),
        ["firstlight.firewall.mode needs `IPV6=yes` in /etc/default/ufw: UFW would leave IPv6 open"]
    );
}

#[test]
fn d4_services_are_opened_for_their_networks_in_ufws_own_order_of_ports() {
    let mut profile = with_networks(&["10.0.20.0/24"]);
    profile.firewall.services = vec![Service::Cluster, Service::Ceph, Service::Nfs];
    profile.firewall.services_from = vec![network("10.0.40.0/24")];
    assert_eq!(
        rules(&profile, &Facts::example())[2..],
        [
            "allow from 10.0.40.0/24 to any port 5405:5412 proto udp comment 'firstlight: cluster'",
            "allow from 10.0.40.0/24 to any port 22,8006 proto tcp comment 'firstlight: cluster'",
            "allow from 10.0.40.0/24 to any port 3300,6789,6800:7300 proto tcp comment 'firstlight: ceph'",
            "allow from 10.0.40.0/24 to any port 111,2049 proto tcp comment 'firstlight: nfs'",
            "allow from 10.0.40.0/24 to any port 111,2049 proto udp comment 'firstlight: nfs'",
        ]
    );
}

#[test]
fn d4_services_without_networks_are_for_management() {
    let mut profile = with_networks(&["10.0.20.0/24"]);
    profile.firewall.services =
        vec![Service::Migration, Service::Cifs, Service::BackupServer, Service::Spice, Service::Vnc];
    let ports: Vec<String> = rules(&profile, &Facts::example())[2..]
        .iter()
        .map(|rule| rule.split(' ').skip(6).take(3).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        ports,
        ["60000:60050 proto tcp", "445 proto tcp", "8007 proto tcp", "3128 proto tcp", "5900:5999 proto tcp"]
    );
}

#[test]
fn e2_outgoing_drop_leaves_names_time_packages_mail_and_services() {
    let mut profile = with_networks(&["10.0.20.0/24"]);
    profile.firewall.outgoing = Outgoing::Drop;
    profile.firewall.services = vec![Service::BackupServer];
    assert_eq!(ufw_of(&profile, &Facts::example()).outgoing, "deny");
    assert_eq!(
        rules(&profile, &Facts::example())[3..],
        [
            "allow out 53 comment 'firstlight: DNS'",
            "allow out 123/udp comment 'firstlight: NTP'",
            "allow out 80,443,587/tcp comment 'firstlight: HTTP, HTTPS and mail submission'",
            "allow out to 10.0.20.0/24 port 8007 proto tcp comment 'firstlight: backup-server'",
        ]
    );
}

#[test]
fn the_operators_rules_name_sets_and_their_comments_bring_no_lines_or_quotes() {
    let mut profile = with_networks(&["10.0.20.0/24"]);
    let set = |name: &str, networks: &[&str]| AddressSet {
        name: name.to_owned(),
        networks: networks.iter().map(|text| network(text)).collect(),
        comment: String::new(),
    };
    profile.firewall.sets = vec![set("backup", &["10.0.40.0/24", "fd00:40::/64"])];
    let mut staged = rule("backup", &[(1, 1)], "accept");
    staged.enabled = false;
    profile.firewall.rules = vec![
        rule("backup", &[(9100, 9110), (80, 80)], "accept"),
        rule("management", &[(25, 25)], "drop"),
        staged,
    ];
    assert_eq!(
        rules(&profile, &Facts::example())[2..],
        [
            "allow from 10.0.40.0/24 to any port 80,9100:9110 proto tcp comment 'firstlight: itsmine'",
            "allow from fd00:40::/64 to any port 80,9100:9110 proto tcp comment 'firstlight: itsmine'",
            "deny from 10.0.20.0/24 to any port 25 proto tcp comment 'firstlight: itsmine'",
        ]
    );
    let warnings = propose(&profile, &Facts::example()).warnings;
    assert_eq!(warnings, ["1 rules with enabled = false are left out: UFW has no staged rules"]);
    profile.firewall.rules = vec![rule("nowhere", &[(1, 1)], "accept")];
    assert_eq!(
        messages(&profile, &Facts::example()),
        ["firstlight.firewall.rule must name a set in `from`; there is no set nowhere"]
    );
}

#[test]
fn more_ports_than_iptables_takes_become_several_rules() {
    let mut profile = with_networks(&["10.0.20.0/24"]);
    let ports: Vec<(i64, i64)> = (1..=16).map(|port| (port * 10, port * 10)).chain([(500, 600)]).collect();
    profile.firewall.rules = vec![rule("management", &ports, "accept")];
    let found = rules(&profile, &Facts::example());
    assert!(found[2].contains(" port 10,20,30,40,50,60,70,80,90,100,110,120,130,140,150 "));
    assert!(found[3].contains(" port 160,500:600 "));
}

#[test]
fn a_public_address_needs_management() {
    let facts = Facts {
        addresses: vec![
            (address("203.0.113.5"), network("203.0.113.0/24")),
            (address("10.0.20.5"), network("10.0.20.0/24")),
        ],
        ..Facts::example()
    };
    assert_eq!(
        messages(&Profile::example(), &facts),
        [
            "firstlight.firewall.management is required on a node with the public address 203.0.113.5: the networks that \
          may reach SSH and 8006, or [\"any\"]"
        ]
    );
    let shared = Facts {
        addresses: vec![(address("100.64.0.5"), network("100.64.0.0/10"))],
        ssh_peers: vec![],
        ..Facts::example()
    };
    assert!(messages(&Profile::example(), &shared)[0].ends_with("no private address to take it from"));
}

#[test]
fn a_list_that_shuts_everybody_near_out_is_refused() {
    let far = with_networks(&["172.16.0.0/24"]);
    let refusal = "firstlight.firewall.management must hold the network of the node's gateway or a live SSH client; if \
        the admins really are elsewhere only, set management-only-remote = true";
    assert_eq!(messages(&far, &Facts::example()), [refusal]);
    let mut remote = far.clone();
    remote.firewall.management_only_remote = true;
    assert!(messages(&remote, &Facts::example()).is_empty());
    let peer = Facts { ssh_peers: vec![address("172.16.0.9")], ..Facts::example() };
    assert!(messages(&far, &peer).is_empty());
    let workstation = with_networks(&["10.0.20.77/32"]);
    let nobody = Facts { ssh_peers: Vec::new(), ..Facts::example() };
    assert!(messages(&workstation, &nobody).is_empty());
}

#[test]
fn j4_the_mode_is_pves_on_pve_and_must_be_given_elsewhere() {
    let mut profile = Profile::example();
    profile.firewall.mode = None;
    assert!(mode(&profile, &Facts::example()) == Some(FirewallMode::Pve));
    assert!(messages(&profile, &Facts::example()).is_empty());
    let debian = Facts { pve_version: None, ..Facts::example() };
    assert_eq!(
        messages(&profile, &debian),
        ["firstlight.firewall.mode is required on a node without PVE: mode = \"ufw\""]
    );
}

#[test]
fn e1_pves_firewall_is_switched_off_with_every_other_line_kept() {
    let text = "[OPTIONS]\nenable: 1\npolicy_in: DROP\n\n[RULES]\nIN SSH(ACCEPT) # mine\n";
    let facts = Facts { cluster_firewall: Some(text.to_owned()), ..Facts::example() };
    let proposal = propose(&Profile::example(), &facts);
    let offs = |proposal: &Proposal| {
        proposal
            .changes
            .iter()
            .filter(|(_, change)| matches!(change, Change::PveFirewall(Switch::Off)))
            .count()
    };
    assert_eq!(offs(&proposal), 1);
    assert!(proposal.controls.iter().any(|control| matches!(control.check, Check::PveFirewallOff)));
    assert_eq!(proposal.warnings, ["the firewalls of guests are PVE's too: from now on they do not filter"]);
    let off = Facts { cluster_firewall: Some(text.replace("enable: 1", "enable: 0")), ..Facts::example() };
    assert_eq!(offs(&propose(&Profile::example(), &off)), 0);
    let member = Facts { cluster_member: true, ..facts };
    assert_eq!(
        messages(&Profile::example(), &member),
        [
            "firstlight.firewall.mode must be \"pve\" on this cluster member: the datacenter firewall is on, and it is \
          everybody's"
        ]
    );
}

#[test]
fn e1_on_pve_its_firewall_service_stays_enabled_and_runs_as_guests_need_it() {
    let watched = |facts: &Facts| {
        let controls = propose(&Profile::example(), facts).controls;
        let unit = |check: &Check| matches!(check, Check::Unit { name, enabled: Some(true), active: Some(true) } if name == "pve-firewall.service");
        controls.iter().any(|control| unit(&control.check) && control.changes.is_empty())
    };
    assert!(watched(&Facts::example()), "told, and nothing is done about it: whoever masked it has a reason");
    assert!(!watched(&Facts { pve_version: None, ..Facts::example() }));
}

#[test]
fn e1_bridged_traffic_is_kept_away_from_ufw_on_pve_nodes_after_pves_firewall_is_off() {
    let on = Facts { cluster_firewall: Some("[OPTIONS]\nenable: 1\n".to_owned()), ..Facts::example() };
    let proposal = propose(&Profile::example(), &on);
    let exposure = proposal.changes.iter().filter(|(phase, _)| *phase == Phase::Exposure);
    let kinds: Vec<&str> = exposure.map(|(_, change)| change.kind()).collect();
    assert_eq!(kinds, ["ufw", "pve-firewall", "kernel", "kernel", "kernel"]);
    for (id, setting) in [
        ("firewall.bridge-netfilter.ipv4", "net.bridge.bridge-nf-call-iptables"),
        ("firewall.bridge-netfilter.ipv6", "net.bridge.bridge-nf-call-ip6tables"),
        ("firewall.bridge-netfilter.arp", "net.bridge.bridge-nf-call-arptables"),
    ] {
        let control = proposal.controls.iter().find(|control| control.id == id).unwrap();
        let Check::Kernel { name, value, boot: false } = &control.check else { panic!("wrong check") };
        assert_eq!((name.as_str(), value.as_str(), control.requirement), (setting, "0", "E1"));
        let (_, Change::Kernel(change)) = &proposal.changes[control.changes[0]] else {
            panic!("wrong change")
        };
        assert_eq!(change.settings, [(setting.to_owned(), "0".to_owned())]);
    }
    let debian = Facts { pve_version: None, ..Facts::example() };
    let proposal = propose(&Profile::example(), &debian);
    assert!(!proposal.changes.iter().any(|(_, change)| change.kind() == "kernel"), "somebody may want them");
    assert!(!proposal.controls.iter().any(|control| matches!(control.check, Check::Kernel { .. })));
}

#[test]
fn d4_a_cluster_member_without_the_service_cluster_would_lose_corosync() {
    let member = Facts { cluster_member: true, ..Facts::example() };
    let mut profile = Profile::example();
    assert_eq!(
        messages(&profile, &member),
        [
            "firstlight.firewall.services must hold \"cluster\" on this cluster member: UFW would cut corosync off from \
          the other nodes"
        ]
    );
    profile.firewall.services = vec![Service::Cluster];
    assert!(messages(&profile, &member).is_empty());
}

#[test]
fn foreign_rules_are_kept_and_wide_ones_are_named() {
    let tuples = [
        "allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in",
        "allow tcp 22 0.0.0.0/0 any 10.0.20.0/24 in",
        "limit tcp 8000:8010 ::/0 any ::/0 in_vmbr0",
        "allow tcp 8006 0.0.0.0/0 any 0.0.0.0/0 in comment=66697273746c696768743a20776562",
        "allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 out",
        "allow tcp 443 0.0.0.0/0 any 0.0.0.0/0 in",
        "deny tcp 22 0.0.0.0/0 any 0.0.0.0/0 in",
    ];
    let facts = Facts { ufw_rules: tuples.map(str::to_owned).to_vec(), ..Facts::example() };
    let proposal = propose(&Profile::example(), &facts);
    let named = |rule: &str| proposal.warnings.iter().any(|warning| warning.contains(&format!("`{rule}`")));
    let wide: Vec<bool> = tuples.iter().map(|rule| named(rule)).collect();
    assert_eq!(wide, [true, false, true, false, false, false, false]);
    let control = proposal.controls.iter().find(|control| control.id == "firewall.nothing-wider").unwrap();
    assert!(control.changes.is_empty(), "nothing of ours can close a foreign rule");
}

#[test]
fn what_ufw_cannot_do_is_said() {
    let mut profile = Profile::example();
    profile.firewall.ping = Ping::Management;
    profile.firewall.log_rate = "5/minute".to_owned();
    let warnings = propose(&profile, &Facts::example()).warnings;
    assert_eq!(warnings, ["log-rate: UFW logs at its own rate"]);
}

#[test]
fn h2_ufw_without_the_packages_area_must_be_there_already() {
    let mut profile = Profile::example();
    profile.packages.enabled = false;
    assert_eq!(
        messages(&profile, &Facts::example()),
        ["firstlight.packages.enabled must be true: ufw is not installed"]
    );
}

#[test]
fn an_empty_list_of_networks_is_not_everybody() {
    let mut profile = Profile::example();
    profile.firewall.management = Management::Networks(Vec::<Network>::new());
    assert_eq!(
        messages(&profile, &Facts::example()),
        ["firstlight.firewall.management must hold a network, or be [\"any\"]"]
    );
}
