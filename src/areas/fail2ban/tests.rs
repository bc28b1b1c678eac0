//! The jails against a literal, and the filters against Debian's own fail2ban (package fail2ban: without it the tests
//! that ask it fail).

use super::*;
use crate::areas::example::{address, network};
use crate::areas::tests::messages;
use crate::profile::Port;
use std::process::Command;

fn propose(profile: &Profile, facts: &Facts) -> Proposal {
    crate::areas::tests::proposed(&Fail2ban, profile, facts)
}

fn file(proposal: &Proposal, path: &str) -> Option<String> {
    proposal.changes.iter().find_map(|(phase, change)| match change {
        Change::File(file) if file.path.to_str() == Some(path) => {
            assert!(*phase == Phase::Files && file.mode == 0o644);
            Some(String::from_utf8(file.content.clone()).unwrap())
        }
        _ => None,
    })
}

const SILENT: &str = "\
# Written by firstlight; change the answer and run `firstlight apply`.

[sshd]
enabled = true
filter = sshd[mode=aggressive, publickey=any, _daemon=\"sshd(?:-session)?\"]
backend = systemd
journalmatch = _UID=0 _COMM=sshd + _UID=0 _COMM=sshd-session
usedns = no
banaction = nftables
port = 22
maxretry = 5
findtime = 600
bantime = 3600
ignoreip = 127.0.0.0/8 ::1

[firstlight-pve]
enabled = true
filter = firstlight-pve
backend = systemd
journalmatch = _SYSTEMD_UNIT=pvedaemon.service
usedns = no
banaction = nftables
port = 8006
maxretry = 3
findtime = 600
bantime = 3600
ignoreip = 127.0.0.0/8 ::1
";

#[test]
fn f1_f2_the_jails_of_a_silent_answer_sort_after_debians_and_have_names_of_their_own() {
    let proposal = propose(&Profile::example(), &Facts::example());
    assert_eq!(file(&proposal, JAIL_PATH).unwrap(), SILENT);
    assert!(JAIL_PATH > "/etc/fail2ban/jail.d/defaults-debian.conf");
    assert_eq!(file(&proposal, FILTER_PATH).unwrap(), format!("{WRITTEN}{FILTER}"));
    let kinds: Vec<&str> = proposal.changes.iter().map(|(_, change)| change.kind()).collect();
    assert_eq!(kinds, ["file", "file", "reload", "unit"], "read before it is started, not after");
    let GateAsk::Fail2ban { staged } = &proposal.gates[0].ask else { panic!("no gate") };
    assert_eq!(staged.len(), 2);
    for control in proposal.controls.iter().filter(|control| control.id != "fail2ban.runs") {
        assert_eq!(control.changes, [0, 1, 2, 3], "{}", control.id);
    }
}

#[test]
fn f2_without_pve_there_is_one_jail() {
    let debian = Facts { pve_version: None, ..Facts::example() };
    let proposal = propose(&Profile::example(), &debian);
    assert!(!file(&proposal, JAIL_PATH).unwrap().contains("pve"));
    assert_eq!(file(&proposal, FILTER_PATH), None);
    let rows: Vec<_> = proposal.controls.iter().map(|control| (&*control.id, control.requirement)).collect();
    assert_eq!(
        rows,
        [
            ("fail2ban.runs", "F3"),
            ("fail2ban.sshd", "F1"),
            ("fail2ban.sshd-bans", "F3"),
            ("fail2ban.sshd-never-bans", "F4"),
        ]
    );
}

#[test]
fn f2_f3_numbers_of_the_answer_and_the_port_that_ssh_really_has() {
    let mut profile = Profile::example();
    (profile.fail2ban.ban_minutes, profile.fail2ban.find_minutes) = (2 * 24 * 60, 60);
    profile.fail2ban.max_retry = 1;
    profile.ssh.port = Port::new(2222).unwrap();
    let text = file(&propose(&profile, &Facts::example()), JAIL_PATH).unwrap();
    assert!(text.contains("port = 2222\nmaxretry = 3\nfindtime = 3600\nbantime = 172800\n"), "{text}");
    assert!(text.contains("port = 8006\nmaxretry = 1\nfindtime = 3600\nbantime = 172800\n"), "{text}");
    // Left alone, sshd listens where it does.
    profile.ssh.enabled = false;
    let mut facts = Facts::example();
    facts.sshd.push(("port".to_owned(), "2022".to_owned()));
    let text = file(&propose(&profile, &facts), JAIL_PATH).unwrap();
    assert!(text.contains("\nport = 22,2022\n"), "{text}");
}

#[test]
fn f4_loopback_peers_and_the_answers_networks_are_spared_and_nobody_else() {
    let mut profile = Profile::example();
    profile.fail2ban.never_ban = vec![network("10.0.20.0/24"), network("10.0.20.9/32"), network("fd00::/64")];
    let facts =
        Facts { member_addresses: vec![address("10.0.20.9"), address("10.0.30.9")], ..Facts::example() };
    let proposal = propose(&profile, &facts);
    let spared = "127.0.0.0/8 ::1 10.0.20.9 10.0.30.9 10.0.20.0/24 fd00::/64";
    assert_eq!(file(&proposal, JAIL_PATH).unwrap().matches(&format!("\nignoreip = {spared}\n")).count(), 2);
    for id in ["fail2ban.sshd-never-bans", "fail2ban.pve-never-bans"] {
        let control = proposal.controls.iter().find(|control| control.id == id).unwrap();
        let Check::Fail2banJail { keys: "ignoreip", wanted, .. } = &control.check else { panic!("{id}") };
        assert!(wanted.contains(&format!("\nignoreip = {spared}\n")), "{wanted}");
        assert_eq!(control.requirement, "F4");
    }
}

#[test]
fn f3_without_its_packages_and_without_leave_to_install_them_it_is_refused() {
    let mut profile = Profile::example();
    profile.packages.enabled = false;
    let refused = messages(Fail2ban.refused(&profile, &Facts::example()));
    assert_eq!(refused, ["firstlight.packages.enabled must be true: fail2ban is not installed"]);
    let mut facts = Facts::example();
    facts.packages.extend(PACKAGES.map(|name| (name.to_owned(), "1".to_owned())));
    assert!(messages(Fail2ban.refused(&profile, &facts)).is_empty());
}

/// Addresses that Debian's `fail2ban-regex` finds in `lines` with a filter.
fn found(lines: &str, filter: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let (log, own) = (directory.path().join("log"), directory.path().join("firstlight-pve.conf"));
    let dated: String = lines.lines().map(|line| format!("2026-11-30 06:00:00 pve1 {line}\n")).collect();
    std::fs::write(&log, dated).unwrap();
    std::fs::write(&own, format!("{WRITTEN}{FILTER}")).unwrap();
    let filter = if filter == "firstlight-pve" { own.to_str().unwrap() } else { filter };
    let output = Command::new("fail2ban-regex").args(["-o", "ip", log.to_str().unwrap(), filter]).output();
    let output = output.expect("this test needs fail2ban-regex: apt-get install fail2ban");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

// The record of pvedaemon: pve-contract 5.1; the last address is what PVE hands over for one of IPv4.
const FAILED: &str =
    "pvedaemon[1234]: authentication failure; rhost=203.0.113.6 user=x@pve msg=no such user ('x@pve')
pvedaemon[1234]: authentication failure; rhost=2001:db8::5 user=root@pam msg=failed 2nd factor
pvedaemon[1234]: authentication failure; rhost=::ffff:203.0.113.5 user=root@pam msg=Authentication failure
";
/// What somebody without an account can have written, and what others write.
const NEAR_MISSES: &str =
    "pvedaemon[1234]: <root@pam> successful auth for user 'authentication failure; rhost=1.2.3.4 user=x'
pvedaemon[1234]: starting x pvedaemon[1]: authentication failure; rhost=1.2.3.4 user=
pvedaemon[1234]: x\\npve1 pvedaemon[1]: authentication failure; rhost=1.2.3.4 user=
pvedaemon[1234]: authentication failure; rhost=evil.example.com user=root@pam msg=x
pvedaemon[1234]: authentication failure: permission denied - invalid PVE ticket
pvedaemon: authentication failure; rhost=1.2.3.4 user=x
pveproxy[1300]: authentication failure; rhost=1.2.3.4 user=root@pam msg=x
sshd[1300]: pvedaemon[1]: authentication failure; rhost=1.2.3.4 user=root@pam msg=x
";

#[test]
fn f2_the_filter_takes_pves_own_line_in_every_form() {
    assert_eq!(found(FAILED, "firstlight-pve"), ["203.0.113.6", "2001:db8::5", "203.0.113.5"]);
}

#[test]
fn f2_a_user_name_bans_nobody_else() {
    let lines = "pvedaemon[1]: authentication failure; rhost=::ffff:203.0.113.7 user=a rhost=1.2.3.4 user=b msg=x\n\
        pvedaemon[1]: authentication failure; rhost=203.0.113.8 user=authentication failure; rhost=1.2.3.4 msg=x\n";
    assert_eq!(found(lines, "firstlight-pve"), ["203.0.113.7", "203.0.113.8"]);
    assert_eq!(found(NEAR_MISSES, "firstlight-pve"), [""; 0]);
}

#[test]
fn f1_debians_filter_counts_passwords_keys_and_names_from_both_programs_of_openssh() {
    let lines = "sshd-session[1]: Failed password for root from 203.0.113.5 port 4022 ssh2
sshd[2]: Failed password for root from 203.0.113.6 port 4026 ssh2
sshd-session[3]: Failed publickey for ops from 203.0.113.7 port 4023 ssh2: ED25519 SHA256:abc
sshd-session[4]: Invalid user eve from 203.0.113.8 port 4024
sshd-session[5]: Connection closed by authenticating user root 203.0.113.9 port 4025 [preauth]
sshd-session[6]: error: maximum authentication attempts exceeded for root from 203.0.113.10 port 4 ssh2 [preauth]
sshd-session[7]: User backup from 203.0.113.11 not allowed because not listed in AllowUsers
sshd-session[8]: Connection closed by 203.0.113.12 port 4031 [preauth]
sshd-session[9]: Accepted publickey for ops from 10.0.20.77 port 4028 ssh2: ED25519 SHA256:abc
sshd-session[9]: Disconnected from user ops 10.0.20.77 port 4028
sshd[10]: drop connection #0 from [203.0.113.14]:4032 on [10.0.20.5]:22 penalty: failed authentication
";
    // What the backend for the journal sets by itself.
    let filter = JAILS[0][3].replace(']', ", logtype=journal]");
    let wanted: Vec<String> = (5..13).map(|last| format!("203.0.113.{last}")).collect();
    assert_eq!(found(lines, &filter), wanted);
}
