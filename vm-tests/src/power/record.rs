//! One real first boot whose writes are recorded.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::bench::Bench;
use crate::command::{command, on_path, output};
use crate::host;
use crate::image::Release;
use crate::node::Node;
use crate::progress::{Step, say};
use crate::scenario::hook;
use crate::seed::seeded;

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
        let (mut image, pace) = bench.image(Release::Trixie)?;
        let mut hasher = Sha256::new();
        hasher.update(fs::read(&bench.payload()?.first_boot).context("reading the baked executable")?);
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
        let seeds = bench.seeds()?;
        let step = Step::begin(format!("recording the writes of a whole first boot ({})", kind.name()));
        let seeded = seeded(&image.disk, &work.path().join("disk"), &seeds)?;
        fs::rename(seeded, &unfinished.base).context("keeping the disk before the boot")?;
        if kind != FileSystem::Ext4 {
            image.initrd = convert(&unfinished.base, kind, work.path())?;
        }
        let mut node =
            Node::boot_recorded(&workspace, &image, pace, kind.name(), &unfinished.base, &unfinished.writes)?;
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

/// The file system below `/`.
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

/// Turns a disk with ext4 into one with another file system, and makes the initial RAM disk that can mount it.
fn convert(disk: &Path, kind: FileSystem, work: &Path) -> Result<PathBuf> {
    let (name, initrd) = (kind.name(), work.join("initrd.img"));
    let maker = format!("mkfs.{name}");
    if !on_path(&maker) {
        host::install_for(&maker)?;
    }
    let converted = work.join("converted.raw");
    let size = fs::metadata(disk).context("measuring a disk")?.len();
    fs::File::create(&converted).and_then(|file| file.set_len(size)).context("making a disk")?;
    output(command(&maker, ["-q"]).arg(&converted))?;
    let mut unshare =
        command("unshare", ["--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", CONVERT, "sh"]);
    output(unshare.arg(work).arg(disk).arg(&converted).arg(name).arg(&initrd))?;
    fs::rename(&converted, disk).context("replacing a disk")?;
    Ok(initrd)
}

const CONVERT: &str = "\
cd \"$1\"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mkdir from to
mount -o loop,ro \"$2\" from
mount -o loop \"$3\" to
cp -a from/. to/
sed -i \"s,^/dev/vda .*,/dev/vda / $4 defaults 0 0,\" to/etc/fstab
mount -t tmpfs tmpfs to/tmp
mount -t proc proc to/proc
mount -t tmpfs tmpfs to/etc/initramfs-tools/conf.d
printf 'MODULES=list\\nCOMPRESS=gzip\\nFSTYPE=%s\\n' \"$4\" > to/etc/initramfs-tools/conf.d/vm-tests.conf
printf 'virtio_blk\\n%s\\n' \"$4\" > to/tmp/modules
mount --bind to/tmp/modules to/etc/initramfs-tools/modules
kernel=$(ls to/lib/modules)
chroot to mkinitramfs -o /tmp/initrd.img \"$kernel\"
cp to/tmp/initrd.img \"$5\"
umount to/etc/initramfs-tools/modules to/etc/initramfs-tools/conf.d to/proc to/tmp to from
rmdir from to
";
