//! The fuzzers, one after another: so many seconds each, or so many inputs (`--full`).
//!
//! libFuzzer, with the coverage flags that cargo-fuzz passes too; the pinned stable toolchain knows them. The crate
//! `fuzz/` has the targets, and replays in `cargo test` what is found here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::command::{command, on_path, show};
use crate::progress::say;
use crate::workspace::Workspace;

/// Seconds for each fuzzer, unless everything is wanted.
const SECONDS: u32 = 11;
/// Inputs for each fuzzer, if everything is wanted: ten million of what we read from our own disk, in sum, most of them
/// where an input costs least (20 µs to 800 µs); ten million for each reader of what others wrote; and the plan made of that.
const INPUTS: &[(&str, u32)] = &[
    ("manifest", 3_000_000),
    ("journal", 2_500_000),
    ("payload", 2_500_000),
    ("entries", 1_000_000),
    ("hook", 500_000),
    ("records", 300_000),
    ("status", 150_000),
    ("recovery", 100_000),
    ("answer", 10_000_000),
    ("facts", 10_000_000),
    ("observe", 10_000_000),
    ("changes", 10_000_000),
    ("json", 10_000_000),
    ("plan", 500_000),
];
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0";
/// A target of its own, so that the flags reach no build script.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds and runs every fuzzer.
pub fn run(workspace: &Workspace, full: bool) -> Result<()> {
    ensure!(on_path("c++"), "libFuzzer is C++: apt-get install g++");
    let fuzzer = build(workspace)?;
    for target in targets(workspace)? {
        let inputs = INPUTS.iter().find(|(name, _)| *name == target).map(|(_, inputs)| inputs);
        let limit = match inputs.filter(|_| full) {
            Some(inputs) => format!("-runs={inputs}"),
            None => format!("-max_total_time={SECONDS}"),
        };
        fuzz(workspace, &fuzzer, &target, &limit)?;
    }
    Ok(())
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--quiet", "--locked", "--package", "firstlight-fuzz", "--bin", "fuzz"]);
    cargo.args(["--features", "libfuzzer", "--profile", "fuzz", "--target", TARGET]).env("RUSTFLAGS", FLAGS);
    show(&mut cargo)?;
    Ok(workspace.target_directory().join(TARGET).join("fuzz/fuzz"))
}

/// Every target has a corpus of its name; a test in `fuzz/` says so.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let corpora = workspace.root.join("fuzz/corpus");
    let entries = fs::read_dir(&corpora).with_context(|| format!("reading {}", corpora.display()))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

fn fuzz(workspace: &Workspace, fuzzer: &Path, target: &str, limit: &str) -> Result<()> {
    // What covers more is kept from run to run.
    let found = workspace.vm.join("fuzz").join(target);
    let failures = workspace.root.join("fuzz/failures").join(target);
    for directory in [&found, &failures] {
        fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    }
    let mut libfuzzer: Command = command(&fuzzer.to_string_lossy(), [limit]);
    libfuzzer.env("FIRSTLIGHT_FUZZ", target).current_dir(&workspace.root);
    libfuzzer.args(["-timeout=10", "-rss_limit_mb=2048", "-max_len=2048", "-print_final_stats=1"]);
    libfuzzer.arg(format!("-artifact_prefix={}/", failures.display()));
    let dictionary = workspace.root.join("fuzz/dictionaries").join(target);
    if dictionary.is_file() {
        libfuzzer.arg(format!("-dict={}", dictionary.display()));
    }
    libfuzzer.arg(&found).arg(workspace.root.join("fuzz/corpus").join(target));
    if target == "answer" {
        libfuzzer.arg(workspace.root.join("answer-files"));
    }
    let done = libfuzzer.output();
    let done = done.with_context(|| format!("running {}", fuzzer.display()))?;
    let said = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() {
        let told = |line: &&str| {
            ["panicked at", "ERROR: libFuzzer", "Test unit written"].iter().any(|word| line.contains(word))
        };
        let lines: Vec<&str> = said.lines().filter(told).collect();
        bail!(
            "the target {target} failed; `cargo test -p firstlight-fuzz` replays the input:\n{}",
            lines.join("\n")
        );
    }
    // Without a failure there is nothing in it.
    let _ = fs::remove_dir(&failures);
    let inputs = word_after(&said, "stat::number_of_executed_units:");
    let (edges, speed) = (word_after(&said, "cov:"), word_after(&said, "stat::average_exec_per_sec:"));
    say(format_args!("{target:<10} {inputs:>9} inputs, {edges:>5} edges covered, {speed:>6} a second"));
    Ok(())
}

fn word_after<'a>(text: &'a str, name: &str) -> &'a str {
    let rest = text.rsplit_once(name).map_or("", |(_, rest)| rest);
    rest.split_whitespace().next().unwrap_or("?")
}
