//! What a node has after its first boot and a fresh tree has not: compiled AppArmor profiles.
//!
//! Compiling them costs a dozen seconds of every emulated boot; a PVE node has done it in its installer's
//! first start. Nobody knocks at this guest, so it has no network: making one needs root.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use super::Image;
use crate::accelerator::{Accelerator, Pace};
use crate::command::{command, output};
use crate::node::Node;
use crate::progress::Step;
use crate::workspace::Workspace;

/// Boots the unfinished image once and puts the profiles its kernel wants into the tree.
pub fn compile_profiles(workspace: &Workspace, image: &Image, tree: &Path) -> Result<()> {
    let pace = Pace { accelerator: Accelerator::detect(workspace, image)?, jobs: 1 };
    let step = Step::begin("booting the image once, for compiled AppArmor profiles");
    let mut node = Node::boot_alone(workspace, image, pace, "warm")?;
    node.wait_for("the profiles are compiled", 60, "systemctl --quiet is-active apparmor.service")?;
    node.ok("tar -C / -czf /root/profiles.tar.gz var/cache/apparmor")?;
    let archive = node.get("/root/profiles.tar.gz")?;
    let mut file = tempfile::NamedTempFile::new().context("making a temporary file")?;
    file.write_all(&archive).context("writing the compiled profiles")?;
    output(
        command("tar", ["--extract", "--gzip", "--numeric-owner", "--file"])
            .arg(file.path())
            .arg("--directory")
            .arg(tree),
    )?;
    step.done();
    Ok(())
}
