//! I3: the audit is honest. Our files stay in place, something else becomes true, and exactly the control that says
//! otherwise turns red. Every way to look at a node is broken at least once.

use super::hardening;
use super::node::*;
use super::pve::{self, rich, rich_node};
use crate::control::Check;
use crate::facts::Facts;
use crate::node::Node;
use crate::node::scripted::Scripted;
use crate::profile::Profile;
use std::collections::BTreeSet;

/// What is broken, how, and what must turn red.
pub(super) type Case = (&'static str, fn(&Scripted), &'static [&'static str]);

const UFW_CASES: &[Case] = &[
    (
        "another drop-in wins",
        |node| sshd_says(node, "passwordauthentication yes\n"),
        &["ssh.password-login.admin", "ssh.password-login.root"],
    ),
    (
        "a Match block for root",
        |node| {
            let facts = facts();
            let more: String = facts.sshd.iter().map(|(key, value)| format!("{key} {value}\n")).collect();
            node.says("/usr/sbin/sshd -T -C user=root", &more.replace("maxauthtries 3", "maxauthtries 60"));
        },
        &["ssh.tries.root"],
    ),
    (
        "sshd reads another file of keys",
        |node| sshd_says(node, "authorizedkeysfile /etc/keys/%u\n"),
        &["ssh.keys-file"],
    ),
    (
        "a package was removed",
        |node| {
            node.says("/usr/bin/dpkg-query", &PACKAGES.replace("ufw installed", "ufw config-files"));
        },
        &["packages.installed.ufw"],
    ),
    ("the admin left the group", |node| node.files.put("/etc/group", "sudo:x:27:\n"), &["admin.account"]),
    (
        "a line of sudoers without a password",
        |node| {
            node.says("/usr/bin/sudo -l -U ops", &format!("{SUDO}    (ALL) NOPASSWD: ALL\n"));
        },
        &["admin.sudo"],
    ),
    (
        "the drop-in of sudo is open",
        |node| mode(node, "/etc/sudoers.d/firstlight", 0o644),
        &["admin.sudoers-mode"],
    ),
    (
        "a key with loose modes",
        |node| mode(node, "/home/ops/.ssh/authorized_keys", 0o666),
        &["admin.key.SHA256:nfpypaYnieR5phm1zXR+7ucjPejKembKn2GlPlb7pfc"],
    ),
    (
        "the account is locked",
        |node| node.files.put("/etc/shadow", "ops:!$y$j9T$a$b:1::::::\n"),
        &["admin.password"],
    ),
    (
        "the hash is of DES",
        |node| node.files.put("/etc/shadow", "ops:ab0123456789.:1::::::\n"),
        &["admin.password"],
    ),
    (
        "root's keys are a file of their own",
        |node| {
            node.files.remove("/root/.ssh/authorized_keys");
            node.files.put("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA\n");
        },
        &["admin.keys-of-root"],
    ),
    (
        "the role is gone",
        |node| node.files.put("/etc/pve/user.cfg", "user:ops@pam:1:0:::::x:\n"),
        &["admin.pve-role"],
    ),
    (
        "the second factor is switched off",
        |node| {
            let off = FACTORS.replace("\"id\":\"o\",", "\"id\":\"o\",\"enable\":false,");
            node.files.put("/etc/pve/priv/tfa.cfg", off);
        },
        &["totp.enrolled.ops@pam"],
    ),
    (
        "nobody has seen a code",
        |node| {
            let new = FACTORS
                .replace("{\"totp\":\"otpauth://totp/y?secret=BBBB\",\"last-count\":9}", "\"otpauth://y\"");
            assert_ne!(new, FACTORS);
            node.files.put("/etc/pve/priv/tfa.cfg", new);
        },
        &["totp.verified.ops@pam"],
    ),
    (
        "eight wrong codes",
        |node| {
            let locked = FACTORS.replace("\"root@pam\":{", "\"root@pam\":{\"totp-locked\":true,");
            node.files.put("/etc/pve/priv/tfa.cfg", locked);
        },
        &["totp.unlocked.root@pam"],
    ),
    ("the clock runs by itself", |node| node.says("/usr/bin/timedatectl", "no\n"), &["totp.clock"]),
    (
        "UFW lets in by default",
        |node| {
            node.says("/usr/sbin/ufw status verbose", &UFW.replace("deny (incoming)", "allow (incoming)"));
        },
        &["firewall.active"],
    ),
    (
        "somebody flushed a rule",
        |node| {
            let rule = "-A ufw-user-input -s 10.0.20.0/24 -p tcp -m tcp --dport 8006 -j ACCEPT\n";
            node.says("/usr/sbin/iptables-save", &RULES4.replace(rule, ""));
        },
        &["firewall.rule.allow-from-10.0.20.0/24-to-any-port-8006-proto-tcp"],
    ),
    (
        "a rule that is wider",
        |node| {
            let wide = "-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n";
            node.says("/usr/sbin/iptables-save", &RULES4.replace("COMMIT\n", wide));
        },
        &["firewall.nothing-wider"],
    ),
    (
        "a rule in front of UFW's",
        |node| {
            let wide = "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -j ufw-before-input\n";
            node.says("/usr/sbin/iptables-save", &RULES4.replace("-A INPUT -j ufw-before-input\n", wide));
        },
        &["firewall.nothing-in-front"],
    ),
    (
        "a chain of somebody's in front of UFW's",
        |node| {
            let wide = "-A INPUT -j first\n-A first -s 192.0.2.0/24 -j second\n-A first -j RETURN\n\
                -A second -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -j ufw-before-input\n";
            node.says("/usr/sbin/iptables-save", &RULES4.replace("-A INPUT -j ufw-before-input\n", wide));
        },
        &["firewall.nothing-in-front"],
    ),
    (
        "PVE's firewall is on as well",
        |node| {
            node.files.put("/etc/pve/firewall/cluster.fw", "[OPTIONS]\nenable: 1\n");
        },
        &["firewall.pve-off"],
    ),
    (
        "a table of somebody else",
        |node| {
            node.files.put("/usr/sbin/nft", "");
            let chain = r#"{"chain":{"family":"inet","table":"mine","name":"c","handle":1,"type":"filter","hook":"input","prio":0,"policy":"accept"}}"#;
            node.says("/usr/sbin/nft -j list chains", &format!("{{\"nftables\":[{chain}]}}"));
        },
        &["firewall.alone"],
    ),
    (
        "bridged packets are filtered",
        |node| {
            node.files.put("/proc/sys/net/bridge/bridge-nf-call-iptables", "1\n");
        },
        &["firewall.bridge-netfilter.ipv4"],
    ),
    (
        "a unit is stopped",
        |node| node.says("/usr/bin/systemctl is-active fail2ban.service", "inactive\n"),
        &["fail2ban.runs"],
    ),
    (
        "a unit does not start at boot",
        |node| {
            node.says("/usr/bin/systemctl is-enabled ufw.service", "disabled\n");
        },
        &["firewall.after-reboot"],
    ),
    (
        "recovery is masked",
        |node| {
            node.says("/usr/bin/systemctl is-enabled firstlight-recover.service", "masked\n");
        },
        &["audit.recover"],
    ),
    (
        "the timer is stopped",
        |node| {
            node.says("/usr/bin/systemctl is-active firstlight-audit.timer", "inactive\n");
        },
        &["audit.timer"],
    ),
    (
        "a short host key",
        |node| node.says("/usr/bin/ssh-keygen -l", "1024 SHA256:x root@pve1 (RSA)\n"),
        &["ssh.rsa-host-key"],
    ),
    (
        "the first boot gave up",
        |node| {
            node.files.put("/var/lib/firstlight/hook", "what nobody can read\n");
        },
        &["audit.last-run"],
    ),
];

/// Breaks the node in each way, and says which controls have been seen red.
fn broken(cases: &[Case], make: &dyn Fn() -> Scripted, profile: &Profile, facts: &Facts) -> BTreeSet<String> {
    let sound = look(&make(), profile, facts);
    assert_eq!(red(&sound), [""; 0], "nothing is broken yet");
    let mut seen = BTreeSet::new();
    for (what, mutate, expected) in cases {
        let node = make();
        mutate(&node);
        let audit = look(&node, profile, facts);
        assert_eq!(red(&audit), *expected, "{what}");
        seen.extend(expected.iter().map(|id| (*id).to_owned()));
    }
    seen
}

#[test]
fn i3_exactly_the_control_that_is_broken_turns_red_whatever_our_files_say() {
    let profile = profile();
    let facts = facts();
    let cases = [UFW_CASES, hardening::CASES].concat();
    let red = broken(&cases, &|| hardened().0, &profile, &facts);
    let mut seen = kinds(&profile, &facts, &|id| red.contains(id));
    let mut all = kinds(&profile, &facts, &|_| true);
    let (rich, _) = rich();
    let red = broken(pve::CASES, &|| rich_node(&rich, &facts), &rich, &facts);
    seen.extend(kinds(&rich, &facts, &|id| red.contains(id)));
    all.extend(kinds(&rich, &facts, &|_| true));
    assert_eq!(seen, all, "no case breaks the others");
}

/// The kinds of checks behind the controls that count.
fn kinds(profile: &Profile, facts: &Facts, counts: &dyn Fn(&str) -> bool) -> BTreeSet<&'static str> {
    let (controls, _) = crate::areas::audited(profile, facts);
    controls.iter().filter(|control| counts(&control.id)).map(|control| kind(&control.check)).collect()
}

/// A new way to look needs its name here, and a case that breaks it.
fn kind(check: &Check) -> &'static str {
    match check {
        Check::Sshd { .. } => "sshd",
        Check::PackageInstalled(_) => "package",
        Check::Account { .. } => "account",
        Check::SudoAllows { .. } => "sudo",
        Check::AuthorizedKey { .. } => "key",
        Check::UfwActive { .. } => "ufw-active",
        Check::Rule(_) => "rule",
        Check::NothingWider { .. } => "wider",
        Check::PveFirewallOn => "pve-on",
        Check::UfwGone => "ufw-gone",
        Check::NoForeignTables => "alone",
        Check::PveFirewallOff => "pve-off",
        Check::Kernel { .. } => "kernel",
        Check::Unit { .. } => "unit",
        Check::HostKeyBits { .. } => "bits",
        Check::Pve(_) => "pve",
        Check::FileMode { .. } => "mode",
        Check::Password(_) => "password",
        Check::Link { .. } => "link",
        Check::Clock => "clock",
        Check::TotpOpen { locked: false, .. } => "verified",
        Check::TotpOpen { locked: true, .. } => "unlocked",
        Check::LastRun => "last-run",
        Check::PveSet { .. } => "pve-set",
        Check::PveHostRule(_) => "pve-host",
        Check::PveFile { .. } => "pve-file",
        Check::AptSource { .. } => "apt-source",
        Check::AptConfig { .. } => "apt-config",
        Check::Fail2banJail { .. } => "jail",
        Check::AppArmorEnforces(_) => "enforced",
        Check::AppArmorOn => "apparmor",
        Check::NoDenials => "denials",
        Check::MailOnLoopback => "mail",
        Check::Listeners(_) => "listeners",
        Check::File(_) => "file",
        Check::ModulesBlocked(_) => "modules",
    }
}

#[test]
fn i3_what_is_widened_in_ipv6_alone_is_seen_too() {
    let (profile, facts) = rich();
    let node = rich_node(&profile, &facts);
    let six = node.run(&crate::node::Invocation::new("/usr/sbin/ip6tables-save", &[])).unwrap().stdout;
    let first = "-A INPUT -j ACCEPT\n-A INPUT -j PVEFW-INPUT\n";
    node.says("/usr/sbin/ip6tables-save", &six.replace("-A INPUT -j PVEFW-INPUT\n", first));
    assert_eq!(red(&look(&node, &profile, &facts)), ["firewall.nothing-in-front"]);
}

#[test]
fn i3_a_set_with_a_name_that_the_kernel_cuts_is_left_out_and_nothing_false_is_said() {
    let (mut profile, facts) = rich();
    profile.firewall.sets[0].name = "a-name-of-16-byt".to_owned();
    profile.firewall.rules[0].from = "a-name-of-16-byt".to_owned();
    let (controls, _) = crate::areas::audited(&profile, &facts);
    let seen = |start: &str| controls.iter().filter(|control| control.id.starts_with(start)).count();
    assert_eq!((seen("firewall.set."), seen("firewall.rule.IN-ACCEPT--source-+a-name")), (1, 0));
}
