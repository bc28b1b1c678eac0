//! The Debian package: the binary in /usr/sbin, the units in /usr/lib/systemd/system. `firstlight install` sees the first and
//! leaves the node to the package (`src/install.rs`).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Release;
use super::sbom::date;
use super::tree::{gzip, write};
use crate::command::{command, output};

const MAINTAINER: &str = "The firstlight project <firstlight@firstlight.invalid>";
const SCRIPTS: [(&str, &str); 3] = [
    ("postinst", include_str!("deb/postinst")),
    ("postrm", include_str!("deb/postrm")),
    ("prerm", include_str!("deb/prerm")),
];
const OVERRIDES: &str = include_str!("deb/lintian-overrides");
const DOC: &str = "usr/share/doc/firstlight";
const UNITS: &str = "usr/lib/systemd/system";

impl Release<'_> {
    /// Writes the package.
    pub fn package(&self, binary: &Path, out: &Path) -> Result<PathBuf> {
        let work = tempfile::tempdir().context("making a working directory")?;
        let tree = work.path().join("tree");
        for item in self.items(binary)?.into_iter().filter(|item| !item.node.is_empty()) {
            let path = tree.join(&item.node);
            write(&path, &item.content, item.mode)?;
            if item.compressed {
                compress(&path)?;
            }
        }
        for (name, text) in self.units()? {
            self.unit(&tree, &name, &text)?;
        }
        write(&tree.join(DOC).join("copyright"), self.copyright()?.as_bytes(), 0o644)?;
        let changes = tree.join(DOC).join("changelog");
        write(&changes, self.changes()?.as_bytes(), 0o644)?;
        compress(&changes)?;
        write(&tree.join("usr/share/lintian/overrides/firstlight"), OVERRIDES.as_bytes(), 0o644)?;
        self.control(&tree)?;
        self.settle(&tree)?;
        let path = out.join(format!("firstlight_{}_{}.deb", self.version, self.architecture));
        let mut build =
            command("dpkg-deb", ["--root-owner-group", "-Zxz", "--uniform-compression", "--build"]);
        // Threads cut the compressed stream in other places.
        build.env("SOURCE_DATE_EPOCH", self.epoch.to_string()).env("DPKG_DEB_THREADS_MAX", "1");
        output(build.arg(&tree).arg(&path))?;
        Ok(path)
    }

    /// A unit at the package's places. What a boot starts is linked, so that nothing has to be enabled, and nobody
    /// disables it by accident: `systemctl mask` does.
    fn unit(&self, tree: &Path, name: &str, text: &str) -> Result<()> {
        let text = text.replace("/usr/local/sbin/firstlight", "/usr/sbin/firstlight");
        let (text, install) = text.split_once("\n[Install]\n").unwrap_or((&text, ""));
        let text =
            text.trim_end().replacen("\nDescription=", "\nDocumentation=man:firstlight(8)\nDescription=", 1);
        write(&tree.join(UNITS).join(name), format!("{text}\n").as_bytes(), 0o644)?;
        for target in install.lines().filter_map(|line| line.strip_prefix("WantedBy=")) {
            let wants = tree.join(UNITS).join(format!("{target}.wants"));
            fs::create_dir_all(&wants).context("linking a unit")?;
            symlink(format!("../{name}"), wants.join(name)).context("linking a unit")?;
        }
        Ok(())
    }

    fn control(&self, tree: &Path) -> Result<()> {
        let list = output(command("find", ["usr", "-type", "f", "-printf", "%s %p\\n"]).current_dir(tree))?;
        let mut files: Vec<(u64, &str)> = Vec::new();
        for line in list.lines() {
            let (size, path) = line.split_once(' ').context("reading find's output")?;
            files.push((size.parse().context("reading find's output")?, path));
        }
        files.sort_by_key(|(_, path)| *path);
        let kilobytes: u64 = files.iter().map(|(size, _)| size.div_ceil(1024)).sum();
        let (version, architecture) = (&self.version, self.architecture);
        let control = format!(
            "Package: firstlight\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: {MAINTAINER}\n\
             Installed-Size: {kilobytes}\nDepends: systemd\nRecommends: openssh-server\nSection: admin\n\
             Priority: optional\nDescription: first-boot provisioner for Proxmox VE\n{DESCRIPTION}"
        );
        write(&tree.join("DEBIAN/control"), control.as_bytes(), 0o644)?;
        let sums = output(command("md5sum", files.iter().map(|(_, path)| path)).current_dir(tree))?;
        write(&tree.join("DEBIAN/md5sums"), sums.as_bytes(), 0o644)?;
        SCRIPTS
            .iter()
            .try_for_each(|(name, text)| write(&tree.join("DEBIAN").join(name), text.as_bytes(), 0o755))
    }

    fn changes(&self) -> Result<String> {
        let when = date(self.epoch, "+%a, %d %b %Y %H:%M:%S +0000")?;
        Ok(format!(
            "firstlight ({}) unstable; urgency=medium\n\n  * Made of commit {}; NEWS.md.gz tells what is new.\n\n \
             -- {MAINTAINER}  {when}\n",
            self.version,
            self.commit.get(..12).unwrap_or_default()
        ))
    }

    fn copyright(&self) -> Result<String> {
        let third: String = self.third_party_lines()?.lines().map(|line| format!(" {line}\n")).collect();
        Ok(COPYRIGHT.replace("@THIRD@\n", &third))
    }
}

fn compress(path: &Path) -> Result<()> {
    let compressed = gzip(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    write(Path::new(&name), &compressed, 0o644)?;
    fs::remove_file(path).with_context(|| format!("removing {}", path.display()))
}

const DESCRIPTION: &str = include_str!("deb/description");
const COPYRIGHT: &str = include_str!("deb/copyright");
