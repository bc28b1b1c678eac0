//! Effective state, out of what the tools print.

use super::*;
use crate::facts::fingerprint;
use crate::node::scripted::Scripted;
use crate::profile::Network;
use std::path::PathBuf;

const BLOB: &str = crate::areas::example::BLOB;

// `iptables-save` and `ufw status verbose` of Debian 13 (ufw 0.36.2, iptables 1.8.11, legacy), shortened.
const RULES4: &str = "\
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ufw-user-input - [0:0]
-A INPUT -j ufw-before-logging-input
-A INPUT -j ufw-before-input
-A OUTPUT -j ufw-before-output
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -j ufw-user-input
-A ufw-before-output -j ufw-user-output
-A ufw-user-input -s 10.0.20.0/24 -p tcp -m tcp --dport 22 -j ACCEPT
-A ufw-user-input -p tcp -m tcp --dport 2222 -m conntrack --ctstate NEW -m recent --set --name DEFAULT --mask 255.255.255.255 --rsource
-A ufw-user-input -p tcp -m tcp --dport 2222 -m conntrack --ctstate NEW -m recent --update --seconds 30 --hitcount 6 --name DEFAULT --mask 255.255.255.255 --rsource -j ufw-user-limit
-A ufw-user-input -p tcp -m tcp --dport 2222 -j ufw-user-limit-accept
-A ufw-user-input -s 10.0.20.0/24 -p udp -m multiport --dports 5405:5412 -j ACCEPT
-A ufw-user-input -s 10.0.0.9/32 -p tcp -m tcp --dport 111 -j ACCEPT
-A ufw-user-input -s 10.0.20.0/24 -p tcp -m multiport --dports 3300,6789,6800:7300 -j ACCEPT
-A ufw-user-input -s 10.0.20.0/24 -p udp -m udp --dport 99 -j REJECT --reject-with icmp-port-unreachable
-A ufw-user-input -p tcp -m tcp --dport 23 -j DROP
-A ufw-user-input -s 10.0.20.0/24 -p tcp -m tcp --dport 23 -j ACCEPT
-A ufw-user-limit -j REJECT --reject-with icmp-port-unreachable
-A ufw-user-limit-accept -j ACCEPT
-A ufw-user-output -p tcp -m tcp --dport 53 -j ACCEPT
-A ufw-user-output -p udp -m udp --dport 53 -j ACCEPT
-A ufw-user-output -d 10.0.20.0/24 -p tcp -m tcp --dport 8007 -j ACCEPT
COMMIT
";
const RULES6: &str = "\
*filter
:INPUT DROP [0:0]
-A INPUT -j ufw6-before-input
-A OUTPUT -j ufw6-before-output
-A ufw6-before-input -j ufw6-user-input
-A ufw6-before-output -j ufw6-user-output
-A ufw6-user-input -p tcp -m tcp --dport 2222 -j ufw6-user-limit-accept
-A ufw6-user-input -s fd00::/64 -p tcp -m tcp --dport 8006 -j ACCEPT
-A ufw6-user-output -p tcp -m tcp --dport 53 -j ACCEPT
-A ufw6-user-output -p udp -m udp --dport 53 -j ACCEPT
COMMIT
";
const STATUS: &str =
    "Status: active\nLogging: on (low)\nDefault: deny (incoming), allow (outgoing), disabled (routed)\n";

fn node() -> Scripted {
    let node = Scripted::new();
    node.files.directory("/proc/sys/net/ipv6");
    node.says("/usr/sbin/iptables-save", RULES4);
    node.says("/usr/sbin/ip6tables-save", RULES6);
    node.says("/usr/sbin/ufw status verbose", STATUS);
    node
}

fn rule(words: &str) -> Check {
    Check::Rule(words.split(' ').map(str::to_owned).collect())
}

fn see(node: &Scripted, check: &Check) -> Verdict {
    Observer::new(node).evaluate(check).unwrap()
}

fn fails(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Fails(message) => message,
        Verdict::Holds => panic!("holds"),
    }
}

fn active(routed: &str) -> Check {
    Check::UfwActive { incoming: "deny".into(), outgoing: "allow".into(), routed: routed.into() }
}

#[test]
fn e3_rules_are_found_among_the_kernels_own() {
    let node = node();
    for words in [
        "allow from 10.0.20.0/24 to any port 22 proto tcp comment x",
        "allow from 10.0.20.64/26 to any port 22 proto tcp",
        "limit 2222/tcp",
        "allow from 10.0.20.0/24 to any port 5405:5412 proto udp",
        "allow from 10.0.20.0/24 to any port 3300,6789 proto tcp",
        "allow from 10.0.0.9 to any port 111 proto tcp",
        "reject from 10.0.20.0/24 to any port 99 proto udp",
        "deny 23/tcp comment x",
        "allow from fd00::/64 to any port 8006 proto tcp",
        "allow out 53",
        "allow out to 10.0.20.0/24 port 8007 proto tcp",
    ] {
        let verdict = see(&node, &rule(words));
        // `deny 23/tcp` is for IPv6 too, and there it is missing.
        assert_eq!(verdict == Verdict::Holds, words != "deny 23/tcp comment x", "{words}: {verdict:?}");
    }
}

#[test]
fn e3_what_the_kernel_decides_otherwise_is_red() {
    let node = node();
    let missing = see(&node, &rule("allow from 10.0.99.0/24 to any port 22 proto tcp"));
    assert_eq!(fails(&missing), "the kernel has no such rule for IPv4");
    let hidden = see(&node, &rule("allow from 10.0.20.0/24 to any port 23 proto tcp"));
    assert_eq!(
        fails(&hidden),
        "the kernel comes by `-A ufw-user-input -p tcp -m tcp --dport 23 -j DROP` first"
    );
    let wider = see(&node, &rule("allow 22/tcp"));
    assert_eq!(fails(&wider), "the kernel has no such rule for IPv4");
}

#[test]
fn e3_a_foreign_exception_in_front_of_a_rule_does_not_undo_it() {
    let node = node();
    let in_front = |line: &str| {
        let first = "-A ufw-user-input -s 10.0.20.0/24 -p tcp -m tcp --dport 22 -j ACCEPT\n";
        assert!(RULES4.contains(first));
        node.says("/usr/sbin/iptables-save", &RULES4.replacen(first, &format!("{line}\n{first}"), 1));
        see(&node, &rule("allow from 10.0.20.0/24 to any port 22 proto tcp"))
    };
    for line in [
        "-A ufw-user-input -s 10.0.20.7/32 -j DROP",
        "-A ufw-user-input -s 10.0.20.0/25 -p tcp -m tcp --dport 22 -j DROP",
        "-A ufw-user-input -i tap100i0 -j DROP",
    ] {
        assert_eq!(in_front(line), Verdict::Holds, "{line}");
    }
    for line in ["-A ufw-user-input -s 10.0.0.0/8 -j DROP", "-A ufw-user-input -p tcp -j REJECT"] {
        assert_eq!(fails(&in_front(line)), format!("the kernel comes by `{line}` first"));
    }
}

#[test]
fn e3_rules_that_no_packet_comes_by_are_red() {
    let node = node();
    node.says("/usr/sbin/iptables-save", &RULES4.replace("-A ufw-before-input -j ufw-user-input\n", ""));
    let verdict = see(&node, &rule("allow from 10.0.20.0/24 to any port 22 proto tcp"));
    assert_eq!(fails(&verdict), "the kernel does not filter IPv4 with UFW's rules");
}

#[test]
fn e3_a_rule_wider_than_management_is_red() {
    let node = node();
    let check = |ports: &[u16]| Check::NothingWider {
        chain: "",
        ports: ports.to_vec(),
        networks: vec![Network::parse("10.0.20.0/24").unwrap(), Network::parse("fd00::/64").unwrap()],
    };
    assert_eq!(see(&node, &check(&[22, 8006])), Verdict::Holds);
    assert!(fails(&see(&node, &check(&[2222]))).starts_with("the kernel also has `-A ufw-user-input"));
}

#[test]
fn e2_ufw_is_active_in_both_families_with_its_defaults() {
    let node = node();
    assert_eq!(see(&node, &active("deny")), Verdict::Holds);
    node.says("/usr/sbin/ip6tables-save", &RULES6.replace(":INPUT DROP", ":INPUT ACCEPT"));
    assert_eq!(fails(&see(&node, &active("deny"))), "the kernel does not filter IPv6 with UFW's rules");
    node.says("/usr/sbin/ufw status verbose", &STATUS.replace("disabled (routed)", "allow (routed)"));
    assert!(fails(&see(&node, &active("deny"))).starts_with("UFW's defaults are"));
    node.says("/usr/sbin/ufw status verbose", &STATUS.replace("deny (incoming)", "allow (incoming)"));
    assert!(fails(&see(&node, &active("deny"))).starts_with("UFW's defaults are"));
    node.says("/usr/sbin/ufw status verbose", "Status: inactive\n");
    assert_eq!(fails(&see(&node, &active("deny"))), "UFW is not active");
}

#[test]
fn e1_pves_firewall_is_off_when_file_and_kernel_say_so() {
    let node = node();
    assert_eq!(see(&node, &Check::PveFirewallOff), Verdict::Holds);
    node.files.put("/etc/pve/firewall/cluster.fw", "[OPTIONS]\nenable: 1\n");
    assert!(fails(&see(&node, &Check::PveFirewallOff)).ends_with("switches PVE's firewall on"));
    node.files.put("/etc/pve/firewall/cluster.fw", "[OPTIONS]\nenable: 0\n");
    node.says("/usr/sbin/iptables-save", "*filter\n-A INPUT -j PVEFW-INPUT\n");
    assert!(fails(&see(&node, &Check::PveFirewallOff)).contains("still has PVE's rules"));
}

#[test]
fn d1_pves_firewall_filters_when_it_says_so_and_the_kernel_does_in_both_families() {
    // Recorded (transcript 35), shortened.
    let rules = "*filter\n:INPUT ACCEPT [0:0]\n:PVEFW-HOST-IN - [0:0]\n-A INPUT -j PVEFW-INPUT\n\
        -A PVEFW-HOST-IN -j PVEFW-Drop\n-A PVEFW-HOST-IN -j DROP\nCOMMIT\n";
    let node = node();
    let status = |words: &str| node.says("/usr/sbin/pve-firewall status", &format!("Status: {words}\n"));
    for save in ["/usr/sbin/iptables-save", "/usr/sbin/ip6tables-save"] {
        node.says(save, rules);
    }
    status("enabled/running");
    assert_eq!(see(&node, &Check::PveFirewallOn), Verdict::Holds);
    assert_eq!(see(&node, &Check::UfwGone), Verdict::Holds);
    for words in ["enabled/running (pending changes)", "enabled/stopped", "disabled/running"] {
        status(words);
        assert!(fails(&see(&node, &Check::PveFirewallOn)).contains(words));
    }
    status("enabled/running");
    node.says("/usr/sbin/iptables-save", &rules.replace("INPUT ACCEPT", "INPUT DROP"));
    assert!(fails(&see(&node, &Check::PveFirewallOn)).ends_with("its policy is left over"));
    node.says("/usr/sbin/iptables-save", rules);
    node.says("/usr/sbin/ip6tables-save", "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n");
    assert!(fails(&see(&node, &Check::PveFirewallOn)).contains("does not filter IPv6"));
    for save in ["/usr/sbin/iptables-legacy-save", "/usr/sbin/ip6tables-nft-save"] {
        node.files.put(save, "");
        node.says(save, "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n");
        assert_eq!(see(&node, &Check::UfwGone), Verdict::Holds);
        node.says(save, "*filter\n:ufw6-user-input - [0:0]\nCOMMIT\n");
        assert!(fails(&see(&node, &Check::UfwGone)).contains("chains of UFW"), "whichever is chosen");
        node.says(save, "");
    }
}

#[test]
fn j4_whatever_the_iptables_that_is_not_chosen_decides_is_told() {
    use std::os::unix::fs::symlink;
    let node = node();
    let (legacy, nft) = ("/usr/sbin/iptables-legacy-save", "/usr/sbin/iptables-nft-save");
    for path in [legacy, nft] {
        node.files.put(path, "");
    }
    node.files.directory("/etc/alternatives");
    symlink(legacy, node.files.host("/etc/alternatives/iptables-save")).unwrap();
    node.says(legacy, RULES4);
    let empty =
        "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n*nat\n:INPUT ACCEPT [0:0]\n-A OUTPUT -j mine\nCOMMIT\n";
    node.says(nft, empty);
    assert_eq!(see(&node, &Check::NoForeignTables), Verdict::Holds);
    // The same UFW twice: loaded, then pve-firewall switched the alternatives, then loaded again.
    for (said, line) in [
        (RULES4, ":INPUT DROP [0:0]"),
        ("*filter\n:INPUT DROP [0:0]\nCOMMIT\n", ":INPUT DROP [0:0]"),
        ("*filter\n:INPUT ACCEPT [0:0]\n-A FORWARD -j DROP\nCOMMIT\n", "-A FORWARD -j DROP"),
        ("*filter\n-A INPUT -s 192.0.2.0/24 -j DROP\nCOMMIT\n", "-A INPUT -s 192.0.2.0/24 -j DROP"),
        (
            "# Table `filter' is incompatible, use 'nft' tool.\n",
            "# Table `filter' is incompatible, use 'nft' tool.",
        ),
    ] {
        node.says(nft, said);
        assert_eq!(fails(&see(&node, &Check::NoForeignTables)), format!("{nft} also has `{line}`"));
    }
    std::fs::remove_file(node.files.host("/etc/alternatives/iptables-save")).unwrap();
    symlink(nft, node.files.host("/etc/alternatives/iptables-save")).unwrap();
    node.says(legacy, empty);
    assert_eq!(see(&node, &Check::NoForeignTables), Verdict::Holds, "what is chosen is not another one");
}

#[test]
fn b1_to_b6_sshd_is_asked_for_one_connection_and_once() {
    let node = node();
    let connection = "user=ops,host=10.0.0.9,addr=10.0.0.9";
    node.says(
        "/usr/sbin/sshd -T -C lport=1",
        "port 22\nallowusers root\nallowusers ops\npasswordauthentication no\n",
    );
    node.says(
        "/usr/sbin/sshd -T -C",
        "port 22\nport 2222\nallowusers ops\nallowusers root\npasswordauthentication yes\n",
    );
    let check = |connection: &str, key: &'static str, value: &str| Check::Sshd {
        connection: connection.to_owned(),
        key,
        values: vec![value.to_owned()],
    };
    let mut observer = Observer::new(&node);
    let mut see = |check: Check| observer.evaluate(&check).unwrap();
    assert_eq!(see(check("", "passwordauthentication", "no")), Verdict::Holds);
    assert_eq!(
        fails(&see(check(connection, "passwordauthentication", "no"))),
        "sshd uses passwordauthentication yes"
    );
    assert_eq!(see(check(connection, "allowusers", "root ops")), Verdict::Holds);
    assert_eq!(fails(&see(check(connection, "port", "22"))), "sshd uses port 22 2222");
    assert_eq!(fails(&see(check("", "ciphers", "x"))), "sshd uses ciphers (not set)");
    assert_eq!(node.ran().len(), 2);
}

#[test]
fn h2_packages_and_units_are_what_dpkg_and_systemd_say() {
    let node = node();
    node.says("/usr/bin/dpkg-query", "sudo installed\nufw config-files\n");
    assert_eq!(see(&node, &Check::PackageInstalled("sudo".into())), Verdict::Holds);
    assert_eq!(fails(&see(&node, &Check::PackageInstalled("ufw".into()))), "ufw is config-files");
    assert_eq!(fails(&see(&node, &Check::PackageInstalled("sud".into()))), "sud is not installed");
    node.says("/usr/bin/systemctl is-enabled", "enabled\n");
    node.says("/usr/bin/systemctl is-active", "failed\n");
    let unit = |active| Check::Unit { name: "ufw.service".into(), enabled: Some(true), active };
    assert_eq!(see(&node, &unit(None)), Verdict::Holds);
    assert_eq!(fails(&see(&node, &unit(Some(true)))), "ufw.service is failed");
}

#[test]
fn e4_enabled_is_what_starts_at_the_next_boot() {
    let enabled: Vec<&str> = [
        "enabled",
        "enabled-runtime",
        "linked",
        "linked-runtime",
        "alias",
        "masked",
        "masked-runtime",
        "static",
        "indirect",
        "disabled",
        "generated",
        "transient",
        "bad",
        "not-found",
        "",
    ]
    .into_iter()
    .filter(|word| counts_as_enabled(word))
    .collect();
    assert_eq!(enabled, ["enabled", "alias", "static", "generated"]);
}

#[test]
fn a1_the_account_has_its_shell_and_groups() {
    let node = node();
    node.files.put("/etc/passwd", "ops:x:1000:1000::/home/ops:/bin/bash\n");
    node.files.put("/etc/group", "sudo:x:27:ops\nops:x:1000:\n");
    let check = |name: &str, shell: &str, group: &str| Check::Account {
        name: name.into(),
        shell: shell.into(),
        groups: vec![group.into()],
    };
    assert_eq!(see(&node, &check("ops", "/bin/bash", "sudo")), Verdict::Holds);
    assert_eq!(fails(&see(&node, &check("ops", "/bin/sh", "sudo"))), "ops has the shell /bin/bash");
    assert_eq!(fails(&see(&node, &check("ops", "/bin/bash", "adm"))), "ops is not in group adm");
    assert_eq!(fails(&see(&node, &check("eve", "/bin/bash", "sudo"))), "there is no account eve");
}

#[test]
fn a3_a_key_counts_only_with_modes_that_sshd_accepts() {
    use crate::node::Node;
    let node = node();
    let files = &node.files;
    // The uid of the test is the owner of everything below the temporary directory.
    files.put("/home/ops/.ssh/authorized_keys", format!("ssh-ed25519 {BLOB} ops\n"));
    let uid = files.machine.lookup(Path::new("/home/ops")).unwrap().unwrap().uid;
    files.put("/etc/passwd", format!("ops:x:{uid}:{uid}::/home/ops:/bin/bash\n"));
    let set = |path: &str, mode| files.machine.set_mode(Path::new(path), mode).unwrap();
    for (path, mode) in
        [("/home/ops", 0o755), ("/home/ops/.ssh", 0o700), ("/home/ops/.ssh/authorized_keys", 0o600)]
    {
        set(path, mode);
    }
    let path = PathBuf::from("/home/ops/.ssh/authorized_keys");
    let check = Check::AuthorizedKey { name: "ops".into(), path, fingerprint: fingerprint(BLOB).unwrap() };
    assert_eq!(see(&node, &check), Verdict::Holds);
    for (path, bad, good) in [
        ("/home/ops/.ssh/authorized_keys", 0o620, 0o600),
        ("/home/ops/.ssh", 0o777, 0o700),
        ("/home/ops", 0o775, 0o755),
    ] {
        set(path, bad);
        assert!(fails(&see(&node, &check)).starts_with(&format!("sshd would refuse {path}:")));
        set(path, good);
    }
    files.put("/home/ops/.ssh/authorized_keys", format!("command=\"true\" ssh-ed25519 {BLOB} ops\n"));
    assert!(fails(&see(&node, &check)).contains("does not hold the key SHA256:"));
}

#[test]
fn a1_sudo_is_asked_and_not_needed_where_nothing_is_allowed() {
    let node = node();
    let check = |text: &str| Check::SudoAllows { name: "ops".into(), text: text.into() };
    assert_eq!(see(&node, &check("")), Verdict::Holds);
    assert_eq!(fails(&see(&node, &check("(ALL : ALL) ALL"))), "sudo is not installed");
    node.files.put("/usr/bin/sudo", "");
    node.says("/usr/bin/sudo -l -U ops", "User ops may run:\n    (ALL : ALL) ALL\n");
    assert_eq!(see(&node, &check("(ALL : ALL) ALL")), Verdict::Holds);
}

#[test]
fn a1_the_mode_of_a_file_is_its_state() {
    use crate::node::Node;
    let node = node();
    let check = Check::FileMode { path: "/etc/x".into(), mode: 0o440 };
    assert_eq!(fails(&see(&node, &check)), "/etc/x is missing");
    node.files.put("/etc/x", "");
    node.files.machine.set_mode(Path::new("/etc/x"), 0o644).unwrap();
    assert_eq!(fails(&see(&node, &check)), "/etc/x has mode 0644 instead of 0440");
}
