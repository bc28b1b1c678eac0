//! The image while it is a directory: files, links and commands of the recipe.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::recipe::Recipe;
use crate::command::{command, output};
use crate::unprivileged::is_real_root;

/// Puts the recipe's files, links and settings into the tree.
pub fn apply(tree: &Path, recipe: &Recipe) -> Result<()> {
    for (path, mode) in &recipe.directories {
        let target = below(tree, path);
        fs::create_dir_all(&target).with_context(|| format!("creating {path} in the image"))?;
        chmod(&target, *mode)?;
    }
    for file in &recipe.files {
        let target = below(tree, file.path);
        // A link would lead out of the tree.
        if target.is_symlink() {
            fs::remove_file(&target).with_context(|| format!("replacing {} in the image", file.path))?;
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("creating the directory of {} in the image", file.path))?;
        }
        fs::write(&target, &file.text).with_context(|| format!("writing {} in the image", file.path))?;
        chmod(&target, file.mode)?;
    }
    for (path, to) in &recipe.links {
        let target = below(tree, path);
        if target.is_symlink() || target.exists() {
            fs::remove_file(&target).with_context(|| format!("replacing {path} in the image"))?;
        }
        symlink(to, &target).with_context(|| format!("linking {path} in the image"))?;
    }
    for arguments in &recipe.commands {
        run(tree, arguments)?;
    }
    Ok(())
}

/// Installs an executable.
pub fn install(tree: &Path, path: &str, from: &Path) -> Result<()> {
    let target = below(tree, path);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("creating the directory of {path} in the image"))?;
    }
    fs::copy(from, &target).with_context(|| format!("installing {path} in the image"))?;
    chmod(&target, 0o755)
}

/// A tree made in a user namespace has no device nodes: the host's are lent to it.
const WITH_DEVICES: &str = r#"mount --rbind /dev "$0/dev" && exec chroot "$0" "$@""#;

/// Runs a program of the tree in the tree, with a /proc that vanishes with it.
pub fn run(tree: &Path, arguments: &[&str]) -> Result<String> {
    let mut mount = std::ffi::OsString::from("--mount-proc=");
    mount.push(tree.join("proc"));
    let mut unshare = command("unshare", ["--mount", "--pid", "--fork", "--kill-child"]);
    unshare.arg(mount);
    if is_real_root() {
        unshare.arg("chroot");
    } else {
        unshare.args(["sh", "-c", WITH_DEVICES]);
    }
    unshare.arg(tree).args(arguments);
    unshare.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    unshare.env("HOME", "/root").env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive");
    output(&mut unshare).with_context(|| format!("in the image: {}", arguments.join(" ")))
}

/// A path of the guest inside the tree.
pub fn below(tree: &Path, path: &str) -> PathBuf {
    tree.join(path.trim_start_matches('/'))
}

fn chmod(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("setting the mode of {}", path.display()))
}
