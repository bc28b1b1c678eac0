//! apt and dpkg. dpkg goes through the states that it documents, one package after the other, and makes sure that
//! what a state says is on the disk before it says so. A kill leaves it in any of them.

use super::{ended, firewall, ok, refused, units};
use crate::node::Output;
use crate::node::memory::Shell;

const STATUS: &str = "/var/lib/dpkg/status";
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Name, files and directories, and the unit that it starts.
struct Package {
    name: &'static str,
    files: &'static [(&'static str, &'static str, u32)],
    directories: &'static [&'static str],
    unit: &'static str,
}

const PACKAGES: [Package; 6] = [
    Package {
        name: "sudo",
        files: &[
            ("/usr/bin/sudo", "ELF", 0o4755),
            ("/usr/sbin/visudo", "ELF", 0o755),
            (
                "/etc/sudoers",
                "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n",
                0o440,
            ),
            ("/etc/sudoers.d/README", "#\n", 0o440),
            ("/etc/pam.d/sudo", "@include common-auth\n", 0o644),
        ],
        directories: &["/etc/sudoers.d", "/etc/pam.d"],
        unit: "",
    },
    Package {
        name: "python3-systemd",
        files: &[("/usr/lib/python3/systemd.py", "py", 0o644)],
        directories: &["/usr/lib/python3"],
        unit: "",
    },
    Package {
        name: "fail2ban",
        files: &[
            ("/usr/bin/fail2ban-server", "ELF", 0o755),
            ("/usr/bin/fail2ban-client", "ELF", 0o755),
            ("/etc/fail2ban/fail2ban.conf", "[DEFAULT]\n", 0o644),
            ("/etc/fail2ban/jail.d/defaults.conf", "[sshd]\nenabled = true\n", 0o644),
        ],
        directories: &["/etc/fail2ban/jail.d", "/etc/fail2ban/filter.d", "/etc/fail2ban"],
        unit: "fail2ban.service",
    },
    Package {
        name: "apt-listchanges",
        files: &[("/etc/apt/listchanges.conf", "[apt]\n", 0o644)],
        directories: &["/etc/apt"],
        unit: "",
    },
    Package {
        name: "unattended-upgrades",
        files: &[("/etc/apt/apt.conf.d/50unattended-upgrades", "Unattended-Upgrade {}\n", 0o644)],
        directories: &["/etc/apt/apt.conf.d", "/etc/apt"],
        unit: "unattended-upgrades.service",
    },
    Package {
        name: "ufw",
        files: &[("/usr/sbin/ufw", "py", 0o755), ("/lib/ufw/ufw-init", "sh", 0o755)],
        directories: &["/etc/ufw", "/lib/ufw"],
        unit: "ufw.service",
    },
];

fn package(name: &str) -> Option<&'static Package> {
    PACKAGES.iter().find(|package| package.name == name)
}

fn files(package: &Package) -> Vec<(&'static str, &'static str, u32)> {
    let mut files = package.files.to_vec();
    if package.name == "ufw" {
        files.extend(firewall::FILES);
    }
    files
}

pub fn furnish(shell: &mut Shell<'_>) {
    let mut text = String::new();
    for (name, version) in [
        ("base-files", "13"),
        ("nftables", "1.1.3-1"),
        ("openssh-server", "1:10.0p1-7+deb13u4"),
        ("postfix", "3.10.13-0+deb13u1"),
        ("pve-manager", "9.0.3"),
    ] {
        text.push_str(&format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n"));
    }
    shell.put(STATUS, &text);
    shell.directory("/var/lib/dpkg/info");
    shell.directory("/usr/sbin");
}

fn state(shell: &Shell<'_>, name: &str) -> String {
    let text = shell.text(STATUS);
    let stanza = text.split("\n\n").find(|stanza| stanza.starts_with(&format!("Package: {name}\n")));
    let found = stanza.and_then(|stanza| stanza.lines().find_map(|line| line.strip_prefix("Status: ")));
    found.unwrap_or_default().to_owned()
}

/// Everything before it is on the disk, then the word, then the word is on the disk.
fn say(shell: &mut Shell<'_>, name: &str, state: &str) {
    shell.sync();
    let text = shell.text(STATUS);
    let others = text
        .split("\n\n")
        .filter(|stanza| !stanza.is_empty() && !stanza.starts_with(&format!("Package: {name}\n")));
    let mut text: String = others.map(|stanza| format!("{stanza}\n\n")).collect();
    if !state.is_empty() {
        text.push_str(&format!("Package: {name}\nStatus: {state}\nVersion: 1\n\n"));
    }
    shell.put_as(STATUS, &text, (0o644, 0), true);
    shell.sync();
}

fn unpack(shell: &mut Shell<'_>, package: &Package) {
    say(shell, package.name, "install reinstreq half-installed");
    for directory in package.directories.iter().rev() {
        shell.directory(directory);
    }
    for (path, content, mode) in files(package) {
        // Files of the configuration come with configuring.
        if !path.starts_with("/etc") {
            shell.put_as(path, content, (mode, 0), false);
        }
    }
    if !package.unit.is_empty() {
        units::package_unit(shell, package.unit, "");
    }
    say(shell, package.name, "install ok unpacked");
}

fn configure(shell: &mut Shell<'_>, package: &Package) {
    say(shell, package.name, "install ok half-configured");
    for (path, content, mode) in files(package) {
        if path.starts_with("/etc") && !shell.has(path) {
            shell.put_as(path, content, (mode, 0), false);
        }
    }
    if !package.unit.is_empty() {
        units::enable(shell, package.unit);
        if !shell.has(POLICY) {
            units::start(shell, package.unit);
        }
    }
    say(shell, package.name, "install ok installed");
}

fn purge(shell: &mut Shell<'_>, package: &Package) {
    say(shell, package.name, "deinstall ok half-configured");
    if !package.unit.is_empty() && !shell.has(POLICY) {
        units::stop(shell, package.unit);
    }
    say(shell, package.name, "deinstall ok half-installed");
    let (own, configuration): (Vec<_>, Vec<_>) = files(package)
        .into_iter()
        .map(|(path, ..)| path.to_owned())
        .partition(|path| !path.starts_with("/etc"));
    take_out(shell, &own);
    say(shell, package.name, "deinstall ok config-files");
    take_out(shell, &configuration);
    if !package.unit.is_empty() {
        units::disable(shell, package.unit);
        take_out(shell, &[format!("/lib/systemd/system/{}", package.unit)]);
    }
    for directory in package.directories {
        shell.remove_if_empty(directory);
    }
    say(shell, package.name, "");
}

/// Files, and what an unpacking that died left beside them.
fn take_out(shell: &mut Shell<'_>, paths: &[String]) {
    for path in paths.iter().flat_map(|path| [path.clone(), format!("{path}.tool-new")]) {
        if shell.has(&path) {
            shell.remove(&path);
        }
    }
}

fn triggers(shell: &mut Shell<'_>, what: &str) {
    shell.put("/etc/ld.so.cache", &format!("cache after {what}"));
}

pub fn apt(shell: &mut Shell<'_>, words: &[&str]) -> Output {
    if words.last() == Some(&"update") {
        shell.put("/var/lib/apt/lists/archive", "lists");
        return ended(shell);
    }
    if let Some(at) = words.iter().position(|word| matches!(*word, "purge" | "remove")) {
        // Only ever asked what it would do.
        return ok(words[at + 1..].iter().map(|name| format!("Purg {name} [1]\n")).collect::<String>());
    }
    let Some(at) = words.iter().position(|word| *word == "install") else {
        return refused(100, format!("not simulated: {}", words.join(" ")));
    };
    let names = &words[at + 1..];
    if words.contains(&"-s") {
        return ok(names.iter().map(|name| format!("Inst {name} (1 local [amd64])\n")).collect::<String>());
    }
    if words.contains(&"--download-only") {
        for name in names {
            shell.put(&format!("/var/cache/apt/archives/{name}_1_amd64.deb"), "deb");
        }
        return ended(shell);
    }
    let packages: Vec<&Package> = names.iter().filter_map(|name| package(name)).collect();
    for package in &packages {
        if !state(shell, package.name).ends_with(" installed") {
            unpack(shell, package);
        }
    }
    for package in &packages {
        configure(shell, package);
    }
    triggers(shell, "install");
    if shell.failed {
        refused(100, "E: Sub-process /usr/bin/dpkg returned an error code (1)")
    } else {
        ok("")
    }
}

pub fn dpkg(shell: &mut Shell<'_>, words: &[&str]) -> Output {
    if words.contains(&"--configure") {
        for package in &PACKAGES {
            let state = state(shell, package.name);
            if state.ends_with(" unpacked") || state == "install ok half-configured" {
                configure(shell, package);
            }
        }
        return ended(shell);
    }
    let names = words.iter().filter(|word| !word.starts_with('-')).skip(1);
    for package in names.filter_map(|name| package(name)).collect::<Vec<_>>() {
        if !state(shell, package.name).is_empty() {
            purge(shell, package);
        }
    }
    triggers(shell, "purge");
    ended(shell)
}

pub fn query(shell: &Shell<'_>, words: &[&str]) -> Output {
    let tab = words.iter().any(|word| word.contains('\t'));
    let mut text = String::new();
    for stanza in shell.text(STATUS).split("\n\n").filter(|stanza| !stanza.is_empty()) {
        let field = |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let (name, status) = (field("Package: "), field("Status: "));
        let short = status.rsplit(' ').next().unwrap_or_default();
        text.push_str(&if tab { format!("{name}\t{status}\n") } else { format!("{name} {short}\n") });
    }
    ok(text)
}
