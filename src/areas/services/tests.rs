//! rpcbind, mail and listeners, as the answer and the node have them.

use super::*;
use crate::profile::Service;

fn propose(profile: &Profile, facts: &Facts) -> Proposal {
    crate::areas::tests::proposed(&Services, profile, facts)
}

fn units(proposal: &Proposal) -> Vec<(&str, Option<bool>, Option<bool>)> {
    let unit = |change: &'_ Change| match change {
        Change::Unit(change) => Some((change.name.clone(), change.enabled, change.active)),
        _ => None,
    };
    let found: Vec<_> = proposal.changes.iter().filter_map(|(_, change)| unit(change)).collect();
    found.into_iter().map(|(name, enabled, active)| (&*String::leak(name), enabled, active)).collect()
}

#[test]
fn g2_rpcbind_is_off_with_its_socket_unless_a_storage_may_need_it() {
    let off = [("rpcbind.socket", Some(false), Some(false)), ("rpcbind.service", Some(false), Some(false))];
    let proposal = propose(&Profile::example(), &Facts::example());
    assert_eq!(units(&proposal), off);
    for id in ["services.rpcbind-socket", "services.rpcbind"] {
        let control = proposal.controls.iter().find(|control| control.id == id).unwrap();
        assert_eq!((control.requirement, control.changes.len()), ("G2", 1));
    }
    let nfs = Facts { nfs_storage: "iso".to_owned(), ..Facts::example() };
    let proposal = propose(&Profile::example(), &nfs);
    assert_eq!(units(&proposal), []);
    assert_eq!(proposal.notes, ["rpcbind stays: the storage iso may speak NFSv3"]);
    let mut profile = Profile::example();
    profile.services.rpcbind = "off".to_owned();
    assert_eq!(units(&propose(&profile, &nfs)), off);
    profile.services.rpcbind = "on".to_owned();
    assert_eq!(units(&propose(&profile, &Facts::example()))[0], ("rpcbind.socket", Some(true), Some(true)));
}

#[test]
fn g3_mail_is_taken_on_loopback_where_postfix_is_and_unless_the_answer_keeps_it() {
    let mut facts = Facts { postfix: "inet_interfaces = all\nx = 1\n".to_owned(), ..Facts::example() };
    let kinds = |proposal: &Proposal| {
        proposal
            .changes
            .iter()
            .map(|(_, change)| change.kind())
            .filter(|kind| *kind != "unit")
            .collect::<Vec<_>>()
    };
    assert!(kinds(&propose(&Profile::example(), &facts)).is_empty(), "not installed");
    facts.packages.push(("postfix".to_owned(), "3.10".to_owned()));
    let proposal = propose(&Profile::example(), &facts);
    assert_eq!(kinds(&proposal), ["file", "reload"]);
    let control = proposal.controls.iter().find(|control| control.id == "services.postfix").unwrap();
    assert_eq!((control.requirement, control.changes.as_slice()), ("G3", [2, 3].as_slice()));
    let Change::File(file) = &proposal.changes[2].1 else { panic!("no file") };
    assert_eq!(file.content, b"x = 1\ninet_interfaces = loopback-only\n");
    let mut profile = Profile::example();
    profile.services.postfix = "keep".to_owned();
    assert!(kinds(&propose(&profile, &facts)).is_empty());
}

#[test]
fn g4_what_may_listen_is_pves_own_and_what_the_answer_opens() {
    let allowed = |profile: &Profile, facts: &Facts| {
        let proposal = propose(profile, facts);
        let control =
            proposal.controls.into_iter().find(|control| control.id == "services.listeners").unwrap();
        assert_eq!((control.requirement, control.changes.len()), ("G4", 0));
        let Check::Listeners(allowed) = control.check else { panic!("wrong check") };
        allowed
    };
    let has = |allowed: &str, udp: bool, port: u16| {
        let lists =
            allowed.split(' ').filter_map(|word| word.strip_prefix(if udp { "udp/" } else { "tcp/" }));
        lists.flat_map(|list| list.split(',')).any(|known| known == port.to_string())
    };
    let mut profile = Profile::example();
    let silent = allowed(&profile, &Facts::example());
    for port in [22, 8006, 3128] {
        assert!(has(&silent, false, port), "{port}");
    }
    for (udp, port) in [(false, 111), (true, 111), (false, 9100), (false, 25), (true, 22), (false, 445)] {
        assert!(!has(&silent, udp, port), "{udp} {port}");
    }
    profile.services.listeners_allowed = vec!["tcp/9100".to_owned(), "udp/51820".to_owned()];
    profile.firewall.services = vec![Service::Ceph, Service::Cifs];
    let member = Facts { cluster_member: true, nfs_storage: "iso".to_owned(), ..Facts::example() };
    let wide = allowed(&profile, &member);
    for (udp, port) in [(false, 111), (true, 111), (false, 9100), (true, 51_820), (false, 445), (false, 6789)]
    {
        assert!(has(&wide, udp, port), "{udp} {port}");
    }
    assert!(!has(&wide, true, 9100));
    assert!(wide.ends_with(" udp/5404:5412") && wide.contains("6800:7300") && !silent.contains("5404"));
    assert!(silent.contains(",5900:5999,60000:60050"));
    profile.ssh.enabled = false;
    let mut facts = Facts::example();
    facts.sshd = vec![("port".to_owned(), "2222".to_owned())];
    assert!(has(&allowed(&profile, &facts), false, 2222) && !has(&allowed(&profile, &facts), false, 22));
}
