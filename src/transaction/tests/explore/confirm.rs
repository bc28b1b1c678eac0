//! A crash while a run that waits is confirmed, with either firewall: nobody's confirmation is half.

use super::super::world;
use super::{BOUNDED, End, Run, boot, old_or_new};
use crate::answer::Answer;
use crate::facts::cluster_firewall;
use crate::install;
use crate::node::Node;
use crate::node::memory::{Memory, Moment, Tree, moments};
use crate::progress::Silent;
use crate::provision;
use crate::transaction::preview::{Fate, preview};
use crate::transaction::{Confirmation, Limits, Outcome, chain, confirm, rollback, state};
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

/// Applied, and waiting.
pub fn waiting(base: &Tree, answer: &Answer) -> Memory {
    let node = world::node(base);
    let plan = world::planned(&node, answer);
    install::install(&node, Path::new(world::EXECUTABLE)).unwrap();
    let confirmation =
        Confirmation { minutes: 10, admin: "ops".to_owned(), keys: Vec::new(), not_from: Vec::new() };
    let limits = Limits { minutes: 60, confirm: Some(confirmation) };
    let outcome = provision::apply(&node, &plan, answer, "command", &limits, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Waiting(..)), "{outcome:?}");
    node
}

/// Somebody adds a rule once all is confirmed: a rollback of later on keeps it, and says so.
fn keeps_a_rule_of_others(node: &Memory, when: &str) {
    let path = cluster_firewall::PATH;
    node.shell(|shell| {
        let text = shell.text(path) + "\n[RULES]\n\nIN ACCEPT -p tcp -dport 4711 # theirs\n";
        shell.put_as(path, &text, (0o640, 0), false);
    });
    let shown = preview(node, chain(node, None).unwrap(), false);
    let shown = shown.unwrap_or_else(|error| panic!("{when}, dry run: {error}"));
    let fate = shown.paths.iter().find(|(other, _)| other == Path::new(path)).map(|(_, seen)| seen.fate);
    assert_eq!(fate, Some(Fate::Kept), "{when}, dry run");
    let outcome = rollback(node, None, false, &mut Silent).unwrap();
    let Outcome::Reverted(_, _, kept) = outcome else { panic!("{when}: {outcome:?}") };
    assert!(kept.iter().any(|kept| kept == Path::new(path)), "{when}: {kept:?}");
    assert!(node.shell(|shell| shell.text(path)).contains("4711"), "{when}");
}

fn every_crash(name: &str, base: &Tree, answer: &Answer) {
    let start = waiting(base, answer).tree();
    let switched = world::node(&start).shell(|shell| shell.text(cluster_firewall::PATH));
    // PVE switches it off by itself until somebody confirms.
    let ours = cluster_firewall::value(&switched) > 1;
    assert_eq!(ours, name.contains("PVE"));
    let node = world::node(&start);
    node.record();
    assert!(matches!(confirm(&node, "me").unwrap(), Some(Outcome::Committed(_))));
    node.promise();
    let run = Run::new(start, node.record(), base, &node.tree(), End::New);
    let (mut seen, mut ends) = (HashSet::new(), [0, 0, 0]);
    let mut wants = |key| seen.insert(key);
    moments(&run.base, &run.events, None, BOUNDED, &mut wants, &mut |found| {
        let node = world::node(&found.tree);
        boot(&node).unwrap_or_else(|problem| panic!("{name}, {}: {problem}", found.text));
        let end = old_or_new(&node, &run, true)
            .unwrap_or_else(|problem| panic!("{name}, {}: {problem}", found.text));
        assert!(found.promised == 0 || end == End::New, "{name}, {}: the confirmation is lost", found.text);
        ends[usize::from(end == End::New)] += 1;
        if found.moment == Moment::Process {
            // The next process of the same boot finds it waiting still, or committed.
            let node = world::node(&found.tree);
            if let Err(error) = confirm(&node, "me") {
                // The dead process held PVE's lock: the next try within the confirmation's time gets it.
                assert!(error.to_string().contains("firewall-cluster is held"), "{error}");
                node.sleep(Duration::from_secs(121));
                confirm(&node, "me").unwrap();
            }
            state::finish_commit(&node).unwrap();
            let end = old_or_new(&node, &run, false);
            assert_eq!(end, Ok(End::New), "{name}, {}, confirmed again", found.text);
            ends[2] += 1;
            if ours {
                keeps_a_rule_of_others(&node, &format!("{name}, {}", found.text));
            }
        }
    });
    let [old, new, again] = ends;
    println!("{name}: {old} disks old, {new} new, {again} confirmed again");
    assert!(old > 5 && new > 1 && again > 5, "{name}: {ends:?}");
}

#[test]
fn j3_every_crash_while_a_run_is_confirmed_ends_old_or_new() {
    every_crash("confirming, UFW", &world::fresh(), &world::answer());
}

#[test]
fn d1_every_crash_while_pves_firewall_is_confirmed_ends_old_or_new() {
    every_crash("confirming, PVE's firewall", &world::untouched(), &world::pve_answer());
}

#[test]
fn d1_a_confirmation_that_pves_lock_kept_waiting_takes_no_rule_of_others_along_later() {
    let node = waiting(&world::untouched(), &world::pve_answer());
    let lock = "/etc/pve/priv/lock/firewall-cluster";
    node.shell(|shell| shell.directory(lock));
    for _ in 0..2 {
        assert!(confirm(&node, "me").unwrap_err().to_string().contains("is held"));
    }
    node.shell(|shell| shell.remove(lock));
    assert!(matches!(confirm(&node, "me").unwrap(), Some(Outcome::Committed(_))));
    keeps_a_rule_of_others(&node, "confirmed at the third try");
}
