//! Who runs what: workers take scenarios from one queue, each in its own bench.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::kit::{Kit, State};
use crate::progress::{label, say, seconds};
use crate::scenario::Scenario;

/// What became of one scenario.
pub struct Ended {
    pub name: &'static str,
    pub passed: bool,
    pub took: Duration,
}

/// Runs the chosen scenarios, each from its own kept state, and goes on after a failure.
pub fn run(kit: &Arc<Kit>, chosen: &[&'static Scenario]) -> Vec<Ended> {
    let queue = Queue::new(chosen);
    std::thread::scope(|scope| {
        for worker in 1..=kit.jobs {
            let queue = &queue;
            scope.spawn(move || work(kit, worker, queue));
        }
    });
    let mut results = queue.into_results();
    results.sort_by_key(|result| chosen.iter().position(|scenario| scenario.name == result.name));
    results
}

/// One worker's life. A guest dies with the thread that started it, so the bench never leaves it.
fn work(kit: &Arc<Kit>, worker: usize, queue: &Queue) {
    let mut bench = Bench::new(kit, worker);
    while let Some(job) = queue.next() {
        if kit.jobs > 1 {
            label(job.scenario.name);
        }
        say(format_args!(
            "\n[{}/{}] {}: {}",
            job.number, queue.total, job.scenario.name, job.scenario.proves
        ));
        let since = Instant::now();
        if let Some(state) = job.makes {
            // Whatever it brings, the scenario meets it again when it asks for the state.
            let _ = bench.prepare(state);
            queue.made(state);
        }
        let passed = one(&mut bench, job.scenario, since);
        queue.ended(Ended { name: job.scenario.name, passed, took: since.elapsed() });
    }
}

fn one(bench: &mut Bench, scenario: &Scenario, since: Instant) -> bool {
    let error = match (scenario.run)(bench) {
        Ok(()) => {
            say(format_args!("  passed: {} ({})", scenario.name, seconds(since.elapsed())));
            return true;
        }
        Err(error) => error,
    };
    say(format_args!("  FAILED: {} ({}): {error:#}", scenario.name, seconds(since.elapsed())));
    match bench.keep_evidence(scenario.name) {
        Ok(place) => say(format_args!("  serial log, journal and status are in {}", place.display())),
        Err(error) => say(format_args!("  evidence could not be kept: {error:#}")),
    }
    false
}

/// A scenario for a worker.
struct Job {
    scenario: &'static Scenario,
    /// Its place in the order in which they begin.
    number: usize,
    /// The state that it is the first to need.
    makes: Option<State>,
}

/// The scenarios that nobody has begun yet, and the states they wait for.
struct Queue {
    total: usize,
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    waiting: Vec<&'static Scenario>,
    begun: Vec<State>,
    made: Vec<State>,
    results: Vec<Ended>,
}

impl Queue {
    fn new(chosen: &[&'static Scenario]) -> Self {
        let inner =
            Inner { waiting: chosen.to_vec(), begun: Vec::new(), made: Vec::new(), results: Vec::new() };
        Self { total: chosen.len(), inner: Mutex::new(inner), changed: Condvar::new() }
    }

    /// The next scenario whose state is there or still to be made; waits while others make what is left.
    fn next(&self) -> Option<Job> {
        let mut inner = self.lock();
        loop {
            if inner.waiting.is_empty() {
                return None;
            }
            if let Some(at) = inner.waiting.iter().position(|scenario| inner.may_begin(scenario)) {
                let scenario = inner.waiting.remove(at);
                let makes = scenario.state.filter(|state| !inner.begun.contains(state));
                inner.begun.extend(makes);
                return Some(Job { scenario, number: self.total - inner.waiting.len(), makes });
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn made(&self, state: State) {
        self.lock().made.push(state);
        self.changed.notify_all();
    }

    fn ended(&self, result: Ended) {
        self.lock().results.push(result);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_results(self) -> Vec<Ended> {
        self.inner.into_inner().unwrap_or_else(PoisonError::into_inner).results
    }
}

impl Inner {
    fn may_begin(&self, scenario: &Scenario) -> bool {
        scenario.state.is_none_or(|state| self.made.contains(&state) || !self.begun.contains(&state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static FIRST: Scenario = scenario("first", Some(State::Fresh));
    static SECOND: Scenario = scenario("second", Some(State::Fresh));
    static OTHER: Scenario = scenario("other", Some(State::Committed));
    static OWN: Scenario = scenario("own", None);

    const fn scenario(name: &'static str, state: Option<State>) -> Scenario {
        Scenario { name, proves: "", long: false, needs: None, once: false, state, run: |_| Ok(()) }
    }

    fn taken(queue: &Queue) -> (&'static str, Option<State>) {
        let job = queue.next().unwrap();
        (job.scenario.name, job.makes)
    }

    #[test]
    fn a_state_is_made_once_and_nobody_waits_for_it_while_there_is_other_work() {
        let queue = Queue::new(&[&FIRST, &SECOND, &OTHER, &OWN]);
        assert_eq!(taken(&queue), ("first", Some(State::Fresh)));
        assert_eq!(taken(&queue), ("other", Some(State::Committed)));
        assert_eq!(taken(&queue), ("own", None));
        queue.made(State::Fresh);
        assert_eq!(taken(&queue), ("second", None));
        assert!(queue.next().is_none());
    }
}
