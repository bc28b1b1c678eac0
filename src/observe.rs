//! Evaluates [`Check`]s: what is true now, from effective state and never from our own files alone.

mod accounts;
mod apparmor;
mod apt;
mod fail2ban;
mod firewall;
mod kernel;
mod node;
mod pve;
mod rules;
mod services;
mod sshd;
mod ufw;

use crate::change::{self, FileChange};
use crate::control::Check;
use crate::error::{Error, Result};
use crate::facts::pve::Access;
use crate::node::{Invocation, Node, Output, read_text};
use std::path::Path;

pub(crate) use sshd::says as sshd_says;

const DPKG_QUERY_PROGRAM: &str = "/usr/bin/dpkg-query";
const SYSTEMCTL_PROGRAM: &str = "/usr/bin/systemctl";

/// What a check found.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub enum Verdict {
    /// It is as wanted.
    Holds,
    /// What is true instead, as a sentence part.
    Fails(String),
}

impl Verdict {
    fn of(holds: bool, otherwise: impl FnOnce() -> String) -> Self {
        if holds { Self::Holds } else { Self::Fails(otherwise()) }
    }
}

/// Evaluates checks on one node. The output of a command is kept: after a change, take a new observer.
pub struct Observer<'a> {
    node: &'a dyn Node,
    cache: Vec<(String, Output)>,
}

impl<'a> Observer<'a> {
    /// An observer that has seen nothing yet.
    pub fn new(node: &'a dyn Node) -> Self {
        Self { node, cache: Vec::new() }
    }

    /// Looks whether `check` holds. An error means that it could not be seen.
    pub fn evaluate(&mut self, check: &Check) -> Result<Verdict> {
        match check {
            Check::Sshd { connection, key, values } => self.sshd(connection, key, values),
            Check::PackageInstalled(name) => self.package(name),
            Check::Account { name, shell, groups } => self.account(name, shell, groups),
            Check::SudoAllows { name, text } => self.sudo(name, text),
            Check::AuthorizedKey { name, path, fingerprint } => self.authorized_key(name, path, fingerprint),
            Check::UfwActive { incoming, outgoing, routed } => self.ufw_active([incoming, outgoing, routed]),
            Check::Rule(words) => self.rule(words),
            Check::NothingWider { chain, ports, networks } => self.nothing_wider(chain, ports, networks),
            Check::PveFirewallOn => self.pve_firewall_on(),
            Check::UfwGone => self.ufw_gone(),
            Check::NoForeignTables => self.no_foreign_tables(),
            Check::PveFirewallOff => self.pve_firewall_off(),
            Check::Kernel { name, value, boot } => self.kernel(name, value, *boot),
            Check::Fail2banJail { jail, keys, wanted } => self.fail2ban_jail(jail, keys, wanted),
            Check::AppArmorEnforces(name) => self.apparmor_enforces(name),
            Check::AppArmorOn => self.apparmor_on(),
            Check::NoDenials => self.no_denials(),
            Check::MailOnLoopback => self.mail_on_loopback(),
            Check::Listeners(allowed) => self.listeners(allowed),
            Check::Unit { name, enabled, active } => self.unit(name, *enabled, *active),
            Check::HostKeyBits { path, bits } => self.host_key_bits(path, *bits),
            Check::Pve(object) => {
                let held = object.holds(&Access::read(self.node)?);
                Ok(Verdict::of(held, || format!("PVE does not have it: {}", object.title())))
            }
            Check::AptSource { name, channel, suite } => self.apt_source(name, channel, suite),
            Check::AptConfig { names, values } => self.apt_config(names, values),
            Check::FileMode { path, mode } => self.file_mode(path, *mode),
            Check::File(file) => self.file(file),
            Check::ModulesBlocked(names) => self.modules_blocked(names),
            Check::Password(name) => self.password(name),
            Check::Link { path, target } => self.link(path, target),
            Check::Clock => self.clock(),
            Check::TotpOpen { user, locked } => self.totp_open(user, *locked),
            Check::LastRun => self.last_run(),
            Check::PveSet { name, entry } => self.pve_set(name, entry),
            Check::PveHostRule(text) => self.pve_host_rule(text),
            Check::PveFile { path, section, text } => self.pve_file(path, section, text),
        }
    }

    /// Runs a command once; a status other than 0 is for the caller to judge.
    fn output(&mut self, program: &str, arguments: &[&str]) -> Result<Output> {
        self.once(Invocation::new(program, arguments))
    }

    fn once(&mut self, invocation: Invocation) -> Result<Output> {
        let line = invocation.line();
        if let Some((_, output)) = self.cache.iter().find(|(known, _)| *known == line) {
            return Ok(output.clone());
        }
        let output = self.node.run(&invocation)?;
        self.cache.push((line, output.clone()));
        Ok(output)
    }

    /// Standard output of a command that must succeed.
    fn listing(&mut self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.output(program, arguments)?;
        if output.success() {
            return Ok(output.stdout);
        }
        Err(Error::new(format!("running {}", Invocation::new(program, arguments).line()), output.complaint()))
    }

    /// A file as text; empty when it is missing.
    fn text(&self, path: &str) -> Result<String> {
        Ok(read_text(self.node, Path::new(path))?.unwrap_or_default())
    }

    fn package(&mut self, name: &str) -> Result<Verdict> {
        // One call for all packages is as fast as one for a single package: dpkg reads its whole database.
        let listing = self.listing(DPKG_QUERY_PROGRAM, &["-W", "-f", "${Package} ${db:Status-Status}\\n"])?;
        let found = listing.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let state = found.unwrap_or("not installed");
        Ok(Verdict::of(state == "installed", || format!("{name} is {state}")))
    }

    fn host_key_bits(&self, path: &Path, wanted: u32) -> Result<Verdict> {
        let bits = change::host_key_bits(self.node, path)?;
        Ok(Verdict::of(bits.is_some_and(|bits| bits >= wanted), || match bits {
            Some(bits) => format!("{} has {bits} bits", path.display()),
            None => format!("{} cannot be read", path.display()),
        }))
    }

    fn unit(&mut self, name: &str, enabled: Option<bool>, active: Option<bool>) -> Result<Verdict> {
        if let Some(wanted) = enabled {
            // is-enabled answers with a word, and with a status of its own for each of them (systemctl(1)).
            let state = self.output(SYSTEMCTL_PROGRAM, &["is-enabled", name])?.stdout.trim().to_owned();
            if counts_as_enabled(&state) != wanted {
                return Ok(Verdict::Fails(format!("{name} is {}", word(&state, "not found"))));
            }
        }
        if let Some(wanted) = active {
            let state = self.output(SYSTEMCTL_PROGRAM, &["is-active", name])?.stdout.trim().to_owned();
            if matches!(state.as_str(), "active" | "reloading") != wanted {
                return Ok(Verdict::Fails(format!("{name} is {}", word(&state, "not found"))));
            }
        }
        Ok(Verdict::Holds)
    }

    fn file(&self, wanted: &FileChange) -> Result<Verdict> {
        let need = change::Change::File(wanted.clone()).need(self.node)?;
        Ok(need.map_or(Verdict::Holds, |need| Verdict::Fails(need.title)))
    }

    fn file_mode(&self, path: &Path, mode: u32) -> Result<Verdict> {
        Ok(match self.node.lookup(path)? {
            None => Verdict::Fails(format!("{} is missing", path.display())),
            Some(found) => Verdict::of(found.mode == mode, || {
                format!("{} has mode {:04o} instead of {mode:04o}", path.display(), found.mode)
            }),
        })
    }
}

/// Whether a unit that `systemctl is-enabled` says this word about starts at the next boot, as far as enabling decides
/// that (systemctl(1)). `static` has nothing to enable, and what it belongs to starts it; `alias` comes with the
/// unit it is another name of; `generated` is enabled by its generator. `enabled-runtime` is gone at the next boot,
/// and of `indirect` other units are meant.
pub fn counts_as_enabled(word: &str) -> bool {
    matches!(word, "enabled" | "static" | "alias" | "generated")
}

fn word<'a>(text: &'a str, empty: &'a str) -> &'a str {
    if text.is_empty() { empty } else { text }
}

#[cfg(test)]
mod tests;
