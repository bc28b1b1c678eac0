//! What is tested: the release binary and the first-boot executable baked from the example answer.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::{command, output};
use crate::progress::Step;
use crate::workspace::{KeyPair, Workspace};

/// The admin's password in every answer of the harness.
pub const ADMIN_PASSWORD: &str = "not a secret";
/// Its hash, as an operator would write it into an answer.
pub const ADMIN_PASSWORD_HASH: &str = "$y$j9T$firstlighttests0$.nZVLJ5vru7KrfpQ1yl5Pj1FTAqrGOXTnwWL0Di798C";
/// The name of the admin's token in the answer with PVE's firewall.
pub const TOKEN: &str = "ansible";
/// The admin's name in the example.
pub const ADMIN: &str = "ops";

/// Everything a scenario brings to a node.
pub struct Payload {
    /// The plain release binary.
    pub binary: PathBuf,
    /// The executable PVE's installer would leave on the node.
    pub first_boot: PathBuf,
    /// The answer it was baked from.
    pub answer: PathBuf,
    /// The same two for a node of PVE, with PVE's own firewall and a token.
    pub pve: (PathBuf, PathBuf),
    /// The same two for a run on the host's own kernel, which is not ours to set, and where no service really runs.
    pub native: (PathBuf, PathBuf),
    /// The admin's key pair.
    pub admin_key: KeyPair,
}

impl Payload {
    /// Builds the product and bakes the example answer with a throw-away key and a known password.
    pub fn make(workspace: &Workspace) -> Result<Self> {
        let step = Step::begin("building the static release binary");
        let binary = workspace.build("firstlight", "firstlight", true)?;
        step.done();
        let admin_key = workspace.key("admin")?;
        let step = Step::begin("baking the answers into first-boot executables");
        let ufw = example(workspace, "ufw", &admin_key.public)?;
        let (first_boot, answer) = baked(workspace, &binary, "ufw", &ufw)?;
        let pve = with_token(&example(workspace, "pve", &admin_key.public)?)?;
        let pve = baked(workspace, &binary, "pve", &pve)?;
        let native = ufw + &without(&["kernel", "services", "apparmor", "fail2ban"]);
        let native = baked(workspace, &binary, "native", &native)?;
        step.done();
        Ok(Self { binary, first_boot, answer, pve, native, admin_key })
    }
}

/// The example of this name with our key and our password.
pub fn example(workspace: &Workspace, name: &str, key: &str) -> Result<String> {
    let example = workspace.root.join(format!("answer-files/{name}.toml"));
    personal(&fs::read_to_string(&example).with_context(|| format!("reading {}", example.display()))?, key)
}

/// The first-boot executable of an answer, and the file that the answer is in.
fn baked(workspace: &Workspace, binary: &Path, name: &str, text: &str) -> Result<(PathBuf, PathBuf)> {
    let directory = workspace.run_directory().join("baked").join(name);
    fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
    let answer = directory.join(format!("{name}.toml"));
    fs::write(&answer, text).context("writing the answer with our key")?;
    bake(binary, &answer, &directory)?;
    Ok((directory.join("first-boot"), answer))
}

/// The example with a token for programs, a second device, a realm that demands a factor, and without the packages that
/// take most of a run's time: they are those of a node with UFW.
fn with_token(text: &str) -> Result<String> {
    let text = with_value(text, "sudo", &format!("\"password\"\napi-token = \"{TOKEN}\""))
        .context("the example has no sudo")?;
    let text = format!("{text}\n[firstlight.totp]\nsecond-device = true\nenforced-realms = [\"pam\"]\n");
    Ok(text + &without(&["fail2ban", "updates", "repositories"]))
}

/// Tables that switch these areas off. The sources of Proxmox are on the Internet, which a guest does not have.
pub fn without(areas: &[&str]) -> String {
    areas.iter().map(|area| format!("\n[firstlight.{area}]\nenabled = false\n")).collect()
}

/// Splits an answer into the installer's part and the first-boot executable.
fn bake(binary: &Path, answer: &Path, directory: &Path) -> Result<()> {
    output(command(&binary.display().to_string(), ["bake"]).arg(answer).arg("--out").arg(directory)).map(drop)
}

/// The example with our key and our password in the place of its own.
fn personal(example: &str, key: &str) -> Result<String> {
    let text =
        with_value(example, "ssh-keys", &format!("[\"{key}\"]")).context("the example has no ssh-keys")?;
    with_value(&text, "password-hash", &format!("\"{ADMIN_PASSWORD_HASH}\""))
        .context("the example has no password-hash")
}

/// Replaces the value of the first line `KEY = VALUE`; a list may stretch over lines.
fn with_value(text: &str, key: &str, value: &str) -> Result<String> {
    let mut result = String::new();
    let mut lines = text.lines();
    let mut found = false;
    while let Some(line) = lines.next() {
        let matches = line.split_once('=').is_some_and(|(name, _)| name.trim() == key);
        if found || !matches {
            result.push_str(line);
            result.push('\n');
            continue;
        }
        found = true;
        let mut old = line.split_once('=').map(|(_, old)| old.to_owned()).unwrap_or_default();
        while old.matches('[').count() > old.matches(']').count() {
            old.push_str(lines.next().context("a list without an end")?);
        }
        result.push_str(&format!("{key} = {value}\n"));
    }
    if !found {
        bail!("no line `{key} = …`");
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_over_several_lines_is_replaced_whole() {
        let text = "a = 1\nssh-keys = [\n  \"x\",\n]\nb = 2\n";
        assert_eq!(with_value(text, "ssh-keys", "[\"y\"]").unwrap(), "a = 1\nssh-keys = [\"y\"]\nb = 2\n");
    }

    #[test]
    fn comments_and_longer_names_stay() {
        let text = "# ssh-keys = [\"z\"]\nroot-ssh-keys = []\nssh-keys = []\n";
        assert!(
            with_value(text, "ssh-keys", "[1]").unwrap().ends_with("root-ssh-keys = []\nssh-keys = [1]\n")
        );
        assert!(with_value("a = 1\n", "ssh-keys", "[]").is_err());
    }
}
