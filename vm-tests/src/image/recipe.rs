//! What is in a guest: the packages, files and settings of a fresh PVE node, as text that can be hashed.

use crate::network::Side;

/// Raised when the building itself changes in a way the recipe's text does not show.
const VERSION: u32 = 3;

/// Root's password in every guest: `not a secret`.
const ROOT_PASSWORD_HASH: &str = "$y$j9T$vmtestsvmtests00$L5gLHMwg857HSVLfL/yN3HWuVcXw3iQGlFBh2ofRtR7";

/// Where the endpoint that answers on 8006 lies in the guest.
pub const ENDPOINT_PATH: &str = "/usr/libexec/vm-tests/endpoint";

/// Packages of a PVE node that matter here; no sudo, ufw, fail2ban or unattended-upgrades among them.
const PACKAGES: &[&str] = &[
    "acl",
    "adduser",
    "apparmor",
    "attr",
    "bridge-utils",
    "bsd-mailx",
    "ca-certificates",
    "chrony",
    "console-setup",
    "cron",
    "curl",
    "dbus",
    "dmsetup",
    "e2fsprogs",
    "ebtables",
    "gdisk",
    "ifupdown2",
    "initramfs-tools",
    "iproute2",
    "ipset",
    "iptables",
    "iputils-ping",
    "kbd",
    "kmod",
    "less",
    "libpam-systemd",
    "linux-image-cloud-amd64",
    "logrotate",
    "lsof",
    "netbase",
    "nftables",
    "openssh-server",
    "openssl",
    "passwd",
    "perl",
    "postfix",
    "procps",
    "qemu-guest-agent",
    "systemd",
    "systemd-sysv",
    "udev",
    "vim-tiny",
    "wget",
    "whiptail",
];

/// Units that cost boot time under emulation and that no scenario misses; the one of screens has its font set.
const MASKED: &[&str] = &[
    "console-setup.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "keyboard-setup.service",
    "serial-getty@ttyS0.service",
    "systemd-pstore.service",
];

/// The packages a run installs, and at the end those of the scenario about services and of `answer-files/strict.toml`: they
/// lie, with all they need, in the repository inside the image.
pub const REPOSITORY: &[&str] = &[
    "sudo",
    "ufw",
    "fail2ban",
    "unattended-upgrades",
    "apt-listchanges",
    "rpcbind",
    "lxc",
    "busybox-static",
    "acct",
    "aide-common",
    "auditd",
    "debsums",
    "libpam-passwdqc",
    "libpam-tmpdir",
    "needrestart",
    "rsyslog",
];

/// A Debian release a guest can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Debian 13, below PVE 9.
    Trixie,
    /// Debian 12, below PVE 8.
    Bookworm,
}

impl Release {
    /// All of them, the newest first.
    pub const ALL: [Self; 2] = [Self::Trixie, Self::Bookworm];

    /// For a reader.
    pub fn title(self) -> &'static str {
        match self {
            Self::Trixie => "Debian 13",
            Self::Bookworm => "Debian 12",
        }
    }

    /// Debian's name for it.
    pub fn codename(self) -> &'static str {
        match self {
            Self::Trixie => "trixie",
            Self::Bookworm => "bookworm",
        }
    }

    /// What the initial RAM disk needs to see the root file system: Debian 13's cloud kernel has virtio on PCI built
    /// in, Debian 12's has it as a module.
    fn modules(self) -> &'static str {
        match self {
            Self::Trixie => "virtio_blk\next4\n",
            Self::Bookworm => "virtio_pci\nvirtio_blk\next4\n",
        }
    }
}

/// A file of the image.
#[derive(Debug)]
pub struct File {
    pub path: &'static str,
    pub mode: u32,
    pub text: String,
}

/// Everything that makes an image, apart from the versions the mirror has.
#[derive(Debug)]
pub struct Recipe {
    pub release: Release,
    pub packages: &'static [&'static str],
    pub files: Vec<File>,
    pub links: Vec<(&'static str, &'static str)>,
    pub directories: Vec<(&'static str, u32)>,
    pub commands: Vec<Vec<&'static str>>,
    pub repository: &'static [&'static str],
}

impl Recipe {
    /// All of it as one text, for the image's name in the cache.
    pub fn text(&self) -> String {
        format!("{VERSION} {self:?}")
    }

    /// The recipe of a guest whose root accepts this key.
    pub fn new(release: Release, root_key: &str) -> Self {
        Self {
            release,
            packages: PACKAGES,
            files: files(release, root_key),
            links: vec![
                // As PVE's installer leaves it: the keys live in the cluster file system.
                ("/root/.ssh/authorized_keys", "/etc/pve/priv/authorized_keys"),
                ("/etc/localtime", "/usr/share/zoneinfo/Etc/UTC"),
            ],
            directories: vec![
                ("/etc/pve/priv", 0o700),
                ("/root/.ssh", 0o700),
                ("/var/lib/proxmox-first-boot", 0o700),
                ("/var/log/journal", 0o2755),
                ("/srv/repo", 0o755),
            ],
            commands: commands(),
            repository: REPOSITORY,
        }
    }
}

fn commands() -> Vec<Vec<&'static str>> {
    let mut commands = vec![
        // Not ours to want: mmdebstrap's own settings, and sources on the Internet.
        vec!["rm", "-f", "/etc/apt/apt.conf.d/99mmdebstrap", "/etc/apt/sources.list"],
        vec!["usermod", "--password", ROOT_PASSWORD_HASH, "root"],
        vec!["sed", "-i", "s/^#PermitRootLogin .*/PermitRootLogin yes/", "/etc/ssh/sshd_config"],
        vec!["postconf", "-e", "inet_interfaces = loopback-only", "myhostname = pve1.example.test"],
        vec!["systemctl", "enable", "pveproxy.service", "proxmox-first-boot-multi-user.service"],
        vec!["update-initramfs", "-u", "-k", "all"],
    ];
    for name in ["iptables", "ip6tables", "ebtables"] {
        let legacy = match name {
            "iptables" => "/usr/sbin/iptables-legacy",
            "ip6tables" => "/usr/sbin/ip6tables-legacy",
            _ => "/usr/sbin/ebtables-legacy",
        };
        commands.push(vec!["update-alternatives", "--set", name, legacy]);
    }
    let mut mask = vec!["systemctl", "mask"];
    mask.extend(MASKED);
    commands.push(mask);
    commands
}

fn files(release: Release, root_key: &str) -> Vec<File> {
    let file = |path, mode, text: &str| File { path, mode, text: text.to_owned() };
    vec![
        file("/etc/hostname", 0o644, "pve1\n"),
        file("/etc/mailname", 0o644, "pve1.example.test\n"),
        file("/etc/machine-id", 0o444, "5f1c0de0a7e24f6c9d0b1a2e3c4d5e6f\n"),
        file("/etc/fstab", 0o644, "/dev/vda / ext4 errors=remount-ro 0 1\n"),
        file("/etc/resolv.conf", 0o644, "search example.test\nnameserver 10.0.20.1\n"),
        file(
            "/etc/hosts",
            0o644,
            "127.0.0.1 localhost.localdomain localhost\n10.0.20.10 pve1.example.test pve1\n",
        ),
        File { path: "/etc/network/interfaces", mode: 0o644, text: interfaces() },
        // Enough to mount the root file system: a small initial RAM disk boots twice as fast.
        file("/etc/initramfs-tools/conf.d/vm-tests.conf", 0o644, "MODULES=list\nCOMPRESS=gzip\n"),
        file("/etc/initramfs-tools/modules", 0o644, release.modules()),
        File { path: "/etc/pve/priv/authorized_keys", mode: 0o600, text: format!("{root_key}\n") },
        file("/etc/apt/sources.list.d/debian.sources", 0o644, SOURCES),
        file(
            "/usr/lib/systemd/system/pveproxy.service",
            0o644,
            &PVEPROXY.replace("@ENDPOINT@", ENDPOINT_PATH),
        ),
        file("/usr/lib/systemd/system/networking.service.d/pve.conf", 0o644, NETWORKING),
        file("/usr/lib/systemd/system/proxmox-first-boot-multi-user.service", 0o644, FIRST_BOOT),
    ]
}

fn interfaces() -> String {
    let management = Side::Management.node_address();
    let outsider = Side::Outsider.node_address();
    format!(
        "auto lo\niface lo inet loopback\n\niface ens18 inet manual\n\n\
         auto vmbr0\niface vmbr0 inet static\n\taddress {management}/24\n\tgateway 10.0.20.1\n\
         \tbridge-ports ens18\n\tbridge-stp off\n\tbridge-fd 0\n\n\
         auto ens19\niface ens19 inet static\n\taddress {outsider}/24\n\n\
         source /etc/network/interfaces.d/*\n"
    )
}

const SOURCES: &str = "\
Types: deb
URIs: file:/srv/repo
Suites: ./
Signed-By: /usr/share/keyrings/vm-tests.gpg
";

/// Debian's ifupdown2 is ordered against nothing; PVE's is what `network.target` waits for.
const NETWORKING: &str = "\
[Unit]
Wants=network.target
After=local-fs.target network-pre.target apparmor.service systemd-sysctl.service systemd-modules-load.service
Before=network.target network-online.target

[Service]
ExecStartPre=/usr/bin/udevadm settle
";

const PVEPROXY: &str = "\
[Unit]
Description=Stand-in for PVE's API proxy: something honest on 8006
Wants=network.target
After=network.target ssh.service

[Service]
ExecStart=@ENDPOINT@ login
User=www-data
Restart=on-failure

[Install]
WantedBy=multi-user.target
";

/// PVE's contract in our own words: once per pending flag, after the web interface, the flag goes after
/// success only.
const FIRST_BOOT: &str = "\
[Unit]
Description=First-boot hook of the node (fully up)
Wants=pveproxy.service
After=pveproxy.service systemd-remount-fs.service
ConditionPathExists=/var/lib/proxmox-first-boot/pending-first-boot-setup
ConditionPathIsReadWrite=/var/lib

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/var/lib/proxmox-first-boot/proxmox-first-boot fully-up
ExecStartPost=/usr/bin/rm -v /var/lib/proxmox-first-boot/pending-first-boot-setup

[Install]
WantedBy=multi-user.target
Alias=proxmox-first-boot.service
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_the_run_installs_is_in_the_image() {
        assert!(REPOSITORY.iter().all(|name| !PACKAGES.contains(name)));
    }

    #[test]
    fn releases_and_keys_make_different_recipes() {
        let text = |release, key| Recipe::new(release, key).text();
        assert_ne!(text(Release::Trixie, "a"), text(Release::Bookworm, "a"));
        assert_ne!(text(Release::Trixie, "a"), text(Release::Trixie, "b"));
        assert_eq!(text(Release::Trixie, "a"), text(Release::Trixie, "a"));
    }
}
