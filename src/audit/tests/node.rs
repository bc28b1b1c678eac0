//! A node of PVE as the answer of the tests wants it: our files in place, and every tool that says so.

use super::super::{Audit, run};
use crate::areas::example::{BLOB, address, key, network};
use crate::control::Check;
use crate::facts::{Facts, User};
use crate::node::Node;
use crate::node::scripted::Scripted;
use crate::profile::{FirewallMode, Management, OwnFile, Ping, Profile};
use std::os::unix::fs::symlink;
use std::path::Path;

/// UFW, and one management network.
pub(super) fn profile() -> Profile {
    let mut profile = Profile::example();
    profile.firewall.management = Management::Networks(vec![network("10.0.20.0/24")]);
    profile.files = vec![OwnFile {
        path: "/etc/issue.net".to_owned(),
        content: "Authorised access only.\n".to_owned(),
        mode: 0o644,
    }];
    profile
}

/// The same with PVE's own firewall.
pub(super) fn pve_profile() -> Profile {
    let mut profile = profile();
    profile.firewall.mode = Some(FirewallMode::Pve);
    profile.firewall.ping = Ping::Management;
    profile
}

pub(super) fn facts() -> Facts {
    let mut facts = Facts::example();
    facts.users.push(User {
        name: "ops".to_owned(),
        uid: 1000,
        gid: 1000,
        home: "/home/ops".to_owned(),
        shell: "/bin/bash".to_owned(),
        has_password: true,
        groups: vec!["ops".to_owned(), "sudo".to_owned()],
        has_keys: true,
        authorized_keys: key().line() + "\n",
        ..User::default()
    });
    facts.rsa_host_key_bits = Some(3072);
    facts.sshd = listing("").lines().filter_map(|line| line.split_once(' ')).map(owned).collect();
    facts.addresses = vec![(address("10.0.20.5"), network("10.0.20.0/24"))];
    facts.debian_codename = "trixie".to_owned();
    facts.packages.push(("postfix".to_owned(), "3.10.4-1".to_owned()));
    facts.apparmor =
        vec![["usr.bin.lxc-start", "/usr/bin/lxc-start", "attach_disconnected"].map(str::to_owned)];
    facts.apparmor_loaded = Some("/usr/bin/lxc-start (enforce)\n".to_owned());
    facts
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// What sshd says when it goes by our drop-in.
fn listing(more: &str) -> String {
    let mut facts = Facts::example();
    facts.rsa_host_key_bits = Some(3072);
    let (controls, _) = crate::areas::audited(&profile(), &facts);
    let mut text = String::from(more);
    for control in controls {
        let Check::Sshd { key, values, .. } = control.check else { continue };
        if !text.lines().any(|line| line.split(' ').next() == Some(key)) {
            text.push_str(&format!("{key} {}\n", values[0]));
        }
    }
    text
}

/// sshd says something else about one option, as when another file comes first.
pub(super) fn sshd_says(node: &Scripted, line: &str) {
    node.says("/usr/sbin/sshd -T -C", &listing(line));
}

pub(super) const RULES4: &str = "\
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ufw-user-input - [0:0]
-A INPUT -j ufw-before-input
-A OUTPUT -j ufw-before-output
-A ufw-before-input -j ufw-user-input
-A ufw-before-output -j ufw-user-output
-A ufw-user-input -s 10.0.20.0/24 -p tcp -m tcp --dport 22 -j ACCEPT
-A ufw-user-input -s 10.0.20.0/24 -p tcp -m tcp --dport 8006 -j ACCEPT
COMMIT
";
const RULES6: &str = "\
*filter
:INPUT DROP [0:0]
-A INPUT -j ufw6-before-input
-A OUTPUT -j ufw6-before-output
-A ufw6-before-input -j ufw6-user-input
-A ufw6-before-output -j ufw6-user-output
COMMIT
";
/// Recorded (transcript 35), with the rules of our file, a log line, the filter of flags, and a group (transcript 33).
pub(super) const PVE4: &str = "\
*filter
:INPUT ACCEPT [0:0]
-A GROUP-webs-IN -j MARK --set-xmark 0x0/0x80000000
-A GROUP-webs-IN -p tcp -m tcp --dport 80 -g PVEFW-SET-ACCEPT-MARK
-A INPUT -j PVEFW-INPUT
-A PVEFW-HOST-IN -i lo -j ACCEPT
-A PVEFW-HOST-IN -m conntrack --ctstate INVALID -j DROP
-A PVEFW-HOST-IN -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A PVEFW-HOST-IN -m conntrack --ctstate INVALID,NEW -j PVEFW-smurfs
-A PVEFW-HOST-IN -p tcp -j PVEFW-tcpflags
-A PVEFW-HOST-IN -p 2 -j RETURN
-A PVEFW-HOST-IN -p tcp -m set --match-set PVEFW-0-management-v4 src -m tcp --dport 22 -j RETURN
-A PVEFW-HOST-IN -p tcp -m set --match-set PVEFW-0-management-v4 src -m tcp --dport 8006 -j RETURN
-A PVEFW-HOST-IN -p icmp -m set --match-set PVEFW-0-management-v4 src -m icmp --icmp-type 8 -j RETURN
-A PVEFW-HOST-IN -p tcp -m set --match-set PVEFW-0-management-v4 src -m tcp --dport 5900:5999 -j RETURN
-A PVEFW-HOST-IN -p tcp -m set --match-set PVEFW-0-backup-v4 src -m tcp --dport 8007 -j RETURN
-A PVEFW-HOST-IN -i vmbr0 -j GROUP-webs-IN
-A PVEFW-HOST-IN -m mark --mark 0x80000000/0x80000000 -j RETURN
-A PVEFW-HOST-IN -j PVEFW-Drop
-A PVEFW-HOST-IN -m limit --limit 1/sec -j NFLOG --nflog-prefix \":0:6:PVEFW-HOST-IN: policy DROP: \"
-A PVEFW-HOST-IN -j DROP
-A PVEFW-HOST-IN -m comment --comment \"PVESIG:i2CyOZnV35fuvcni7Mfy2LfSqB0\"
-A PVEFW-INPUT -j PVEFW-HOST-IN
-A PVEFW-SET-ACCEPT-MARK -j MARK --set-xmark 0x80000000/0x80000000
COMMIT
";
pub(super) const SETS: &str = "\
Name: PVEFW-0-management-v6
Type: hash:net
Revision: 7
Header: family inet6 hashsize 64 maxelem 64 bucketsize 12 initval 0xf505d932
Number of entries: 0
Members:

Name: PVEFW-0-management-v4
Type: hash:net
Header: family inet hashsize 64 maxelem 64 bucketsize 12 initval 0xaa2b4232
Number of entries: 1
Members:
10.0.20.0/24

Name: PVEFW-0-backup-v4
Type: hash:net
Members:
10.0.40.9

";
pub(super) const FACTORS: &str = r#"{"users":{
    "root@pam":{"totp":[{"id":"r","description":"firstlight","created":1,"entry":{"totp":"otpauth://totp/x?secret=AAAA","last-count":9}}],"recovery":{"secret":"00","entries":["h"],"created":1}},
    "ops@pam":{"totp":[{"id":"o","description":"firstlight","created":1,"entry":{"totp":"otpauth://totp/y?secret=BBBB","last-count":9}}],"recovery":{"secret":"00","entries":["h"],"created":1}}}}"#;
pub(super) const PACKAGES: &str = "apt-listchanges installed\nfail2ban installed\nnftables installed\npython3-systemd installed\nsudo installed\n\
    ufw installed\nunattended-upgrades installed\n";
pub(super) const SUDO: &str = "User ops may run the following commands on pve1:\n    (ALL : ALL) ALL\n";
pub(super) const UFW: &str =
    "Status: active\nLogging: on (low)\nDefault: deny (incoming), allow (outgoing), disabled (routed)\n";
pub(super) fn mode(node: &Scripted, path: &str, mode: u32) {
    node.files.machine.set_mode(Path::new(path), mode).unwrap();
}

/// The node as the answer wants it, with UFW.
pub(super) fn hardened() -> (Scripted, Facts) {
    let node = Scripted::new();
    let files = &node.files;
    files.directory("/proc/sys/net/ipv6");
    for name in ["iptables", "ip6tables", "arptables"] {
        files.put(&format!("/proc/sys/net/bridge/bridge-nf-call-{name}"), "0\n");
    }
    files.put("/home/ops/.ssh/authorized_keys", format!("ssh-ed25519 {BLOB} ops@desk\n"));
    let uid = files.machine.lookup(Path::new("/home/ops")).unwrap().unwrap().uid;
    files
        .put("/etc/passwd", format!("root:x:0:0::/root:/bin/bash\nops:x:{uid}:{uid}::/home/ops:/bin/bash\n"));
    files.put("/etc/group", "sudo:x:27:ops\n");
    files.put("/etc/shadow", "root:*:1::::::\nops:$y$j9T$a$b:1::::::\n");
    files.put("/etc/sudoers.d/firstlight", "ops ALL=(ALL:ALL) ALL\n");
    for (path, bits) in [
        ("/home/ops", 0o755),
        ("/home/ops/.ssh", 0o700),
        ("/home/ops/.ssh/authorized_keys", 0o600),
        ("/etc/sudoers.d/firstlight", 0o440),
    ] {
        mode(&node, path, bits);
    }
    files.directory("/root/.ssh");
    symlink("/etc/pve/priv/authorized_keys", files.host("/root/.ssh/authorized_keys")).unwrap();
    files.put("/etc/pve/user.cfg", "user:ops@pam:1:0:::::x:\nacl:1:/:ops@pam:Administrator:\n");
    files.put("/etc/pve/priv/tfa.cfg", FACTORS);
    files.put("/etc/ssh/ssh_host_rsa_key.pub", "ssh-rsa AAAA root@pve1\n");
    files.put("/usr/bin/sudo", "");
    files.put("/usr/bin/systemctl", "");
    node.says("/usr/bin/ssh-keygen -l", "3072 SHA256:x root@pve1 (RSA)\n");
    node.says("/usr/bin/dpkg-query", PACKAGES);
    node.says("/usr/bin/sudo -l -U ops", SUDO);
    node.says("/usr/sbin/ufw status verbose", UFW);
    node.says("/usr/sbin/iptables-save", RULES4);
    node.says("/usr/sbin/ip6tables-save", RULES6);
    node.says("/usr/bin/systemctl is-enabled", "enabled\n");
    node.says("/usr/bin/systemctl is-active", "active\n");
    node.says("/usr/bin/timedatectl", "yes\n");
    sshd_says(&node, "");
    super::hardening::furnish(&node, &profile(), &facts());
    (node, facts())
}

/// The same with PVE's own firewall.
pub(super) fn hardened_pve() -> (Scripted, Facts) {
    let (node, facts) = hardened();
    node.says("/usr/sbin/pve-firewall status", "Status: enabled/running\n");
    node.says("/usr/sbin/iptables-save", PVE4);
    let six = PVE4.replace("-v4 ", "-v6 ").replace("-p icmp ", "-p ipv6-icmp ");
    node.says(
        "/usr/sbin/ip6tables-save",
        &six.replace("-m icmp --icmp-type 8", "-m icmp6 --icmpv6-type 128"),
    );
    node.says("/usr/sbin/ipset list", SETS);
    (node, facts)
}

pub(super) fn look(node: &Scripted, profile: &Profile, facts: &Facts) -> Audit {
    run(node, profile, facts)
}

/// What needs attention, sorted.
pub(super) fn red(audit: &Audit) -> Vec<&str> {
    let mut ids: Vec<&str> = audit
        .findings
        .iter()
        .filter(|finding| finding.state.is_red())
        .map(|finding| finding.id.as_str())
        .collect();
    ids.sort_unstable();
    ids
}
