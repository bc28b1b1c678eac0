//! Files of the node and outputs of its tools, which others write: facts, the plan made of them, what is observed.

use crate::changes::SAID;
use crate::memory::Memory;
use firstlight::answer::{self, Answer};
use firstlight::control::Check;
use firstlight::facts;
use firstlight::facts::apt;
use firstlight::observe::{Observer, Verdict};
use firstlight::plan;
use firstlight::profile::Network;
use firstlight::provision::{self, Planned};
use firstlight::qr;
use firstlight::report::terminal::{Paint, visible};
use firstlight::totp;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A file, or with a blank in it the beginning of a command's line, and what is usually in it.
pub type Source = (&'static str, &'static str);

const FACTS: &[Source] = &[
    (
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\nops:x:1000:1000:Ops,,,:/home/ops:/bin/bash\n",
    ),
    ("/etc/group", "root:x:0:\nsudo:x:27:eve,ops\nops:x:1000:\n"),
    ("/etc/shadow", "root:$y$j9T$x$y:20000:0:99999:7:::\nsshd:!:20000::::::\nops:!:20000:0:99999:7:::\n"),
    ("/etc/shells", "# shells\n/bin/sh\n/bin/bash\n"),
    (
        "/var/lib/dpkg/status",
        "Package: sudo\nStatus: install ok installed\nVersion: 1.9.16p2-3\n\nPackage: ufw\nStatus: deinstall ok config-files\nVersion: 0.36.2-9\n\nPackage: openssh-server\nStatus: install ok installed\nVersion: 1:10.0p1-7+deb13u4\n",
    ),
    ("/etc/os-release", "NAME=\"Debian\"\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n"),
    ("/etc/hostname", "pve1.example.com\n"),
    (
        "/usr/sbin/sshd -T",
        "port 22\npermitrootlogin prohibit-password\nallowusers root\nlistenaddress [::]:22\n",
    ),
    ("/usr/bin/ssh -Q kex", "curve25519-sha256\nmlkem768x25519-sha256\n"),
    ("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nPort 22\n"),
    ("/etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJy2gwjE x@y\n"),
    (
        "/etc/ufw/user.rules",
        "*filter\n### tuple ### allow tcp 22 0.0.0.0/0 any 10.0.20.0/24 in comment=66697273746c696768743a20\n",
    ),
    ("/etc/default/ufw", "IPV6=yes\nDEFAULT_INPUT_POLICY=\"DROP\"\n"),
    (
        "/proc/net/route",
        "Iface\tDestination\tGateway\nvmbr0\t00000000\t0114000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
    ),
    (
        "/proc/net/ipv6_route",
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 vmbr0\n",
    ),
    (
        "/proc/net/tcp",
        "  sl  local_address rem_address   st\n0: 0514000A:0016 4D14000A:C001 01 0:0 00:0 0 0 0 1\n",
    ),
    (
        "/proc/net/tcp6",
        "h\n0: 0000000000000000FFFF00000514000A:0016 0000000000000000FFFF00004D14000A:C001 01 0:0\n",
    ),
    (
        "/usr/sbin/ip -j address",
        "[{\"ifname\":\"vmbr0\",\"addr_info\":[{\"family\":\"inet\",\"local\":\"10.0.20.5\",\"prefixlen\":24},{\"local\":\"fd00::5\",\"prefixlen\":64}]}]",
    ),
    ("/proc/self/mounts", "proc /proc proc rw 0 0\n/dev/fuse /etc/pve fuse rw,nosuid 0 0\n"),
    ("/etc/pve/corosync.conf", "totem {\n  interface {\n    linknumber: 0\n  }\n  cluster_name: house\n}\n"),
    ("/etc/pve/firewall/cluster.fw", "# ours\n[OPTIONS]\n\nenable: 0\n\n[RULES]\n\nIN Ping(ACCEPT)\n"),
    ("/home/ops/.ssh/authorized_keys", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJy2gwjE x@y\n"),
    (
        "/etc/ufw/before.rules",
        "# ok icmp codes for INPUT\n-A ufw-before-input -p icmp --icmp-type echo-request -j ACCEPT\nCOMMIT\n",
    ),
    (
        "/etc/ufw/before6.rules",
        "-A ufw6-before-input -p icmpv6 --icmpv6-type echo-request -j ACCEPT\nCOMMIT\n",
    ),
    (
        "/usr/sbin/ufw status verbose",
        "Status: active\nDefault: deny (incoming), allow (outgoing), disabled (routed)\n",
    ),
    ("/usr/bin/systemctl is-enabled", "enabled\n"),
    ("/proc/sys/net/ipv4/ip_forward", "0\n"),
    (
        "/etc/pve/user.cfg",
        "user:ops@pam:1:0:::o@example.org:Ops%3A two:x:\ntoken:ops@pam!t1:0:1::\nrole:Own:VM.Audit:\nacl:1:/:ops@pam,@a:Own,PVEAuditor:\n",
    ),
    (
        "/etc/pve/priv/tfa.cfg",
        "{\"users\":{\"ops@pam\":{\"totp\":[{\"id\":\"a\",\"description\":\"firstlight\",\"created\":1,\"entry\":{\"totp\":\"otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ&digits=6\",\"last-count\":5}},{\"id\":\"b\",\"enable\":0,\"entry\":\"otpauth://totp/y?secret=A\"}],\"recovery\":{\"entries\":[null]}}}}",
    ),
    ("/etc/pve/domains.cfg", "pam: pam\n\tcomment Linux\n\ttfa type=oath,step=30\n\npve: pve\n"),
    (
        "/etc/apt/sources.list",
        "#deb http://download.proxmox.com/debian/pve trixie pve-no-subscription\ndeb [ signed-by=/k.gpg ] https://enterprise.proxmox.com/debian/ceph-squid trixie enterprise # c\n",
    ),
    (
        "/etc/apt/sources.list.d/pve-enterprise.sources",
        "Types: deb\nURIs:\n https://enterprise.proxmox.com/debian/pve\nSuites: trixie\nComponents: pve-enterprise\nEnabled: yes\n",
    ),
    ("/etc/subscription", ""),
    (
        "/etc/postfix/main.cf",
        "myhostname = pve1\ninet_interfaces = all,\n    $myhostname\n# inet_interfaces = no\n",
    ),
    (
        "/etc/pve/storage.cfg",
        "dir: local\n\tpath /var/lib/vz\n\nnfs: old\n\tserver 10.0.0.9\n\toptions vers=3\n",
    ),
    (
        "/etc/apparmor.d/usr.bin.lxc-start",
        "#include <tunables/global>\n/usr/bin/lxc-start flags=(attach_disconnected,complain) {\n}\n",
    ),
    (
        "/sys/kernel/security/apparmor/profiles",
        "/usr/bin/lxc-start (complain)\nlxc-usernsexec (unconfined)\n",
    ),
];

/// As in `tfa.cfg` above.
const USUAL_SECRET: &str = "GEZDGNBVGY3TQOJQ";

const IPTABLES: &str = "*filter\n:INPUT DROP [0:0]\n-A INPUT -j ufw-before-input\n-A ufw-before-input -j ufw-user-input\n-A ufw-user-input -s 10.0.20.0/24 -p tcp -m multiport --dports 22,8006 -j ACCEPT\n-A ufw-user-input -p udp -m udp --dport 5405:5412 -j ACCEPT\n-A ufw-user-input -p tcp -m tcp --dport 23 -j REJECT --reject-with tcp-reset\nCOMMIT\n";

const OBSERVED: &[Source] = &[
    ("/usr/sbin/iptables-save ", IPTABLES),
    (
        "/usr/sbin/ip6tables-save ",
        "*filter\n:INPUT DROP [0:0]\n-A INPUT -j ufw6-before-input\n-A ufw6-before-input -j ufw6-user-input\n-A ufw6-user-input -s fd00::/8 -p tcp -m tcp --dport 22 -j ACCEPT\n",
    ),
    (
        "/usr/sbin/ufw status verbose",
        "Status: active\nDefault: deny (incoming), allow (outgoing), deny (routed)\n",
    ),
    ("/usr/sbin/sshd -T", "port 22\nallowusers ops root\nkexalgorithms a,b\n"),
    ("/usr/bin/sudo -l", "User ops may run the following commands on vm:\n    (ALL : ALL) ALL\n"),
    ("/usr/bin/dpkg-query -W", "sudo installed\nufw config-files\n"),
    ("/usr/bin/systemctl is-", "enabled\n"),
    ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nops:x:1000:1000::/home/ops:/bin/bash\n"),
    ("/etc/group", "sudo:x:27:eve,ops\nops:x:1000:\n"),
    ("/etc/pve/firewall/cluster.fw", "[OPTIONS]\nenable: 0\n"),
    ("/proc/sys/net/ipv4/ip_forward", "1\n"),
    (
        "/home/ops/.ssh/authorized_keys",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJy2gwjEY6GhQ00A3cdaFfH1RkTRhrMCKph17za7ZyqT x\n",
    ),
    (
        "/usr/bin/apt-get --no-release-info",
        "https://enterprise.proxmox.com/debian/ceph-squid/ deb trixie enterprise\nhttp://download.proxmox.com/debian/pve/ deb trixie pve-no-subscription\n",
    ),
    (
        "/usr/bin/apt-config dump",
        "Unattended-Upgrade::Origins-Pattern \"\";\nUnattended-Upgrade::Origins-Pattern:: \"origin=Proxmox\";\n",
    ),
    (
        "/usr/bin/fail2ban-client -i",
        "Fail2Ban v1.1.0 reads log file that contains password failures and bans the corresponding IP addresses.\n\nfail2ban> 5\nfail2ban> 600\nfail2ban> 3600\nfail2ban> Current match filter:\n_SYSTEMD_UNIT=sshd.service\nfail2ban> The following regular expression are defined:\n|- [0]: ^a$\n`- [1]: ^b$\nfail2ban> The jail sshd has the following actions:\nnftables\n",
    ),
    (
        "/usr/bin/systemd-analyze cat-config sysctl.d",
        "# /etc/sysctl.d/a.conf\n-net.ipv4.ip_forward = 1\nnet/ipv4/ip_forward=0\n",
    ),
    ("/etc/ufw/sysctl.conf", "net/ipv4/ip_forward=1\n"),
    (
        "/sys/kernel/security/apparmor/profiles",
        "/usr/bin/lxc-start (complain)\nlxc-usernsexec (unconfined)\n",
    ),
    ("/usr/bin/journalctl -q", "audit: apparmor=\"DENIED\" operation=\"open\"\n"),
    ("/usr/sbin/postconf -h", "loopback-only\n"),
    ("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
    (
        "/proc/net/tcp",
        "  sl  local_address rem_address   st\n0: 00000000:0016 00000000:0000 0A 0:0 00:0 0 0 0 1\n",
    ),
    (
        "/proc/net/udp6",
        "h\n0: 00000000000000000000000000000000:006F 00000000000000000000000000000000:0000 07 0:0\n",
    ),
    (
        "/usr/sbin/ipset list",
        "Name: PVEFW-0-management-v4\nType: hash:net\nMembers:\n10.0.20.0/24\n10.0.20.9 nomatch\n",
    ),
    (
        "/usr/sbin/nft -j",
        "{\"nftables\":[{\"chain\":{\"family\":\"inet\",\"table\":\"f\",\"hook\":\"input\",\"type\":\"filter\"}}]}",
    ),
    ("/usr/sbin/pve-firewall status", "Status: enabled/running\n"),
    ("/usr/sbin/modprobe --dry-run", "install /bin/false \n"),
    ("/usr/bin/ssh-keygen -l", "3072 SHA256:abc root@pve1 (RSA)\n"),
    (
        "/etc/pve/user.cfg",
        "user:ops@pam:1:0:::o@example.org::x:\ntoken:ops@pam!t1:0:1::\nrole:Own:VM.Audit:\nacl:1:/:ops@pam:Own:\n",
    ),
];

/// A node whose sources say what `data` has: the first byte names one that the rest is for, or says that the rest is
/// for all of them, with a byte 0xff between two.
pub fn node(data: &[u8], sources: Sources) -> Memory {
    let node = USUAL.with(|usual| usual[sources as usize].clone());
    let sources = sources.list();
    let (which, rest) = data.split_first().map_or((0, data), |(first, rest)| (usize::from(*first), rest));
    if let Some(source) = sources.get(which) {
        say(&node, source, rest);
        return node;
    }
    let mut parts = rest.split(|byte| *byte == 0xff);
    for source in sources {
        say(&node, source, parts.next().unwrap_or_default());
    }
    node
}

fn say(node: &Memory, (name, _): &Source, content: &[u8]) {
    if name.contains(' ') {
        node.says(name.trim_end(), 0, content);
    } else {
        node.put(name, content);
    }
}

fn usual(sources: Sources) -> Memory {
    let node = Memory::default();
    for source in sources.list() {
        say(&node, source, source.1.as_bytes());
    }
    let key = ["/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_rsa_key.pub"];
    for there in ["/usr/sbin/sshd", "/usr/sbin/ufw", "/usr/bin/sudo"].into_iter().chain(key) {
        node.put(there, b"");
    }
    node.directory("/proc/sys/net/ipv6");
    node.link("/etc/pve/local", "nodes/pve1");
    node
}

/// What the sources usually say, as inputs to begin with.
pub fn seeds(sources: Sources) -> Vec<Vec<u8>> {
    let sources = sources.list();
    let mut seeds: Vec<Vec<u8>> =
        (0_u8..).zip(sources).map(|(place, (_, usual))| [&[place], usual.as_bytes()].concat()).collect();
    let all: Vec<&[u8]> = sources.iter().map(|(_, usual)| usual.as_bytes()).collect();
    seeds.push([&[0xff], all.join(&0xff).as_slice()].concat());
    seeds
}

/// Whose seeds.
#[derive(Clone, Copy)]
pub enum Sources {
    /// Of [`facts`].
    Facts,
    /// Of [`observe`].
    Observed,
    /// Of [`changes`](crate::changes::changes).
    Said,
}

impl Sources {
    fn list(self) -> &'static [Source] {
        match self {
            Self::Facts => FACTS,
            Self::Observed => OBSERVED,
            Self::Said => SAID,
        }
    }
}

thread_local! {
    /// The nodes where every source says what it usually does, in the order of [`Sources`]: made once, since that is
    /// more work than reading them.
    static USUAL: [Memory; 3] = [Sources::Facts, Sources::Observed, Sources::Said].map(usual);
    static ANSWERS: Vec<Answer> = [
        include_bytes!("../../answer-files/complete.toml").as_slice(),
        include_bytes!("../../answer-files/minimal.toml"),
        include_bytes!("../../answer-files/ufw.toml"),
        include_bytes!("../../answer-files/standalone.toml"),
    ]
    .iter()
    .filter_map(|bytes| answer::read("answer.toml", bytes).ok())
    .collect();
}

/// The facts of the node.
pub fn facts(data: &[u8]) {
    let node = node(data, Sources::Facts);
    let Ok(found) = facts::gather(&node) else { return };
    let networks = found.addresses.iter().all(|(address, network)| network.contains(*address));
    assert!(networks, "an address outside of its network");
    for factor in &found.access.factors {
        // The usual one is in nearly every input, and to draw its code a third of the work.
        let secret = totp::secret(&factor.uri).filter(|secret| *secret != USUAL_SECRET);
        let Some(secret) = secret else { continue };
        let uri = totp::uri(&found.host_name, &factor.user, secret);
        assert!(secret.len() > 32 || qr::Code::of(uri.as_bytes()).is_some(), "no code for {uri}");
        if let Some(key) = totp::from_base32(secret) {
            assert!(totp::is_right(&key, 0, &totp::code(&key, 0, 1)));
        }
    }
    for file in &found.apt_sources {
        let mut sources = Vec::new();
        file.read(0, &mut sources);
        // What an entry is switched by is text of the file.
        assert!(sources.iter().all(|source| file.text.get(source.at.0..source.at.1).is_some()));
    }
}

/// The plan that is made of them: twenty times as much work as reading them.
pub fn plan(data: &[u8]) {
    let node = node(data, Sources::Facts);
    let number = data.get(1).map_or(0, |byte| usize::from(*byte));
    ANSWERS.with(|answers| {
        let Some(answer) = answers.get(number % answers.len().max(1)) else { return };
        match provision::plan(&node, answer) {
            Ok(Planned::Plan(_, plan)) => {
                let text = plan::show::render(&plan, None, Paint::PLAIN);
                assert!(crate::is_plain(&text), "a control character on the terminal: {text:?}");
                let json = plan::json::value(&plan).to_string();
                assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "no JSON: {json}");
                let places: BTreeSet<usize> =
                    plan.controls.iter().flat_map(|control| control.changes.iter().copied()).collect();
                assert!(places.len() <= 4096);
            }
            Ok(Planned::Refused(problems)) => assert!(!problems.list.is_empty()),
            Err(error) => assert!(!error.because.is_empty()),
        }
    });
}

/// Every kind of check.
pub fn observe(data: &[u8]) {
    let node = node(data, Sources::Observed);
    let mut observer = Observer::new(&node);
    for check in checks() {
        if let Ok(Verdict::Fails(instead)) = observer.evaluate(&check) {
            assert!(crate::is_plain(&visible(&instead)), "{instead:?}");
        }
    }
}

fn checks() -> Vec<Check> {
    let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
    let networks: Vec<Network> = Network::parse("10.0.20.0/24").into_iter().collect();
    let ops = || "ops".to_owned();
    vec![
        Check::Sshd { connection: String::new(), key: "allowusers", values: words("root") },
        Check::Sshd { connection: "user=ops".into(), key: "port", values: words("22") },
        Check::PackageInstalled("sudo".into()),
        Check::Account { name: ops(), shell: "/bin/bash".into(), groups: words("sudo") },
        Check::SudoAllows { name: ops(), text: "(ALL : ALL) ALL".into() },
        Check::SudoAllows { name: ops(), text: String::new() },
        Check::AuthorizedKey {
            name: ops(),
            path: "/home/ops/.ssh/authorized_keys".into(),
            fingerprint: "SHA256:nfpypaYnieR5phm1zXR+7ucjPejKembKn2GlPlb7pfc".into(),
        },
        Check::UfwActive { incoming: "deny".into(), outgoing: "allow".into(), routed: "deny".into() },
        Check::Rule(words("allow from 10.0.20.0/24 to any port 22,8006 proto tcp")),
        Check::Rule(words("allow 5405:5412/udp")),
        Check::Rule(words("limit out 123")),
        Check::Rule(words("IN ACCEPT -source +management -p tcp -dport 22")),
        Check::Rule(words("IN Ping(ACCEPT) -source +management")),
        Check::NothingWider { chain: "", ports: vec![22, 8006], networks: networks.clone() },
        Check::NothingWider { chain: "INPUT", ports: vec![22, 8006], networks },
        Check::PveSet { name: "management".into(), entry: "10.0.20.0/24".into() },
        Check::PveHostRule("-j PVEFW-smurfs".into()),
        Check::Password(ops()),
        Check::Clock,
        Check::PveFirewallOff,
        Check::Kernel { name: "net.ipv4.ip_forward".into(), value: "1".into(), boot: false },
        Check::Unit { name: "ufw.service".into(), enabled: Some(true), active: Some(false) },
        Check::FileMode { path: PathBuf::from("/etc/passwd"), mode: 0o644 },
        Check::AptSource { name: "ceph-".into(), channel: apt::ENTERPRISE, suite: String::new() },
        Check::AptSource { name: "pve".into(), channel: "", suite: "trixie".into() },
        Check::NothingWider { chain: "PVEFW-HOST-IN", ports: vec![22], networks: Vec::new() },
        Check::NoForeignTables,
        Check::UfwGone,
        Check::PveFirewallOn,
        Check::Kernel { name: "net.ipv4.ip_forward".into(), value: "1".into(), boot: true },
        Check::Fail2banJail {
            jail: "sshd",
            keys: "maxretry journalmatch failregex banaction ignoreip",
            wanted: "maxretry = 5\njournalmatch = _COMM=sshd\nfailregex = ^a\nbanaction = nftables\nignoreip = ::1".into(),
        },
        Check::AppArmorOn,
        Check::AppArmorEnforces("/usr/bin/lxc-start".into()),
        Check::NoDenials,
        Check::MailOnLoopback,
        Check::Listeners("tcp/22,5900:5999 udp/68".into()),
        Check::ModulesBlocked(words("dccp cramfs")),
        Check::HostKeyBits { path: "/etc/ssh/ssh_host_rsa_key".into(), bits: 3072 },
        Check::AptConfig { names: "Unattended-Upgrade::Origins-Pattern", values: "origin=Proxmox".into() },
    ]
}
