//! What the binary is made of, and what becomes of it: crates, another processor, the package.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::command::{command, output, show};
use crate::host;
use crate::progress::{Step, say};
use crate::release::Release;
use crate::workspace::{TARGET, Workspace};

const DENY: &str = "0.20.2";
const AARCH64: &str = "aarch64-unknown-linux-musl";

/// cargo-deny of the version that deny.toml is written for: the one that is installed, or one made here, in a minute.
fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    let tools = workspace.vm.join("cache/tools");
    for program in [PathBuf::from("cargo-deny"), tools.join("bin/cargo-deny")] {
        let said = output(&mut command(&program.to_string_lossy(), ["--version"])).unwrap_or_default();
        if said.trim() == format!("cargo-deny {DENY}") {
            return Ok(program);
        }
    }
    let step = Step::begin(format!("cargo install cargo-deny {DENY}"));
    // Without the optimizer: it runs for a second.
    let mut install = workspace.cargo();
    install.args(["install", "cargo-deny", "--quiet", "--locked", "--debug", "--no-default-features"]);
    install.args(["--version", &format!("={DENY}"), "--root"]).arg(&tools);
    output(install.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_TARGET_DIR", tools.join("target")))?;
    step.done();
    Ok(tools.join("bin/cargo-deny"))
}

fn ask(workspace: &Workspace, which: &[&str]) -> Result<()> {
    let program = cargo_deny(workspace)?;
    let words = ["--locked", "check", "--hide-inclusion-graph"];
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

/// The binary for aarch64 builds and starts.
pub fn aarch64(workspace: &Workspace, _full: bool) -> Result<()> {
    host::prepare_target(&workspace.root, AARCH64)?;
    host::install_for_tests(&["qemu-aarch64"])?;
    let binary = workspace.build_for(AARCH64, "firstlight", "firstlight", true)?;
    let said = output(command("qemu-aarch64", [&binary]).arg("--version"))?;
    let bytes = std::fs::metadata(&binary).context("measuring the binary")?.len();
    say(format_args!("{}: {bytes} bytes, says {}", binary.display(), said.trim()));
    ensure!(said.starts_with("firstlight "), "the binary for aarch64 says {said:?}");
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
