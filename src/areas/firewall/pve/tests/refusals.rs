//! Where PVE's firewall must not be set up as asked.

use super::*;

fn datacenter(management: &[&str]) -> Profile {
    let mut profile = profile(management);
    profile.firewall.datacenter = true;
    profile.firewall.management_only_remote = true;
    profile
}

#[test]
fn d1_d8_on_a_cluster_member_the_firewall_is_everybodys() {
    assert_eq!(
        messages(&profile(&[]), &member()),
        [
            "firstlight.firewall.datacenter must be true on this cluster member: the datacenter firewall is everybody's"
        ]
    );
    assert!(messages(&datacenter(&[]), &member()).is_empty());
    let narrow = "firstlight.firewall.narrow-local-network must be false on this cluster member, or one of `management` must \
        hold all nodes (10.0.20.0/24): 10.0.20.0/28 would cut them off from each other";
    assert_eq!(messages(&datacenter(&["10.0.20.0/28"]), &member()), [narrow]);
    let mut wide = datacenter(&["10.0.20.0/28"]);
    wide.firewall.narrow_local_network = false;
    assert!(messages(&wide, &member()).is_empty());
    let mut dropping = datacenter(&[]);
    dropping.firewall.outgoing = Outgoing::Drop;
    assert_eq!(
        messages(&dropping, &member()),
        [
            "firstlight.firewall.services must hold \"cluster\" on this cluster member: outgoing = \"drop\" would cut it off"
        ]
    );
}

#[test]
fn d1_what_the_other_firewall_of_pve_would_read_otherwise_is_refused() {
    let facts = Facts { nftables_nodes: vec!["pve2".to_owned()], ..Facts::example() };
    assert!(messages(&profile(&[]), &facts)[0].starts_with(
        "firstlight.firewall.mode needs PVE's iptables firewall: host.fw of pve2 has `nftables: 1`"
    ));
    let debian = Facts { pve_version: None, ..Facts::example() };
    assert_eq!(
        messages(&profile(&[]), &debian),
        ["firstlight.firewall.mode must be \"ufw\": this node has no PVE"]
    );
}

#[test]
fn d8_an_alias_of_somebody_else_is_neither_lost_nor_believed() {
    let text = "[ALIASES]\nLocal_Network 10.0.0.0/8\n".to_owned();
    let facts = Facts { cluster_firewall: Some(text), ..Facts::example() };
    assert!(messages(&profile(&[]), &facts)[0].contains("has the alias `Local_Network 10.0.0.0/8`"));
    let mut wide = profile(&[]);
    wide.firewall.narrow_local_network = false;
    assert!(messages(&wide, &facts).is_empty());
    assert!(cluster_file(&wide, &facts).contains("Local_Network 10.0.0.0/8\n"));
}

#[test]
fn d8_an_alias_of_somebody_else_that_lets_nobody_else_in_stays() {
    for line in ["Local_Network 10.0.20.5 # this node", "local_network2 10.0.0.0/8"] {
        let facts = Facts { cluster_firewall: Some(format!("[ALIASES]\n{line}\n")), ..Facts::example() };
        assert!(messages(&profile(&[]), &facts).is_empty(), "{line}: {:?}", messages(&profile(&[]), &facts));
        let file = cluster_file(&profile(&[]), &facts);
        assert_eq!(lines(&file, line).len(), 1, "{file}");
        let ours = lines(&file, "local_network 10.0.20.0/24 # firstlight: ");
        assert_eq!(ours.is_empty(), line.starts_with('L'), "one alias of this name: {file}");
    }
}

#[test]
fn d1_the_set_that_pve_drops_before_every_rule_must_not_hold_who_manages_the_node() {
    let refusal = |entries: &str| {
        let text = format!("[ALIASES]\nme 10.0.20.77\n[IPSET blacklist]\n{entries}\n");
        messages(&profile(&[]), &Facts { cluster_firewall: Some(text), ..Facts::example() })
    };
    for entries in ["10.0.20.77 # somebody is logged in from there", "203.0.113.9\n10.0.0.0/8", "dc/me"] {
        let said = refusal(entries);
        assert!(
            said.len() == 1 && said[0].contains("in the set blacklist comes before"),
            "{entries}: {said:?}"
        );
    }
    for entries in ["203.0.113.0/24", "10.0.20.9", "!10.0.20.77\n203.0.113.9", "# 10.0.20.77"] {
        assert!(refusal(entries).is_empty(), "{entries}: {:?}", refusal(entries));
    }
    let mut own = profile(&[]);
    let networks = vec![network("10.0.20.0/23")];
    own.firewall.sets = vec![AddressSet { name: "blacklist".into(), networks, comment: String::new() }];
    assert_eq!(messages(&own, &Facts::example()).len(), 1, "the answer's own one, too");
}

#[test]
fn a_rule_of_the_node_that_refuses_the_management_networks_is_refused_whoever_wrote_it() {
    let refusal = |text: &str| {
        let facts = Facts { host_firewall: Some(format!("[RULES]\n{text}\n")), ..Facts::example() };
        messages(&profile(&[]), &facts)
    };
    for rule in [
        "IN DROP",
        "IN REJECT -p tcp -dport 22",
        "IN SSH(DROP) -source 10.0.0.0/8",
        "GROUP web",
        "IN DROP -source +x",
        "IN DROP -p ip",
        "IN DROP -p hopopt",
        "IN DROP -p 0",
    ] {
        assert_eq!(refusal(rule).len(), 1, "{rule}");
        assert!(refusal(rule)[0].contains(&format!("`{rule}` in host.fw comes before")), "{rule}");
    }
    for rule in ["|IN DROP", "OUT DROP", "IN DROP -p tcp -dport 80", "IN DROP -source 10.0.20.9", "IN ACCEPT"]
    {
        assert!(refusal(rule).is_empty(), "{rule}: {:?}", refusal(rule));
    }
    let peer = refusal("IN DROP -source 10.0.20.77");
    assert_eq!(peer.len(), 1, "somebody is logged in from there");
    let mut own = profile(&[]);
    own.firewall.rules = vec![rule("management", (22, 22), "drop", "node")];
    assert_eq!(messages(&own, &Facts::example()).len(), 1);
    own.firewall.rules = vec![rule("management", (22, 22), "drop", "datacenter")];
    assert!(messages(&own, &Facts::example()).is_empty(), "behind the rules that let them in");
}
