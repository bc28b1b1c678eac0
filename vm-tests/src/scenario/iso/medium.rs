//! An ISO with the layout of Proxmox VE's, as far as the preparation of one looks at it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::command::{command, output};

/// Bytes of a sector.
const SECTOR: usize = 2048;
/// The first sectors: what a BIOS, or UEFI on a stick, starts from.
const SYSTEM_AREA: usize = 16 * SECTOR;
/// Behind the two volume descriptors, which tell where the tree of files is.
const CONTENTS: usize = 18 * SECTOR;
/// The identity by which GRUB finds its medium; xorriso makes it of the volume's time.
pub const UUID: &str = "2025080510484000";

/// How an ISO differs from one of PVE 9.
#[derive(Clone, Copy)]
pub struct Kind {
    pub product: &'static str,
    pub release: &'static str,
    /// A file in its root.
    pub flag: &'static str,
}

/// An ISO as Proxmox publishes it.
pub const PVE: Kind = Kind { product: "pve", release: "9.0", flag: "auto-installer-capable" };

/// Makes an ISO: hybrid by GRUB's boot sector, GPT, APM and HFS+, with a boot image for BIOS and one for UEFI, by the
/// options that xorriso itself reports of PVE's (7.3 and 8.4).
pub fn make(directory: &Path, name: &str, kind: Kind) -> Result<PathBuf> {
    let tree = directory.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree).context("removing the last tree")?;
    }
    let info = format!(
        "PRODUCT='{}'\nPRODUCTLONG='Proxmox {}'\nRELEASE='{}'\nISORELEASE='1'\nISONAME='proxmox'\n",
        kind.product,
        kind.product.to_uppercase(),
        kind.release
    );
    let initrd = tree.join("boot/initrd.img");
    for (path, content) in [
        (".cd-info", info.as_bytes()),
        (".disk/info", info.as_bytes()),
        (kind.flag, b""),
        ("boot/linux26", &noise(300_000, 1)),
        ("boot/initrd.raw", &initrd_content()),
        ("boot/grub/grub.cfg", b"search --fs-uuid --set=root\n"),
        ("boot/grub/i386-pc/eltorito.img", &noise(27_000, 3)),
        ("efi.img", &noise(2_949_120, 4)),
        ("pve-base.squashfs", &noise(3_000_000, 5)),
        ("proxmox/packages/proxmox-first-boot.deb", &noise(9_000, 6)),
        ("../mbr", &noise(432, 7)),
    ] {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().context("a path without a directory")?)?;
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
    }
    let raw = tree.join("boot/initrd.raw");
    output(command("zstd", ["-q", "--rm", "-o"]).args([&initrd, &raw]))?;
    let iso = directory.join(name);
    let mut xorriso = command("xorriso", ["-as", "mkisofs", "-quiet", "-V", "PVE"]);
    xorriso.arg(format!("--modification-date={UUID}")).arg("--grub2-mbr").arg(directory.join("mbr"));
    xorriso.args(["--protective-msdos-label", "-partition_cyl_align", "off", "-partition_offset", "0"]);
    xorriso.args(["-apm-block-size", "2048", "-hfsplus", "-efi-boot-part", "--efi-boot-image"]);
    xorriso.args(["-c", "boot/boot.cat", "-b", "boot/grub/i386-pc/eltorito.img", "-no-emul-boot"]);
    xorriso.args(["-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"]);
    xorriso.args(["-eltorito-alt-boot", "-e", "efi.img", "-no-emul-boot", "-boot-load-size", "5760"]);
    output(xorriso.args(["-r", "-o"]).args([&iso, &tree]))?;
    Ok(iso)
}

/// What the initial RAM disk holds before it is compressed.
pub fn initrd_content() -> Vec<u8> {
    noise(200_000, 2)
}

/// Bytes that no compression makes much smaller, the same in every run.
fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(bytes).collect()
}

/// A file of an ISO; `None` if there is none.
pub fn file(iso: &Path, path: &str) -> Result<Option<Vec<u8>>> {
    let place = tempfile::tempdir().context("making a directory")?;
    let target = place.path().join("file");
    let taken = command("xorriso", ["-return_with", "FAILURE", "32", "-osirrox", "on", "-indev"])
        .arg(iso)
        .args(["-extract", path])
        .arg(&target)
        .output()
        .context("running xorriso")?;
    if !taken.status.success() {
        return Ok(None);
    }
    fs::read(&target).map(Some).with_context(|| format!("reading {path} of {}", iso.display()))
}

/// Name and identity of the volume, as xorriso would write them again.
pub fn identity(iso: &Path) -> Result<String> {
    let said = report(iso, &["-report_system_area", "cmd"])?;
    Ok(said.lines().filter(|line| line.starts_with("-vol")).collect::<Vec<_>>().join("\n"))
}

/// Everything that was on the medium is still at its place, what starts a machine too, and the catalogue of boot images
/// says the same.
pub fn still_boots(before: &Path, after: &Path) -> Result<()> {
    let (old, new) = (fs::read(before)?, fs::read(after)?);
    ensure!(old.get(..SYSTEM_AREA) == new.get(..SYSTEM_AREA), "the boot sector or its partitions changed");
    ensure!(old.get(CONTENTS..) == new.get(CONTENTS..old.len()), "something moved on the medium");
    let catalogue = |iso: &Path| -> Result<String> {
        let said = report(iso, &["-report_el_torito", "plain"])?;
        Ok(said
            .lines()
            .filter(|line| line.starts_with("El Torito im") || line.contains("boot img"))
            .collect())
    };
    let (old, new) = (catalogue(before)?, catalogue(after)?);
    ensure!(old == new && old.contains("BIOS") && old.contains("UEFI"), "boot images: {old}, now {new}");
    Ok(())
}

/// Whatever its exit code: it is sorry about a boot image that went with `/boot`.
fn report(iso: &Path, words: &[&str]) -> Result<String> {
    let said = command("xorriso", ["-indev"]).arg(iso).args(words).output().context("running xorriso")?;
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}
