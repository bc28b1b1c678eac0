//! Kernel settings (row G1): one file that sorts last, and the same values at run time. Nothing that a container needs
//! is among them.

use super::{Area, control, push};
use crate::change::{Change, FileChange, KernelChange};
use crate::control::{Check, Phase, Proposal, Refusal};
use crate::facts::Facts;
use crate::profile::Profile;

const PATH: &str = "/etc/sysctl.d/zz-firstlight.conf";
const HEADER: &str = "# Written by firstlight; change the answer and run `firstlight apply`.\n\
    # It sorts last on purpose: the last value of a setting wins (pve-firewall.conf has one, too).\n";
const RP_FILTER: &str = "net.ipv4.conf.*.rp_filter";
/// `*` stands for every interface: how the kernel joins their values with that of `all` differs from one to the next.
const SETTINGS: &[(&str, &str)] = &[
    ("dev.tty.ldisc_autoload", "0"),
    ("fs.protected_fifos", "2"),
    ("fs.protected_hardlinks", "1"),
    ("fs.protected_regular", "2"),
    ("fs.protected_symlinks", "1"),
    ("fs.suid_dumpable", "0"),
    ("kernel.dmesg_restrict", "1"),
    ("kernel.kptr_restrict", "2"),
    ("net.ipv4.conf.*.accept_redirects", "0"),
    ("net.ipv4.conf.*.accept_source_route", "0"),
    ("net.ipv4.conf.*.secure_redirects", "0"),
    ("net.ipv4.conf.*.send_redirects", "0"),
    ("net.ipv4.icmp_echo_ignore_broadcasts", "1"),
    ("net.ipv4.icmp_ignore_bogus_error_responses", "1"),
    ("net.ipv4.tcp_syncookies", "1"),
    ("net.ipv6.conf.*.accept_redirects", "0"),
    ("net.ipv6.conf.*.accept_source_route", "0"),
];
/// What containers do not survive, or do not start with (anchors E.7, G14), and from which value on.
const BREAKS_CONTAINERS: [(&str, &str); 4] = [
    ("kernel.unprivileged_userns_clone", "0"),
    ("user.max_user_namespaces", "0"),
    ("kernel.yama.ptrace_scope", "3"),
    ("kernel.modules_disabled", "1"),
];

pub(super) struct Kernel;

impl Area for Kernel {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.kernel.enabled
    }

    fn propose(&self, profile: &Profile, facts: &Facts) -> Result<Proposal, Vec<Refusal>> {
        let settings = settings(profile, facts);
        let mut proposal = Proposal::default();
        for setting in &settings {
            if BREAKS_CONTAINERS.iter().any(|(name, value)| setting.0 == *name && setting.1 == *value) {
                proposal.warnings.push(format!("containers do not run with {} = {}", setting.0, setting.1));
            }
        }
        let file = FileChange {
            path: PATH.into(),
            content: text(&settings).into_bytes(),
            mode: 0o644,
            owner: "root".to_owned(),
            public: true,
        };
        proposal.changes.push((Phase::Files, Change::File(file)));
        let controls = settings.iter().map(|(name, value)| {
            let wanted = format!("{name} is {value}, now and after a boot");
            let check = Check::Kernel { name: name.clone(), value: value.clone(), boot: true };
            let mut control = control("", "G1", wanted, check);
            control.id = id(name).into();
            control.changes.push(0);
            control
        });
        let controls = controls.collect();
        push(&mut proposal, (Phase::Services, Change::Kernel(KernelChange { settings })), controls);
        Ok(proposal)
    }
}

/// Ours, and those of the answer, which are instead of ours where they say something about the same.
fn settings(profile: &Profile, facts: &Facts) -> Vec<(String, String)> {
    let extra = &profile.kernel.extra;
    let rp_filter = match profile.kernel.rp_filter.as_str() {
        // pve-firewall sets it, too: nodes with several networks answer by another one than they were asked on.
        "auto" if facts.pve_version.is_some() => "2",
        "auto" => "1",
        chosen => chosen,
    };
    let ours = SETTINGS.iter().copied().chain([(RP_FILTER, rp_filter)]);
    let mut settings: Vec<(String, String)> = ours
        .filter(|(name, _)| !extra.iter().any(|(other, _)| is_about(name, other)))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let one_blank = |value: &String| value.split_whitespace().collect::<Vec<_>>().join(" ");
    settings.extend(extra.iter().map(|(name, value)| (name.clone(), one_blank(value))));
    settings
}

/// Whether a setting of the answer is `ours`, or one of those that ours stands for.
fn is_about(ours: &str, other: &str) -> bool {
    let other = other.replace('/', ".");
    match ours.split_once('*') {
        None => ours == other,
        Some((before, after)) => other.starts_with(before) && other.ends_with(after),
    }
}

/// A pattern sets what no line names, so that `all` and `default`, which others name, have a line (sysctl.d(5)).
fn text(settings: &[(String, String)]) -> String {
    let mut text = HEADER.to_owned();
    for (name, value) in settings {
        for interface in ["all", "default", "*"] {
            if name.contains('*') || interface == "*" {
                text.push_str(&format!("{} = {value}\n", name.replace('*', interface)));
            }
        }
    }
    text
}

/// `kernel.net.ipv4.conf.rp-filter`.
fn id(name: &str) -> String {
    let name = name.replace("*.", "").replace('_', "-").to_ascii_lowercase();
    let name = name.trim_matches('/').replace('/', ".");
    format!("kernel.{name}")
}

#[cfg(test)]
mod tests;
