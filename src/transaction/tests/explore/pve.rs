//! The same with PVE's own firewall: on a node where it was never on, and from one firewall to the other and back.

use super::super::world;
use super::runs::{apply, committed, never_holds};
use super::{BOUNDED, End, Look, Run, explore_all};
use crate::answer::Answer;
use crate::facts::cluster_firewall;
use crate::install;
use crate::node::Node;
use crate::node::memory::{Memory, Tree};
use crate::progress::Silent;
use crate::provision;
use crate::transaction::{Confirmation, Limits, Outcome, confirm, preview, rollback, state};
use std::path::{Path, PathBuf};

const HOST: &str = "/etc/pve/nodes/pve1/host.fw";

/// A recorded run from `base` that ends as `end` says.
pub fn run(base: Tree, answer: &Answer, end: End) -> Run {
    let new = whole(&base, answer).tree();
    let node = world::node(&base);
    node.record();
    let outcome = apply(&node, answer, |plan| {
        if end == End::Old {
            never_holds(plan);
        }
    });
    assert!(matches!(outcome, Outcome::Committed(_)) == (end == End::New), "{outcome:?}");
    node.promise();
    Run::new(base.clone(), node.record(), &base, &new, end)
}

pub fn whole(base: &Tree, answer: &Answer) -> Memory {
    let node = world::node(base);
    let outcome = apply(&node, answer, |_| {});
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    node
}

/// A node that filtered with UFW, and filters with PVE's firewall by now.
fn switched() -> Tree {
    whole(&committed(), &world::pve_answer()).tree()
}

#[test]
fn d1_the_model_of_a_node_takes_pves_firewall_in_the_order_that_cannot_shut_anybody_out() {
    let node = whole(&world::untouched(), &world::pve_answer());
    let ran = node.ran();
    let at = |what: &str| ran.iter().position(|line| line.contains(what)).unwrap();
    let last = ran.iter().rposition(|line| line.contains("pve-firewall compile")).unwrap();
    assert!(last < at("pve-firewall status") && at("pve-firewall status") < at("/usr/bin/ssh -F"), "{ran:?}");
    let text = node.shell(|shell| shell.text(cluster_firewall::PATH));
    assert!(
        cluster_firewall::is_on(&text) && text.contains("IN ACCEPT -source +backup -p tcp -dport 8007"),
        "{text}"
    );
    let host = node.shell(|shell| shell.text(HOST));
    assert!(host.contains("IN ACCEPT -source +backup -p tcp -dport 9101"), "{host}");
    assert_eq!(node.shell(|shell| shell.names("/etc/pve/priv/lock")), [""; 0]);
    let plan = world::planned(&world::node(&node.tree()), &world::pve_answer());
    assert!(plan.steps.is_empty(), "{:?}", plan.steps.iter().map(|step| &step.title).collect::<Vec<_>>());
}

#[test]
fn d1_every_crash_of_an_apply_with_pves_firewall_ends_old_or_new() {
    explore_all("pve", &run(world::untouched(), &world::pve_answer(), End::New), BOUNDED, 800, 4000);
}

#[test]
fn j4_every_crash_of_a_change_from_ufw_to_pves_firewall_ends_old_or_new() {
    explore_all("ufw to pve", &run(committed(), &world::pve_answer(), End::New), BOUNDED, 100, 200);
}

#[test]
fn j4_every_crash_of_a_change_from_ufw_to_pves_firewall_that_is_put_back_ends_old() {
    explore_all("ufw to pve, failed", &run(committed(), &world::pve_answer(), End::Old), BOUNDED, 100, 200);
}

#[test]
fn j4_every_crash_of_a_change_from_pves_firewall_to_ufw_ends_old_or_new() {
    // What UFW set in the kernel while it was on lasts until a boot, and what is put back after one is what was there.
    let node = world::node(&switched());
    world::early_ground(&node);
    world::late_ground(&node);
    explore_all("pve to ufw", &run(node.tree(), &world::answer(), End::New), BOUNDED, 100, 200);
}

#[test]
fn j4_every_crash_of_a_rollback_from_pves_firewall_to_ufw_ends_old_or_new() {
    let base = switched();
    let node = world::node(&base);
    node.record();
    let last = state::standing(&node).unwrap().last().copied();
    let outcome = rollback(&node, last, false, &mut Silent).unwrap();
    assert!(matches!(&outcome, Outcome::Reverted(_, _, kept) if kept.is_empty()), "{outcome:?}");
    node.promise();
    let run = Run::new(base.clone(), node.record(), &committed(), &base, End::Old);
    explore_all("pve to ufw, rollback", &run, BOUNDED, 60, 200);
}

#[test]
fn j4_there_and_back_twice_and_then_to_the_first_state() {
    let node = world::node(&world::untouched());
    for answer in [world::pve_answer(), world::answer(), world::pve_answer(), world::answer()] {
        let outcome = apply(&node, &answer, |_| {});
        assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    }
    assert!(node.shell(|shell| shell.text("/proc/sys/net/bridge/bridge-nf-call-iptables")) == "0\n");
    let first = state::standing(&node).unwrap().first().copied();
    let outcome = rollback(&node, first, false, &mut Silent).unwrap();
    assert!(matches!(&outcome, Outcome::Reverted(_, _, kept) if kept.is_empty()), "{outcome:?}");
    let differences = Look::at(&world::untouched()).differences(&Look::at(&node.tree()), true);
    assert!(differences.is_empty(), "{differences:?}");
}

/// Whether UFW filters, and whether PVE's firewall does.
fn filters(node: &Memory) -> (bool, bool) {
    node.shell(|shell| (shell.has("/run/loaded-ufw"), shell.has("/run/loaded-pve")))
}

const FOREIGN: &str = "[IPSET office]\n10.0.20.128/25\n";

/// The newest run is rolled back after somebody has made something of `cluster.fw`; what was kept.
fn back_after(base: &Tree, edit: impl Fn(String) -> String) -> (Memory, Vec<PathBuf>) {
    let node = world::node(base);
    node.shell(|shell| {
        let text = edit(shell.text(cluster_firewall::PATH));
        shell.put_as(cluster_firewall::PATH, &text, (0o640, 0), false);
    });
    let last = state::standing(&node).unwrap().last().copied();
    let outcome = rollback(&node, last, false, &mut Silent).unwrap();
    let Outcome::Reverted(_, _, kept) = outcome else { panic!("{outcome:?}") };
    (node, kept)
}

#[test]
fn j4_where_somebody_has_changed_cluster_fw_since_a_rollback_switches_it_and_keeps_their_lines() {
    for (base, ufw) in [(committed(), false), (switched(), true)] {
        assert_eq!(filters(&world::node(&base)), (!ufw, ufw));
        let (node, kept) = back_after(&base, |text| text + FOREIGN);
        assert_eq!(filters(&node), (ufw, !ufw), "exactly one");
        assert_eq!(kept, [Path::new(cluster_firewall::PATH)]);
        let text = node.shell(|shell| shell.text(cluster_firewall::PATH));
        assert!(text.ends_with(FOREIGN) && cluster_firewall::is_enabled(&text) != ufw, "{text}");
        assert_eq!(node.shell(|shell| shell.names("/etc/pve/priv/lock")), [""; 0], "under its lock");
    }
}

#[test]
fn j4_every_crash_of_a_rollback_past_a_changed_cluster_fw_ends_with_one_filter() {
    // Booted first, as above: what UFW set in the kernel lasts until then.
    let node = world::node(&switched());
    world::early_ground(&node);
    world::late_ground(&node);
    let node = whole(&node.tree(), &world::answer());
    node.shell(|shell| {
        let text = shell.text(cluster_firewall::PATH) + FOREIGN;
        shell.put_as(cluster_firewall::PATH, &text, (0o640, 0), false);
    });
    let base = node.tree();
    let node = world::node(&base);
    node.record();
    let last = state::standing(&node).unwrap().last().copied();
    let outcome = rollback(&node, last, false, &mut Silent).unwrap();
    let Outcome::Reverted(_, _, kept) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(
        (kept.as_slice(), filters(&node)),
        ([PathBuf::from(cluster_firewall::PATH)].as_slice(), (false, true))
    );
    node.promise();
    let old = node.tree();
    let run = Run::new(base.clone(), node.record(), &old, &base, End::Old);
    explore_all("pve to ufw, rollback past another's change", &run, BOUNDED, 60, 200);
}

#[test]
fn j4_where_pves_firewall_cannot_be_switched_back_ufw_stays_and_this_is_told() {
    let (node, kept) = back_after(&committed(), |_| "[RULES]\n".to_owned());
    assert_eq!(filters(&node), (true, false), "no line to switch it by");
    assert!(kept.iter().any(|path| path.to_string_lossy().starts_with("firewall ufw: ")), "{kept:?}");
    assert!(node.shell(|shell| shell.has("/usr/sbin/ufw")), "its package stays");
}

#[test]
fn j3_j4_a_cluster_that_was_joined_since_keeps_its_firewall_and_exactly_one_filters() {
    for (base, ufw) in [(committed(), true), (switched(), false)] {
        let node = world::node(&base);
        node.shell(|shell| shell.put("/etc/pve/corosync.conf", "totem {\n  cluster_name: house\n}\n"));
        let files =
            |node: &Memory| node.shell(|shell| [cluster_firewall::PATH, HOST].map(|path| shell.text(path)));
        let before = files(&node);
        let last = state::standing(&node).unwrap().last().copied();
        let preview = preview::preview(&node, vec![last.unwrap()], true).unwrap();
        let told = |text: &String| text.ends_with("stays: PVE's firewall cannot be switched back");
        assert!(preview.actions.iter().any(told), "{:?}", preview.actions);
        let outcome = rollback(&node, last, true, &mut Silent).unwrap();
        let Outcome::Reverted(_, _, kept) = outcome else { panic!("{outcome:?}") };
        assert_eq!(files(&node), before, "even with force");
        assert_eq!(filters(&node), (ufw, !ufw));
        let stays = |start: &str| kept.iter().any(|path| path.to_string_lossy().starts_with(start));
        assert!(stays("firewall ufw: "), "{kept:?}");
        assert!(stays(cluster_firewall::PATH), "{kept:?}");
        assert_eq!(stays(HOST), !ufw, "it was written by the change to PVE's firewall: {kept:?}");
    }
}

#[test]
fn d1_with_a_confirmation_to_wait_for_pve_switches_off_by_itself_until_somebody_confirms() {
    let node = world::node(&world::untouched());
    let plan = world::planned(&node, &world::pve_answer());
    let confirmation =
        Confirmation { minutes: 10, admin: "ops".to_owned(), keys: Vec::new(), not_from: Vec::new() };
    let limits = Limits { minutes: 60, confirm: Some(confirmation) };
    install::install(&node, Path::new(world::EXECUTABLE)).unwrap();
    let outcome =
        provision::apply(&node, &plan, &world::pve_answer(), "command", &limits, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Waiting(..)), "{outcome:?}");
    let value = || node.shell(|shell| cluster_firewall::value(&shell.text(cluster_firewall::PATH)));
    let left = value() - node.now() / 1000;
    assert!((530..=540).contains(&left), "one minute before its time is up: {left}");
    confirm(&node, "somebody").unwrap();
    assert_eq!(value(), 1);
    assert_eq!(state::standing(&node).unwrap().len(), 1);
    let outcome = rollback(&node, None, false, &mut Silent).unwrap();
    assert!(matches!(&outcome, Outcome::Reverted(_, _, kept) if kept.is_empty()), "{outcome:?}");
    assert!(!node.shell(|shell| shell.has("/etc/pve/firewall")));
}

#[test]
fn d1_a_plan_that_would_write_below_etc_pve_is_refused_without_quorum() {
    let node = world::node(&world::untouched());
    node.shell(|shell| shell.lose_quorum("/etc/pve/local"));
    let error = provision::plan(&node, &world::pve_answer()).err().unwrap().to_string();
    assert!(error.contains("the cluster has no quorum"), "{error}");
    // With UFW as well: the admin becomes a user of PVE, and users are files below /etc/pve (A2).
    assert!(provision::plan(&node, &world::answer()).is_err(), "a user of PVE is written there");
}
