//! The signed package repository inside the image: what a run installs, with everything it needs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::recipe::Recipe;
use super::tree;
use crate::command::{command, output};

/// The directory of the repository in the guest.
const REPOSITORY_PATH: &str = "/srv/repo";
/// Where apt downloads to in the tree.
const ARCHIVES_PATH: &str = "/var/cache/apt/archives";
const KEYRING_PATH: &str = "/usr/share/keyrings/vm-tests.gpg";

/// Downloads the packages for exactly this tree, indexes and signs them.
pub fn fill(tree: &Path, recipe: &Recipe) -> Result<()> {
    fs::copy("/etc/resolv.conf", tree::below(tree, "/etc/resolv.conf"))
        .context("lending the image a resolver")?;
    tree::run(tree, &["apt-get", "--quiet", "update"])?;
    // With and without recommended packages: both ways of installing must find all they want.
    for recommends in ["APT::Install-Recommends=true", "APT::Install-Recommends=false"] {
        let mut download =
            vec!["apt-get", "--quiet", "--yes", "--download-only", "-o", recommends, "install"];
        download.extend(recipe.repository);
        tree::run(tree, &download)?;
    }
    let repository = tree::below(tree, REPOSITORY_PATH);
    fs::create_dir_all(&repository).context("making the image's repository")?;
    let packages = move_and_index(&tree::below(tree, ARCHIVES_PATH), &repository)?;
    // The lists of the Internet's sources are not what a guest without Internet has.
    let lists = tree::below(tree, "/var/lib/apt/lists");
    fs::remove_dir_all(&lists).context("removing package lists from the image")?;
    fs::create_dir(&lists).context("removing package lists from the image")?;
    let codename = recipe.release.codename();
    let head = format!("Origin: Debian\nLabel: Debian\nSuite: {codename}\nCodename: {codename}\n");
    write(&repository, &packages, &head, &tree::below(tree, KEYRING_PATH))
}

/// Indexes packages that lie in a directory, and signs the index; the key goes to `keyring`. `head` are the first fields of
/// the Release file.
pub fn publish(repository: &Path, packages: &[&str], head: &str, keyring: &Path) -> Result<()> {
    let mut index = String::new();
    for name in packages {
        let path = repository.join(name);
        let content = fs::read(&path).with_context(|| format!("reading {name}"))?;
        index.push_str(&stanza(&output(command("dpkg-deb", ["--field"]).arg(&path))?, name, &content));
    }
    write(repository, &index, head, keyring)
}

fn write(repository: &Path, packages: &str, head: &str, keyring: &Path) -> Result<()> {
    let release = release(head, packages);
    for (name, text) in [("Packages", packages), ("Release", &release)] {
        fs::write(repository.join(name), text).with_context(|| format!("writing the repository's {name}"))?;
    }
    sign(repository, keyring)
}

fn move_and_index(archives: &Path, repository: &Path) -> Result<String> {
    let mut names: Vec<String> = fs::read_dir(archives)
        .context("reading the downloaded packages")?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".deb"))
        .collect();
    names.sort();
    if names.is_empty() {
        bail!("apt downloaded no packages for the image's repository");
    }
    let mut index = String::new();
    for name in names {
        let content = fs::read(archives.join(&name)).with_context(|| format!("reading {name}"))?;
        // A colon of an epoch is %3a in apt's cache, which apt would decode in an address.
        let plain = name.replace("%3a", "_");
        fs::write(repository.join(&plain), &content).with_context(|| format!("writing {plain}"))?;
        let fields = output(command("dpkg-deb", ["--field"]).arg(archives.join(&name)))?;
        index.push_str(&stanza(&fields, &plain, &content));
    }
    Ok(index)
}

/// A package's entry in the index.
fn stanza(fields: &str, name: &str, content: &[u8]) -> String {
    format!(
        "{}\nFilename: ./{name}\nSize: {}\nSHA256: {}\n\n",
        fields.trim_end(),
        content.len(),
        sha256(content)
    )
}

fn release(head: &str, packages: &str) -> String {
    // No date: the guest's clock may be behind the host's, and nothing here expires.
    format!(
        "{head}Architectures: amd64\nComponents: main\nDescription: packages of the virtual machine tests\nSHA256:\n {} {} Packages\n",
        sha256(packages.as_bytes()),
        packages.len()
    )
}

fn sign(repository: &Path, keyring: &Path) -> Result<()> {
    let home = tempfile::tempdir().context("making a home for gpg")?;
    let gpg = || {
        let mut gpg = command("gpg", ["--batch", "--quiet", "--yes", "--pinentry-mode", "loopback"]);
        gpg.args(["--passphrase", ""]).env("GNUPGHOME", home.path());
        gpg
    };
    let signed =
        output(gpg().args(["--quick-generate-key", "vm-tests repository", "rsa3072", "sign", "never"]))
            .and_then(|_| output(gpg().arg("--output").arg(keyring).arg("--export")))
            .and_then(|_| {
                output(
                    gpg()
                        .args(["--digest-algo", "SHA512", "--clear-sign", "--output"])
                        .arg(repository.join("InRelease"))
                        .arg(repository.join("Release")),
                )
            });
    // gpg leaves its agent running; it is ours, and its home goes away.
    let _ = output(command("gpgconf", ["--kill", "all"]).env("GNUPGHOME", home.path()));
    signed.map(drop).context("signing the image's repository")
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_entry_is_complete() {
        let entry = stanza("Package: a\nVersion: 1\n", "a_1_all.deb", b"");
        assert!(
            entry.starts_with("Package: a\nVersion: 1\nFilename: ./a_1_all.deb\nSize: 0\nSHA256: e3b0c442")
        );
        assert!(entry.ends_with("\n\n"));
    }

    #[test]
    fn the_release_names_the_index() {
        assert!(release("Origin: Debian\n", "abc").contains(" 3 Packages\n"));
    }
}
