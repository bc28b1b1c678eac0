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

/// Where the kernel shows a setting: `net.ipv4.ip_forward` is `/proc/sys/net/ipv4/ip_forward`.
pub fn path(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(slashes(name).trim_start_matches('/'))
}

/// A name as a path: dots are slashes and slashes dots, unless a slash comes first (sysctl.d(5), sysctl(8)).
pub fn slashes(name: &str) -> String {
    let swapped = |sign| match sign {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    match name.find(['.', '/']) {
        Some(first) if name[first..].starts_with('.') => name.chars().map(swapped).collect(),
        _ => name.to_owned(),
    }
}

/// One blank between the words of a value.
pub fn one_blank(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Adds the setting with the value of now, if the kernel has it.
fn add(node: &dyn Node, name: String, values: &mut Settings) -> Result<()> {
    if let Some(text) = read_text(node, &path(&name))? {
        values.push((name, one_blank(&text)));
    }
    Ok(())
}

/// What a name stands for, with the values of now: itself, or with `*` the setting of every interface, `all` and
/// `default` among them. What the kernel does not have is left out.
pub fn values(node: &dyn Node, name: &str) -> Result<Settings> {
    let mut values = Settings::new();
    let Some((before, after)) = name.split_once('*') else {
        add(node, name.to_owned(), &mut values)?;
        return Ok(values);
    };
    let (before, after) = (slashes(before), slashes(after));
    let directory = path(&before);
    if exists(node, &directory)? {
        for interface in node.list(&directory)? {
            add(node, [&before, &*interface.to_string_lossy(), &after].concat(), &mut values)?;
        }
    }
    Ok(values)
}

/// The first of `values` that is in effect, and not as wanted. For an interface the kernel joins its value
/// with that of `all`: the higher one counts, but for source routes, which both must let in, and for redirects of IPv6,
/// where `all` counts for nothing (`include/linux/inetdevice.h`, `net/ipv6/ndisc.c`). For redirects of IPv4 it is the
/// lower one while the interface forwards: as that may end at any time, both must be as wanted here.
pub fn amiss<'a>(values: &'a [(String, String)], wanted: &str) -> Option<&'a (String, String)> {
    let all = values.iter().find(|(name, _)| values.len() > 1 && name.contains("/all/"));
    values.iter().find_map(|own| {
        let counts = match all {
            Some(all) if all.0 == own.0 => return None,
            Some(all) if all_counts(&own.0, &all.1, &own.1) => all,
            _ => own,
        };
        (counts.1 != wanted).then_some(counts)
    })
}

/// Whether the value of `all` is in effect, and not the interface's own.
fn all_counts(name: &str, all: &str, own: &str) -> bool {
    let (all, own) = (all.parse().unwrap_or(0), own.parse().unwrap_or(0_i64));
    if name.ends_with("/accept_source_route") {
        all < own
    } else {
        all > own && !name.starts_with("net/ipv6/")
    }
}

/// What has to be written: with the values of before, and each one's new value.
fn due(node: &dyn Node, change: &KernelChange) -> Result<(Settings, Vec<String>)> {
    let (mut before, mut made) = (Settings::new(), Vec::new());
    for (name, wanted) in &change.settings {
        let mut values = values(node, name)?;
        if amiss(&values, wanted).is_some() {
            values.retain(|(_, value)| value != wanted);
            made.resize(made.len() + values.len(), wanted.clone());
            before.append(&mut values);
        }
    }
    Ok((before, made))
}

/// What is missing for the settings to be as wanted. A setting that the kernel does not have needs nothing.
pub fn need(node: &dyn Node, change: &KernelChange) -> Result<Option<Need>> {
    let (before, made) = due(node, change)?;
    let mut lines = Vec::new();
    for ((name, value), made) in before.iter().zip(&made) {
        lines.push([name, ": ", made, " instead of ", value].concat());
    }
    let Some(first) = lines.first() else { return Ok(None) };
    let title = ["kernel ", first, if lines.len() > 1 { ", and others" } else { "" }].concat();
    Ok(Some(Need { title, view: View::Lines(lines) }))
}

/// The values before, for the way back.
pub fn inverse(node: &dyn Node, change: &KernelChange) -> Result<Inverse> {
    let (before, made) = due(node, change)?;
    Ok(Inverse::Kernel { before, made })
}

/// Sets them.
pub fn make(node: &dyn Node, change: &KernelChange) -> Result<()> {
    let (mut settings, made) = due(node, change)?;
    for (setting, made) in settings.iter_mut().zip(made) {
        setting.1 = made;
    }
    set(node, &settings)
}

fn set(node: &dyn Node, settings: &[(String, String)]) -> Result<()> {
    if settings.is_empty() {
        return Ok(());
    }
    let pairs: Vec<String> = settings.iter().map(|(name, value)| [name, "=", value].concat()).collect();
    // An interface may have gone since it was listed: -e.
    let mut words = vec!["-q", "-e", "-w"];
    words.extend(pairs.iter().map(String::as_str));
    run_checked(node, &Invocation::new(SYSCTL, &words)).map(drop)
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
    for (place, setting) in before.iter().enumerate() {
        let mut now = Settings::new();
        match then.iter().rfind(|(name, _)| *name == setting.0) {
            Some(known) => now.push(known.clone()),
            None => add(node, setting.0.clone(), &mut now)?,
        }
        let Some((_, now)) = now.pop().filter(|now| now != setting) else { continue };
        let ours_still = force || made.get(place) == Some(&now);
        if ours_still { &mut ours } else { &mut theirs }.push(setting.clone());
    }
    Ok((ours, theirs))
}

/// Sets them back, where the kernel still has them; returns where it shows those that somebody else has set since, which
/// stay, unless with `force`.
pub fn undo(
    node: &dyn Node,
    before: &[(String, String)],
    made: &[String],
    force: bool,
) -> Result<Vec<PathBuf>> {
    let (ours, theirs) = whose(node, before, made, force, &[])?;
    set(node, &ours)?;
    Ok(theirs.iter().map(|(name, _)| path(name)).collect())
}

/// Sets back what a tool has changed by the way.
pub fn put_back(node: &dyn Node, before: &[(String, String)]) -> Result<()> {
    undo(node, before, &[], true).map(drop)
}
