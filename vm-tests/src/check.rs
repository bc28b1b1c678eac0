//! The checks that need no virtual machine: format, lints, unit tests, size.

mod coverage;
mod manual;
mod supply;
mod units;

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::command::show;
use crate::fuzz;
use crate::host;
use crate::progress::{Step, say};
use crate::release;
use crate::workspace::{TARGET, Workspace};

/// The release binary must stay below this, so that the answer fits beside it (design 11).
pub const SIZE_LIMIT: u64 = 983_040;

/// Tests that stop whole runs at every point.
const EXPLORATION: &str = "tests::explore::";

/// Builds that must not pass it (`src/sabotage.rs`).
const DEFECTS: [&str; 3] = ["journal-fsync", "store-directory-fsync", "account-intent"];

/// When a check runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// With `--full`, or when a filter names it.
    Full,
    /// When a filter is its whole name: it wants more of the network than packages.
    Asked,
}

/// One check: what a filter matches, and what it does.
pub struct Check {
    pub name: &'static str,
    pub title: &'static str,
    pub when: When,
    /// With `true`, everything that takes long too.
    pub run: fn(&Workspace, bool) -> Result<()>,
}

/// Every check, the quick ones first.
pub const ALL: &[Check] = &[
    Check {
        name: "fmt",
        title: "cargo fmt --check",
        when: When::Always,
        run: |workspace, _| cargo(workspace, &["fmt", "--all", "--check"]),
    },
    Check {
        name: "clippy",
        title: "cargo clippy, warnings are errors",
        when: When::Always,
        run: |workspace, _| {
            cargo(
                workspace,
                &["clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
            )
        },
    },
    Check {
        name: "unit",
        title: "cargo test (unit tests)",
        when: When::Always,
        run: |workspace, _| {
            // Codes are read back by a reader, and compared with those of another generator; filters are asked.
            host::install_for_tests(&["zbarimg", "oathtool", "fail2ban-regex"])?;
            // The exploration is the next check, which shows its figures.
            cargo(workspace, &["test", "--workspace", "--locked", "--", "--skip", EXPLORATION])
        },
    },
    Check {
        name: "conformance",
        title: "the recorded commands of PVE's own tools, against the stand-in",
        when: When::Always,
        run: |workspace, full| {
            host::install_for_tests(&["strace", "perl", "getfattr", "setfacl", "iptables-legacy", "ipset"])?;
            let mut test = vec!["test", "--package", "stand-in", "--locked", "--test", "conformance"];
            // They mount, and filter, in namespaces of their own, and need root for it.
            test.extend(["--test", "pmxcfs_recordings"]);
            if full {
                test.extend(["--test", "live_firewall"]);
            }
            test.extend(["--", "--include-ignored", "--nocapture", "--test-threads", "1"]);
            cargo(workspace, &test)?;
            against_the_stand_in(workspace)
        },
    },
    Check { name: "crash", title: "every crash and power cut of whole runs", when: When::Always, run: crash },
    Check { name: "fuzz", title: "fuzzing of everything that is read", when: When::Always, run: fuzz::run },
    Check {
        name: "units",
        title: "what the units may do, by systemd's count",
        when: When::Always,
        run: units::run,
    },
    Check {
        name: "size",
        title: "the size of the release binary",
        when: When::Always,
        run: |workspace, _| size(workspace),
    },
    Check {
        name: "manual",
        title: "man pages and completions, read by man and by the shells",
        when: When::Always,
        run: manual::run,
    },
    Check {
        name: "deny",
        title: "licences, sources and duplicates of all crates",
        when: When::Full,
        run: supply::deny,
    },
    Check {
        name: "advisories",
        title: "RustSec's advisories about all crates",
        when: When::Asked,
        run: supply::advisories,
    },
    Check {
        name: "crates",
        title: "what each crate costs in the binary",
        when: When::Full,
        run: supply::crates,
    },
    Check {
        name: "coverage",
        title: "the lines that the unit tests go through",
        when: When::Full,
        run: coverage::run,
    },
    Check {
        name: "benchmark",
        title: "snapshots beside cp, tar, rsync and git",
        when: When::Full,
        run: |workspace, _| {
            host::install_for_tests(&["rsync", "git"])?;
            cargo(workspace, &["run", "--quiet", "--release", "--locked", "--example", "snapshot_bench"])
        },
    },
    Check {
        name: "aarch64",
        title: "the release binary for aarch64",
        when: When::Full,
        run: supply::aarch64,
    },
    Check {
        name: "lintian",
        title: "the Debian package, as lintian sees it",
        when: When::Full,
        run: supply::lintian,
    },
    Check {
        name: "reproducible",
        title: "the release, built in two places",
        when: When::Full,
        run: release::reproducible,
    },
];

/// Runs a check with its time.
pub fn run(check: &Check, workspace: &Workspace, full: bool) -> Result<()> {
    let step = Step::begin(check.title);
    (check.run)(workspace, full).with_context(|| check.title.to_owned())?;
    step.done();
    Ok(())
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    show(workspace.cargo().args(arguments))
}

/// What the product does with PVE's users and factors, once more with the stand-in in the place of our own models.
fn against_the_stand_in(workspace: &Workspace) -> Result<()> {
    cargo(workspace, &["build", "--package", "stand-in", "--locked"])?;
    let test = ["test", "--package", "firstlight", "--lib", "--locked", "--", "change::pve::", "factor::"];
    let stand_in = workspace.target_directory().join("debug/stand-in");
    show(workspace.cargo().args(test).env("FIRSTLIGHT_STAND_IN", stand_in))
}

/// Explores with bounds and shows its figures; with `full` goes deep, too.
fn crash(workspace: &Workspace, full: bool) -> Result<()> {
    let test = |which: &[&str]| {
        let common = ["test", "--package", "firstlight", "--lib", "--locked"];
        cargo(workspace, &[&common[..], which, &["--nocapture"]].concat())
    };
    test(&[EXPLORATION, "--"])?;
    if !full {
        return Ok(());
    }
    negative_controls(workspace)?;
    test(&["deep_", "--", "--ignored", "--test-threads", "1"])
}

/// The exploration that a build with a defect must not pass, and one without must.
const CONTROLLED: &str = "tests::explore::runs::j3_every_crash_of_a_whole_apply_ends_old_or_new";

/// Builds with one fsync, one fsync of a directory, one intent record left out: each must go red.
fn negative_controls(workspace: &Workspace) -> Result<()> {
    let explore = |defect: &str| {
        let mut cargo = workspace.cargo();
        cargo.args([
            "test",
            "--quiet",
            "--package",
            "firstlight",
            "--lib",
            "--locked",
            "--features",
            "sabotage",
        ]);
        cargo.args(["--", CONTROLLED]).env("FIRSTLIGHT_SABOTAGE", defect);
        let done = cargo.output().context("running cargo")?;
        anyhow::Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let sound = explore("nothing")?;
    ensure!(sound.contains("1 passed; 0 failed"), "the build without a defect: {sound}");
    for defect in DEFECTS {
        let said = explore(defect)?;
        let found = said
            .lines()
            .find(|line| ["neither old", "promised", "stuck after"].iter().any(|word| line.contains(word)));
        ensure!(said.contains("0 passed; 1 failed"), "nobody notices the build without the {defect}: {said}");
        say(format_args!("without the {defect}: red, {}", found.map_or("?", str::trim)));
    }
    Ok(())
}

/// Builds the binary as it is shipped, says where it is, and refuses one that is too large.
pub fn size(workspace: &Workspace) -> Result<()> {
    say(format_args!(
        "RUSTC_BOOTSTRAP=1 cargo build --release --locked --target {TARGET} --config .cargo/release.toml"
    ));
    let binary = workspace.build("firstlight", "firstlight", true)?;
    let bytes = fs::metadata(&binary).with_context(|| format!("measuring {}", binary.display()))?.len();
    say(format_args!("{}: {bytes} bytes, {SIZE_LIMIT} are allowed", binary.display()));
    ensure!(bytes <= SIZE_LIMIT, "the release binary has {bytes} bytes, {} too many", bytes - SIZE_LIMIT);
    Ok(())
}
