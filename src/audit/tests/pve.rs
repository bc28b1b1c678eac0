//! Ways to break a node of PVE's own firewall that has sets, rules, a group and one that waits.

use super::honest::Case;
use super::node::*;
use crate::areas::example::network;
use crate::facts::Facts;
use crate::node::scripted::Scripted;
use crate::profile::{AddressSet, Group, Port, Profile, Rule};

/// What is broken, how, and what must turn red.
pub(super) const CASES: &[Case] = &[
    (
        "the daemon is stopped",
        |node| {
            node.says("/usr/sbin/pve-firewall status", "Status: enabled/stopped\n");
        },
        &["firewall.active"],
    ),
    (
        "a rule was taken out of the kernel",
        |node| {
            let rule = "-A PVEFW-HOST-IN -p icmp -m set --match-set PVEFW-0-management-v4 src -m icmp --icmp-type 8 -j RETURN\n";
            assert!(PVE4.contains(rule));
            node.says("/usr/sbin/iptables-save", &PVE4.replace(rule, ""));
        },
        &["firewall.rule.IN-Ping(ACCEPT)--source-+management"],
    ),
    (
        "a rule comes first that shuts everybody out",
        |node| {
            let first =
                "-A PVEFW-HOST-IN -p tcp -m tcp --dport 8000:9000 -j DROP\n-A PVEFW-HOST-IN -p 2 -j RETURN\n";
            node.says("/usr/sbin/iptables-save", &PVE4.replace("-A PVEFW-HOST-IN -p 2 -j RETURN\n", first));
        },
        &[
            "firewall.rule.IN-ACCEPT--source-+backup--p-tcp--dport-8007",
            "firewall.rule.IN-ACCEPT--source-+management--p-tcp--dport-8006",
        ],
    ),
    (
        "a rule in front of PVE's lets everybody in",
        |node| {
            let first = "-A INPUT -p tcp -m tcp --dport 8006 -j ACCEPT\n-A INPUT -j PVEFW-INPUT\n";
            node.says("/usr/sbin/iptables-save", &PVE4.replace("-A INPUT -j PVEFW-INPUT\n", first));
        },
        &["firewall.nothing-in-front"],
    ),
    (
        "a set of somebody else's in front",
        |node| {
            let first = "-A INPUT -m set --match-set mine src -j ACCEPT\n-A INPUT -j PVEFW-INPUT\n";
            node.says("/usr/sbin/iptables-save", &PVE4.replace("-A INPUT -j PVEFW-INPUT\n", first));
            node.says("/usr/sbin/ipset list", &format!("{SETS}Name: mine\nMembers:\n192.0.2.0/24\n"));
        },
        &["firewall.nothing-in-front"],
    ),
    (
        "a group of rules lets everybody in",
        |node| {
            let wide = "-A GROUP-webs-IN -p tcp -m tcp --dport 22 -g PVEFW-SET-ACCEPT-MARK\nCOMMIT\n";
            node.says("/usr/sbin/iptables-save", &PVE4.replace("COMMIT\n", wide));
        },
        &["firewall.nothing-wider"],
    ),
    (
        "the set lets more in",
        |node| {
            node.says(
                "/usr/sbin/ipset list",
                &SETS.replace("10.0.20.0/24\n", "10.0.20.0/24\n192.0.2.0/24\n"),
            );
        },
        &["firewall.nothing-wider"],
    ),
    (
        "the set has lost a network",
        |node| {
            node.says("/usr/sbin/ipset list", &SETS.replace("10.0.40.9\n", ""));
        },
        &["firewall.set.backup.10.0.40.9"],
    ),
    (
        "nothing is logged",
        |node| {
            node.says("/usr/sbin/iptables-save", &PVE4.replace(":0:6:PVEFW", ":0:4:PVEFW"));
        },
        &["firewall.log"],
    ),
    (
        "flags are not filtered",
        |node| {
            node.says(
                "/usr/sbin/iptables-save",
                &PVE4.replace("-A PVEFW-HOST-IN -p tcp -j PVEFW-tcpflags\n", ""),
            );
        },
        &["firewall.tcp-flags"],
    ),
    (
        "chains of UFW are left",
        |node| {
            node.files.put("/usr/sbin/iptables-legacy-save", "");
            node.says("/usr/sbin/iptables-legacy-save", "*filter\n:ufw-user-input - [0:0]\nCOMMIT\n");
        },
        &["firewall.ufw-off"],
    ),
    (
        "a group is gone",
        |node| {
            let path = "/etc/pve/firewall/cluster.fw";
            let text = node.files.text(path).replace("[group web]", "[group other]");
            node.files.put(path, text);
        },
        &["firewall.group.web.IN-ACCEPT--source-+backup--p-tcp--dport-80"],
    ),
    (
        "a rule of a group is staged",
        |node| {
            replace_in(
                node,
                "IN ACCEPT -source +backup -p tcp -dport 80 ",
                "|IN ACCEPT -source +backup -p tcp -dport 80 ",
            )
        },
        &["firewall.group.web.IN-ACCEPT--source-+backup--p-tcp--dport-80"],
    ),
    (
        "a rule that shall wait is live",
        |node| replace_in(node, "|IN ACCEPT", "IN ACCEPT"),
        &["firewall.staged.|IN-ACCEPT--source-+backup--p-tcp--dport-443"],
    ),
];

fn replace_in(node: &Scripted, before: &str, after: &str) {
    let path = "/etc/pve/firewall/cluster.fw";
    let text = node.files.text(path);
    assert!(text.contains(before));
    node.files.put(path, text.replace(before, after));
}

/// A set, a rule, one that is staged, and a group.
pub(super) fn rich() -> (Profile, Facts) {
    let mut profile = pve_profile();
    let networks = vec![network("10.0.40.9/32")];
    profile.firewall.sets = vec![AddressSet { name: "backup".into(), networks, comment: String::new() }];
    let rule = |port, enabled| Rule {
        from: "backup".to_owned(),
        protocol: "tcp".to_owned(),
        ports: vec![(Port::new(port).unwrap(), Port::new(port).unwrap())],
        action: "accept".to_owned(),
        comment: String::new(),
        enabled,
        scope: "datacenter".to_owned(),
    };
    profile.firewall.rules = vec![rule(8007, true), rule(443, false)];
    profile.firewall.groups = vec![Group { name: "web".into(), rules: vec![rule(80, true)] }];
    (profile, facts())
}

/// The node of that answer: its files are what PVE goes by.
pub(super) fn rich_node(profile: &Profile, facts: &Facts) -> Scripted {
    let (node, _) = hardened_pve();
    let text = crate::areas::firewall::pve::cluster_file(profile, facts);
    node.files.put("/etc/pve/firewall/cluster.fw", text.replace("enable: 0", "enable: 1"));
    node
}
