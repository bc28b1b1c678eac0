//! Reads the facts from the node, through the seam only. What is missing is empty: only areas know what they need.

mod accounts;
mod network;
mod ssh;

use super::Facts;
use crate::error::Result;
use crate::node::{Invocation, Node, exists, read_text};
use std::path::Path;

pub(crate) use accounts::memberships;
pub(crate) use ssh::options as sshd_options;

const HOST_NAME_PATH: &str = "/etc/hostname";
const OS_RELEASE_PATH: &str = "/etc/os-release";
const DPKG_STATUS_PATH: &str = "/var/lib/dpkg/status";
const COROSYNC_PATH: &str = "/etc/pve/corosync.conf";
const CLUSTER_FIREWALL_PATH: &str = "/etc/pve/firewall/cluster.fw";
const BRIDGE_FILTER_PATH: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";
const UFW_RULES_PATHS: [&str; 2] = ["/etc/ufw/user.rules", "/etc/ufw/user6.rules"];
const UFW_DEFAULTS_PATH: &str = "/etc/default/ufw";
const SUDOERS_DROP_IN_PATH: &str = "/etc/sudoers.d/firstlight";
const PVE_PACKAGE: &str = "pve-manager";
const SSH_PACKAGE: &str = "openssh-server";

/// Reads the node once. An error only when a path that is there cannot be looked at.
pub fn gather(node: &dyn Node) -> Result<Facts> {
    let mut facts = Facts { host_name: host_name(&text(node, HOST_NAME_PATH)), ..Facts::default() };
    facts.debian_version = os_release(&text(node, OS_RELEASE_PATH), "VERSION_ID");
    facts.packages = installed_packages(&text(node, DPKG_STATUS_PATH));
    facts.pve_version = facts.package_version(PVE_PACKAGE).map(str::to_owned);
    facts.cluster_member = exists(node, Path::new(COROSYNC_PATH))?;
    facts.cluster_firewall = read_text(node, Path::new(CLUSTER_FIREWALL_PATH))?;
    facts.sudoers_drop_in = exists(node, Path::new(SUDOERS_DROP_IN_PATH))?;
    facts.bridge_filtered = text(node, BRIDGE_FILTER_PATH).trim() == "1";
    for path in UFW_RULES_PATHS {
        facts.ufw_rules.extend(ufw_tuples(&text(node, path)));
    }
    facts.ufw_without_ipv6 = os_release(&text(node, UFW_DEFAULTS_PATH), "IPV6").eq_ignore_ascii_case("no");
    facts.openssh = facts.package_version(SSH_PACKAGE).map(upstream_version).unwrap_or_default();
    ssh::gather(node, &mut facts);
    accounts::gather(node, &mut facts);
    network::gather(node, &mut facts);
    Ok(facts)
}

impl Facts {
    /// Version of an installed package.
    pub fn package_version(&self, name: &str) -> Option<&str> {
        self.packages.iter().find(|(package, _)| package == name).map(|(_, version)| version.as_str())
    }
}

/// A file as text; empty when it is missing or unreadable, which for a fact is the same.
fn text(node: &dyn Node, path: &str) -> String {
    read_text(node, Path::new(path)).ok().flatten().unwrap_or_default()
}

/// Standard output of a command that succeeded; else empty, as the tool may not be installed.
fn output(node: &dyn Node, program: &str, arguments: &[&str]) -> String {
    match node.run(&Invocation::new(program, arguments)) {
        Ok(output) if output.success() => output.stdout,
        _ => String::new(),
    }
}

fn host_name(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    line.unwrap_or_default().split('.').next().unwrap_or_default().to_owned()
}

/// The value of `NAME=value` or `NAME="value"`: os-release(5), and Debian's files in `/etc/default`.
fn os_release(text: &str, name: &str) -> String {
    text.lines()
        .filter_map(|line| line.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned())
        .next_back()
        .unwrap_or_default()
}

/// Packages whose state is `installed`, from dpkg's own file (deb822 stanzas).
fn installed_packages(status: &str) -> Vec<(String, String)> {
    let mut packages = Vec::new();
    for stanza in status.split("\n\n") {
        let field = |name: &str| {
            stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        // "install ok installed": wanted, no error, state. A package on hold is installed all the same.
        let installed = field("Status").is_some_and(|status| status.ends_with(" ok installed"));
        if let (true, Some(name), Some(version)) = (installed, field("Package"), field("Version")) {
            packages.push((name.to_owned(), version.to_owned()));
        }
    }
    packages.sort();
    packages
}

/// `10.0` of Debian's `1:10.0p1-7+deb13u4`.
fn upstream_version(debian: &str) -> String {
    let version = debian.split_once(':').map_or(debian, |(_, rest)| rest);
    version.chars().take_while(|&letter| letter.is_ascii_digit() || letter == '.').collect()
}

/// UFW keeps every rule in a comment above the iptables lines it makes of it.
fn ufw_tuples(rules: &str) -> Vec<String> {
    let tuples = rules.lines().filter_map(|line| line.strip_prefix("### tuple ### "));
    tuples.map(|tuple| tuple.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_installed_packages_count() {
        let status = "Package: sudo\nStatus: install ok installed\nVersion: 1.9.16p2-3\n\n\
            Package: ufw\nStatus: deinstall ok config-files\nVersion: 0.36.2-9\n\n\
            Package: openssh-server\nStatus: hold ok installed\nVersion: 1:10.0p1-7+deb13u4\nDepends: x\n";
        let packages = installed_packages(status);
        assert_eq!(
            packages.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["openssh-server", "sudo"]
        );
        assert_eq!(upstream_version(&packages[0].1), "10.0");
        assert_eq!(upstream_version("1:9.2p1-2+deb12u10"), "9.2");
    }

    #[test]
    fn os_release_values_lose_their_quotes() {
        assert_eq!(os_release("NAME=\"Debian\"\nVERSION_ID=\"13\"\n", "VERSION_ID"), "13");
        assert_eq!(os_release("#IPV6=no\nIPV6=yes\n", "IPV6"), "yes");
        assert_eq!(host_name("# name\npve1.example.com\n"), "pve1");
    }

    #[test]
    fn ufw_rules_are_read_from_its_own_notes() {
        let rules = "*filter\n### RULES ###\n\n### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=7820\n\
            -A ufw-user-input -p tcp --dport 22 -j ACCEPT\n";
        assert_eq!(ufw_tuples(rules), ["allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=7820"]);
    }
}
