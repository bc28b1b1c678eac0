//! The command line: `build`, `demo`, `test`, `shell`.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lexopt::Arg;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::bench::Bench;
use crate::check;
use crate::host;
use crate::network;
use crate::progress::{say, seconds};
use crate::scenario::{self, Scenario};
use crate::workspace::Workspace;

const USAGE: &str = "\
usage: cargo vm build                        build the static binary as it is shipped
       cargo vm demo [--no-wait]             show the first boot of a throw-away node
       cargo vm test [--full] [FILTER…]      run every test, or those whose names hold a filter
       cargo vm test --list                  name them
       cargo vm shell [--hardened]           boot a node and log in as root
";

/// Reads the command line and does what it says.
pub fn run() -> Result<ExitCode> {
    let mut arguments = lexopt::Parser::from_env();
    let (mut words, mut flags) = (Vec::new(), Vec::new());
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Value(value) => words.push(value.to_string_lossy().into_owned()),
            Arg::Short('h') | Arg::Long("help") => {
                say(USAGE.trim_end());
                return Ok(ExitCode::SUCCESS);
            }
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
        "test" => with_bench(|bench| Ok(test(bench, has("full"), filters))),
        "build" => {
            let workspace = Workspace::find()?;
            host::prepare_toolchain(&workspace.root)?;
            check::size(&workspace)?;
            Ok(ExitCode::SUCCESS)
        }
        "demo" => with_bench(|bench| crate::demo::demo(bench, !has("no-wait"))),
        "shell" => with_bench(|bench| crate::demo::shell(bench, has("hardened"))),
        other => bail!("there is no command `{other}`\n{}", USAGE.trim_end()),
    }
}

fn with_bench(act: impl FnOnce(&mut Bench) -> Result<ExitCode>) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    workspace.sweep()?;
    clean_up_on_signal(&workspace)?;
    host::prepare_toolchain(&workspace.root)?;
    let code = act(&mut Bench::new(&workspace));
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
        say(format_args!("{:<20} {}", check.name, check.title));
    }
    for scenario in scenario::ALL {
        let note = if scenario.long { " (--full)" } else { "" };
        say(format_args!("{:<20} {}{note}", scenario.name, scenario.proves));
    }
}

fn test(bench: &mut Bench, full: bool, filters: &[String]) -> ExitCode {
    let since = Instant::now();
    let chosen =
        |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let mut failures = Vec::new();
    for check in check::ALL.iter().filter(|check| chosen(check.name)) {
        if let Err(error) = check::run(check, bench.workspace(), full) {
            say(format_args!("FAILED: {error:#}"));
            failures.push(check.name);
        }
    }
    // A long one runs when it is asked for by its name, too.
    let wanted =
        |scenario: &&Scenario| chosen(scenario.name) && (!scenario.long || full || !filters.is_empty());
    let scenarios: Vec<&Scenario> = scenario::ALL.iter().filter(wanted).collect();
    let mut failed = scenarios.len();
    let mut passed = 0;
    if scenarios.is_empty() {
        failed = 0;
    } else if let Err(error) = host::prepare() {
        say(format_args!("FAILED: {error:#}"));
    } else {
        let tally = scenario::run(bench, &scenarios);
        passed = tally.passed;
        failed = tally.failed.len();
        failures.extend(tally.failed);
    }
    if !failures.is_empty() {
        say(format_args!("\nfailed: {}", failures.join(", ")));
    }
    say(format_args!("total time: {}", seconds(since.elapsed())));
    say(format_args!("vm-tests: {passed} passed, {failed} failed"));
    if failures.is_empty() && failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
