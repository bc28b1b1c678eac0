//! Kernel settings at run time, by `sysctl`; what a boot sets is a matter of files.

use super::{KernelChange, Need};
use crate::error::Result;
use crate::node::{Invocation, Node, exists, read_text, run_checked};
use crate::plan::View;
use crate::transaction::record::Inverse;
use std::path::{Path, PathBuf};

const SYSCTL: &str = "/usr/sbin/sysctl";

/// Names and values.
pub type Settings = Vec<(String, String)>;

/// Where the kernel shows a setting: `net.ipv4.ip_forward` is `/proc/sys/net/ipv4/ip_forward`. A name with slashes is
/// the path itself, as sysctl(8) has it: dots belong to the names of interfaces then.
pub fn path(name: &str) -> PathBuf {
    let name = if name.contains('/') { name.to_owned() } else { name.replace('.', "/") };
    Path::new("/proc/sys").join(name.trim_start_matches('/'))
}

/// The value now; `None` while the kernel does not have the setting.
pub fn value(node: &dyn Node, name: &str) -> Result<Option<String>> {
    Ok(read_text(node, &path(name))?.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")))
}

/// What a name stands for, with the values of now: itself, or with `*` the setting of every interface, `all` and
/// `default` among them. What the kernel does not have is left out.
pub fn values(node: &dyn Node, name: &str) -> Result<Settings> {
    let mut names = vec![name.to_owned()];
    if let Some((before, after)) = name.split_once('*') {
        let (directory, after) = (before.replace('.', "/"), after.replace('.', "/"));
        let found = if exists(node, &path(&directory))? { node.list(&path(&directory))? } else { Vec::new() };
        names = found
            .iter()
            .map(|interface| format!("{directory}{}{after}", interface.to_string_lossy()))
            .collect();
    }
    let mut values = Vec::new();
    for name in names {
        values.extend(value(node, &name)?.map(|value| (name, value)));
    }
    Ok(values)
}

/// The first of `values` that is in effect, and not as wanted. For an interface the kernel joins its value
/// with that of `all`: the higher one counts, but for source routes, which both must let in, and for redirects of IPv6,
/// where `all` counts for nothing (`include/linux/inetdevice.h`, `net/ipv6/ndisc.c`). For redirects of IPv4 it is the
/// lower one while the interface forwards: as that may end at any time, both must be as wanted here.
pub fn amiss(values: &[(String, String)], wanted: &str) -> Option<(String, String)> {
    let all = values.iter().find(|(name, _)| values.len() > 1 && name.contains("/all/"));
    for own in values {
        let counts = match all {
            Some(all) if all.0 == own.0 => continue,
            Some(all) if all_counts(&own.0, &all.1, &own.1) => all,
            _ => own,
        };
        if counts.1 != wanted {
            return Some(counts.clone());
        }
    }
    None
}

/// Whether the value of `all` is in effect, and not the interface's own.
fn all_counts(name: &str, all: &str, own: &str) -> bool {
    let number = |text: &str| text.parse::<i64>().unwrap_or_default();
    let lower_counts = name.ends_with("/accept_source_route");
    if name.starts_with("net/ipv6/") && !lower_counts {
        return false;
    }
    if lower_counts { number(all) < number(own) } else { number(all) > number(own) }
}

/// What has to be written, with the values of before.
fn due(node: &dyn Node, change: &KernelChange) -> Result<Vec<(String, String, String)>> {
    let mut due = Vec::new();
    for (name, wanted) in &change.settings {
        let values = values(node, name)?;
        if amiss(&values, wanted).is_some() {
            let others = values.into_iter().filter(|(_, value)| value != wanted);
            due.extend(others.map(|(name, value)| (name, value, wanted.clone())));
        }
    }
    Ok(due)
}

/// What is missing for the settings to be as wanted. A setting that the kernel does not have needs nothing.
pub fn need(node: &dyn Node, change: &KernelChange) -> Result<Option<Need>> {
    let due = due(node, change)?;
    let mut lines: Vec<String> =
        due.iter().map(|(name, value, wanted)| format!("{name}: {wanted} instead of {value}")).collect();
    Ok(match lines.len() {
        0 => None,
        1 => Some(Need { title: format!("kernel {}", lines.remove(0)), view: View::Lines(lines) }),
        count => Some(Need { title: format!("kernel: {count} settings"), view: View::Lines(lines) }),
    })
}

/// The values before, for the way back.
pub fn inverse(node: &dyn Node, change: &KernelChange) -> Result<Inverse> {
    let (before, made) =
        due(node, change)?.into_iter().map(|(name, value, wanted)| ((name, value), wanted)).unzip();
    Ok(Inverse::Kernel { before, made })
}

/// Of the settings that are neither as they were before nor gone: those that are as the step `made` them, or all of them
/// with `force`, and those that somebody else has set since. `then`: values that the kernel will have by then.
pub fn whose(
    node: &dyn Node,
    before: &[(String, String)],
    made: &[String],
    force: bool,
    then: &[(String, String)],
) -> Result<(Settings, Settings)> {
    let (mut ours, mut theirs) = (Settings::new(), Settings::new());
    for (setting, made) in before.iter().zip(made) {
        let known = then.iter().rfind(|(name, _)| *name == setting.0).map(|(_, value)| value.clone());
        let now = match known {
            None => value(node, &setting.0)?,
            known => known,
        };
        if now.as_ref().is_some_and(|now| *now != setting.1) {
            let to = if force || now.as_ref() == Some(made) { &mut ours } else { &mut theirs };
            to.push(setting.clone());
        }
    }
    Ok((ours, theirs))
}

/// Sets them.
pub fn make(node: &dyn Node, change: &KernelChange) -> Result<()> {
    let due = due(node, change)?;
    set(node, due.iter().map(|(name, _, wanted)| (name.as_str(), wanted.as_str())))
}

fn set<'a>(node: &dyn Node, settings: impl Iterator<Item = (&'a str, &'a str)>) -> Result<()> {
    let mut words = vec!["-q".to_owned(), "-w".to_owned()];
    words.extend(settings.map(|(name, value)| format!("{name}={value}")));
    if words.len() == 2 {
        return Ok(());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    run_checked(node, &Invocation::new(SYSCTL, &words)).map(drop)
}

/// Sets them back, where the kernel still has them.
pub fn undo(node: &dyn Node, before: &[(String, String)]) -> Result<()> {
    let mut changed = Vec::new();
    for (name, value) in before {
        if self::value(node, name)?.is_some_and(|now| now != *value) {
            changed.push((name.as_str(), value.as_str()));
        }
    }
    set(node, changed.into_iter())
}
