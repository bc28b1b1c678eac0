//! Things that go wrong at a call through the seam: a full disk, an error of the disk, no more descriptors, a
//! read-only file system, a killed and a hanging tool, a clock that jumps. Each ends old, new, or stuck with the
//! reason; once the cause is gone, recovery makes it old or new.

use super::super::{Limits, Outcome, Phase, Stage, Story, confirm, recover, rollback, state};
use super::damage::interrupted;
use super::explore::confirm::waiting;
use super::explore::pve::whole;
use super::explore::runs::{committed, forward};
use super::explore::{End, Look, Reference, boot};
use super::world;
use crate::answer::Answer;
use crate::error::Result;
use crate::install;
use crate::node::memory::{Class, Fault, Memory, Tree};
use crate::progress::Silent;
use crate::provision;
use crate::report::{Occasion, Report, terminal::Paint};
use std::path::Path;

const IO: &str = "Input/output error (os error 5)";
const FILES: &str = "Too many open files (os error 24)";

/// A node on which the plan is made and the program installed; the fault counts from here.
fn run(fault: Fault) -> (Memory, String) {
    let node = world::node(&world::fresh());
    let answer = world::answer();
    let plan = world::planned(&node, &answer);
    install::install(&node, Path::new(world::EXECUTABLE)).unwrap();
    node.break_with(fault);
    let said = match provision::apply(&node, &plan, &answer, "command", &Limits::DEFAULT, &mut Silent) {
        Ok(outcome @ Outcome::Stuck(..)) => {
            let report = Report { occasion: Occasion::Apply, outcome: &outcome, warnings: &[], login: None };
            assert_eq!(report.exit_code(), 5);
            let text = report.render(Paint::PLAIN);
            for command in ["firstlight recover", "ufw disable", "dpkg --configure -a"] {
                assert!(text.contains(command), "{fault:?}: the break-glass text lacks {command}: {text}");
            }
            "stuck".to_owned()
        }
        Ok(Outcome::Committed(_)) => "committed".to_owned(),
        Ok(Outcome::Reverted(_, _, kept)) => {
            assert!(kept.is_empty(), "{fault:?}: kept {kept:?}");
            "reverted".to_owned()
        }
        Ok(_) => "untouched".to_owned(),
        Err(error) => {
            // What the edge makes of it: exit 1 where nothing had begun, else 5 and the break-glass text.
            assert!(!error.to_string().is_empty());
            if begun(&node) { "in the middle".to_owned() } else { "untouched".to_owned() }
        }
    };
    (node, said)
}

/// Whether a step may have happened in a transaction that is not over.
fn begun(node: &Memory) -> bool {
    let journal = |id| state::records(node, id).map(|records| Story::of(&records));
    let unfinished =
        |id| journal(id).map_or(true, |story| story.phase() == Phase::Unfinished && !story.made.is_empty());
    state::transactions(node).map_or(true, |ids| ids.into_iter().any(unfinished))
}

/// How many calls of each class a good run has.
fn calls(class: Class) -> usize {
    let (node, said) = run(Fault::None);
    assert_eq!(said, "committed");
    node.count(class)
}

fn check(fault: Fault, references: &(Reference, Reference)) -> bool {
    let (node, said) = run(fault);
    if !node.is_broken() {
        return false;
    }
    let now = |reference: &Reference, times| reference.now.differences(&Look::at(&node.tree()), times);
    let differences = match said.as_str() {
        "committed" => now(&references.1, false),
        "reverted" | "untouched" => now(&references.0, true),
        _ => Vec::new(),
    };
    assert!(differences.is_empty(), "{fault:?}, {said}: {differences:?}");
    // The cause is gone; the node boots.
    let tree = node.tree();
    let node = world::node(&tree);
    boot(&node).unwrap_or_else(|problem| panic!("{fault:?}, {said}: {problem}"));
    let end = if state::standing(&node).unwrap().is_empty() { End::Old } else { End::New };
    let reference = if end == End::Old { &references.0 } else { &references.1 };
    let differences = reference.booted.differences(&Look::at(&node.tree()), end == End::Old);
    assert!(differences.is_empty(), "{fault:?}, {said}, booted, as {end:?}: {differences:?}");
    if said == "committed" {
        assert_eq!(end, End::New, "{fault:?}");
    }
    let committed = |id| Story::of(&state::records(&node, id).unwrap()).committed;
    if said == "reverted" {
        // Also when it was the commit's own record that could not be made durable: the hook has tries left.
        assert!(!state::transactions(&node).unwrap().into_iter().any(committed), "{fault:?}");
    }
    true
}

fn every(name: &str, class: Class, stride: usize, fault: impl Fn(usize) -> Fault) {
    let references = (Reference::of(&world::fresh()), Reference::of(&committed()));
    let happened =
        (0..calls(class)).step_by(stride).filter(|number| check(fault(*number), &references)).count();
    println!("{name}: {happened} faults");
    assert!(happened > 8, "{name}: {happened}");
}

#[test]
fn j3_no_space_from_any_write_on() {
    every("no space left", Class::Write, 1, Fault::Full);
}

#[test]
fn j3_no_space_at_one_write() {
    every("no space left, once", Class::Write, 1, |number| {
        Fault::Once(Class::Write, number, "No space left on device (os error 28)")
    });
}

#[test]
fn j3_an_error_of_the_disk_at_a_read() {
    every("EIO at a read", Class::Read, 23, |number| Fault::Once(Class::Read, number, IO));
}

#[test]
fn j3_an_error_of_the_disk_at_a_sync() {
    every("EIO at a sync", Class::Sync, 1, |number| Fault::Once(Class::Sync, number, IO));
}

#[test]
fn j3_no_more_descriptors() {
    every("EMFILE", Class::Open, 17, |number| Fault::Once(Class::Open, number, FILES));
}

#[test]
fn j3_a_file_system_that_becomes_read_only() {
    every("read-only", Class::Write, 5, Fault::ReadOnly);
}

#[test]
fn j3_a_disk_that_dies_at_a_sync() {
    every("a dying disk", Class::Sync, 1, Fault::Dies);
}

#[test]
fn j3_a_tool_that_is_killed_in_its_middle() {
    every("killed tool", Class::Run, 1, |number| Fault::Killed(number, 5));
}

#[test]
fn j3_a_tool_that_hangs_until_its_time_is_up() {
    every("hanging tool", Class::Run, 1, |number| Fault::Hangs(number, 3));
}

#[test]
fn j3_a_clock_that_jumps_back_and_forth() {
    every("clock", Class::Write, 19, |number| {
        Fault::Clock(number, if number / 19 % 2 == 0 { -90_000_000_000 } else { 90_000_000_000 })
    });
}

/// Something other than an apply that may go wrong: where it begins, what it does, and what it ends as.
struct Work {
    name: &'static str,
    base: Tree,
    references: (Reference, Reference),
    work: fn(&Memory) -> Result<Option<Outcome>>,
    good: End,
}

/// A call that fails, at every so many of its kind, and how.
struct Kind<'a>(Class, usize, &'a dyn Fn(usize) -> Fault);

impl Work {
    fn rollback(name: &'static str, old: &Tree, new: Tree) -> Self {
        let references = (Reference::of(old), Reference::of(&new));
        let work = |node: &Memory| rollback(node, None, false, &mut Silent).map(Some);
        Self { name, base: new, references, work, good: End::Old }
    }

    fn recover() -> Self {
        let references = (Reference::of(&world::fresh()), Reference::of(&committed()));
        let work = |node: &Memory| recover(node, Stage::Late, &mut Silent);
        Self { name: "recover", base: interrupted(&forward()), references, work, good: End::Old }
    }

    fn confirm(name: &'static str, base: &Tree, answer: &Answer) -> Self {
        let base_of = waiting(base, answer).tree();
        let new = world::node(&base_of);
        confirm(&new, "me").unwrap();
        let references = (Reference::of(base), Reference::of(&new.tree()));
        Self { name, base: base_of, references, work: |node| confirm(node, "me"), good: End::New }
    }

    /// Whether the fault came to pass. Words and codes tell the truth then, and after the next boot all is old or new.
    fn check(&self, fault: Fault) -> bool {
        let node = world::node(&self.base);
        node.break_with(fault);
        let ended = (self.work)(&node);
        if !node.is_broken() {
            return false;
        }
        node.break_with(Fault::None);
        let what = format!("{}, {fault:?}: {ended:?}", self.name);
        let is = |reference: &Reference, times| reference.now.differences(&Look::at(&node.tree()), times);
        let same = || Look::at(&self.base).differences(&Look::at(&node.tree()), true);
        let word = crate::status::read(&node).unwrap().outcome.word();
        let differences = match &ended {
            Ok(Some(Outcome::Committed(_))) => is(&self.references.1, false),
            Ok(Some(Outcome::Reverted(_, _, kept))) => {
                assert!(kept.is_empty(), "{what}");
                is(&self.references.0, true)
            }
            Ok(Some(Outcome::Stuck(..))) => Vec::new(),
            // Nothing was begun, or it goes on as before: what stood, stands, and what waited, waits.
            Err(_) if word == "waiting" || begun(&node) => Vec::new(),
            Err(_) if self.name == "recover" => is(&self.references.0, true),
            Err(_) => same(),
            other => panic!("{what}: {other:?}"),
        };
        assert!(differences.is_empty(), "{what}, status {word}: {differences:?}");
        match &ended {
            Ok(Some(Outcome::Committed(_))) => assert_eq!(word, "committed", "{what}"),
            Ok(Some(Outcome::Reverted(..))) => {
                assert!(["reverted", "rolled-back"].contains(&word), "{what}: {word}")
            }
            Ok(_) => {}
            Err(_) if self.good == End::New => assert_eq!(word, "waiting", "{what}"),
            Err(_) if self.name.starts_with("rollback") => {
                assert_eq!(word, "committed", "{what}: nothing was touched")
            }
            Err(_) => {}
        }
        let tree = node.tree();
        let node = world::node(&tree);
        boot(&node).unwrap_or_else(|problem| panic!("{what}: {problem}"));
        let end = if state::standing(&node).unwrap().is_empty() { End::Old } else { End::New };
        let reference = if end == End::Old { &self.references.0 } else { &self.references.1 };
        let differences = reference.booted.differences(&Look::at(&node.tree()), end == End::Old);
        assert!(differences.is_empty(), "{what}, booted, as {end:?}: {differences:?}");
        match ended {
            Ok(Some(Outcome::Committed(_))) => assert_eq!(end, End::New, "{what}"),
            Ok(Some(Outcome::Reverted(..))) => assert_eq!(end, End::Old, "{what}"),
            _ => {}
        }
        true
    }

    fn every_fault(&self) {
        let node = world::node(&self.base);
        node.break_with(Fault::None);
        (self.work)(&node).unwrap();
        let writes = |number| Fault::Once(Class::Write, number, "No space left on device (os error 28)");
        let kinds = [
            Kind(Class::Write, 1, &Fault::Full),
            Kind(Class::Write, 1, &writes),
            Kind(Class::Write, 1, &Fault::ReadOnly),
            Kind(Class::Sync, 1, &|number| Fault::Once(Class::Sync, number, IO)),
            Kind(Class::Sync, 1, &Fault::Dies),
            Kind(Class::Read, 29, &|number| Fault::Once(Class::Read, number, IO)),
            Kind(Class::Open, 17, &|number| Fault::Once(Class::Open, number, FILES)),
            Kind(Class::Run, 1, &|number| Fault::Killed(number, 5)),
            Kind(Class::Run, 1, &|number| Fault::Hangs(number, 3)),
        ];
        let mut happened = 0;
        for Kind(class, stride, fault) in kinds {
            let all = (0..node.count(class)).step_by(stride);
            happened += all.filter(|number| self.check(fault(*number))).count();
        }
        println!("{}: {happened} faults", self.name);
        assert!(happened > 20, "{}: {happened}", self.name);
    }
}

#[test]
fn j3_every_fault_of_a_rollback_ends_old_or_new_and_is_told_as_it_is() {
    Work::rollback("rollback, UFW", &world::fresh(), committed()).every_fault();
    let (old, answer) = (world::untouched(), world::pve_answer());
    Work::rollback("rollback, PVE's firewall", &old, whole(&old, &answer).tree()).every_fault();
}

#[test]
fn j3_every_fault_of_a_recovery_ends_old_and_is_told_as_it_is() {
    Work::recover().every_fault();
}

#[test]
fn j3_every_fault_of_a_confirmation_ends_old_or_new_and_is_told_as_it_is() {
    Work::confirm("confirm, UFW", &world::fresh(), &world::answer()).every_fault();
    Work::confirm("confirm, PVE's firewall", &world::untouched(), &world::pve_answer()).every_fault();
}
