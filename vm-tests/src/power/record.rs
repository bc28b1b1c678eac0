//! One real first boot whose writes are recorded.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::disk::Disk;
use super::fault::HOOK;
use super::lab::Lab;
use crate::accelerator::Pace;
use crate::bench::Bench;
use crate::command::{command, on_path, output};
use crate::host;
use crate::image::Image;
use crate::node::Node;
use crate::progress::{Step, say};
use crate::scenario::hook;
use crate::seed::seeded;
use crate::workspace::Workspace;

/// The disk before the boot, and all that was written to it from then on.
pub struct Recording {
    /// Root file system, raw; never written to.
    pub base: PathBuf,
    /// The log of writes.
    pub writes: PathBuf,
}

impl Recording {
    /// The recording of this product on this image, made now if there is none; it replaces that of another product.
    pub fn obtain(bench: &mut Bench, kind: FileSystem) -> Result<Self> {
        // Scenarios that want the same one wait for it.
        static MAKING: Mutex<()> = Mutex::new(());
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let workspace = bench.workspace().clone();
        let (image, pace) = bench.image()?;
        let mut hasher = Sha256::new();
        let seeds = if kind == FileSystem::Ext4 { bench.seeds()? } else { bench.native_seeds()? };
        for seed in &seeds {
            hasher.update(&seed.content);
        }
        hasher.update(image.disk.as_os_str().as_encoded_bytes());
        let name: String = hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let all = workspace.vm.join("cache/recording").join(kind.name());
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
        let step = Step::begin(format!("recording the writes of a whole first boot ({})", kind.name()));
        let seeded = seeded(&image.disk, &work.path().join("disk"), &seeds)?;
        fs::rename(seeded, &unfinished.base).context("keeping the disk before the boot")?;
        if kind == FileSystem::Ext4 {
            boot(&workspace, &image, pace, &unfinished)?;
        } else {
            let converted = convert(&unfinished.base, kind, work.path())?;
            fs::rename(converted, &unfinished.base).context("replacing a disk")?;
            let place = workspace.run_directory().join(format!("recording-{}", kind.name()));
            Lab::enter(&place, kind, |lab| natively(lab, &unfinished.base, &unfinished.writes))?;
        }
        fs::rename(work.keep(), &directory).context("keeping the recording")?;
        let bytes = fs::metadata(&found.writes).context("measuring the recording")?.len();
        step.done();
        say(format_args!("  {} MiB of writes", bytes >> 20));
        Ok(found)
    }
}

/// Boots a guest on the disk and waits until its hook has ended.
fn boot(workspace: &Workspace, image: &Image, pace: Pace, disk: &Recording) -> Result<()> {
    let mut node = Node::boot_recorded(workspace, image, pace, "recorded", &disk.base, &disk.writes)?;
    let end = hook::wait_for_end(&mut node)?;
    ensure!(end.state == "active", "the recorded first boot is {} ({})", end.state, end.status);
    node.ok("sync")?;
    node.power_cut()
}

/// The file system below `/`. With ext4 a guest boots and QEMU records. On the others the hook runs in a mounted tree:
/// the guests' small initial RAM disk knows ext4 alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    Ext4,
    Xfs,
    Btrfs,
}

impl FileSystem {
    /// Its name for `mount` and for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }
}

/// Makes a disk with another file system out of one with ext4.
fn convert(disk: &Path, kind: FileSystem, work: &Path) -> Result<PathBuf> {
    let name = kind.name();
    let maker = format!("mkfs.{name}");
    if !on_path(&maker) {
        host::install_for(&maker)?;
    }
    let converted = work.join("converted.raw");
    let size = fs::metadata(disk).context("measuring a disk")?.len();
    fs::File::create(&converted).and_then(|file| file.set_len(size)).context("making a disk")?;
    output(command(&maker, ["-q"]).arg(&converted))?;
    let mut unshare = command("unshare", ["--mount", "sh", "-ec", CONVERT, "sh"]);
    output(unshare.arg(work).arg(disk).arg(&converted).arg(name))?;
    Ok(converted)
}

const CONVERT: &str = "\
cd \"$1\"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mkdir from to
mount -o loop,ro \"$2\" from
mount -o loop \"$3\" to
cp -a from/. to/
sed -i \"s,^/dev/vda .*,/dev/vda / $4 defaults 0 0,\" to/etc/fstab
umount to from
rmdir from to
";

/// Runs the hook in a mounted copy of the disk, which QEMU's storage daemon exports as a file and logs.
fn natively(lab: &Lab, base: &Path, writes: &Path) -> Result<()> {
    let (disk, export) = (lab.file("recorded"), lab.file("export"));
    drop(Disk::copy_of(base, &disk)?);
    for path in [writes, export.as_path()] {
        fs::write(path, []).with_context(|| format!("creating {}", path.display()))?;
    }
    let node = serde_json::json!({
        "driver": "blklogwrites",
        "node-name": "disk",
        "file": { "driver": "raw", "file": { "driver": "file", "filename": disk } },
        "log": { "driver": "file", "filename": writes },
    });
    let mut daemon = command("setpriv", ["--pdeathsig", "KILL", "qemu-storage-daemon", "--blockdev"])
        .arg(node.to_string())
        .arg("--export")
        .arg(format!("type=fuse,id=export,node-name=disk,mountpoint={},writable=on", export.display()))
        .spawn()
        .context("starting qemu-storage-daemon")?;
    let outcome = exported(&mut daemon, &export).and_then(|()| {
        lab.mounted(&export, || {
            lab.ok(HOOK).context("the recorded first boot")?;
            output(command("sync", ["-f"]).arg(lab.root())).map(drop)
        })
    });
    // It may be dead already; its export goes with it.
    let _ = daemon.kill();
    daemon.wait().context("ending qemu-storage-daemon")?;
    let _ = output(command("umount", ["--lazy"]).arg(&export));
    fs::remove_file(&disk).context("removing a disk")?;
    outcome
}

/// Waits until the export has the size of a disk.
fn exported(daemon: &mut std::process::Child, export: &Path) -> Result<()> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while fs::metadata(export).map_or(0, |found| found.len()) == 0 {
        ensure!(
            daemon.try_wait()?.is_none() && std::time::Instant::now() < deadline,
            "qemu-storage-daemon does not export the disk (it needs /dev/fuse)"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Ok(())
}
