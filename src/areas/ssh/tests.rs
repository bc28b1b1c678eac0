//! The drop-in against a literal, and every refusal by its sentence.

use super::*;
use crate::areas::example::{address, network};
use crate::facts::User;
use crate::profile::{Port, UserName};

const COMPATIBLE: &str = "\
# Written by firstlight; change the answer and run `firstlight apply`.
# It sorts first on purpose: in sshd's configuration the first value wins.
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitEmptyPasswords no
PermitRootLogin prohibit-password
AllowUsers root ops
Port 22
LoginGraceTime 30
MaxAuthTries 3
MaxSessions 10
ClientAliveInterval 300
ClientAliveCountMax 2
X11Forwarding no
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
AllowAgentForwarding no
TCPKeepAlive no
KexAlgorithms mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-gcm@openssh.com,aes128-ctr
MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,umac-128-etm@openssh.com
HostKeyAlgorithms ssh-ed25519,rsa-sha2-512,rsa-sha2-256
PubkeyAcceptedAlgorithms ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256
";

fn text(profile: &Profile, facts: &Facts) -> String {
    let proposal = crate::areas::tests::proposed(&Ssh, profile, facts);
    let (Phase::Files, Change::File(file)) = &proposal.changes[0] else { panic!("no file first") };
    assert_eq!(file.mode, 0o644);
    String::from_utf8(file.content.clone()).unwrap()
}

fn line(profile: &Profile, facts: &Facts, keyword: &str) -> String {
    let text = text(profile, facts);
    text.lines().find(|line| line.starts_with(&format!("{keyword} "))).unwrap_or_default().to_owned()
}

fn messages(profile: &Profile, facts: &Facts) -> Vec<String> {
    crate::areas::tests::messages(Ssh.refused(profile, facts))
}

fn says(facts: &mut Facts, key: &str, value: &str) {
    facts.sshd.retain(|(name, _)| name != key);
    facts.sshd.push((key.to_owned(), value.to_owned()));
}

fn person(name: &str) -> User {
    User { name: name.to_owned(), uid: 1001, shell: "/bin/bash".to_owned(), ..User::default() }
}

#[test]
fn b1_to_b6_the_drop_in_of_a_silent_answer() {
    assert_eq!(text(&Profile::example(), &Facts::example()), COMPATIBLE);
}

#[test]
fn b2_root_may_be_shut_out_on_a_standalone_node_only() {
    let mut profile = Profile::example();
    profile.ssh.root_login = RootLogin::No;
    assert_eq!(line(&profile, &Facts::example(), "PermitRootLogin"), "PermitRootLogin no");
    assert_eq!(line(&profile, &Facts::example(), "AllowUsers"), "AllowUsers ops");
    let facts = Facts { cluster_member: true, ..Facts::example() };
    assert_eq!(
        messages(&profile, &facts),
        ["firstlight.ssh.root-login must be \"key\" on a cluster member: the other nodes log in as root"]
    );
}

#[test]
fn b5_forwarding_stays_on_where_migration_needs_it() {
    let mut profile = Profile::example();
    profile.ssh.tcp_forwarding = false;
    assert!(messages(&profile, &Facts::example()).is_empty());
    let facts = Facts { cluster_member: true, ..Facts::example() };
    assert_eq!(
        messages(&profile, &facts),
        [
            "firstlight.ssh.tcp-forwarding must be true on a cluster member: guests migrate through tunnels of SSH"
        ]
    );
}

#[test]
fn b3_allow_users_contains_root_and_the_admin() {
    let mut profile = Profile::example();
    profile.ssh.allow_users = ["eve", "ops"].map(|name| UserName::parse(name).unwrap()).to_vec();
    assert_eq!(line(&profile, &Facts::example(), "AllowUsers"), "AllowUsers root ops eve");
    let warnings = crate::areas::tests::proposed(&Ssh, &profile, &Facts::example()).warnings;
    assert!(warnings.contains(&"AllowUsers names eve, who has no account on this node".to_owned()));
}

#[test]
fn b3_accounts_that_could_no_longer_log_in_are_named_and_refused() {
    let mut profile = Profile::example();
    let mut facts = Facts::example();
    let nobody_can = User { shell: "/usr/sbin/nologin".to_owned(), has_keys: true, ..person("sync") };
    facts.users.extend([
        User { has_keys: true, ..person("ann") },
        User { has_password: true, ..person("bob") },
        person("cat"),
        User { authorized_keys_linked: true, ..person("dan") },
        nobody_can,
    ]);
    assert_eq!(
        messages(&profile, &facts),
        [
            "firstlight.ssh.allow-users must name ann, bob, dan, who can log in today and could no longer; or take the key \
          and the password away first"
        ]
    );
    profile.ssh.allow_users = ["ann", "bob", "dan"].map(|name| UserName::parse(name).unwrap()).to_vec();
    assert!(messages(&profile, &facts).is_empty());
    // Whom sshd refuses today loses nothing.
    profile.ssh.allow_users.clear();
    says(&mut facts, "passwordauthentication", "no");
    says(&mut facts, "allowusers", "root b*@10.0.0.1");
    assert!(messages(&profile, &facts).is_empty());
}

#[test]
fn b3_other_lists_that_shut_the_admin_out_are_refused() {
    for (key, value) in [("denyusers", "o*"), ("allowgroups", "wheel"), ("denygroups", "ops")] {
        let mut facts = Facts::example();
        says(&mut facts, key, value);
        facts.users.retain(|user| user.name != "root");
        let refused = messages(&Profile::example(), &facts);
        assert!(
            refused[0].ends_with("DenyUsers, DenyGroups or AllowGroups in sshd's configuration shut ops out"),
            "{key}"
        );
    }
}

#[test]
fn b4_only_names_that_the_installed_sshd_knows_are_written() {
    let profile = Profile::example();
    let old = Facts { openssh: "9.2".to_owned(), ssh_key_exchanges: Vec::new(), ..Facts::example() };
    assert_eq!(
        line(&profile, &old, "KexAlgorithms"),
        "KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org"
    );
}

#[test]
fn a6_strict_makes_a_short_rsa_host_key_anew_but_not_on_a_cluster_member() {
    let mut profile = Profile::example();
    profile.ssh.algorithms = Algorithms::Strict;
    let asks = |facts: &Facts| {
        let proposal = crate::areas::tests::proposed(&Ssh, &profile, facts);
        let made = proposal.changes.iter().any(|(_, change)| matches!(change, Change::HostKey(_)));
        (made, proposal.warnings)
    };
    let short = Facts { rsa_host_key_bits: Some(3072), ..Facts::example() };
    assert_eq!(asks(&short), (true, Vec::new()));
    assert_eq!(asks(&Facts::example()), (false, Vec::new()), "there is no RSA host key");
    let member = Facts { cluster_member: true, ..short };
    let warning =
        "strict: the RSA host key keeps its 3072 bits, as the other nodes of the cluster know it".to_owned();
    assert_eq!(asks(&member), (false, vec![warning]));
}

#[test]
fn b4_strict_is_what_the_policies_of_ssh_audit_want() {
    let mut profile = Profile::example();
    profile.ssh.algorithms = Algorithms::Strict;
    let facts = Facts::example();
    assert_eq!(
        line(&profile, &facts, "KexAlgorithms"),
        "KexAlgorithms mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com"
    );
    assert_eq!(
        line(&profile, &facts, "MACs"),
        "MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,umac-128-etm@openssh.com"
    );
    assert_eq!(
        line(&profile, &facts, "HostKeyAlgorithms"),
        "HostKeyAlgorithms ssh-ed25519,rsa-sha2-512,rsa-sha2-256"
    );
    let old = Facts { openssh: "9.2".to_owned(), ssh_key_exchanges: Vec::new(), ..Facts::example() };
    assert_eq!(
        line(&profile, &old, "MACs"),
        "MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,umac-128-etm@openssh.com"
    );
    // The order in which it offers its keys is that of the lines; a node with lines of its own keeps them.
    let offered = |openssh: &str, sshd_names_host_keys: bool| {
        let facts = Facts { openssh: openssh.to_owned(), sshd_names_host_keys, ..Facts::example() };
        let content = drop_in(&options::wanted(&profile, &facts));
        content.lines().filter(|line| line.starts_with("HostKey ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let ours = ["HostKey /etc/ssh/ssh_host_ed25519_key", "HostKey /etc/ssh/ssh_host_rsa_key"];
    assert_eq!(offered("9.2", false), ours);
    assert_eq!(offered("9.2", true), [""; 0]);
    assert_eq!(offered("10.0", false), [""; 0]);
    profile.admin.ssh_keys[0].algorithm = "ecdsa-sha2-nistp256".to_owned();
    assert_eq!(
        messages(&profile, &facts),
        [
            "firstlight.ssh.algorithms must not be \"strict\": it accepts ed25519 and RSA keys, and the admin has neither"
        ]
    );
}

#[test]
fn b4_cluster_keys_stay_in_every_set() {
    for set in [Algorithms::Compatible, Algorithms::Strict] {
        for algorithm in ["ssh-ed25519", "ssh-rsa", "rsa-sha2-256"] {
            assert!(algorithms::accepts_key(set, algorithm));
        }
    }
    let mut profile = Profile::example();
    profile.ssh.algorithms = Algorithms::Keep;
    assert!(!text(&profile, &Facts::example()).contains("Algorithms"));
}

#[test]
fn b5_idle_clients_are_asked_twice_or_never() {
    let mut profile = Profile::example();
    for (idle, interval) in [(600, "300"), (1, "1"), (0, "0")] {
        profile.ssh.idle_seconds = idle;
        let expected = format!("ClientAliveInterval {interval}");
        assert_eq!(line(&profile, &Facts::example(), "ClientAliveInterval"), expected);
    }
}

#[test]
fn b5_forwarding_of_sockets_follows_tcp_forwarding() {
    let mut profile = Profile::example();
    profile.ssh.tcp_forwarding = false;
    let facts = Facts::example();
    assert_eq!(line(&profile, &facts, "AllowStreamLocalForwarding"), "AllowStreamLocalForwarding no");
}

#[test]
fn b6_another_port_is_refused_where_it_would_not_count() {
    let mut profile = Profile::example();
    profile.ssh.port = Port::new(2222).unwrap();
    assert_eq!(line(&profile, &Facts::example(), "Port"), "Port 2222");
    let member = Facts { cluster_member: true, ..Facts::example() };
    assert_eq!(
        messages(&profile, &member),
        ["firstlight.ssh.port must be 22 on a cluster member: the other nodes use no other port"]
    );
    let socket = Facts { ssh_socket: true, ..Facts::example() };
    assert!(messages(&profile, &socket)[0].contains("ssh.socket listens in the place of sshd"));
    let mut fixed = Facts::example();
    says(&mut fixed, "listenaddress", "10.0.20.5:2200");
    assert!(messages(&profile, &fixed)[0].contains("`ListenAddress 10.0.20.5:2200`"));
}

#[test]
fn a_configuration_that_would_not_read_the_drop_in_or_the_key_is_refused() {
    let profile = Profile::example();
    let facts = Facts { sshd_includes_drop_ins: false, ..Facts::example() };
    assert!(messages(&profile, &facts)[0].contains("put Debian's Include line back"));
    let mut facts = Facts::example();
    says(&mut facts, "authorizedkeysfile", "/etc/ssh/keys/%u");
    assert!(messages(&profile, &facts)[0].contains("AuthorizedKeysFile /etc/ssh/keys/%u"));
    let mut facts = Facts::example();
    says(&mut facts, "authenticationmethods", "publickey,password");
    assert!(messages(&profile, &facts)[0].contains("asks for more than a key"));
    let facts = Facts { packages: Vec::new(), ..Facts::example() };
    assert_eq!(
        messages(&profile, &facts),
        ["firstlight.ssh.enabled must be false: openssh-server is not installed"]
    );
}

#[test]
fn the_gate_asks_for_root_and_the_admin_from_a_management_address() {
    let mut profile = Profile::example();
    let GateAsk::Sshd { staged, connections } =
        crate::areas::tests::proposed(&Ssh, &profile, &Facts::example()).gates.remove(0).ask
    else {
        panic!("no gate")
    };
    assert_eq!(staged[0].0.to_str(), Some(DROP_IN_PATH));
    assert_eq!(connections[0].0, "user=root,host=10.0.20.77,addr=10.0.20.77,laddr=10.0.20.5,lport=22");
    assert_eq!(connections[1].0, "user=ops,host=10.0.20.77,addr=10.0.20.77,laddr=10.0.20.5,lport=22");
    assert!(connections[1].1.contains(&("permitrootlogin".to_owned(), "without-password".to_owned())));
    assert!(connections[1].1.contains(&("allowusers".to_owned(), "root ops".to_owned())));
    profile.firewall.management = crate::profile::Management::Networks(vec![network("fd00:1::/64")]);
    assert_eq!(firewall::management_address(&profile, &Facts::example()).to_string(), "fd00:1::1");
}

#[test]
fn match_blocks_for_the_nodes_own_address_and_port_are_seen_through() {
    let mut profile = Profile::example();
    profile.ssh.port = Port::new(2222).unwrap();
    let end = |facts: &Facts| {
        let [_, (_, admin)] = connections(&profile, facts);
        admin.split_once(",laddr=").unwrap().1.to_owned()
    };
    let own = |list: &[(&str, &str)]| Facts {
        addresses: list.iter().map(|(own, net)| (address(own), network(net))).collect(),
        ..Facts::example()
    };
    let (six, far) = (("fd00::5", "fd00::/64"), ("192.168.1.5", "192.168.1.0/24"));
    assert_eq!(end(&own(&[six, far, ("10.0.20.5", "10.0.20.0/24")])), "10.0.20.5,lport=2222");
    assert_eq!(end(&own(&[six, far])), "192.168.1.5,lport=2222");
    assert_eq!(end(&own(&[six])), "fd00::5,lport=2222");
    assert_eq!(end(&own(&[])), "127.0.0.1,lport=2222");
}

#[test]
fn every_option_is_a_control_and_match_blocks_are_seen_through() {
    let proposal = crate::areas::tests::proposed(&Ssh, &Profile::example(), &Facts::example());
    let ids: Vec<&str> = proposal.controls.iter().map(|control| &*control.id).collect();
    for id in ["ssh.password-login.root", "ssh.password-login.admin", "ssh.port", "ssh.key-exchange"] {
        assert!(ids.contains(&id), "{id}");
    }
}
