//! What the binary is made of, and what becomes of it: crates, another processor, the package.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::command::{command, output, show};
use crate::host;
use crate::progress::{Step, say};
use crate::release::Release;
use crate::workspace::{TARGET, Workspace};

/// The version that deny.toml is written for.
const DENY: &str = "0.20.2";
const BLOAT: &str = "0.12.1";
const AARCH64: &str = "aarch64-unknown-linux-musl";

/// A subcommand of cargo in this version: the one that is installed, or one made here, in a minute.
fn tool(workspace: &Workspace, name: &str, version: &str) -> Result<PathBuf> {
    let tools = workspace.vm.join("cache/tools");
    for program in [PathBuf::from(name), tools.join("bin").join(name)] {
        let mut ask = command(&program.to_string_lossy(), [name.trim_start_matches("cargo-"), "--version"]);
        let said = output(&mut ask).unwrap_or_default();
        if said.split_whitespace().next_back() == Some(version) {
            return Ok(program);
        }
    }
    let step = Step::begin(format!("cargo install {name} {version}"));
    // Without the optimizer: it runs for a second.
    let mut install = workspace.cargo();
    install.args(["install", name, "--quiet", "--locked", "--debug", "--no-default-features"]);
    install.args(["--version", &format!("={version}"), "--root"]).arg(&tools);
    output(install.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_TARGET_DIR", tools.join("target")))?;
    step.done();
    Ok(tools.join("bin").join(name))
}

fn ask(workspace: &Workspace, which: &[&str]) -> Result<()> {
    let program = tool(workspace, "cargo-deny", DENY)?;
    let words = ["deny", "--locked", "check", "--hide-inclusion-graph"];
    let mut ask = command(&program.to_string_lossy(), words);
    show(ask.args(which).current_dir(&workspace.root))
}

/// Licences, duplicates and sources of every crate of the workspace.
pub fn deny(workspace: &Workspace, _full: bool) -> Result<()> {
    ask(workspace, &["licenses", "bans", "sources"])?;
    say("advisories were NOT looked for: `cargo vm test advisories` does, where GitHub can be reached");
    Ok(())
}

/// Known holes, unmaintained and withdrawn crates. RustSec's database lies at GitHub.
pub fn advisories(workspace: &Workspace, _full: bool) -> Result<()> {
    ask(workspace, &["advisories"])
        .context("without RustSec's database nobody knows; docs/release.md says how to use a copy of it")
}

/// The binary for aarch64 builds and starts, and its release is made.
pub fn aarch64(workspace: &Workspace, _full: bool) -> Result<()> {
    host::prepare_target(&workspace.root, AARCH64)?;
    host::install_for_tests(&["qemu-aarch64"])?;
    let binary = workspace.build_for(AARCH64, "firstlight", "firstlight", true)?;
    let said = output(command("qemu-aarch64", [&binary]).arg("--version"))?;
    let bytes = std::fs::metadata(&binary).context("measuring the binary")?.len();
    say(format_args!("{}: {bytes} bytes, says {}", binary.display(), said.trim()));
    ensure!(said.starts_with("firstlight "), "the binary for aarch64 says {said:?}");
    let made = Release::of(workspace, AARCH64)?.make(&workspace.run_directory().join("aarch64"))?;
    let about = output(command("dpkg-deb", ["--field"]).arg(&made.package).arg("Architecture"))?;
    ensure!(about.trim() == "arm64", "the package is for {about}");
    Ok(())
}

/// lintian finds nothing in the package but what is overridden with a reason.
pub fn lintian(workspace: &Workspace, _full: bool) -> Result<()> {
    host::install_for_tests(&["lintian"])?;
    let out = workspace.run_directory().join("lintian");
    let made = Release::of(workspace, TARGET)?.make(&out)?;
    let mut lintian = command("lintian", ["--fail-on", "error,warning,info", "--info", "--allow-root"]);
    show(lintian.arg(&made.package))?;
    say(format_args!("lintian has nothing to say of {}", made.package.display()));
    Ok(())
}

/// What each crate costs in the binary, by the code that is left of it.
pub fn crates(workspace: &Workspace, _full: bool) -> Result<()> {
    let program = tool(workspace, "cargo-bloat", BLOAT)?;
    let mut bloat =
        command(&program.to_string_lossy(), ["bloat", "--release", "--crates", "--target", TARGET]);
    bloat.args(["--config", ".cargo/release.toml", "--config", "profile.release.strip=false"]);
    // Elsewhere: the binary with its symbols is not the one that is shipped.
    bloat.env("CARGO_TARGET_DIR", workspace.target_directory().join("bloat"));
    let said = output(bloat.env("RUSTC_BOOTSTRAP", "1").current_dir(&workspace.root))?;
    say(said.trim_end());
    ensure!(
        said.lines().any(|line| line.trim_end().ends_with(" firstlight")),
        "cargo-bloat names no crate of ours"
    );
    Ok(())
}
