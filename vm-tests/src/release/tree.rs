//! What a release consists of, and the tarball of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Release;
use crate::command::{command, output};

/// A file of the release: its content, its place in the tarball and in a node with the package, its mode.
pub struct Item {
    pub content: Vec<u8>,
    pub tarball: String,
    pub node: String,
    pub mode: u32,
    /// Compressed in the package, as Debian wants manuals and change logs.
    pub compressed: bool,
}

const DOC: &str = "usr/share/doc/firstlight";

impl Release<'_> {
    /// Every file but the units, which the package has in another form.
    pub fn items(&self, binary: &Path) -> Result<Vec<Item>> {
        let root = &self.workspace.root;
        let mut items = Vec::new();
        let mut add = |from: PathBuf, tarball: &str, node: String, mode| {
            let content = fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
            let compressed = node.starts_with("usr/share/man") || tarball == "CHANGELOG.md";
            items.push(Item { content, tarball: tarball.to_owned(), node, mode, compressed });
            anyhow::Ok(())
        };
        add(binary.to_owned(), "firstlight", "usr/sbin/firstlight".to_owned(), 0o755)?;
        for (name, section) in [("firstlight.8", "man8"), ("firstlight-answer.5", "man5")] {
            let tarball = format!("man/{name}");
            add(root.join(&tarball), &tarball, format!("usr/share/man/{section}/{name}"), 0o644)?;
        }
        for (name, node) in [
            ("firstlight.bash", "bash-completion/completions/firstlight"),
            ("_firstlight", "zsh/vendor-completions/_firstlight"),
            ("firstlight.fish", "fish/vendor_completions.d/firstlight.fish"),
        ] {
            let tarball = format!("completions/{name}");
            add(root.join(&tarball), &tarball, format!("usr/share/{node}"), 0o644)?;
        }
        for (directory, node) in [("answer-files", "examples"), ("docs", "docs")] {
            for name in files(&root.join(directory))? {
                let tarball = format!("{directory}/{name}");
                add(root.join(&tarball), &tarball, format!("{DOC}/{node}/{name}"), 0o644)?;
            }
        }
        add(root.join("README.md"), "README.md", format!("{DOC}/README.md"), 0o644)?;
        add(root.join("CHANGELOG.md"), "CHANGELOG.md", format!("{DOC}/NEWS.md"), 0o644)?;
        for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
            // The package says it in its file `copyright`.
            add(root.join(name), name, String::new(), 0o644)?;
        }
        let content = self.third_parties()?.into_bytes();
        let (tarball, node) = ("THIRD-PARTY.txt".to_owned(), format!("{DOC}/third-party.txt"));
        items.push(Item { content, tarball, node, mode: 0o644, compressed: true });
        Ok(items)
    }

    /// The units' names and texts.
    pub fn units(&self) -> Result<Vec<(String, String)>> {
        let directory = self.workspace.root.join("src/install");
        let text = |name: String| {
            let path = directory.join(&name);
            Ok((name, fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?))
        };
        files(&directory)?.into_iter().map(text).collect()
    }

    /// Writes the tarball: one directory, sorted, root's, the commit's time.
    pub fn tarball(&self, binary: &Path, out: &Path) -> Result<PathBuf> {
        let name = format!("firstlight-{}-{}", self.version, self.target);
        let work = tempfile::tempdir().context("making a working directory")?;
        for item in self.items(binary)? {
            write(&work.path().join(&name).join(&item.tarball), &item.content, item.mode)?;
        }
        for (unit, text) in self.units()? {
            write(&work.path().join(&name).join("units").join(unit), text.as_bytes(), 0o644)?;
        }
        self.settle(work.path())?;
        let tar = work.path().join("tar");
        let options =
            ["--create", "--sort=name", "--format=ustar", "--owner=0", "--group=0", "--numeric-owner"];
        output(
            command("tar", options).arg("--file").arg(&tar).arg("--directory").arg(work.path()).arg(&name),
        )?;
        let path = out.join(format!("{name}.tar.gz"));
        fs::write(&path, gzip(&tar)?).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

/// Writes a file with its mode, whatever the umask is, and the directories above it.
pub fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let context = || format!("writing {}", path.display());
    let mut made = Vec::new();
    let mut above = path.parent();
    while let Some(directory) = above.filter(|directory| !directory.exists()) {
        made.push(directory);
        above = directory.parent();
    }
    for directory in made.into_iter().rev() {
        fs::create_dir(directory).with_context(context)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).with_context(context)?;
    }
    fs::write(path, content).with_context(context)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(context)
}

/// The bytes without name and time.
pub fn gzip(path: &Path) -> Result<Vec<u8>> {
    let done = command("gzip", ["-9n", "--stdout"]).arg(path).output().context("running gzip")?;
    anyhow::ensure!(done.status.success(), "gzip: {}", String::from_utf8_lossy(&done.stderr));
    Ok(done.stdout)
}

/// The regular files of a directory, by name.
fn files(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
