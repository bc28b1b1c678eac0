//! A profile and facts for tests: an answer that says only what it must, and a PVE-like node of Debian 13.

use crate::facts::{Facts, User};
use crate::profile::*;
use std::net::IpAddr;

pub(crate) const BLOB: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJy2gwjEY6GhQ00A3cdaFfH1RkTRhrMCKph17za7ZyqT";
pub(crate) const FINGERPRINT: &str = "SHA256:nfpypaYnieR5phm1zXR+7ucjPejKembKn2GlPlb7pfc";

pub(crate) fn network(text: &str) -> Network {
    Network::parse(text).unwrap()
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn key() -> PublicKey {
    PublicKey {
        algorithm: "ssh-ed25519".to_owned(),
        blob: BLOB.to_owned(),
        comment: "ops@desk".to_owned(),
        fingerprint: FINGERPRINT.to_owned(),
    }
}

impl Profile {
    /// The defaults of the schema with mode `ufw`, one key and a password hash.
    pub(crate) fn example() -> Self {
        Self {
            source: "example.toml".to_owned(),
            confirm: None,
            confirm_minutes: 10,
            deadline_minutes: 60,
            packages_directory: String::new(),
            handover: Handover::Console,
            admin: Admin {
                enabled: true,
                name: UserName::parse("ops").unwrap(),
                comment: String::new(),
                shell: "/bin/bash".to_owned(),
                ssh_keys: vec![key()],
                ssh_key_pair: KeyPair::None,
                ssh_key_passphrase: Default::default(),
                password_hash: Some(Secret::Value(PasswordHash::new("$y$j9T$a$b".to_owned()))),
                sudo: Sudo::Password,
                pve_role: "Administrator".to_owned(),
                pve_path: "/".to_owned(),
                api_token: String::new(),
            },
            ssh: Ssh {
                enabled: true,
                port: Port::new(22).unwrap(),
                root_login: RootLogin::Key,
                password_login: false,
                allow_users: Vec::new(),
                algorithms: Algorithms::Compatible,
                max_auth_tries: 3,
                login_grace_seconds: 30,
                idle_seconds: 600,
                tcp_forwarding: true,
                x11_forwarding: false,
            },
            firewall: example_firewall(),
            packages: Packages { enabled: true, allow_upgrades: false, extra: Vec::new() },
            repositories: Repositories { enabled: true, pve: "auto".to_owned(), ceph: "auto".to_owned() },
            totp: Totp {
                enabled: true,
                enrolment: "first-boot".to_owned(),
                users: vec!["root@pam".to_owned()],
                issuer: String::new(),
                secret: "node".to_owned(),
                secrets: Vec::new(),
                recovery_keys: true,
                second_device: false,
                enforced_realms: Vec::new(),
                clock_wait_seconds: 120,
            },
            fail2ban: Fail2ban {
                enabled: true,
                ban_minutes: 60,
                find_minutes: 10,
                max_retry: 3,
                never_ban: Vec::new(),
            },
            kernel: Kernel {
                enabled: true,
                rp_filter: "auto".to_owned(),
                extra: Vec::new(),
                blocked_modules: vec!["rds".to_owned(), "tipc".to_owned()],
            },
            services: Services {
                enabled: true,
                rpcbind: "auto".to_owned(),
                postfix: "loopback".to_owned(),
                listeners_allowed: Vec::new(),
            },
            apparmor: AppArmor { enabled: true, profiles: None },
            files: Vec::new(),
            updates: Updates { enabled: true, security: true, proxmox: false, reboot: false },
            audit: Audit { enabled: true, schedule: "monthly".to_owned(), mail: false, waivers: Vec::new() },
            report: Report {
                enabled: true,
                webhook: String::new(),
                webhook_key: None,
                prometheus_textfile: String::new(),
            },
        }
    }
}

fn example_firewall() -> Firewall {
    Firewall {
        enabled: true,
        mode: Some(FirewallMode::Ufw),
        management: Management::Default,
        datacenter: false,
        management_only_remote: false,
        narrow_local_network: true,
        outgoing: Outgoing::Accept,
        ping: Ping::Any,
        services: Vec::new(),
        services_from: Vec::new(),
        log_level: "info".to_owned(),
        log_rate: "1/second".to_owned(),
        sets: Vec::new(),
        rules: Vec::new(),
        groups: Vec::new(),
    }
}

impl Facts {
    /// A fresh node in 10.0.20.0/24 with root, one system account, and somebody logged in from 10.0.20.77.
    pub(crate) fn example() -> Self {
        let user = |name: &str, uid: u32, shell: &str| User {
            name: name.to_owned(),
            uid,
            gid: uid,
            home: if uid == 0 { "/root".to_owned() } else { format!("/home/{name}") },
            shell: shell.to_owned(),
            ..User::default()
        };
        let root = User { has_password: true, has_keys: true, ..user("root", 0, "/bin/bash") };
        let sshd = [
            ("port", "22"),
            ("listenaddress", "0.0.0.0:22"),
            ("listenaddress", "[::]:22"),
            ("passwordauthentication", "yes"),
            ("authorizedkeysfile", ".ssh/authorized_keys .ssh/authorized_keys2"),
            ("authenticationmethods", "any"),
        ];
        let kex = "curve25519-sha256 curve25519-sha256@libssh.org sntrup761x25519-sha512 \
            sntrup761x25519-sha512@openssh.com mlkem768x25519-sha256";
        Self {
            host_name: "pve1".to_owned(),
            debian_version: "13".to_owned(),
            pve_version: Some("9.0.3".to_owned()),
            pmxcfs: crate::facts::pmxcfs::State::Ready,
            node_name: "pve1".to_owned(),
            addresses: vec![(address("10.0.20.5"), network("10.0.20.0/24"))],
            gateways: vec![address("10.0.20.1")],
            ssh_peers: vec![address("10.0.20.77")],
            packages: vec![("openssh-server".to_owned(), "1:10.0p1-7+deb13u4".to_owned())],
            users: vec![root, user("backup", 34, "/usr/sbin/nologin")],
            groups: vec!["root".to_owned(), "sudo".to_owned(), "staff".to_owned()],
            shells: vec!["/bin/sh".to_owned(), "/bin/bash".to_owned()],
            openssh: "10.0".to_owned(),
            sshd_includes_drop_ins: true,
            sshd: sshd.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
            ssh_key_exchanges: kex.split_ascii_whitespace().map(str::to_owned).collect(),
            ..Self::default()
        }
    }
}
