//! What tools say while a change is looked at, and before it is made: apt's simulation, dpkg's list, UFW's rules, the
//! kernel's, systemd's words.

use crate::foreign;
use crate::memory::Memory;
use firstlight::change::{
    Change, HostKeyChange, KernelChange, PackagesChange, PveFileChange, Switch, UfwChange, UnitChange,
};
use std::path::PathBuf;

/// A file, or the beginning of a command's line, and what is usually in it.
pub const SAID: &[foreign::Source] = &[
    ("/usr/bin/dpkg-query -W", "sudo\tinstall ok installed\nufw\tdeinstall ok config-files\n"),
    ("/usr/bin/apt-get -q -o", "Get:1 file:/srv/repo ./ InRelease\nE: Failed to fetch http://x 401\n"),
    (
        "/usr/bin/apt-get -q -y",
        "Inst libx (1.0 Debian:13 [amd64])\nInst ufw [0.36-1] (0.36-2 Debian:13 [all])\nConf ufw (0.36-2 Debian:13 [all])\n",
    ),
    ("/usr/bin/apt-get -q --simulate", "Purg ufw [0.36-2]\nRemv other:amd64 [1]\n"),
    (
        "/usr/sbin/ufw status",
        "Status: active\nLogging: on (low)\nDefault: deny (incoming), allow (outgoing), disabled (routed)\n",
    ),
    (
        "/usr/sbin/ufw show",
        "Added user rules (see 'ufw status' for running firewall):\nufw allow from 10.0.20.0/24 to any port 22 proto tcp comment 'firstlight: ssh'\n",
    ),
    (
        "/usr/sbin/iptables-save",
        "*filter\n:INPUT DROP [0:0]\n:ufw-before-input - [0:0]\n-A INPUT -j ufw-before-input\nCOMMIT\n",
    ),
    (
        "/usr/sbin/ip6tables-save",
        "*filter\n:INPUT DROP [0:0]\n:ufw6-before-input - [0:0]\n-A INPUT -j ufw6-before-input\nCOMMIT\n",
    ),
    ("/usr/bin/ssh-keygen -l", "2048 SHA256:abc root@pve1 (RSA)\n"),
    ("/usr/bin/systemctl is-enabled", "enabled\n"),
    ("/usr/bin/systemctl is-active", "active\n"),
    ("/usr/sbin/pve-firewall status", "Status: enabled/running (pending changes)\n"),
    ("/usr/sbin/pve-firewall compile", "\n"),
    ("/etc/default/ufw", "IPV6=yes\nDEFAULT_INPUT_POLICY=\"DROP\"\n"),
    ("/etc/ufw/ufw.conf", "ENABLED=yes\nLOGLEVEL=low\n"),
    (
        "/etc/ufw/before.rules",
        "# ok icmp codes for INPUT\n-A ufw-before-input -p icmp --icmp-type echo-request -j ACCEPT\nCOMMIT\n",
    ),
    ("/etc/pve/firewall/cluster.fw", "[OPTIONS]\n\nenable: 1\n\n[RULES]\n\nIN ACCEPT -p tcp\n"),
    ("/proc/sys/net/ipv4/ip_forward", "0\n"),
    ("/etc/apparmor.d/usr.bin.lxc-start", "/usr/bin/lxc-start flags=(attach_disconnected,complain) {\n}\n"),
    ("/sys/kernel/security/apparmor/profiles", "/usr/bin/lxc-start (complain)\n"),
];

/// What each change misses, and the way back, from whatever the tools say.
pub fn changes(data: &[u8]) {
    let node = foreign::node(data, foreign::Sources::Said);
    for change in all() {
        look(&node, &change);
    }
}

fn look(node: &Memory, change: &Change) {
    match change.need(node) {
        Ok(Some(need)) => assert!(!need.title.is_empty()),
        Ok(None) => {}
        Err(error) => assert!(!error.because.is_empty()),
    }
    let mut warnings = Vec::new();
    if let Err(error) = change.inverse(node, &mut warnings) {
        assert!(!error.because.is_empty());
    }
    if let Err(error) = change.scopes(node) {
        assert!(!error.because.is_empty());
    }
}

fn all() -> Vec<Change> {
    let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
    vec![
        Change::Packages(PackagesChange {
            names: words("fail2ban sudo ufw"),
            directory: None,
            allow_upgrades: false,
        }),
        Change::Packages(PackagesChange { names: words("ufw"), directory: None, allow_upgrades: true }),
        Change::Ufw(UfwChange {
            incoming: "deny".into(),
            outgoing: "allow".into(),
            routed: "deny".into(),
            logging: "low".into(),
            ping: Some(words("10.0.20.0/24")),
            rules: vec![words("allow from 10.0.20.0/24 to any port 22 proto tcp")],
        }),
        Change::UfwOff,
        Change::HostKey(HostKeyChange { path: "/etc/ssh/ssh_host_rsa_key".into(), bits: 3072 }),
        Change::Unit(UnitChange { name: "ufw.service".into(), enabled: Some(true), active: Some(true) }),
        Change::Kernel(KernelChange { settings: vec![("net.ipv4.ip_forward".into(), "1".into())] }),
        Change::PveFile(PveFileChange {
            path: PathBuf::from("/etc/pve/firewall/cluster.fw"),
            content: "[OPTIONS]\n\nenable: 0\n".into(),
            base: None,
            checked: true,
        }),
        Change::PveFirewall(Switch::On),
        Change::PveFirewall(Switch::Off),
        Change::AppArmor("usr.bin.lxc-start".into()),
    ]
}
