//! How much of the program the unit tests go through, without the exploration of crashes, which would take hours so.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::EXPLORATION;
use crate::command::{command, on_path, output};
use crate::progress::say;
use crate::workspace::Workspace;

/// Percent of the lines of `src/`, tests left out.
const LEAST: f64 = 90.0;
/// What is told beside the whole: the engine, and the seams to others.
const PARTS: &[&str] = &["transaction", "change", "manifest", "observe", "node", "answer", "areas", "totp"];
/// Explorations that have another name.
const LONG: &str = "faults::j3_every";

/// Runs the tests of a build that counts, and tells the lines that were reached.
pub fn run(workspace: &Workspace, _full: bool) -> Result<()> {
    // Without rustup the toolchain may have them.
    if on_path("rustup") {
        output(command("rustup", ["component", "add", "llvm-tools"]).current_dir(&workspace.root))?;
    }
    let tools = llvm(workspace)?;
    let place = workspace.run_directory().join("coverage");
    let mut test = workspace.cargo();
    test.args(["test", "--lib", "--locked", "--package", "firstlight", "--message-format", "json"]);
    test.args(["--", "--skip", EXPLORATION, "--skip", LONG]);
    test.env("RUSTFLAGS", "-Cinstrument-coverage").env("LLVM_PROFILE_FILE", place.join("%p-%4m.profraw"));
    // A build of its own: the other tests are not built anew afterwards.
    test.env("CARGO_TARGET_DIR", workspace.target_directory().join("coverage"));
    let said = output(&mut test)?;
    let program = tested(&said).context("cargo names no program of the unit tests")?;
    let data = place.join("all.profdata");
    let mut merge = command(&tools.join("llvm-profdata").to_string_lossy(), ["merge", "-sparse"]);
    for entry in std::fs::read_dir(&place).with_context(|| format!("reading {}", place.display()))?.flatten()
    {
        merge.arg(entry.path());
    }
    output(merge.arg("-o").arg(&data))?;
    let mut export = command(&tools.join("llvm-cov").to_string_lossy(), ["export", "--summary-only"]);
    let found = output(export.arg(&program).arg(format!("-instr-profile={}", data.display())))?;
    let files = lines(&serde_json::from_str(&found).context("reading llvm-cov")?, &workspace.root);
    let whole = told("src/", &files);
    for part in PARTS {
        told(&format!("src/{part}"), &files);
    }
    ensure!(whole >= LEAST, "{whole:.1} % of the lines are covered, and not {LEAST} %");
    Ok(())
}

/// The tools of the toolchain that compiles.
fn llvm(workspace: &Workspace) -> Result<PathBuf> {
    let ask = |words: &[&str]| output(command("rustc", words).current_dir(&workspace.root));
    let root = ask(&["--print", "sysroot"])?;
    let version = ask(&["--version", "--verbose"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    Ok(Path::new(root.trim()).join("lib/rustlib").join(host).join("bin"))
}

/// The program that cargo has built and run.
fn tested(said: &str) -> Option<String> {
    let messages = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.filter_map(|message| Some(message["executable"].as_str()?.to_owned())).next_back()
}

/// Each file of ours, with its lines and those that were reached; a file that holds tests alone is none of ours.
fn lines(report: &Value, root: &Path) -> Vec<(String, u64, u64)> {
    let mut found = Vec::new();
    for file in report["data"][0]["files"].as_array().into_iter().flatten() {
        let name = Path::new(file["filename"].as_str().unwrap_or_default());
        let name = name.strip_prefix(root).unwrap_or(name).to_string_lossy().into_owned();
        let count = |word: &str| file["summary"]["lines"][word].as_u64().unwrap_or_default();
        if name.starts_with("src/") && !name.contains("/tests") {
            found.push((name, count("count"), count("covered")));
        }
    }
    found
}

/// Says what was reached below a path, and returns it in percent.
fn told(below: &str, files: &[(String, u64, u64)]) -> f64 {
    let (mut all, mut reached) = (0, 0);
    for (_, lines, covered) in files.iter().filter(|(name, ..)| name.starts_with(below)) {
        (all, reached) = (all + lines, reached + covered);
    }
    let percent = if all == 0 { 0.0 } else { 100.0 * reached as f64 / all as f64 };
    say(format_args!("{below:<18} {percent:>5.1} % of {all} lines"));
    percent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_tests_and_of_others_are_left_out() {
        let file = |name: &str, count: u64, covered: u64| serde_json::json!({ "filename": name, "summary": { "lines": { "count": count, "covered": covered } } });
        let report = serde_json::json!({ "data": [{ "files": [
            file("/p/src/node/machine.rs", 30, 20), file("/p/src/node.rs", 10, 10),
            file("/p/src/node/tests.rs", 99, 0), file("/r/vec.rs", 99, 0),
        ] }] });
        let files = lines(&report, Path::new("/p"));
        assert_eq!((told("src/", &files), told("src/node/", &files)), (75.0, 200.0 / 3.0));
        assert_eq!(told("src/none", &files), 0.0);
    }
}
