//! The runs that are explored: a whole apply, one that fails at its end, and a rollback.

use super::super::world;
use super::{BOUNDED, DEEP, End, Run, explore_all, explore_rest, states};
use crate::answer::Answer;
use crate::control::{Check, Control};
use crate::install;
use crate::node::memory::{Event, Memory, Tree};
use crate::plan::Plan;
use crate::progress::Silent;
use crate::provision;
use crate::transaction::{Limits, Outcome, rollback};
use std::path::Path;
use std::sync::LazyLock;

/// Does what `firstlight apply` does.
pub fn apply(node: &Memory, answer: &Answer, change: impl FnOnce(&mut Plan)) -> Outcome {
    let mut plan = world::planned(node, answer);
    change(&mut plan);
    install::install(node, Path::new(world::EXECUTABLE)).unwrap();
    provision::apply(node, &plan, answer, "command", &Limits::DEFAULT, &mut Silent).unwrap()
}

/// The node after a run that was committed.
pub fn committed() -> Tree {
    static COMMITTED: LazyLock<Tree> = LazyLock::new(|| {
        let node = world::node(&world::fresh());
        let outcome = apply(&node, &world::answer(), |_| {});
        assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
        node.tree()
    });
    COMMITTED.clone()
}

/// A whole apply of every area.
pub fn forward() -> Run {
    let base = world::fresh();
    let node = world::node(&base);
    node.record();
    let outcome = apply(&node, &world::answer(), |_| {});
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    let connected = |line: &String| line.starts_with("/usr/sbin/ip netns exec firstlight /usr/bin/ssh ");
    assert!(node.ran().iter().any(connected), "the probe of reachability is explored too");
    node.promise();
    Run::new(base.clone(), node.record(), &base, &node.tree(), End::New)
}

/// A control that nothing brings about.
pub fn never_holds(plan: &mut Plan) {
    plan.controls.push(Control {
        id: "never".into(),
        requirement: "J3",
        wanted: "a file that nobody makes".to_owned(),
        check: Check::FileMode { path: "/etc/nowhere".into(), mode: 0o644 },
        changes: vec![0],
    });
}

/// An apply that goes all the way, fails at its last look, and is put back.
pub fn failing() -> Run {
    let base = world::fresh();
    let node = world::node(&base);
    node.record();
    let outcome = apply(&node, &world::answer(), never_holds);
    assert!(matches!(&outcome, Outcome::Reverted(_, _, kept) if kept.is_empty()), "{outcome:?}");
    node.promise();
    Run::new(base.clone(), node.record(), &base, &committed(), End::Old)
}

/// A committed run that is rolled back on request.
pub fn back() -> Run {
    let base = committed();
    let node = world::node(&base);
    node.record();
    let outcome = rollback(&node, None, false, &mut Silent).unwrap();
    assert!(matches!(&outcome, Outcome::Reverted(_, _, kept) if kept.is_empty()), "{outcome:?}");
    node.promise();
    Run::new(base.clone(), node.record(), &world::fresh(), &base, End::Old)
}

#[test]
fn j3_the_model_of_a_node_takes_every_area_and_a_second_run_has_nothing_to_do() {
    let node = world::node(&committed());
    let plan = world::planned(&node, &world::answer());
    let titles: Vec<&str> = plan.steps.iter().map(|step| step.title.as_str()).collect();
    assert!(titles.is_empty(), "{titles:?}");
}

#[test]
fn j3_every_crash_of_a_whole_apply_ends_old_or_new() {
    explore_all("apply", &forward(), BOUNDED, 550, 1000);
}

#[test]
fn j3_every_crash_of_an_apply_that_is_put_back_ends_old() {
    // Up to the last look it is the same run as the one above: what was looked at there is not looked at again.
    let (mut good, bad) = (forward(), failing());
    let mut known = states(&good, BOUNDED);
    let same = |(good, bad): &(&Event, &Event)| good.is_like(bad);
    let shared = good.events.iter().zip(&bad.events).take_while(same).count();
    assert!(shared > 1000, "{shared}");
    good.events.truncate(shared);
    let begun = states(&good, BOUNDED);
    known.retain(|key| begun.contains(key));
    explore_rest("failed apply", &bad, BOUNDED, &known, 200, 700);
}

#[test]
fn j3_every_crash_of_a_rollback_ends_old_or_new() {
    explore_all("rollback", &back(), BOUNDED, 300, 500);
}

#[test]
#[ignore = "minutes: cargo test --lib deep_ -- --ignored --nocapture"]
fn j3_deep_every_crash_of_every_run_with_many_more_combinations() {
    explore_all("apply, deep", &forward(), DEEP, 550, 5000);
    explore_all("failed apply, deep", &failing(), DEEP, 700, 5000);
    explore_all("rollback, deep", &back(), DEEP, 300, 3000);
}
