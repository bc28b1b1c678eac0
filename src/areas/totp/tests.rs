//! Who gets which factor, and what is refused.

use super::*;
use crate::areas::tests::messages;
use crate::facts::pve::{Factor, PveUser};

fn facts() -> Facts {
    Facts::example()
}

fn with_user(facts: &mut Facts, id: &str, keys: &str, factor: bool) {
    let (name, keys) = (id.to_owned(), keys.to_owned());
    facts.access.users.push(PveUser { id: name, enabled: true, expire: 0, expired: false, keys });
    if factor {
        facts.access.factors.push(Factor {
            user: id.to_owned(),
            id: "1".to_owned(),
            kind: "totp".to_owned(),
            description: String::new(),
            enabled: true,
            uri: "otpauth://totp/x?secret=AAAA".to_owned(),
            last: 0,
        });
    }
}

fn titles(proposal: &Proposal) -> Vec<String> {
    let title = |(_, change): &(Phase, Change)| match change {
        Change::Pve(change) => change.object.title(),
        _ => String::new(),
    };
    proposal.changes.iter().map(title).collect()
}

fn refusals(profile: &Profile, facts: &Facts) -> Vec<String> {
    messages(Totp.refused(profile, facts))
}

#[test]
fn c1_root_and_the_admin_get_a_factor_and_recovery_keys_behind_a_clock_that_is_right() {
    let mut profile = Profile::example();
    let proposal = crate::areas::tests::proposed(&Totp, &profile, &facts());
    let both =
        ["TOTP of root@pam", "recovery keys of root@pam", "TOTP of ops@pam", "recovery keys of ops@pam"];
    assert_eq!(titles(&proposal), both);
    assert!(matches!(proposal.gates[0].ask, GateAsk::Clock(120)));
    assert!(proposal.controls.iter().all(|control| control.changes.len() == 1));
    profile.totp.second_device = true;
    profile.totp.recovery_keys = false;
    profile.totp.users = vec!["root@pam".to_owned(), "ops@pam".to_owned()];
    let titles = titles(&crate::areas::tests::proposed(&Totp, &profile, &facts()));
    assert_eq!(titles.iter().filter(|title| title.ends_with("second device")).count(), 2);
    assert_eq!(titles.len(), 4);
}

#[test]
fn c1_without_pve_there_is_nothing_to_do_and_with_on_verify_nothing_yet() {
    let mut profile = Profile::example();
    let facts = facts();
    let bare = Facts { pve_version: None, ..facts.clone() };
    assert!(crate::areas::tests::proposed(&Totp, &profile, &bare).changes.is_empty());
    profile.totp.enrolment = "on-verify".to_owned();
    let proposal = crate::areas::tests::proposed(&Totp, &profile, &facts);
    assert!(proposal.changes.is_empty() && proposal.gates.is_empty());
    assert_eq!(proposal.notes.len(), 2);
}

#[test]
fn c7_a_node_that_has_its_factors_is_not_asked_for_its_clock() {
    let mut profile = Profile::example();
    profile.totp.recovery_keys = false;
    let mut facts = facts();
    with_user(&mut facts, "root@pam", "x", true);
    with_user(&mut facts, "ops@pam", "x", true);
    let proposal = crate::areas::tests::proposed(&Totp, &profile, &facts);
    assert!(proposal.gates.is_empty() && proposal.notes.is_empty());
    assert_eq!(proposal.controls.len(), 2, "still looked at");
}

#[test]
fn c6_a_realm_is_not_enforced_while_a_user_of_it_has_no_factor() {
    let mut profile = Profile::example();
    profile.totp.enforced_realms = vec!["pam".to_owned()];
    let mut facts = facts();
    with_user(&mut facts, "root@pam", "", false);
    let proposal = crate::areas::tests::proposed(&Totp, &profile, &facts);
    assert!(titles(&proposal).last().unwrap().starts_with("PVE realm pam"));
    assert!(proposal.changes.last().unwrap().0 == Phase::Exposure, "after everybody has one");
    with_user(&mut facts, "guest@pam", "", false);
    let said = refusals(&profile, &facts);
    assert_eq!(said.len(), 1);
    assert!(said[0].ends_with("as they could not log in any more: guest@pam"), "{said:?}");
    facts.access.users.last_mut().unwrap().enabled = false;
    assert!(refusals(&profile, &facts).is_empty(), "who cannot log in is not shut out");
    profile.totp.enrolment = "on-verify".to_owned();
    assert!(refusals(&profile, &facts)[0].ends_with("root@pam, ops@pam"));
    for user in ["root@pam", "ops@pam"] {
        with_user(&mut facts, user, "x", true);
    }
    let proposal = crate::areas::tests::proposed(&Totp, &profile, &facts);
    assert!(titles(&proposal).last().unwrap().starts_with("PVE realm pam"), "once everybody has one");
    profile.totp.enforced_realms = vec!["nowhere".to_owned()];
    assert!(refusals(&profile, &facts)[0].contains("nowhere is none"));
}

#[test]
fn c1_what_would_be_lost_or_is_not_understood_is_refused() {
    let mut profile = Profile::example();
    let mut facts = facts();
    with_user(&mut facts, "root@pam", "JBSWY3DPEHPK3PXP", false);
    let said = refusals(&profile, &facts);
    assert!(said[0].contains("second factor of the old kind") && !said[0].contains("JBSWY3"), "{said:?}");
    facts.access.users.clear();
    facts.access.factors_damaged = true;
    assert!(refusals(&profile, &facts)[0].contains("tfa.cfg is not what PVE writes"));
    facts.access.factors_damaged = false;
    profile.totp.secret = "bake".to_owned();
    profile.totp.users = vec!["ghost@pve".to_owned()];
    assert_eq!(refusals(&profile, &facts).len(), 2);
}

#[test]
fn c6_a_realm_that_demands_another_kind_of_factor_is_refused() {
    let mut profile = Profile::example();
    profile.totp.enforced_realms = vec!["pam".to_owned()];
    let mut facts = facts();
    facts.access.realms = vec![("pam".to_owned(), Some("type=yubico,id=1,key=c2VjcmV0".to_owned()))];
    let refused = refusals(&profile, &facts);
    assert!(refused[0].contains("demands another kind") && !refused[0].contains("c2VjcmV0"), "{refused:?}");
    facts.access.realms = vec![("pam".to_owned(), Some("type=oath,step=60".to_owned()))];
    assert!(refusals(&profile, &facts).is_empty(), "that is what is wanted");
}
