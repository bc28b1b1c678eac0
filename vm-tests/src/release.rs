//! `cargo vm release`: the tarball, the Debian package, the bill of materials, and the checksums of them. The same commit
//! gives the same bytes, wherever it is built: every time is the commit's.

mod deb;
mod sbom;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::command::{command, output};
use crate::host;
use crate::progress::{Step, say};
use crate::workspace::{TARGET, Workspace};

/// What a release is built for: Rust's name, Debian's name, the linker's package where the host's own does not do.
pub const TARGETS: [(&str, &str); 2] = [(TARGET, "amd64"), ("aarch64-unknown-linux-musl", "arm64")];

/// What is released.
pub struct Release<'a> {
    pub workspace: &'a Workspace,
    /// Rust's name of the target.
    pub target: &'a str,
    /// Debian's name of its architecture.
    pub architecture: &'static str,
    pub version: String,
    /// The commit, and its time in seconds since 1970.
    pub commit: String,
    pub epoch: u64,
    /// Whether the tree is that commit, and nothing else.
    clean: bool,
    /// What cargo says of the product's packages.
    metadata: Value,
    /// Which of them are linked.
    chosen: BTreeSet<(String, String)>,
}

/// The files of a release.
pub struct Made {
    pub package: PathBuf,
    pub all: Vec<PathBuf>,
}

impl<'a> Release<'a> {
    pub fn of(workspace: &'a Workspace, target: &'a str) -> Result<Self> {
        let architecture = TARGETS.iter().find(|(name, _)| *name == target).map(|(_, debian)| *debian);
        let names = TARGETS.map(|(name, _)| name).join(" or ");
        let architecture = architecture.with_context(|| format!("--target {target}: {names} is wanted"))?;
        let git = |arguments: &[&str]| output(command("git", arguments).current_dir(&workspace.root));
        let commit = git(&["log", "-1", "--format=%H"])?.trim().to_owned();
        let epoch =
            git(&["log", "-1", "--format=%ct"])?.trim().parse().context("reading the commit's time")?;
        let clean = git(&["status", "--porcelain"])?.is_empty();
        if !clean {
            say("there are changes that are not committed: what is made now is no release");
        }
        let mut metadata = workspace.cargo();
        metadata.args(["metadata", "--format-version=1", "--locked", "--filter-platform", target]);
        let metadata = serde_json::from_str(&output(&mut metadata)?).context("reading cargo metadata")?;
        let version = sbom::version(&metadata)?;
        let chosen = sbom::chosen(workspace, target)?;
        Ok(Self { workspace, target, architecture, version, commit, epoch, clean, metadata, chosen })
    }

    /// Builds it and writes all files into `out`, which may hold those of another target.
    pub fn make(&self, out: &Path) -> Result<Made> {
        if self.target != TARGET {
            host::prepare_target(&self.workspace.root, self.target)?;
        }
        let binary = self.workspace.build_for(self.target, "firstlight", "firstlight", true)?;
        fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
        let step = Step::begin(format!("firstlight {} for {}", self.version, self.target));
        let materials = out.join(format!("firstlight-{}-{}.cdx.json", self.version, self.target));
        fs::write(&materials, self.materials()?).context("writing the bill of materials")?;
        let made =
            Made { package: self.package(&binary, out)?, all: vec![materials, self.tarball(&binary, out)?] };
        let all = made.all.into_iter().chain([made.package.clone()]).collect();
        step.done();
        sums(out)?;
        Ok(Made { all, ..made })
    }

    /// The times of a tree are the commit's.
    fn settle(&self, tree: &Path) -> Result<()> {
        let date = format!("--date=@{}", self.epoch);
        output(command("find", [tree]).args(["-exec", "touch", "--no-dereference", &date, "{}", "+"]))
            .map(drop)
    }
}

/// Checksums of everything that lies there.
fn sums(out: &Path) -> Result<()> {
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(out).with_context(|| format!("reading {}", out.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| name.starts_with("firstlight"));
    names.sort();
    let text = output(command("sha256sum", names).current_dir(out))?;
    fs::write(out.join("SHA256SUMS"), text).context("writing SHA256SUMS")
}

/// Makes the release of a target and says where it is.
pub fn run(workspace: &Workspace, target: &str, out: &Path) -> Result<()> {
    Release::of(workspace, target)?.make(out)?;
    let text = fs::read_to_string(out.join("SHA256SUMS")).context("reading SHA256SUMS")?;
    say(format_args!("{}:\n{}", out.display(), text.trim_end()));
    Ok(())
}

/// Builds the binary once more in another directory, with another home of cargo, and compares.
pub fn reproducible(workspace: &Workspace, _full: bool) -> Result<()> {
    let here = Release::of(workspace, TARGET)?;
    ensure!(here.clean, "what is not committed is in no other place: commit it first");
    let place = workspace.run_directory().join("another place");
    fs::create_dir_all(&place).with_context(|| format!("creating {}", place.display()))?;
    let root = place.join("firstlight");
    output(command("git", ["clone", "--quiet"]).arg(&workspace.root).arg(&root))?;
    let there = Workspace { vm: workspace.vm.clone(), root, cargo_home: Some(place.join("cargo")) };
    let one = here.make(&place.join("one"))?;
    let two = Release::of(&there, TARGET)?.make(&place.join("two"))?;
    ensure!(one.all.len() == two.all.len(), "other files were made");
    let sums =
        |which: &str| fs::read_to_string(place.join(which).join("SHA256SUMS")).context("reading SHA256SUMS");
    let (first, second) = (sums("one")?, sums("two")?);
    say(first.trim_end());
    ensure!(first == second, "the same commit gave other bytes in another place:\n{second}");
    Ok(())
}
