//! What the host must have: root for all but an image, and a few Debian packages that are installed where they are
//! missing.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::command::{command, on_path, output};
use crate::machine::UEFI_PATH;
use crate::progress::{Step, say};
use crate::unprivileged;

/// A program the harness calls, and the package that has it.
const PROGRAMS: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("qemu-img", "qemu-utils"),
    ("mmdebstrap", "mmdebstrap"),
    ("mke2fs", "e2fsprogs"),
    ("debugfs", "e2fsprogs"),
    ("dumpe2fs", "e2fsprogs"),
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("gpg", "gnupg"),
    ("setpriv", "util-linux"),
    ("tar", "tar"),
    ("cc", "gcc"),
    ("c++", "g++"),
];

/// The keys of Debian's archive: a Debian host has them, an Ubuntu host needs the package.
const KEYRING: (&str, &str) = ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring");

/// Makes sure that the virtual machines can be built and started here.
pub fn prepare() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "the virtual machines need root for their test network (namespaces, bridges, taps) and for the loop \
             mounts of the power cuts; `cargo vm image` makes a guest image without"
        );
    }
    install_missing()
}

/// Makes sure that an image can be built here; a user goes into a user namespace for that.
pub fn prepare_image() -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return install_missing();
    }
    let missing = missing_packages();
    if !missing.is_empty() {
        bail!("missing here, and only root can install them: apt-get install {}", missing.join(" "));
    }
    unprivileged::enter()
}

fn install_missing() -> Result<()> {
    install_until_there(&mut missing_packages, &mut |missing| {
        if !on_path("apt-get") {
            bail!("missing here, and there is no apt-get to install them: {}", missing.join(" "));
        }
        say(format_args!("Debian packages the virtual machines need: {}", missing.join(" ")));
        install_fresh(missing)
    })
}

/// apt removes what does not fit the packages that it installs: a qemu-utils from backports goes when QEMU comes from the
/// release. So what is missing is asked anew, and installed once more.
fn install_until_there(
    missing: &mut dyn FnMut() -> Vec<String>,
    install: &mut dyn FnMut(&[String]) -> Result<()>,
) -> Result<()> {
    for _ in 0..2 {
        let packages = missing();
        if packages.is_empty() {
            return Ok(());
        }
        install(&packages)?;
    }
    let still = missing();
    if !still.is_empty() {
        bail!("still missing after apt-get install: {}", still.join(" "));
    }
    Ok(())
}

/// Adds the parts of the Rust toolchain that `rust-toolchain.toml` names. rustup does so by itself when it installs a
/// toolchain, but not to one that is there already; the shipped binary needs the source of the standard library.
pub fn prepare_toolchain(root: &Path) -> Result<()> {
    if !on_path("rustup") {
        return Ok(());
    }
    let rustup = |arguments: &[&str]| output(command("rustup", arguments).current_dir(root));
    let installed = rustup(&["component", "list", "--installed"])?;
    let missing: Vec<&str> = ["rustfmt", "clippy", "rust-src", "rust-std-x86_64-unknown-linux-musl"]
        .into_iter()
        .filter(|part| !installed.lines().any(|line| line.starts_with(part)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(format_args!("adding to the Rust toolchain: {}", missing.join(" ")));
    for part in missing {
        match part.strip_prefix("rust-std-") {
            Some(target) => rustup(&["target", "add", target])?,
            None => rustup(&["component", "add", part])?,
        };
    }
    Ok(())
}

/// Adds what the binary is linked with for another processor than the host's.
pub fn prepare_target(root: &Path, target: &str) -> Result<()> {
    install_for_tests(&["aarch64-linux-gnu-gcc"])?;
    if on_path("rustup") {
        output(command("rustup", ["target", "add", target]).current_dir(root))?;
    }
    Ok(())
}

/// Installs what the unit tests call, where it is missing.
pub fn install_for_tests(programs: &[&str]) -> Result<()> {
    let there = |program: &str| on_path(program) || program == "OVMF.fd" && Path::new(UEFI_PATH).exists();
    let missing: Vec<&&str> = programs.iter().filter(|program| !there(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.into_iter().map(|program| package_of(program)).collect::<Result<Vec<_>>>()?;
    say(format_args!("installing Debian packages that the tests need: {}", packages.join(" ")));
    install_fresh(&packages)
}

fn package_of(program: &str) -> Result<String> {
    Ok(match program {
        "mkfs.vfat" => "dosfstools",
        "mcopy" => "mtools",
        "mkfs.xfs" => "xfsprogs",
        "mkfs.btrfs" => "btrfs-progs",
        "fail2ban-regex" => "fail2ban",
        "OVMF.fd" => "ovmf",
        "zbarimg" => "zbar-tools",
        "iptables-legacy" => "iptables",
        "getfattr" => "attr",
        "journalctl" | "systemd-analyze" => "systemd",
        "setfacl" => "acl",
        "aarch64-linux-gnu-gcc" => "gcc-aarch64-linux-gnu",
        "qemu-aarch64" => "qemu-user",
        "pip3" => "python3-pip",
        "curl" | "oathtool" | "strace" | "perl" | "ipset" | "python3" | "xorriso" | "zstd" | "openssl"
        | "shellcheck" | "lintian" | "rsync" | "git" | "mandoc" | "zsh" | "fish" => program,
        other => bail!("no package is known for {other}"),
    }
    .to_owned())
}

/// Installs the package of a program that only few scenarios need.
pub fn install_for(program: &str) -> Result<()> {
    let package = package_of(program)?;
    say(format_args!("installing a Debian package that this scenario needs: {package}"));
    install(&[package])
}

/// Fetches a package and unpacks it into a directory: nothing of it runs on the host, or stays there.
pub fn unpack(package: &str, directory: &Path) -> Result<()> {
    let download = || output(apt(&["download", package]).current_dir(directory));
    if download().is_err() {
        // The lists may be missing, or older than what the archive has.
        output(&mut apt(&["update"]))?;
        download()?;
    }
    let fetched = fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .with_context(|| format!("apt-get brought no package {package}"))?;
    output(command("dpkg", ["--extract"]).args([&fetched, &directory.to_owned()])).map(drop)
}

fn missing_packages() -> Vec<String> {
    let mut missing: Vec<String> = PROGRAMS
        .iter()
        .filter(|(program, _)| !on_path(program))
        .map(|(_, package)| (*package).to_owned())
        .collect();
    if fs::metadata(KEYRING.0).is_err() {
        missing.push(KEYRING.1.to_owned());
    }
    missing.dedup();
    missing
}

/// Installs from lists that are not older than today.
fn install_fresh(packages: &[String]) -> Result<()> {
    let step = Step::begin("apt-get update");
    match output(&mut apt(&["update"])) {
        Ok(_) => drop(step.done()),
        // A third-party source of the host may be broken without mattering to us.
        Err(error) => say(format_args!("{error:#} (going on)")),
    }
    install(packages)
}

fn install(packages: &[String]) -> Result<()> {
    let plain: Vec<&str> = packages.iter().map(String::as_str).collect();
    if install_call(&plain).is_ok() {
        return Ok(());
    }
    // qemu-utils must be of the same version as the qemu-system-common that is there: with backports
    // switched on, the newest one conflicts with it.
    let same_version =
        output(&mut command("dpkg-query", ["--show", "--showformat=${Version}", "qemu-system-common"]))
            .unwrap_or_default();
    let mut tried = format!("apt-get install {}", plain.join(" "));
    for suffix in [format!("={}", same_version.trim()), format!("/{}", codename()?)] {
        if suffix.len() < 2 {
            continue;
        }
        let pinned: Vec<String> = packages
            .iter()
            .map(|name| if name == "qemu-utils" { format!("{name}{suffix}") } else { name.clone() })
            .collect();
        let pinned: Vec<&str> = pinned.iter().map(String::as_str).collect();
        if install_call(&pinned).is_ok() {
            return Ok(());
        }
        tried = format!("{tried}; {}", pinned.join(" "));
    }
    bail!("could not install what the virtual machines need (tried: {tried})")
}

fn install_call(packages: &[&str]) -> Result<()> {
    let step = Step::begin(format!("apt-get install {}", packages.join(" ")));
    let said = output(apt(&["install", "--yes", "--no-install-recommends"]).args(packages))
        .inspect_err(|error| say(format_args!("{error:#}")))?;
    for line in said.lines().filter(|line| line.starts_with("Removing ")) {
        say(format_args!("  apt: {line}"));
    }
    step.done();
    Ok(())
}

fn apt(arguments: &[&str]) -> std::process::Command {
    let mut apt = command("apt-get", ["--quiet", "--quiet", "-o", "DPkg::Lock::Timeout=300"]);
    apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

fn codename() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
    Ok(text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn a_package_that_apt_removes_while_it_installs_others_is_installed_again() {
        let missing = RefCell::new(vec!["qemu-system-x86".to_owned()]);
        let mut calls = 0;
        let done = install_until_there(&mut || missing.borrow().clone(), &mut |packages| {
            calls += 1;
            let conflicts = packages.contains(&"qemu-system-x86".to_owned());
            missing.replace(if conflicts { vec!["qemu-utils".to_owned()] } else { Vec::new() });
            Ok(())
        });
        assert!(done.is_ok());
        assert_eq!(calls, 2);
        let never = install_until_there(&mut || vec!["ip".to_owned()], &mut |_| Ok(()));
        assert_eq!(never.unwrap_err().to_string(), "still missing after apt-get install: ip");
    }
}
