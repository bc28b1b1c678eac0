//! Guest images: built by mmdebstrap from a recipe, cached by the recipe's hash.

mod devices;
mod recipe;
mod repository;
mod tree;
mod warm;

pub use recipe::{ENDPOINT_PATH, Release};
pub use repository::publish;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

use crate::command::{command, output, show};
use crate::progress::Step;
use crate::unprivileged::is_real_root;
use crate::workspace::{TARGET, Workspace};
use recipe::Recipe;

/// The endpoint is part of the image: another source is another image.
const ENDPOINT_SOURCE: &str = include_str!("bin/endpoint.rs");
/// Size of a guest's root disk; the file is sparse.
const DISK_SIZE: &str = "4G";
/// In front of the names of directories in which an image is being made.
const UNFINISHED: &str = "unfinished-";

/// A bootable guest.
#[derive(Clone, Debug)]
pub struct Image {
    /// Root file system, raw; never written to.
    pub disk: PathBuf,
    /// The guest's own kernel.
    pub kernel: PathBuf,
    /// Its initial RAM disk.
    pub initrd: PathBuf,
}

impl Image {
    /// The cached image of a release, built now if there is none.
    pub fn obtain(workspace: &Workspace, release: Release) -> Result<Self> {
        let recipe = Recipe::new(release, &workspace.key("root")?.public);
        let cache = workspace.vm.join("cache");
        let _lock = lock(&cache)?;
        let directory = cache.join(hash(&[&recipe.text(), ENDPOINT_SOURCE]));
        if !directory.is_dir() {
            sweep(&cache)?;
            build(workspace, &recipe, &directory)?;
        }
        Ok(Self::below(&directory))
    }

    fn below(directory: &Path) -> Self {
        Self {
            disk: directory.join("disk.raw"),
            kernel: directory.join("vmlinuz"),
            initrd: directory.join("initrd.img"),
        }
    }
}

fn build(workspace: &Workspace, recipe: &Recipe, directory: &Path) -> Result<()> {
    let base = base_system(workspace, recipe)?;
    let step = Step::begin(format!("building the guest image ({})", recipe.release.codename()));
    let endpoint = workspace
        .build("vm-tests", "endpoint", false)
        .with_context(|| format!("building the guest's endpoint for {TARGET}"))?;
    let work = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(workspace.vm.join("cache"))
        .context("making a working directory")?;
    let tree = work.path().join("tree");
    fs::create_dir(&tree).context("making a working directory")?;
    unpack(&base, &tree)?;
    repository::fill(&tree, recipe)?;
    tree::apply(&tree, recipe)?;
    tree::install(&tree, ENDPOINT_PATH, &endpoint)?;
    tree::run(&tree, &["apt-get", "--quiet", "update"]).context("reading the image's own repository")?;
    tree::run(&tree, &["apt-get", "clean"])?;
    // A node that was installed has this behind it: without the marks the first boot rebuilds the linker's
    // cache and the hardware database.
    tree::run(&tree, &["touch", "/etc/.updated", "/var/.updated"])?;

    let finished = work.path().join("image");
    fs::create_dir(&finished).context("making a working directory")?;
    for (prefix, name) in [("vmlinuz-", "vmlinuz"), ("initrd.img-", "initrd.img")] {
        fs::copy(newest(&tree.join("boot"), prefix)?, finished.join(name))
            .with_context(|| format!("taking the guest's {name}"))?;
    }
    let image = Image::below(&finished);
    make_file_system(&tree, &image.disk)?;
    warm::compile_profiles(workspace, &image, &tree)?;
    make_file_system(&tree, &image.disk)?;
    fs::rename(&finished, directory).with_context(|| format!("creating {}", directory.display()))?;
    step.done();
    Ok(())
}

/// Removes what builds that were cut off left behind; the caller holds the lock. A user could not remove it by himself:
/// it belongs to his subordinate ids.
fn sweep(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache).context("reading the image cache")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(UNFINISHED) {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// Makes the base system's tree.
fn unpack(base: &Path, tree: &Path) -> Result<()> {
    let mut tar = command("tar", ["--extract", "--numeric-owner", "--xattrs", "--xattrs-include=*"]);
    if !is_real_root() {
        tar.args(devices::excluded());
    }
    output(tar.arg("--file").arg(base).arg("--directory").arg(tree)).map(drop)
}

fn make_file_system(tree: &Path, disk: &Path) -> Result<()> {
    if disk.exists() {
        fs::remove_file(disk).context("replacing the image's first disk")?;
    }
    output(command("mke2fs", ["-q", "-t", "ext4", "-L", "root", "-d"]).arg(tree).arg(disk).arg(DISK_SIZE))?;
    if is_real_root() { Ok(()) } else { devices::add(disk) }
}

/// The Debian system below the recipe, as mmdebstrap makes it; kept, since files change more often than
/// packages.
fn base_system(workspace: &Workspace, recipe: &Recipe) -> Result<PathBuf> {
    let packages = recipe.packages.join(",");
    let cache = workspace.vm.join("cache");
    let base = cache.join(format!("debian-{}.tar", hash(&[recipe.release.codename(), &packages])));
    if base.exists() {
        return Ok(base);
    }
    let step = Step::begin(format!(
        "installing Debian {} with mmdebstrap (about a minute)",
        recipe.release.codename()
    ));
    let unfinished = cache.join(format!("{UNFINISHED}{}.tar", std::process::id()));
    // In a user namespace no device nodes can be made: the other mode does without.
    let mode = if is_real_root() { "--mode=root" } else { "--mode=unshare" };
    show(
        command("mmdebstrap", [mode, "--variant=minbase", "--components=main", "--skip=cleanup/apt/lists"])
            .arg("--aptopt=Apt::Install-Recommends \"false\"")
            .arg(format!("--include={packages}"))
            .arg(recipe.release.codename())
            .arg(&unfinished),
    )?;
    fs::rename(&unfinished, &base).with_context(|| format!("creating {}", base.display()))?;
    step.done();
    Ok(base)
}

fn newest(directory: &Path, prefix: &str) -> Result<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .with_context(|| format!("reading {}", directory.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(prefix))
        })
        .collect();
    found.sort();
    match found.pop() {
        Some(path) => Ok(path),
        None => bail!("the guest has no /boot/{prefix}*"),
    }
}

fn lock(cache: &Path) -> Result<Flock<fs::File>> {
    let file = fs::File::create(cache.join("lock")).context("creating the image cache's lock")?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error).context("locking the image cache")
}

/// Short name of some text.
fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or_default().to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_keeps_its_parts_apart() {
        assert_eq!(hash(&["ab", "c"]).len(), 16);
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
    }
}
