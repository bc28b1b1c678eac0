//! What the recordings do not show: logs, clusters, blacklists, node options. The rest is held against transcript 33.

use super::*;
use crate::firewall::config;

fn compiled_with(datacenter: &str, host: &str, corosync: Option<&Corosync>) -> Compiled {
    let names = Names::of_the_machine();
    let datacenter = config::cluster("cluster.fw", datacenter.as_bytes(), names, 0).config;
    let host = config::host("host.fw", host.as_bytes(), names, &datacenter).config;
    compile(Input {
        datacenter: &datacenter,
        host: &host,
        local_network: Some("192.168.10.0/24"),
        node: "pve1",
        corosync,
        names,
    })
}

fn compiled(datacenter: &str, host: &str) -> Compiled {
    compiled_with(datacenter, host, None)
}

/// Lines of a chain that hold a text.
fn lines<'a>(chains: &'a Ruleset, chain: &str, with: &str) -> Vec<&'a str> {
    chains[chain].iter().map(String::as_str).filter(|line| line.contains(with)).collect()
}

const ON: &str = "[OPTIONS]\nenable: 1\n";

#[test]
fn d_the_order_of_a_nodes_chain_is_fixed_and_its_own_rules_come_first() {
    let text = "[OPTIONS]\nenable: 1\n[IPSET blacklist]\n10.9.0.0/16\n[RULES]\nIN DROP -p udp -dport 2\n";
    let compiled = compiled(text, "[OPTIONS]\ntcpflags: 1\n[RULES]\nIN ACCEPT -p udp -dport 1\n");
    assert_eq!(
        compiled.filter_v4["PVEFW-HOST-IN"],
        [
            "-A PVEFW-HOST-IN -i lo -j ACCEPT",
            "-A PVEFW-HOST-IN -m conntrack --ctstate INVALID -j DROP",
            "-A PVEFW-HOST-IN -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A PVEFW-HOST-IN -m set --match-set PVEFW-0-blacklist-v4 src -j PVEFW-blacklist",
            "-A PVEFW-HOST-IN -m conntrack --ctstate INVALID,NEW -j PVEFW-smurfs",
            "-A PVEFW-HOST-IN -p tcp -j PVEFW-tcpflags",
            "-A PVEFW-HOST-IN -p igmp -j RETURN",
            "-A PVEFW-HOST-IN -p udp --dport 1 -j RETURN",
            "-A PVEFW-HOST-IN -p udp --dport 2 -j DROP",
            "-A PVEFW-HOST-IN -m set --match-set PVEFW-0-management-v4 src -p tcp --dport 8006 -j RETURN",
            "-A PVEFW-HOST-IN -m set --match-set PVEFW-0-management-v4 src -p tcp --dport 5900:5999 -j RETURN",
            "-A PVEFW-HOST-IN -m set --match-set PVEFW-0-management-v4 src -p tcp --dport 3128 -j RETURN",
            "-A PVEFW-HOST-IN -m set --match-set PVEFW-0-management-v4 src -p tcp --dport 22 -j RETURN",
            "-A PVEFW-HOST-IN -m set --match-set PVEFW-0-management-v4 src -p tcp --dport 60000:60050 -j RETURN",
            "-A PVEFW-HOST-IN -j PVEFW-Drop",
            "-A PVEFW-HOST-IN -j DROP",
        ]
    );
    assert!(compiled.warnings.is_empty());
}

#[test]
fn d7_a_log_line_stands_in_front_of_its_rule_with_the_limit_of_the_datacenter() {
    let rule = "[RULES]\nIN ACCEPT -p tcp -dport 9 -log warning\n";
    let log = "-m limit --limit 1/sec -j NFLOG --nflog-prefix \":0:4:PVEFW-HOST-IN: ACCEPT: \"";
    let default = compiled(&format!("{ON}{rule}"), "");
    assert_eq!(
        lines(&default.filter_v4, "PVEFW-HOST-IN", "dport 9 "),
        [
            format!("-A PVEFW-HOST-IN -p tcp --dport 9 {log}"),
            "-A PVEFW-HOST-IN -p tcp --dport 9 -j RETURN".to_owned()
        ]
    );
    let slow = compiled(&format!("{ON}log_ratelimit: enable=1,rate=3/minute,burst=7\n{rule}"), "");
    assert_eq!(lines(&slow.filter_v4, "PVEFW-HOST-IN", "--limit 3/minute --limit-burst 7 ").len(), 1);
    let unlimited = compiled(&format!("{ON}log_ratelimit: 0\n{rule}"), "");
    assert_eq!(lines(&unlimited.filter_v4, "PVEFW-HOST-IN", "limit").len(), 0);
    assert_eq!(lines(&unlimited.filter_v4, "PVEFW-HOST-IN", "NFLOG").len(), 1);
    let policy = compiled(ON, "[OPTIONS]\nlog_level_in: info\n");
    assert_eq!(
        lines(&policy.filter_v4, "PVEFW-HOST-IN", "policy"),
        [
            "-A PVEFW-HOST-IN  -m limit --limit 1/sec -j NFLOG --nflog-prefix \":0:6:PVEFW-HOST-IN: policy DROP: \""
        ]
    );
}

#[test]
fn d8_the_management_always_holds_the_local_network_and_an_alias_narrows_it() {
    let members = |text: &str| compiled(text, "").sets["PVEFW-0-management-v4"][1..].to_vec();
    assert_eq!(members(ON), ["add PVEFW-0-management-v4 192.168.10.0/24"]);
    let narrow = format!("{ON}[ALIASES]\nlocal_network 192.168.10.5\n[IPSET management]\n198.51.100.0/24\n");
    assert_eq!(
        members(&narrow),
        ["add PVEFW-0-management-v4 192.168.10.5", "add PVEFW-0-management-v4 198.51.100.0/24"]
    );
    let chains = compiled(&narrow, "").filter_v4;
    assert_eq!(lines(&chains, "PVEFW-HOST-OUT", "-d 192.168.10.5 ").len(), 4);
}

#[test]
fn addresses_of_one_family_stay_out_of_the_others_set_and_chain() {
    let text = format!("{ON}[IPSET ok]\nFD00:0:0::/48\n10.0.0.0/8\n[RULES]\nIN ACCEPT -source fd00::1\n");
    let compiled = compiled(&text, "");
    assert_eq!(compiled.sets["PVEFW-0-ok-v6"][1..], ["add PVEFW-0-ok-v6 fd00::/48"]);
    assert_eq!(compiled.sets["PVEFW-0-ok-v4"][1..], ["add PVEFW-0-ok-v4 10.0.0.0/8"]);
    assert!(lines(&compiled.filter_v4, "PVEFW-HOST-IN", "fd00").is_empty());
    assert_eq!(lines(&compiled.filter_v6, "PVEFW-HOST-IN", "-s fd00::1 -j RETURN").len(), 1);
}

#[test]
fn a_long_name_of_a_set_becomes_a_short_one_in_the_kernel() {
    let compiled = compiled(&format!("{ON}[IPSET a-set-with-quite-a-long-name]\n10.0.0.1\n"), "");
    assert!(compiled.sets.keys().all(|name| name.len() + "_swap".len() <= 31), "{:?}", compiled.sets.keys());
}

#[test]
fn a_node_without_firewall_keeps_the_empty_chains() {
    let compiled = compiled(ON, "[OPTIONS]\nenable: 0\n");
    assert!(compiled.filter_v4["PVEFW-INPUT"].is_empty());
    assert!(!compiled.filter_v4.contains_key("PVEFW-HOST-IN"));
    assert_eq!(self::compiled("[OPTIONS]\nenable: 0\n", ""), Compiled::default());
}

#[test]
fn d4_cluster_traffic_is_let_through_between_the_ends_of_a_link_only() {
    let link = |node: &str, key: &str, address: &str| Link {
        node: node.to_owned(),
        key: key.to_owned(),
        address: address.to_owned(),
        family: Family::V4,
    };
    let links = vec![
        link("pve1", "ring0_addr", "192.168.10.5"),
        link("pve2", "ring0_addr", "192.168.10.6"),
        link("pve2", "ring1_addr", "10.0.0.6"),
    ];
    let compiled = compiled_with(ON, "", Some(&Corosync { links, multicast: false }));
    assert_eq!(
        lines(&compiled.filter_v4, "PVEFW-HOST-IN", "5404:5405"),
        ["-A PVEFW-HOST-IN -d 192.168.10.5 -s 192.168.10.6 -p udp --dport 5404:5405 -j RETURN"]
    );
    assert_eq!(
        lines(&compiled.filter_v4, "PVEFW-HOST-OUT", "5404:5405"),
        ["-A PVEFW-HOST-OUT -s 192.168.10.5 -d 192.168.10.6 -p udp --dport 5404:5405 -j RETURN"]
    );
}

#[test]
fn d5_floods_and_helpers_have_their_chain_in_the_raw_table() {
    let host = "[OPTIONS]\nprotection_synflood: 1\nnf_conntrack_helpers: ftp,irc\n";
    let compiled = compiled(ON, host);
    assert_eq!(compiled.raw_v4["PVEFW-PREROUTING"].len(), 3);
    assert_eq!(compiled.raw_v6["PVEFW-PREROUTING"].len(), 2);
    assert!(compiled.raw_v6["PVEFW-PREROUTING"][0].contains("--hashlimit-srcmask 64"));
}

#[test]
fn a_rule_that_iptables_would_not_take_is_told_and_left_out() {
    let compiled = compiled(&format!("{ON}[RULES]\nIN ACCEPT -p ipv6-icmp -dport echo-request\n"), "");
    assert_eq!(compiled.warnings, ["protocol ipv6-icmp does not have ports"]);
}
