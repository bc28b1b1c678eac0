//! The man pages and completions as their readers take them. That they are complete is a unit test (`src/cli/manual.rs`).

use anyhow::{Context, Result, ensure};

use crate::command::{command, show};
use crate::host;
use crate::progress::say;
use crate::workspace::Workspace;

/// With `full`, by zsh and fish, too, which hardly any machine has.
pub fn run(workspace: &Workspace, full: bool) -> Result<()> {
    host::install_for_tests(&["mandoc"])?;
    let run = |program: &str, words: &[&str]| show(command(program, words).current_dir(&workspace.root));
    run("mandoc", &["-T", "lint", "-W", "warning", "man/firstlight.8", "man/firstlight-answer.5"])?;
    run("bash", &["-n", "completions/firstlight.bash"])?;
    if !full {
        say("zsh and fish have not read their completions: `--full` installs them for it");
        return Ok(());
    }
    host::install_for_tests(&["zsh", "fish"])?;
    run("zsh", &["-n", "completions/_firstlight"])?;
    run("fish", &["--no-execute", "completions/firstlight.fish"])?;
    let ask =
        ["--no-config", "-c", "source completions/firstlight.fish; complete -C 'firstlight apply --con'"];
    let done = command("fish", ask).current_dir(&workspace.root).output().context("running fish")?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(said.starts_with("--confirm"), "fish completes `apply --con` with {said:?}");
    Ok(())
}
