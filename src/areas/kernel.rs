//! Kernel settings (row G1): one file that sorts last, and the same values at run time. Nothing that a container needs
//! is among them.

use super::{Area, WRITTEN, control, push, push_file};
use crate::change::{Change, KernelChange, one_blank};
use crate::control::{Check, Phase, Proposal};
use crate::facts::Facts;
use crate::packed::packed;
use crate::profile::Profile;

const PATH: &str = "/etc/sysctl.d/zz-firstlight.conf";
/// It sorts first on purpose: the first line about a module counts (libkmod's configuration is a list).
const MODULES_PATH: &str = "/etc/modprobe.d/00-firstlight.conf";
const BLOCKED: &str = " /bin/false\n";
const LAST: &str = "\
    # It sorts last on purpose: the last value of a setting wins (pve-firewall.conf has one, too).\n";
const RP_FILTER: &str = "net.ipv4.conf.*.rp_filter";
/// What containers do not survive, or do not start with (anchors E.7, G14), and from which value on.
const BREAKS_CONTAINERS: &str = "kernel.unprivileged_userns_clone=0 user.max_user_namespaces=0 \
    kernel.yama.ptrace_scope=3 kernel.modules_disabled=1";

pub(super) struct Kernel;

impl Area for Kernel {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.kernel.enabled
    }

    fn described(&self, profile: &Profile, facts: &Facts) -> Proposal {
        let mut proposal = Proposal::default();
        let (mut settings, mut controls, mut text) = (Vec::new(), Vec::new(), [WRITTEN, LAST].concat());
        let mut add = |name: &str, value: &str| {
            // A pattern sets what no line names, so that `all` and `default`, which others name, have one (sysctl.d(5)).
            let lines: &[&str] = if name.contains('*') { &["all", "default", "*"] } else { &[""] };
            for interface in lines {
                text.push_str(&[&name.replace('*', interface), " = ", value, "\n"].concat());
            }
            let check = Check::Kernel { name: name.to_owned(), value: value.to_owned(), boot: true };
            let wanted = [name, " is ", value, ", now and after a boot"].concat();
            let mut control = control("", "G1", wanted, check);
            control.id = id(name).into();
            control.changes.push(0);
            controls.push(control);
            settings.push((name.to_owned(), value.to_owned()));
        };
        let rp_filter = match profile.kernel.rp_filter.as_str() {
            // pve-firewall sets it, too: nodes with several networks answer by another one than they were asked on.
            "auto" if facts.pve_version.is_some() => "2",
            "auto" => "1",
            chosen => chosen,
        };
        let extra = &profile.kernel.extra;
        // `*` stands for every interface: how the kernel joins their values with that of `all` differs from one to the next.
        let ours = packed!("settings.txt").lines().filter_map(|line| line.split_once(' '));
        for (name, value) in ours.chain([(RP_FILTER, rp_filter)]) {
            if !extra.iter().any(|(other, _)| is_about(name, other)) {
                add(name, value);
            }
        }
        for (name, value) in extra {
            add(name, &one_blank(value));
            let pair = [name.as_str(), value].join("=");
            if BREAKS_CONTAINERS.split(' ').any(|breaks| breaks == pair) {
                proposal.warnings.push(["containers do not run with ", &pair].concat());
            }
        }
        push_file(&mut proposal, PATH, text, Vec::new());
        push(&mut proposal, (Phase::Services, Change::Kernel(KernelChange { settings })), controls);
        let modules = &profile.kernel.blocked_modules;
        if !modules.is_empty() {
            let wanted = ["the kernel does not load ", &modules.join(", ")].concat();
            let control = control("kernel.modules", "G1", wanted, Check::ModulesBlocked(modules.clone()));
            let lines = modules.iter().flat_map(|name| ["install ", name, BLOCKED]);
            push_file(
                &mut proposal,
                MODULES_PATH,
                std::iter::once(WRITTEN).chain(lines).collect(),
                vec![control],
            );
        }
        proposal
    }
}

/// Whether a setting of the answer is `ours`, or one of those that ours stands for.
fn is_about(ours: &str, other: &str) -> bool {
    let other = other.replace('/', ".");
    match ours.split_once('*') {
        None => ours == other,
        Some((before, after)) => other.starts_with(before) && other.ends_with(after),
    }
}

/// `kernel.net.ipv4.conf.rp-filter`.
fn id(name: &str) -> String {
    let name = name.replace("*.", "").replace('_', "-").replace('/', ".").to_ascii_lowercase();
    ["kernel.", name.trim_start_matches('.')].concat()
}

#[cfg(test)]
mod tests;
