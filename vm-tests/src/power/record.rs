//! One real first boot whose writes are recorded.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::accelerator::Accelerator;
use crate::bench::Bench;
use crate::image::{Image, Release};
use crate::node::{self, Node};
use crate::progress::{Step, say};
use crate::scenario::hook;

/// The disk before the boot, and all that was written to it from then on.
pub struct Recording {
    /// Root file system, raw; never written to.
    pub base: PathBuf,
    /// The log of writes.
    pub writes: PathBuf,
}

impl Recording {
    /// The recording of this product on this image, made now if there is none; it replaces that of another product.
    pub fn obtain(bench: &mut Bench) -> Result<Self> {
        let workspace = bench.workspace().clone();
        let image = Image::obtain(&workspace, Release::Trixie)?;
        let mut hasher = Sha256::new();
        hasher.update(fs::read(&bench.payload()?.first_boot).context("reading the baked executable")?);
        hasher.update(image.disk.as_os_str().as_encoded_bytes());
        let name: String = hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let all = workspace.vm.join("cache/recording");
        let directory = all.join(name);
        let found = Self { base: directory.join("base.raw"), writes: directory.join("writes.log") };
        if directory.is_dir() {
            return Ok(found);
        }
        if all.exists() {
            fs::remove_dir_all(&all).context("removing an old recording")?;
        }
        fs::create_dir_all(&all).context("making room for a recording")?;
        let work = tempfile::tempdir_in(&all).context("making room for a recording")?;
        let unfinished = Self { base: work.path().join("base.raw"), writes: work.path().join("writes.log") };
        let seeds = bench.seeds()?;
        let step = Step::begin("recording the writes of a whole first boot");
        let seeded = node::seeded(&image.disk, work.path(), &seeds)?;
        fs::rename(seeded, &unfinished.base).context("keeping the disk before the boot")?;
        let accelerator = Accelerator::detect(&workspace, &image)?;
        let mut node = Node::boot_recorded(
            &workspace,
            &image,
            accelerator,
            "recorded",
            &unfinished.base,
            &unfinished.writes,
        )?;
        let end = hook::wait_for_end(&mut node)?;
        ensure!(end.state == "active", "the recorded first boot is {} ({})", end.state, end.status);
        node.ok("sync")?;
        node.power_cut()?;
        drop(node);
        fs::rename(work.keep(), &directory).context("keeping the recording")?;
        let bytes = fs::metadata(&found.writes).context("measuring the recording")?.len();
        step.done();
        say(format_args!("  {} MiB of writes", bytes >> 20));
        Ok(found)
    }
}
