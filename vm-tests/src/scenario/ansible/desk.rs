//! The machine that Ansible runs on: ansible-core from the Python registry, the playbook, an inventory.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::command::{command, output};
use crate::host;
use crate::progress::Step;
use crate::workspace::Workspace;

/// Of a version that works with the Python of Debian 12 and 13.
const ANSIBLE: &str = "ansible-core==2.19.14";

/// A node as the inventory has it.
pub struct Host {
    pub name: &'static str,
    /// `key=value`.
    pub variables: Vec<String>,
}

/// A copy of `iso-hooks/ansible/` with our inventory and answers.
pub struct Desk {
    directory: tempfile::TempDir,
    packages: PathBuf,
}

/// What became of a playbook.
pub struct Played {
    pub status: i32,
    pub text: String,
    /// What each host's line of the recap says.
    recap: BTreeMap<String, BTreeMap<String, u32>>,
}

impl Desk {
    /// Lays everything out; a variable may hold a password, so nobody else reads it.
    pub fn set(workspace: &Workspace, hosts: &[Host]) -> Result<Self> {
        let packages = ansible(workspace)?;
        let directory = tempfile::tempdir().context("making a directory")?;
        let ours = workspace.root.join("iso-hooks/ansible/.");
        output(command("cp", ["--recursive"]).arg(&ours).arg(directory.path()))?;
        let desk = Self { directory, packages };
        fs::rename(desk.at("inventory.ini"), desk.at("example.ini")).context("keeping the example")?;
        let lines: String =
            hosts.iter().map(|host| format!("{} {}\n", host.name, host.variables.join(" "))).collect();
        fs::create_dir(desk.at("answers")).context("making a directory for answers")?;
        desk.write("inventory.ini", &format!("[proxmox]\n{lines}"), 0o600)?;
        Ok(desk)
    }

    /// Where a file of it is.
    pub fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file of it.
    pub fn write(&self, name: &str, text: &str, mode: u32) -> Result<PathBuf> {
        let path = self.at(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(path)
    }

    /// Runs the playbook of the example.
    pub fn play(&self, words: &[&str]) -> Result<Played> {
        let mut python = command("python3", ["-m", "ansible", "playbook", "-i", "inventory.ini", "site.yml"]);
        python.args(words).current_dir(self.directory.path()).env("PYTHONPATH", &self.packages);
        for (name, value) in [("LC_ALL", "C.UTF-8"), ("ANSIBLE_NOCOLOR", "1"), ("ANSIBLE_NOCOWS", "1")] {
            python.env(name, value);
        }
        let done =
            python.env("ANSIBLE_HOME", self.at("home")).output().context("running ansible-playbook")?;
        let text = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        Ok(Played { status: done.status.code().unwrap_or(-1), recap: recap(&text), text })
    }

    /// What the playbook kept of a node.
    pub fn result(&self, host: &str) -> Result<serde_json::Value> {
        let path = self.at("results").join(format!("{host}.json"));
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
    }
}

impl Played {
    /// Every host went through, each with so many changes.
    pub fn expect_changes<const HOSTS: usize>(&self, wanted: [u32; HOSTS]) -> Result<()> {
        let found: Vec<Option<&u32>> = self.recap.values().map(|line| line.get("changed")).collect();
        let right = self.status == 0 && found == wanted.each_ref().map(Some);
        ensure!(right, "not {wanted:?} changes but {found:?}: exit {}\n{}", self.status, self.text);
        Ok(())
    }

    /// One host alone failed, and Ansible says this about it.
    pub fn expect_failure(&self, host: &str, sentence: &str) -> Result<()> {
        let failed = |line: &BTreeMap<String, u32>| line.get("failed").is_some_and(|count| *count > 0);
        let names: Vec<&String> =
            self.recap.iter().filter(|(_, line)| failed(line)).map(|(name, _)| name).collect();
        ensure!(
            self.status == 2 && names == [host] && self.text.contains(sentence),
            "not {host} alone with `{sentence}`: exit {}\n{}",
            self.status,
            self.text
        );
        Ok(())
    }
}

/// `pve1 : ok=9 changed=1 unreachable=0 …`
fn recap(text: &str) -> BTreeMap<String, BTreeMap<String, u32>> {
    let lines = text.split("PLAY RECAP").nth(1).unwrap_or_default().lines();
    let counts = |rest: &str| {
        rest.split_whitespace()
            .filter_map(|word| word.split_once('='))
            .filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?)))
            .collect::<BTreeMap<String, u32>>()
    };
    lines
        .filter_map(|line| line.split_once(" : "))
        .map(|(host, rest)| (host.trim().to_owned(), counts(rest)))
        .collect()
}

/// Where its packages are, fetched once.
fn ansible(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.vm.join("cache").join(ANSIBLE.replace("==", "-"));
    if !directory.exists() {
        host::install_for_tests(&["python3", "pip3"])?;
        let step = Step::begin(format!("installing {ANSIBLE}"));
        // Whole or not there at all.
        let unfinished = tempfile::tempdir_in(workspace.vm.join("cache")).context("making a directory")?;
        let words = ["-m", "pip", "install", "--quiet", "--root-user-action=ignore", "--target"];
        output(command("python3", words).arg(unfinished.path()).arg(ANSIBLE))?;
        rename(unfinished, &directory)?;
        step.done();
    }
    Ok(directory)
}

fn rename(unfinished: tempfile::TempDir, directory: &Path) -> Result<()> {
    let path = unfinished.keep();
    fs::rename(&path, directory).with_context(|| format!("creating {}", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recap_is_taken_apart() {
        let found =
            recap("x : y=1\nPLAY RECAP ***\npve1   : ok=9    changed=1    failed=0\npve2 : ok=1 failed=2\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found["pve1"]["changed"], found["pve2"]["failed"]), (1, 2));
    }
}
