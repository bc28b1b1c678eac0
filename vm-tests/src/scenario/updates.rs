//! Unattended updates, natively: the real unattended-upgrades of the node, asked after a first boot which packages of five
//! signed archives it would install.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::bench::Bench;
use crate::command::{command, output};
use crate::image::publish;
use crate::power::disk::Disk;
use crate::power::fault::HOOK;
use crate::power::lab::{Lab, Ran};
use crate::power::record::FileSystem;
use crate::seed::seeded;

/// An archive with one package `vm-NAME`, and what its Release file says.
struct Archive {
    name: &'static str,
    /// With `@` for Debian's name of the release.
    release: &'static str,
}

const ARCHIVES: &[Archive] = &[
    Archive {
        name: "security",
        release: "Origin: Debian\nLabel: Debian-Security\nSuite: stable-security\nCodename: @-security\n",
    },
    // pve-contract 6.5.
    Archive {
        name: "proxmox",
        release: "Origin: Proxmox\nLabel: Proxmox Debian Repository\nSuite: stable\nCodename: @\n",
    },
    Archive { name: "debian", release: "Origin: Debian\nLabel: Debian\nSuite: stable\nCodename: @\n" },
    Archive {
        name: "next",
        release: "Origin: Debian\nLabel: Debian-Security\nSuite: testing-security\nCodename: forky-security\n",
    },
    Archive {
        name: "vendor",
        release: "Origin: Vendor\nLabel: Debian-Security\nSuite: stable-security\nCodename: @-security\n",
    },
];

/// Asks, and prints nothing but the answer.
const ASK: &str = "unattended-upgrade --dry-run --debug 2>&1 | grep '^Packages that will be upgraded:'";
/// Somebody's file that sorts after ours.
const OTHER: &str =
    "printf 'Unattended-Upgrade::Origins-Pattern:: \"origin=*\";\\n' > /etc/apt/apt.conf.d/99other";

/// Debian's security updates by default, Proxmox's packages on request, and a later file that opens it for all turns the
/// run red.
pub fn origins(bench: &mut Bench) -> Result<()> {
    let workspace = bench.workspace().clone();
    let (image, _) = bench.image()?;
    let codename = bench.release().codename();
    let seeds = bench.native_seeds()?;
    let answer = fs::read_to_string(&bench.payload()?.native.1).context("reading the answer")?;
    let directory = workspace.run_directory().join("updates");
    fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
    let base = seeded(&image.disk, &directory.join("disk"), &seeds)?;
    Lab::enter(&directory.join("lab"), FileSystem::Ext4, |lab| {
        let disk = lab.file("disk");
        Disk::copy_of(&base, &disk)?;
        lab.mounted(&disk, || {
            let answer = format!("{answer}\n[firstlight.updates]\nproxmox = true\n");
            fs::write(lab.root().join("root/proxmox.toml"), answer).context("writing an answer")?;
            for archive in ARCHIVES {
                archive.put(&lab.root(), &directory, codename)?;
            }
            let lines = [
                HOOK,
                "dpkg --install /srv/*/vm-*_1.deb && apt-get update",
                ASK,
                "firstlight apply /root/proxmox.toml",
                ASK,
                &format!("firstlight rollback && {OTHER} && firstlight apply /root/proxmox.toml"),
                "ls /etc/apt/apt.conf.d",
            ];
            judge(&lab.run_all(&lines)?)
        })
    })
}

fn judge(ran: &[Ran]) -> Result<()> {
    let [first, update, default, second, with_proxmox, opened, left] = ran else {
        anyhow::bail!("{} commands ran", ran.len())
    };
    for done in [first, update, second, left] {
        ensure!(done.status == 0, "ended with {}: {}", done.status, done.output.trim());
    }
    let installs = |ran: &Ran| ran.output.split_whitespace().filter(|word| word.starts_with("vm-")).count();
    ensure!(
        default.output.trim() == "Packages that will be upgraded: vm-security",
        "by default: {}",
        default.output
    );
    ensure!(
        with_proxmox.output.contains(" vm-security")
            && with_proxmox.output.contains(" vm-proxmox")
            && installs(with_proxmox) == 2,
        "with proxmox = true: {}",
        with_proxmox.output
    );
    ensure!(
        opened.status == 1 && opened.output.contains("updates.origins"),
        "a later file opens it for all, and the run ended with {}: {}",
        opened.status,
        opened.output
    );
    ensure!(left.output.contains("52firstlight") && left.output.contains("99other"), "{}", left.output);
    Ok(())
}

impl Archive {
    /// Puts the archive into the node: version 1 of its package to be installed, version 2 to be found.
    fn put(&self, root: &Path, work: &Path, codename: &str) -> Result<()> {
        let directory = root.join("srv").join(self.name);
        let package = format!("vm-{}", self.name);
        fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
        for version in ["1", "2"] {
            let tree = work.join(&package).join(version);
            fs::create_dir_all(tree.join("DEBIAN")).context("making a package")?;
            let control = format!(
                "Package: {package}\nVersion: {version}\nArchitecture: all\n\
                 Maintainer: vm-tests <vm-tests@example.test>\nDescription: of the archive {}\n",
                self.name
            );
            fs::write(tree.join("DEBIAN/control"), control).context("making a package")?;
            let file = directory.join(format!("{package}_{version}.deb"));
            output(command("dpkg-deb", ["--root-owner-group", "--build"]).arg(&tree).arg(&file))?;
        }
        let keyring = format!("/usr/share/keyrings/vm-{}.gpg", self.name);
        let newest = format!("{package}_2.deb");
        publish(
            &directory,
            &[&newest],
            &self.release.replace('@', codename),
            &root.join(keyring.trim_start_matches('/')),
        )?;
        let source = format!("Types: deb\nURIs: file:/srv/{}\nSuites: ./\nSigned-By: {keyring}\n", self.name);
        fs::write(root.join(format!("etc/apt/sources.list.d/{package}.sources")), source)
            .context("writing a source")
    }
}
