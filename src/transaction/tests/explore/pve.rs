//! The same with PVE's own firewall: on a node where it was never on, and from one firewall to the other and back.

use super::super::world;
use super::runs::{apply, never_holds};
use super::{BOUNDED, End, Reference, Run, explore_all};
use crate::answer::Answer;
use crate::facts::cluster_firewall;
use crate::node::memory::{Memory, Tree};
use crate::plan::Plan;
use crate::progress::Silent;
use crate::transaction::{Outcome, rollback};

/// A recorded run from `base` that ends as `end` says.
fn run(base: Tree, answer: &Answer, change: impl FnOnce(&mut Plan), end: End) -> Run {
    let node = world::node(&base);
    node.record();
    let outcome = apply(&node, answer, change);
    let committed = matches!(outcome, Outcome::Committed(_));
    assert!(committed == (end == End::New), "{outcome:?}");
    node.promise();
    let new = Reference::of(&if committed { node.tree() } else { whole(&base, answer).tree() });
    Run { old: Reference::of(&base), base, events: node.record(), new, promised: end }
}

fn whole(base: &Tree, answer: &Answer) -> Memory {
    let node = world::node(base);
    let outcome = apply(&node, answer, |_| {});
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    node
}

fn with_pve() -> Tree {
    whole(&world::untouched(), &world::pve_answer()).tree()
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
    assert_eq!(node.shell(|shell| shell.names("/etc/pve/priv/lock")), [""; 0]);
    let plan = world::planned(&world::node(&node.tree()), &world::pve_answer());
    assert!(plan.steps.is_empty(), "{:?}", plan.steps.iter().map(|step| &step.title).collect::<Vec<_>>());
}

#[test]
fn d1_every_crash_of_an_apply_with_pves_firewall_ends_old_or_new() {
    explore_all("pve", &run(world::untouched(), &world::pve_answer(), |_| {}, End::New), BOUNDED, 500, 900);
}

#[test]
fn d1_every_crash_of_an_apply_with_pves_firewall_that_is_put_back_ends_old() {
    explore_all(
        "pve, failed",
        &run(world::untouched(), &world::pve_answer(), never_holds, End::Old),
        BOUNDED,
        500,
        900,
    );
}

#[test]
fn d1_every_crash_of_a_rollback_of_pves_firewall_ends_old_or_new() {
    let base = with_pve();
    let node = world::node(&base);
    node.record();
    let outcome = rollback(&node, None, false, &mut Silent).unwrap();
    assert!(matches!(&outcome, Outcome::Reverted(_, _, kept) if kept.is_empty()), "{outcome:?}");
    node.promise();
    let (old, new) = (Reference::of(&world::untouched()), Reference::of(&base));
    let run = Run { old, new, base, events: node.record(), promised: End::Old };
    explore_all("pve, rollback", &run, BOUNDED, 200, 300);
}
