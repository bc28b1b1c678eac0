//! Reads the facts from the node, through the seam only. What is missing is empty: only areas know what they need.

mod accounts;
mod network;
mod ssh;

use super::{Facts, cluster_firewall, packages, pmxcfs, pve, ufw};
use crate::error::Result;
use crate::node::{Invocation, Node, exists, read_text};
use std::path::Path;

pub(crate) use network::sockets;
pub(crate) use ssh::options as sshd_options;
pub use ssh::{RSA_HOST_KEY_PATH, host_keys};

const HOST_NAME_PATH: &str = "/etc/hostname";
const OS_RELEASE_PATH: &str = "/etc/os-release";
const SUDOERS_DROP_IN_PATH: &str = "/etc/sudoers.d/firstlight";
const PVE_PACKAGE: &str = "pve-manager";
const SSH_PACKAGE: &str = "openssh-server";

/// Reads the node once. An error only when a path that is there cannot be looked at.
pub fn gather(node: &dyn Node) -> Result<Facts> {
    let mut facts = Facts { host_name: own_host_name(node), ..Facts::default() };
    facts.debian_version = os_release(&text(node, OS_RELEASE_PATH), "VERSION_ID");
    facts.packages = installed_packages(&text(node, packages::STATUS_PATH));
    facts.pve_version = facts.package_version(PVE_PACKAGE).map(str::to_owned);
    facts.pmxcfs = match pmxcfs::state(node)? {
        pmxcfs::State::Absent if facts.pve_version.is_some() => pmxcfs::State::Down,
        state => state,
    };
    facts.cluster_member = pmxcfs::is_member(node)?;
    facts.cluster_name = pmxcfs::cluster_name(node);
    facts.member_addresses = pmxcfs::member_addresses(node);
    facts.cluster_firewall = read_text(node, Path::new(cluster_firewall::PATH))?;
    facts.access = pve::Access::read(node)?;
    facts.node_name = pmxcfs::node_name(node);
    facts.host_firewall = read_text(node, &cluster_firewall::host_path(&facts.node_name))?;
    for name in node.list(Path::new(cluster_firewall::NODES_PATH)).unwrap_or_default() {
        let name = name.to_string_lossy().into_owned();
        let text = read_text(node, &cluster_firewall::host_path(&name))?;
        facts.nftables_nodes.extend(text.filter(|it| cluster_firewall::uses_nftables(it)).map(|_| name));
    }
    facts.sudoers_drop_in = exists(node, Path::new(SUDOERS_DROP_IN_PATH))?;
    for path in ufw::RULES_PATHS {
        facts.ufw_rules.extend(ufw::tuples(&text(node, path)));
    }
    facts.ufw_without_ipv6 = os_release(&text(node, ufw::DEFAULTS_PATH), "IPV6").eq_ignore_ascii_case("no");
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

/// The node's short name.
pub fn own_host_name(node: &dyn Node) -> String {
    host_name(&text(node, HOST_NAME_PATH))
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

/// Name and version of what is installed, sorted.
fn installed_packages(status: &str) -> Vec<(String, String)> {
    let installed = packages::all(status).filter(|package| package.is_installed());
    let mut packages: Vec<_> =
        installed.map(|package| (package.name.to_owned(), package.version.to_owned())).collect();
    packages.sort_unstable();
    packages
}

/// `10.0` of Debian's `1:10.0p1-7+deb13u4`.
fn upstream_version(debian: &str) -> String {
    let version = debian.split_once(':').map_or(debian, |(_, rest)| rest);
    version.chars().take_while(|&letter| letter.is_ascii_digit() || letter == '.').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_openssh_is_without_debians_parts() {
        assert_eq!(upstream_version("1:10.0p1-7+deb13u4"), "10.0");
        assert_eq!(upstream_version("1:9.2p1-2+deb12u10"), "9.2");
    }

    #[test]
    fn os_release_values_lose_their_quotes() {
        assert_eq!(os_release("NAME=\"Debian\"\nVERSION_ID=\"13\"\n", "VERSION_ID"), "13");
        assert_eq!(os_release("#IPV6=no\nIPV6=yes\n", "IPV6"), "yes");
        assert_eq!(host_name("# name\npve1.example.com\n"), "pve1");
    }
}
