//! What the audit promises: it tells the truth, says it in three forms, and remembers it.

mod forms;
mod hardening;
mod honest;
mod node;
mod pve;
mod rows;

use super::*;
use crate::profile::Waiver;
use node::{hardened, look, profile, red};

fn waived(control: &str, until: &str) -> Profile {
    let mut profile = profile();
    let (reason, until) = ("the site wants it".to_owned(), until.to_owned());
    profile.audit.waivers = vec![Waiver { control: control.to_owned(), reason, until }];
    profile
}

#[test]
fn i1_on_a_node_as_the_answer_wants_it_everything_holds() {
    let (node, facts) = hardened();
    let audit = look(&node, &profile(), &facts);
    assert_eq!(red(&audit), [""; 0]);
    assert_eq!((score::of(&audit), audit.exit_code()), (100, 0));
    assert!(audit.findings.iter().all(|finding| finding.reason.is_empty() && finding.remedy.is_empty()));
}

#[test]
fn i1_no_tool_is_asked_twice() {
    let (node, facts) = hardened();
    look(&node, &profile(), &facts);
    let mut ran = node.ran();
    assert!(ran.len() > 10, "{ran:?}");
    let count = ran.len();
    ran.sort();
    ran.dedup();
    assert_eq!(ran.len(), count, "{ran:?}");
}

#[test]
fn i1_every_finding_has_a_reason_and_a_remedy() {
    let node = crate::node::scripted::Scripted::new();
    let audit = look(&node, &profile(), &node::facts());
    assert!(audit.red() > 30);
    for finding in audit.findings.iter().filter(|finding| finding.state.is_red()) {
        assert!(!finding.reason.is_empty() && finding.remedy.len() > 8, "{}", finding.id);
    }
    assert_eq!(audit.exit_code(), 3);
}

#[test]
fn i1_what_cannot_be_seen_is_no_pass() {
    let (node, facts) = hardened();
    node.refuses("/usr/bin/timedatectl", 1, "Failed to connect to bus");
    let audit = look(&node, &profile(), &facts);
    let clock = audit.findings.iter().find(|finding| finding.id == "totp.clock").unwrap();
    assert_eq!(clock.state, State::Unseen);
    assert!(clock.reason.contains("Failed to connect to bus"));
    assert_eq!(audit.exit_code(), 3);
}

#[test]
fn i1_a_refusal_is_a_finding_and_the_rest_of_its_area_is_looked_at_all_the_same() {
    let (node, mut facts) = hardened();
    facts.cluster_member = true;
    let mut profile = profile();
    profile.ssh.root_login = crate::profile::RootLogin::No;
    let audit = look(&node, &profile, &facts);
    let refused = audit.findings.iter().find(|finding| finding.id == "refused.ssh.root-login").unwrap();
    assert_eq!(refused.state, State::Refused);
    assert!(refused.reason.contains("on a cluster member"), "{}", refused.reason);
    assert!(
        audit.findings.iter().any(|finding| finding.id == "ssh.tries.root" && finding.state == State::Holds)
    );
    // The refusal of the firewall, and nothing of its rules that nobody knows.
    profile.firewall.management = crate::profile::Management::Default;
    facts.addresses = vec![(
        crate::areas::example::address("203.0.113.10"),
        crate::areas::example::network("203.0.113.0/24"),
    )];
    let audit = look(&node, &profile, &facts);
    assert!(audit.findings.iter().any(|finding| finding.id == "refused.firewall.management"));
    assert!(audit.findings.iter().any(|finding| finding.id == "firewall.active"));
    assert!(!audit.findings.iter().any(|finding| finding.id.starts_with("firewall.rule.")));
}

#[test]
fn i1_while_pmxcfs_is_down_what_lies_in_it_is_unseen_and_not_missing() {
    let (node, mut facts) = hardened();
    facts.pmxcfs = pmxcfs::State::Down;
    let audit = look(&node, &profile(), &facts);
    let of = |id: &str| audit.findings.iter().find(|finding| finding.id == id).unwrap().state;
    assert_eq!(of("admin.pve-user"), State::Unseen);
    assert_eq!(of("totp.verified.root@pam"), State::Unseen);
    assert_eq!(of("ssh.tries.root"), State::Holds);
    assert!(audit.findings.iter().any(|finding| finding.reason == "pmxcfs is not up"));
}

#[test]
fn i1_a_waiver_accepts_what_is_red_and_counts_neither_way() {
    let (node, facts) = hardened();
    node.refuses("/usr/bin/timedatectl", 0, "");
    assert_eq!(score::of(&look(&node, &profile(), &facts)), 97);
    let audit = look(&node, &waived("totp.clock", "2026-01-01"), &facts);
    let clock = audit.findings.iter().find(|finding| finding.id == "totp.clock").unwrap();
    assert_eq!(clock.state, State::Waived);
    assert_eq!([clock.waiver.as_str(), &clock.until], ["the site wants it", "2026-01-01"]);
    assert_eq!((score::of(&audit), audit.exit_code()), (100, 0));
    let shown = text::render(&audit, crate::report::terminal::Paint::PLAIN, true);
    assert!(shown.contains("accepted: the site wants it\n            until 2026-01-01\n"), "{shown}");
}

#[test]
fn i1_a_waiver_that_is_over_accepts_nothing_and_is_told() {
    let (node, facts) = hardened();
    node.refuses("/usr/bin/timedatectl", 0, "");
    let audit = look(&node, &waived("totp.clock", "2025-12-31"), &facts);
    assert_eq!(red(&audit), ["totp.clock"]);
    assert_eq!(audit.notes, ["the waiver of totp.clock is over"]);
}

#[test]
fn i1_a_waiver_may_name_several_and_one_that_names_none_is_told() {
    let (node, facts) = hardened();
    let audit = look(&node, &waived("ssh.tries", ""), &facts);
    let covered = audit.findings.iter().filter(|finding| !finding.waiver.is_empty());
    assert_eq!(
        covered.map(|finding| finding.id.as_str()).collect::<Vec<_>>(),
        ["ssh.tries.root", "ssh.tries.admin"]
    );
    assert_eq!(audit.count(&[State::Waived]), 0, "what holds needs no waiver");
    assert!(audit.notes.is_empty());
    let audit = look(&node, &waived("ssh.prot", ""), &facts);
    assert_eq!(audit.notes, ["the waiver of ssh.prot names no control of this node"]);
}

#[test]
fn i1_the_score_is_the_weight_of_the_rows_that_hold_in_hundredths_rounded_down() {
    let finding = |requirement, state| Finding { requirement, state, ..Finding::default() };
    let of = |findings| {
        let (source, notes) = (String::new(), Vec::new());
        score::of(&Audit { source, at: 0, own: 0, findings, notes })
    };
    assert_eq!(of(Vec::new()), 0);
    let rows = || vec![finding("B1", State::Holds), finding("B1", State::Fails)];
    assert_eq!(of(rows()), 0, "a row holds when all of it does");
    // B1 weighs 5, A2 3, B5 1.
    let more = [finding("A2", State::Holds), finding("B5", State::Holds)];
    assert_eq!(of(rows().into_iter().chain(more).collect()), 44);
    for (state, score) in [(State::Refused, 50), (State::Unseen, 50), (State::Waived, 100)] {
        assert_eq!(of(vec![finding("A2", State::Holds), finding("A4", state)]), score);
    }
    // What is waived hides nothing else of its row.
    assert_eq!(
        of(vec![finding("A2", State::Waived), finding("A2", State::Fails), finding("A4", State::Holds)]),
        50
    );
}

#[test]
fn i1_an_untouched_node_is_held_against_the_defaults_and_its_admin_is_who_is_in_group_sudo() {
    let (node, mut facts) = hardened();
    let audit = untouched(&node, &facts).unwrap();
    let taken = "no run was committed here (firstlight wizard makes the first); taken for the admin: ";
    assert_eq!(audit.notes, [format!("{taken}ops")]);
    assert_eq!(audit.source, "the defaults");
    assert!(audit.findings.iter().any(|finding| finding.id == "ssh.allow-users.admin"));
    let key = format!("admin.key.{}", crate::areas::example::FINGERPRINT);
    assert!(audit.findings.iter().any(|finding| finding.id == key), "the key that the account has");
    facts.users.truncate(1);
    let audit = untouched(&node, &facts).unwrap();
    assert_eq!(audit.notes, [format!("{taken}root")]);
    for id in ["admin.account", "refused.admin.name"] {
        assert!(red(&audit).contains(&id), "{id}");
    }
}
