//! A crash during recovery, and during the recovery of that.

use super::super::world;
use super::pve::{run, whole};
use super::runs::{back, committed, forward};
use super::{BOUNDED, End, Run, boot, judge, old_or_new};
use crate::node::memory::{Moment, State, Tree, moments};

/// The disks that a crash of the run leaves, every `stride`th of them.
fn some(run: &Run, stride: u64, moment: Moment) -> Vec<State> {
    let (mut number, mut states) = (0, Vec::new());
    let mut wants = |_| {
        number += 1;
        number % stride == 0
    };
    moments(&run.base, &run.events, None, BOUNDED, &mut wants, &mut |state| states.push(state));
    states.retain(|state| state.moment == moment);
    states
}

/// A run whose crashes are recovered, and the nodes before and after it.
struct Of {
    run: Run,
    old: Tree,
    new: Tree,
}

/// The recovery of this disk as a run of its own; `None` where it has nothing to do.
fn recovery(tree: &Tree, run: &Run, of: &Of) -> Option<Run> {
    let node = world::node(tree);
    // The boot's own doings are no part of it: a crash of a recovery is followed by the next boot.
    node.record();
    boot(&node).unwrap();
    node.promise();
    let promised = old_or_new(&node, run, true).unwrap();
    let events = node.record();
    let worked = promised == End::Old && events.len() > 120;
    worked.then(|| Run::new(tree.clone(), events, &of.old, &of.new, promised))
}

/// Crashes of the run, of its recovery, and of the recovery of that: every so-many-th of each.
fn nest(name: &str, of: &Of, [first, then, last]: [u64; 3], least: [usize; 2]) {
    let (mut second, mut third) = (0, 0);
    for state in some(&of.run, first, Moment::Process) {
        let Some(recovered) = recovery(&state.tree, &of.run, of) else { continue };
        for state in some(&recovered, then, Moment::Power) {
            second += 1;
            judge(&state, &recovered, BOUNDED)
                .unwrap_or_else(|problem| panic!("{name}: {}: {problem}", state.text));
            if second % 4 == 0
                && let Some(again) = recovery(&state.tree, &recovered, of)
            {
                for state in some(&again, last, Moment::Power) {
                    third += 1;
                    judge(&state, &again, BOUNDED)
                        .unwrap_or_else(|problem| panic!("{name}: {}: {problem}", state.text));
                }
            }
        }
    }
    println!("nested, {name}: {second} crashes of a recovery, {third} of the recovery of one");
    assert!(second > least[0] && third > least[1], "{name}: {second} and {third}");
}

#[test]
fn j3_a_crash_of_recovery_and_of_its_recovery_ends_old() {
    let of = Of { run: forward(), old: world::fresh(), new: committed() };
    nest("apply", &of, [131, 37, 97], [100, 300]);
}

#[test]
fn j3_a_crash_of_the_recovery_of_a_rollback_ends_old() {
    let of = Of { run: back(), old: world::fresh(), new: committed() };
    nest("rollback", &of, [61, 41, 97], [40, 20]);
}

#[test]
fn d1_a_crash_of_the_recovery_of_an_apply_with_pves_firewall_ends_old() {
    let (old, answer) = (world::untouched(), world::pve_answer());
    let of = Of { run: run(old.clone(), &answer, End::New), new: whole(&old, &answer).tree(), old };
    nest("pve", &of, [307, 61, 193], [40, 20]);
}
