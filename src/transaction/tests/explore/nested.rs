//! A crash during recovery, and during the recovery of that.

use super::super::world;
use super::runs::forward;
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

/// The recovery of this disk as a run of its own; `None` where it has nothing to do.
fn recovery(tree: &Tree, of: &Run) -> Option<Run> {
    let node = world::node(tree);
    // The boot's own doings are no part of it: a crash of a recovery is followed by the next boot.
    node.record();
    boot(&node).unwrap();
    node.promise();
    let promised = old_or_new(&node, of, true).unwrap();
    let events = node.record();
    let worked = promised == End::Old && events.len() > 120;
    let (old, new) = (world::fresh(), super::runs::committed());
    worked.then(|| Run::new(tree.clone(), events, &old, &new, promised))
}

#[test]
fn j3_a_crash_of_recovery_and_of_its_recovery_ends_old() {
    let run = forward();
    let (mut second, mut third) = (0, 0);
    for state in some(&run, 131, Moment::Process) {
        let Some(first) = recovery(&state.tree, &run) else { continue };
        for state in some(&first, 37, Moment::Power) {
            second += 1;
            judge(&state, &first, BOUNDED).unwrap_or_else(|problem| panic!("{}: {problem}", state.text));
            if second % 4 == 0
                && let Some(again) = recovery(&state.tree, &first)
            {
                for state in some(&again, 97, Moment::Power) {
                    third += 1;
                    judge(&state, &again, BOUNDED)
                        .unwrap_or_else(|problem| panic!("{}: {problem}", state.text));
                }
            }
        }
    }
    println!("nested: {second} crashes of a recovery, {third} of the recovery of one");
    assert!(second > 100 && third > 300, "{second} and {third}");
}
