//! `cargo vm test`: which checks and scenarios are wanted, on which guests, and how they ended.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::accelerator::cores;
use crate::check::{self, Check, When};
use crate::host;
use crate::image::Release;
use crate::kit::Kit;
use crate::progress::{say, seconds};
use crate::scenario::{self, Scenario};
use crate::schedule;
use crate::workspace::Workspace;

/// Scenarios at a time, where the machine has as many cores: each guest wants one of its own.
const USUAL_JOBS: usize = 2;

/// What the command line asks for.
pub struct Wanted<'a> {
    /// Everything that takes long, too, and on every guest.
    pub full: bool,
    /// The only guest.
    pub guest: Option<Release>,
    /// Scenarios at a time.
    pub jobs: Option<usize>,
    /// Names, or parts of names; all when there is none.
    pub filters: &'a [String],
}

impl Wanted<'_> {
    /// The guests, one after the other.
    fn guests(&self) -> &[Release] {
        match &self.guest {
            Some(only) => std::slice::from_ref(only),
            None if self.full => &Release::ALL,
            None => &[Release::Trixie],
        }
    }

    /// A filter that is a test's whole name means that one alone.
    fn names(&self, name: &str) -> bool {
        let holds =
            |filter: &String| if is_test(filter) { filter == name } else { name.contains(filter.as_str()) };
        self.filters.is_empty() || self.filters.iter().any(holds)
    }

    /// A filter is its whole name.
    fn asks_for(&self, name: &str) -> bool {
        self.filters.iter().any(|filter| filter == name)
    }

    fn check(&self, check: &Check) -> bool {
        match check.when {
            When::Always => self.names(check.name),
            When::Full => self.names(check.name) && (self.full || !self.filters.is_empty()),
            When::Asked => self.asks_for(check.name),
        }
    }

    /// A long one runs when it is asked for by its name, too.
    fn scenario(&self, scenario: &Scenario) -> bool {
        self.names(scenario.name) && (!scenario.long || self.full || !self.filters.is_empty())
    }
}

fn is_test(name: &str) -> bool {
    check::ALL.iter().any(|check| check.name == name)
        || scenario::ALL.iter().any(|scenario| scenario.name == name)
}

/// Names every check and scenario.
pub fn list() {
    for check in check::ALL {
        let note = match check.when {
            When::Always => "",
            When::Full => " (--full)",
            When::Asked => " (by its name alone)",
        };
        say(format_args!("{:<20} {}{note}", check.name, check.title));
    }
    for scenario in scenario::ALL {
        let note = if scenario.long { " (--full)" } else { "" };
        let needs = scenario.needs.map_or_else(String::new, |variable| format!(" (needs {variable}=…)"));
        say(format_args!("{:<20} {}{note}{needs}", scenario.name, scenario.proves));
    }
}

/// Runs what is wanted, goes on after a failure, and sums up.
pub fn run(workspace: &Workspace, wanted: &Wanted) -> ExitCode {
    let since = Instant::now();
    let mut failures: Vec<String> = Vec::new();
    let (mut passed, mut failed) = (0, 0);
    for check in check::ALL.iter().filter(|check| wanted.check(check)) {
        match check::run(check, workspace, wanted.full) {
            Ok(()) => passed += 1,
            Err(error) => {
                say(format_args!("FAILED: {error:#}"));
                failures.push(check.name.to_owned());
                failed += 1;
            }
        }
    }
    let (scenarios, impossible): (Vec<&'static Scenario>, Vec<_>) = scenario::ALL
        .iter()
        .filter(|scenario| wanted.scenario(scenario))
        .partition(|scenario| scenario.possible());
    // Whoever asks for it by its name wants it, and not a green line.
    failures.extend(
        impossible
            .iter()
            .filter(|scenario| wanted.asks_for(scenario.name))
            .map(|scenario| scenario.name.to_owned()),
    );
    for (number, guest) in wanted.guests().iter().enumerate() {
        let here: Vec<&'static Scenario> =
            scenarios.iter().copied().filter(|scenario| number == 0 || !scenario.once).collect();
        let results = run_scenarios(workspace, wanted, *guest, &here).unwrap_or_else(|error| {
            say(format_args!("FAILED: {error:#}"));
            Vec::new()
        });
        let good = results.iter().filter(|result| result.passed).count();
        (passed, failed) = (passed + good, failed + here.len() - good);
        let bad = results.iter().filter(|result| !result.passed);
        failures.extend(bad.map(|result| format!("{} ({})", result.name, guest.title())));
    }
    for scenario in &impossible {
        let variable = scenario.needs.unwrap_or_default();
        say(format_args!("NOT RUN: {} ({}): it needs {variable}=…", scenario.name, scenario.proves));
    }
    if !failures.is_empty() {
        say(format_args!("\nfailed: {}", failures.join(", ")));
    }
    say(format_args!("total time: {}", seconds(since.elapsed())));
    let skipped = match impossible.len() {
        0 => String::new(),
        count => format!(", {count} skipped"),
    };
    say(format_args!("vm-tests: {passed} passed, {failed} failed{skipped}"));
    if failures.is_empty() && failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Makes what all scenarios need, runs them on guests of one release, and says how they ended.
fn run_scenarios(
    workspace: &Workspace,
    wanted: &Wanted,
    guest: Release,
    scenarios: &[&'static Scenario],
) -> Result<Vec<schedule::Ended>> {
    if scenarios.is_empty() {
        return Ok(Vec::new());
    }
    // Whatever ran before has left files of the same names.
    workspace.empty_run_directory()?;
    host::prepare()?;
    let jobs = wanted.jobs.unwrap_or_else(|| cores().min(USUAL_JOBS)).min(scenarios.len());
    let kit = Arc::new(Kit::new(workspace, jobs, guest));
    kit.image()?;
    kit.payload()?;
    let since = Instant::now();
    let results = schedule::run(&kit, scenarios);
    say("");
    for result in &results {
        let outcome = if result.passed { "ok" } else { "FAILED" };
        say(format_args!("{:<22} {outcome:<7} {}", result.name, seconds(result.took)));
    }
    let sum: Duration = results.iter().map(|result| result.took).sum();
    say(format_args!(
        "{} scenarios on {}, {jobs} at a time: {} (one after the other {})",
        results.len(),
        guest.title(),
        seconds(since.elapsed()),
        seconds(sum)
    ));
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_part_of_names_or_the_name_of_one_test() {
        let chosen = |filter: &str| {
            let filters = [filter.to_owned()];
            let wanted = Wanted { full: false, guest: None, jobs: None, filters: &filters };
            scenario::ALL.iter().filter(|scenario| wanted.scenario(scenario)).count()
        };
        assert_eq!((chosen("confirm"), chosen("confirm-"), chosen("onfirm")), (1, 2, 3));
    }

    #[test]
    fn everything_is_run_on_both_releases_of_debian_and_the_usual_run_on_the_newer() {
        let wanted = |full, guest| Wanted { full, guest, jobs: None, filters: &[] };
        assert_eq!(wanted(true, None).guests(), [Release::Trixie, Release::Bookworm]);
        assert_eq!(wanted(false, None).guests(), [Release::Trixie]);
        assert_eq!(wanted(true, Some(Release::Bookworm)).guests(), [Release::Bookworm]);
        // Whatever needs a guest at all is run on both.
        let once = scenario::ALL.iter().filter(|scenario| scenario.once).map(|scenario| scenario.name);
        assert_eq!(once.collect::<Vec<_>>(), ["iso", "iso-pve"]);
    }
}
