//! The command line: `build`, `image`, `demo`, `test`, `shell`, `release`, `scores`, `budgets`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lexopt::Arg;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::accelerator::cores;
use crate::bench::Bench;
use crate::check::{self, Check, When};
use crate::host;
use crate::image::{Image, Release};
use crate::kit::Kit;
use crate::network;
use crate::progress::{say, seconds};
use crate::release;
use crate::scenario::{self, Scenario};
use crate::schedule;
use crate::unprivileged::is_real_root;
use crate::workspace::{TARGET, Workspace};

const USAGE: &str = "\
usage: cargo vm build                        build the static binary as it is shipped
       cargo vm image [RELEASE]              make the guest image of trixie or bookworm, and say where it is;
                                             root is not needed
       cargo vm demo [--no-wait]             show the first boot of a throw-away node
       cargo vm test [--full] [--jobs N] [FILTER…]
                                             run every test, or those whose names hold a filter,
                                             N scenarios at a time (two, or one on a single core)
       cargo vm test --list                  name them
       cargo vm shell [--hardened]           boot a node and log in as root
       cargo vm release [--target TARGET] [--out DIR]
                                             make tarball, Debian package, bill of materials and checksums
       cargo vm budgets                      size, start, processor time and memory beside what they may be
       cargo vm scores                       what ssh-audit, lynis and our audit say of a node before and after
";

/// Scenarios at a time, where the machine has as many cores: each guest wants one of its own.
const USUAL_JOBS: usize = 2;
const MOST_JOBS: usize = 16;

/// Reads the command line and does what it says.
pub fn run() -> Result<ExitCode> {
    let mut arguments = lexopt::Parser::from_env();
    let (mut words, mut flags, mut jobs) = (Vec::new(), Vec::new(), None);
    let (mut target, mut out) = (TARGET.to_owned(), None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Value(value) => words.push(value.to_string_lossy().into_owned()),
            Arg::Short('h') | Arg::Long("help") => {
                say(USAGE.trim_end());
                return Ok(ExitCode::SUCCESS);
            }
            Arg::Short('j') | Arg::Long("jobs") => jobs = Some(read_jobs(arguments.value()?)?),
            Arg::Long("target") => target = arguments.value()?.to_string_lossy().into_owned(),
            Arg::Long("out") => out = Some(PathBuf::from(arguments.value()?)),
            Arg::Long(flag @ ("full" | "list" | "no-wait" | "hardened")) => flags.push(flag.to_owned()),
            other => return Err(other.unexpected().into()),
        }
    }
    let has = |name: &str| flags.iter().any(|flag| flag == name);
    let (name, filters) = words.split_first().context(USAGE.trim_end())?;
    match name.as_str() {
        "test" if has("list") => {
            list();
            Ok(ExitCode::SUCCESS)
        }
        "test" => in_workspace(|workspace| Ok(test(workspace, has("full"), jobs, filters))),
        "build" => {
            let workspace = Workspace::find()?;
            host::prepare_toolchain(&workspace.root)?;
            check::size(&workspace)?;
            Ok(ExitCode::SUCCESS)
        }
        "release" => {
            let workspace = Workspace::find()?;
            host::prepare_toolchain(&workspace.root)?;
            let out = out.unwrap_or_else(|| workspace.target_directory().join("dist"));
            release::run(&workspace, &target, &out)?;
            Ok(ExitCode::SUCCESS)
        }
        "image" => {
            let release = read_release(filters)?;
            host::prepare_image()?;
            in_workspace(|workspace| image(workspace, release))
        }
        "demo" => with_bench(|bench| crate::demo::demo(bench, !has("no-wait"))),
        "budgets" => with_bench(crate::budgets::print),
        "scores" => with_bench(crate::scores::print),
        "shell" => with_bench(|bench| crate::demo::shell(bench, has("hardened"))),
        other => bail!("there is no command `{other}`\n{}", USAGE.trim_end()),
    }
}

fn read_jobs(value: OsString) -> Result<usize> {
    let text = value.to_string_lossy();
    match text.parse() {
        Ok(jobs @ 1..=MOST_JOBS) => Ok(jobs),
        _ => bail!("--jobs {text}: a number from 1 to {MOST_JOBS} is wanted"),
    }
}

fn read_release(words: &[String]) -> Result<Release> {
    match words {
        [] => Ok(Release::Trixie),
        [word] => [Release::Trixie, Release::Bookworm]
            .into_iter()
            .find(|release| release.codename() == word)
            .with_context(|| format!("there is no image of `{word}`: trixie or bookworm is wanted")),
        _ => bail!("one release at a time\n{}", USAGE.trim_end()),
    }
}

/// Makes an image, or finds it made, and says where it lies.
fn image(workspace: &Workspace, release: Release) -> Result<ExitCode> {
    let image = Image::obtain(workspace, release)?;
    say(format_args!(
        "the guest image ({}):\n  disk    {}\n  kernel  {}\n  initrd  {}",
        release.codename(),
        image.disk.display(),
        image.kernel.display(),
        image.initrd.display()
    ));
    Ok(ExitCode::SUCCESS)
}

fn with_bench(act: impl FnOnce(&mut Bench) -> Result<ExitCode>) -> Result<ExitCode> {
    in_workspace(|workspace| act(&mut Bench::new(&Arc::new(Kit::new(workspace, 1)), 1)))
}

fn in_workspace(act: impl FnOnce(&Workspace) -> Result<ExitCode>) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    workspace.sweep()?;
    if is_real_root() {
        // Nobody else has any, or may remove them.
        network::sweep()?;
    }
    clean_up_on_signal(&workspace)?;
    host::prepare_toolchain(&workspace.root)?;
    let code = act(&workspace);
    // Whatever is left is swept by the next run.
    let _ = std::fs::remove_dir_all(workspace.run_directory());
    code
}

/// Ctrl-C ends guests and namespaces too; the guests die with us.
fn clean_up_on_signal(workspace: &Workspace) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("listening for signals")?;
    let directory = workspace.run_directory();
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            network::remove_own();
            let _ = std::fs::remove_dir_all(&directory);
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

fn list() {
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

fn test(workspace: &Workspace, full: bool, jobs: Option<usize>, filters: &[String]) -> ExitCode {
    let since = Instant::now();
    let chosen =
        |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let mut failures = Vec::new();
    let wanted = |check: &&Check| match check.when {
        When::Always => chosen(check.name),
        When::Full => chosen(check.name) && (full || !filters.is_empty()),
        When::Asked => filters.iter().any(|filter| filter == check.name),
    };
    for check in check::ALL.iter().filter(wanted) {
        if let Err(error) = check::run(check, workspace, full) {
            say(format_args!("FAILED: {error:#}"));
            failures.push(check.name);
        }
    }
    // A long one runs when it is asked for by its name, too.
    let wanted =
        |scenario: &&Scenario| chosen(scenario.name) && (!scenario.long || full || !filters.is_empty());
    let (scenarios, impossible): (Vec<&'static Scenario>, Vec<_>) =
        scenario::ALL.iter().filter(wanted).partition(|scenario| scenario.possible());
    // Whoever asks for it by its name wants it, and not a green line.
    failures.extend(
        impossible
            .iter()
            .map(|scenario| scenario.name)
            .filter(|name| filters.iter().any(|filter| filter == name)),
    );
    let jobs = jobs.unwrap_or_else(|| cores().min(USUAL_JOBS)).min(scenarios.len());
    let (mut passed, mut failed) = (0, scenarios.len());
    if !scenarios.is_empty() {
        match run_scenarios(workspace, jobs, &scenarios) {
            Ok(results) => {
                passed = results.iter().filter(|result| result.passed).count();
                failed = scenarios.len() - passed;
                failures.extend(results.iter().filter(|result| !result.passed).map(|result| result.name));
            }
            Err(error) => say(format_args!("FAILED: {error:#}")),
        }
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

/// Makes what all scenarios need, runs them, and says how they ended.
fn run_scenarios(
    workspace: &Workspace,
    jobs: usize,
    scenarios: &[&'static Scenario],
) -> Result<Vec<schedule::Ended>> {
    host::prepare()?;
    let kit = Arc::new(Kit::new(workspace, jobs));
    kit.image(Release::Trixie)?;
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
        "{} scenarios, {jobs} at a time: {} (one after the other {})",
        results.len(),
        seconds(since.elapsed()),
        seconds(sum)
    ));
    Ok(results)
}
