//! Every crash of a whole run: each state that the disk may be in is recovered, and compared with the old node and
//! the new one.

pub mod confirm;
mod control;
mod nested;
pub mod pve;
pub mod runs;

use super::super::{Outcome, Stage, recover, state};
use super::world;
use crate::facts::cluster_firewall::PATH;
use crate::node::Kind;
use crate::node::memory::{Depth, Event, Ino, Inode, Memory, Moment, State, Tree, moments};
use crate::progress::Silent;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// One node, looked at: everything that counts, by path.
pub struct Look {
    entries: BTreeMap<PathBuf, std::sync::Arc<Inode>>,
    /// The first path of each file with several names.
    first: BTreeMap<Ino, PathBuf>,
    inodes: BTreeMap<PathBuf, Ino>,
}

impl Look {
    pub fn at(tree: &Tree) -> Self {
        let inodes = tree.visit(&world::counts);
        let mut first = BTreeMap::new();
        let mut entries = BTreeMap::new();
        for (path, ino) in &inodes {
            first.entry(*ino).or_insert_with(|| path.clone());
            entries.insert(path.clone(), std::sync::Arc::clone(tree.inodes[*ino].as_ref().unwrap()));
        }
        Self { entries, first, inodes }
    }

    /// What is different, in words; empty when nothing is. Times count for the old node alone: another run makes
    /// the same files at other times.
    pub fn differences(&self, other: &Self, times: bool) -> Vec<String> {
        let mut found = Vec::new();
        for path in self.entries.keys().filter(|path| !other.entries.contains_key(*path)) {
            found.push(format!("{} is missing", path.display()));
        }
        for (path, there) in &other.entries {
            let Some(here) = self.entries.get(path) else {
                found.push(format!("{} is there", path.display()));
                continue;
            };
            let volatile = path.starts_with("/run") || path.starts_with("/proc");
            let what = if here.kind != there.kind {
                "type"
            } else if here.data != there.data {
                "content"
            } else if path.starts_with("/etc/pve") || volatile {
                continue;
            } else if here.label.mode != there.label.mode {
                "mode"
            } else if (here.label.uid, here.label.gid) != (there.label.uid, there.label.gid) {
                "owner"
            } else if here.label.attributes != there.label.attributes {
                "attributes"
            } else if times && here.kind != Kind::Directory && here.label.modified != there.label.modified {
                "time"
            } else if self.first[&self.inodes[path]] != other.first[&other.inodes[path]] {
                "names"
            } else {
                continue;
            };
            found.push(format!("{}: other {what}", path.display()));
        }
        found
    }
}

/// What a node must be: as it is now, and as it is after a boot.
pub struct Reference {
    pub now: Look,
    pub booted: Look,
}

impl Reference {
    pub fn of(tree: &Tree) -> Self {
        let node = world::node(tree);
        world::early_ground(&node);
        world::late_ground(&node);
        Self { now: Look::at(tree), booted: Look::at(&node.tree()) }
    }
}

/// What `cargo test` explores.
pub const BOUNDED: Depth = Depth { all_subsets: 4, at_random: 4 };
/// What the long exploration does.
pub const DEEP: Depth = Depth { all_subsets: 8, at_random: 64 };

/// What a run may end as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Old,
    New,
}

/// A recorded run.
pub struct Run {
    pub base: Tree,
    pub events: Vec<Event>,
    pub old: Reference,
    pub new: Reference,
    /// What holds once the promise has been made.
    pub promised: End,
    /// The profiles of record of the old node and of the new one.
    records: [String; 2],
    /// How many transactions stand on the new node.
    standing: usize,
}

impl Run {
    /// What was recorded from `base` on, between an old node and a new one.
    pub fn new(base: Tree, events: Vec<Event>, old: &Tree, new: &Tree, promised: End) -> Self {
        let record = |tree: &Tree| world::node(tree).shell(|shell| shell.text(state::PROFILE_PATH));
        let standing = state::standing(&world::node(new)).unwrap().len();
        let records = [record(old), record(new)];
        Self { base, events, old: Reference::of(old), new: Reference::of(new), promised, records, standing }
    }
}

/// Recovers as the next boot does it.
pub fn boot(node: &Memory) -> Result<(), String> {
    world::early_ground(node);
    recover(node, Stage::Early, &mut Silent).map_err(|error| format!("early: {error}"))?;
    world::late_ground(node);
    late(node)
}

/// Recovers as the next command does it.
pub fn late(node: &Memory) -> Result<(), String> {
    match recover(node, Stage::Late, &mut Silent).map_err(|error| format!("late: {error}"))? {
        Some(Outcome::Stuck(_, failure, left)) => Err(format!("stuck after {failure:?}: {left}")),
        // Where a run is about a file that others have changed; its content is compared as every other.
        Some(Outcome::Reverted(_, _, kept)) if kept.iter().any(|path| path != Path::new(PATH)) => {
            Err(format!("kept {kept:?}"))
        }
        _ => Ok(()),
    }
}

/// Which node it is, or what is wrong.
pub fn old_or_new(node: &Memory, run: &Run, booted: bool) -> Result<End, String> {
    let standing = state::standing(node).map_err(|error| error.to_string())?;
    let end = if standing.len() == run.standing { End::New } else { End::Old };
    let reference = if end == End::Old { &run.old } else { &run.new };
    let wanted = if booted { &reference.booted } else { &reference.now };
    let differences = wanted.differences(&Look::at(&node.tree()), end == End::Old);
    if !differences.is_empty() {
        return Err(format!("neither old nor new; as {end:?}: {}", differences.join(", ")));
    }
    if node.shell(|shell| shell.text(state::PROFILE_PATH)) != run.records[usize::from(end == End::New)] {
        return Err(format!("the profile of record does not fit: {end:?}"));
    }
    let again = recover(node, Stage::Late, &mut Silent).map_err(|error| error.to_string())?;
    if again.is_some() {
        return Err(format!("recovery is not over: {again:?}"));
    }
    Ok(end)
}

/// What recovers must be there whole before there is anything to recover.
fn installed(tree: &Tree) -> Result<(), String> {
    let node = world::node(tree);
    let begun = state::transactions(&node).map_err(|error| error.to_string())?;
    if begun.is_empty() {
        return Ok(());
    }
    node.shell(|shell| {
        let units = "/etc/systemd/system";
        let whole = shell.text(crate::install::BINARY_PATH) == shell.text(world::EXECUTABLE)
            && shell.text(&format!("{units}/firstlight-recover.service")).contains("[Install]")
            && shell.text(&format!("{units}/firstlight-recover-early.service")).contains("[Install]")
            && shell.has(&format!("{units}/sysinit.target.wants/firstlight-recover-early.service"))
            && shell.has(&format!("{units}/multi-user.target.wants/firstlight-recover.service"));
        if whole {
            Ok(())
        } else {
            Err("a transaction has begun, and what recovers it is not there".to_owned())
        }
    })
}

/// Recovers one state and judges the outcome.
pub fn judge(state: &State, run: &Run, depth: Depth) -> Result<(), String> {
    installed(&state.tree)?;
    let again = [false, true];
    let ways: &[bool] = match state.moment {
        Moment::Power => &again[1..],
        Moment::Process if depth.all_subsets >= DEEP.all_subsets => &again,
        // Every second one is booted, every other one meets the next command.
        Moment::Process => std::slice::from_ref(&again[(state.key / 64 % 2) as usize]),
    };
    for booted in ways {
        let node = world::node(&state.tree);
        if *booted {
            boot(&node)?
        } else {
            late(&node)?
        }
        let end = old_or_new(&node, run, *booted)?;
        if state.promised > 0 && end != run.promised {
            return Err(format!("{:?} was promised, and it is {end:?}", run.promised));
        }
    }
    Ok(())
}

/// How much was looked at, and what was wrong.
#[derive(Default)]
pub struct Found {
    pub crash_points: usize,
    pub disk_states: usize,
    pub violations: Vec<String>,
    pub seen: HashSet<u64>,
}

/// Explores, on as many threads as there are processors. What is in `known` was looked at before. Ends at the
/// first violation if `first`.
pub fn explore(run: &Run, without: Option<usize>, depth: Depth, known: &HashSet<u64>, first: bool) -> Found {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let found = Mutex::new(Found::default());
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let found = &found;
            scope.spawn(move || {
                let mut mine = Found::default();
                let done = std::cell::Cell::new(false);
                let mut seen = HashSet::new();
                let mut wants = |key: u64| {
                    !done.get() && key % threads == thread && !known.contains(&key) && seen.insert(key)
                };
                moments(&run.base, &run.events, without, depth, &mut wants, &mut |state| {
                    match state.moment {
                        Moment::Process => mine.crash_points += 1,
                        Moment::Power => mine.disk_states += 1,
                    }
                    if let Err(problem) = judge(&state, run, depth) {
                        mine.violations.push(format!("{}\n    {problem}", state.text));
                        done.set(first || mine.violations.len() > 40);
                    }
                });
                let mut all = found.lock().unwrap();
                all.crash_points += mine.crash_points;
                all.disk_states += mine.disk_states;
                all.violations.append(&mut mine.violations);
                all.seen.extend(seen);
            });
        }
    });
    found.into_inner().unwrap()
}

/// Nothing may be wrong, and no less may have been looked at than this.
pub fn explore_all(name: &str, run: &Run, depth: Depth, crash_points: usize, disk_states: usize) {
    explore_rest(name, run, depth, &HashSet::new(), crash_points, disk_states);
}

/// Every state that this recording can leave.
pub fn states(run: &Run, depth: Depth) -> HashSet<u64> {
    let mut known = HashSet::new();
    let mut wants = |key| {
        known.insert(key);
        false
    };
    moments(&run.base, &run.events, None, depth, &mut wants, &mut |_| {});
    known
}

/// The same, without what is known already.
pub fn explore_rest(
    name: &str,
    run: &Run,
    depth: Depth,
    known: &HashSet<u64>,
    crash_points: usize,
    disk_states: usize,
) {
    let started = std::time::Instant::now();
    let found = explore(run, None, depth, known, false);
    println!(
        "{name}: {} crash points, {} disk states after a power cut, {} violations, {:.1} s",
        found.crash_points,
        found.disk_states,
        found.violations.len(),
        started.elapsed().as_secs_f64()
    );
    assert!(found.violations.is_empty(), "{}", found.violations.join("\n"));
    assert!(found.crash_points >= crash_points, "{} crash points", found.crash_points);
    assert!(found.disk_states >= disk_states, "{} disk states", found.disk_states);
}
