//! The file against a literal, and what the answer changes of it.

use super::*;
use crate::areas::AREAS;

fn propose(profile: &Profile, facts: &Facts) -> Proposal {
    crate::areas::tests::proposed(&Kernel, profile, facts)
}

fn file(proposal: &Proposal) -> String {
    let (Phase::Files, Change::File(file)) = &proposal.changes[0] else { panic!("no file first") };
    assert_eq!((file.path.to_str().unwrap(), file.mode), (PATH, 0o644));
    String::from_utf8(file.content.clone()).unwrap()
}

fn with(extra: &[(&str, &str)]) -> Profile {
    let mut profile = Profile::example();
    profile.kernel.extra =
        extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    profile
}

const SILENT: &str = "\
# Written by firstlight; change the answer and run `firstlight apply`.
# It sorts last on purpose: the last value of a setting wins (pve-firewall.conf has one, too).
dev.tty.ldisc_autoload = 0
fs.protected_fifos = 2
fs.protected_hardlinks = 1
fs.protected_regular = 2
fs.protected_symlinks = 1
fs.suid_dumpable = 0
kernel.dmesg_restrict = 1
kernel.kptr_restrict = 2
kernel.yama.ptrace_scope = 1
net.ipv4.conf.all.accept_redirects = 0
net.ipv4.conf.default.accept_redirects = 0
net.ipv4.conf.*.accept_redirects = 0
net.ipv4.conf.all.accept_source_route = 0
net.ipv4.conf.default.accept_source_route = 0
net.ipv4.conf.*.accept_source_route = 0
net.ipv4.conf.all.secure_redirects = 0
net.ipv4.conf.default.secure_redirects = 0
net.ipv4.conf.*.secure_redirects = 0
net.ipv4.conf.all.send_redirects = 0
net.ipv4.conf.default.send_redirects = 0
net.ipv4.conf.*.send_redirects = 0
net.ipv4.icmp_echo_ignore_broadcasts = 1
net.ipv4.icmp_ignore_bogus_error_responses = 1
net.ipv4.tcp_syncookies = 1
net.ipv6.conf.all.accept_redirects = 0
net.ipv6.conf.default.accept_redirects = 0
net.ipv6.conf.*.accept_redirects = 0
net.ipv6.conf.all.accept_source_route = 0
net.ipv6.conf.default.accept_source_route = 0
net.ipv6.conf.*.accept_source_route = 0
net.ipv4.conf.all.rp_filter = 2
net.ipv4.conf.default.rp_filter = 2
net.ipv4.conf.*.rp_filter = 2
";

#[test]
fn g1_the_file_of_a_silent_answer_sorts_after_that_of_pve() {
    let proposal = propose(&Profile::example(), &Facts::example());
    assert_eq!(file(&proposal), SILENT);
    assert!(PATH.rsplit('/').next().unwrap() > "pve-firewall.conf");
    assert!(proposal.warnings.is_empty());
    // No container loses what it needs.
    for pair in BREAKS_CONTAINERS.split_ascii_whitespace() {
        assert!(!SILENT.contains(&pair.replace('=', " = ")), "{pair}");
    }
}

#[test]
fn g1_every_setting_of_the_file_is_set_now_and_is_a_control_of_both() {
    let proposal = propose(&Profile::example(), &Facts::example());
    let (Phase::Services, Change::Kernel(change)) = &proposal.changes[1] else { panic!("no second change") };
    assert_eq!(change.settings.len(), packed!("settings.txt").lines().count() + 1);
    assert_eq!(proposal.controls.len(), change.settings.len() + 1, "and the modules");
    for (control, (name, value)) in proposal.controls.iter().zip(&change.settings) {
        let Check::Kernel { name: seen, value: wanted, boot: true } = &control.check else {
            panic!("{} does not look at the next boot", control.id);
        };
        assert_eq!((seen, wanted, control.requirement), (name, value, "G1"));
        assert_eq!(control.changes, [0, 1], "{}", control.id);
    }
    assert!(proposal.controls.iter().any(|control| control.id == "kernel.net.ipv4.conf.rp-filter"));
    assert!(proposal.controls.iter().any(|control| control.id == "kernel.kernel.kptr-restrict"));
    assert!(AREAS.iter().any(|area| area.name() == "kernel"));
}

#[test]
fn g1_rp_filter_is_loose_on_pve_strict_elsewhere_and_what_the_answer_says() {
    let value = |chosen: &str, facts: &Facts| {
        let mut profile = Profile::example();
        profile.kernel.rp_filter = chosen.to_owned();
        file(&propose(&profile, facts)).lines().last().unwrap().to_owned()
    };
    let debian = Facts { pve_version: None, ..Facts::example() };
    assert_eq!(value("auto", &Facts::example()), "net.ipv4.conf.*.rp_filter = 2");
    assert_eq!(value("auto", &debian), "net.ipv4.conf.*.rp_filter = 1");
    assert_eq!(value("1", &Facts::example()), "net.ipv4.conf.*.rp_filter = 1");
    assert_eq!(value("0", &debian), "net.ipv4.conf.*.rp_filter = 0");
}

#[test]
fn g1_settings_of_the_answer_come_last_and_stand_in_for_ours() {
    let text = |extra: &[(&str, &str)]| file(&propose(&with(extra), &Facts::example()));
    let own = text(&[("net.ipv4.ip_local_port_range", " 1024\t65000 "), ("kernel.kptr_restrict", "1")]);
    assert!(own.ends_with("net.ipv4.ip_local_port_range = 1024 65000\nkernel.kptr_restrict = 1\n"), "{own}");
    assert_eq!(own.matches("kptr_restrict").count(), 1);
    // Whoever wants redirects on one interface has decided about all of them.
    for name in ["net.ipv4.conf.vmbr0.send_redirects", "net/ipv4/conf/vmbr0.10/send_redirects"] {
        let own = text(&[(name, "1")]);
        assert_eq!(own.matches("send_redirects").count(), 1, "{own}");
        assert!(own.ends_with(&format!("{name} = 1\n")));
    }
    let ids: Vec<_> = propose(&with(&[("net/ipv4/conf/vmbr0.10/Send_x", "1")]), &Facts::example())
        .controls
        .into_iter()
        .map(|control| control.id)
        .collect();
    assert_eq!(ids[ids.len() - 2..], ["kernel.net.ipv4.conf.vmbr0.10.send-x", "kernel.modules"]);
}

#[test]
fn g1_modules_are_refused_by_a_file_that_comes_first_or_by_none() {
    let proposal = propose(&Profile::example(), &Facts::example());
    let Some((Phase::Files, Change::File(file))) = proposal.changes.last() else { panic!("no file") };
    assert_eq!(file.path.to_str(), Some("/etc/modprobe.d/00-firstlight.conf"));
    assert_eq!(
        String::from_utf8_lossy(&file.content),
        "# Written by firstlight; change the answer and run `firstlight apply`.\n\
        install rds /bin/false\ninstall tipc /bin/false\n"
    );
    let mut profile = Profile::example();
    profile.kernel.blocked_modules.clear();
    let proposal = propose(&profile, &Facts::example());
    assert_eq!(proposal.changes.len(), 2);
    assert!(proposal.controls.iter().all(|control| control.id != "kernel.modules"));
}

#[test]
fn g1_what_containers_do_not_run_with_is_done_on_request_and_told() {
    let proposal = propose(&with(&[("kernel.yama.ptrace_scope", "3")]), &Facts::example());
    assert_eq!(proposal.warnings, ["containers do not run with kernel.yama.ptrace_scope=3"]);
    assert!(propose(&with(&[("kernel.yama.ptrace_scope", "1")]), &Facts::example()).warnings.is_empty());
}
