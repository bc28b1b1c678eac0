//! Kernel settings: what is in effect, and what the next boot sets.

use super::{Observer, Verdict};
use crate::change::{Settings, amiss, kernel_values};
use crate::error::Result;

const SYSTEMD_ANALYZE_PROGRAM: &str = "/usr/bin/systemd-analyze";
/// UFW sets these when it is started, after systemd has set its own (`IPT_SYSCTL` in `/etc/default/ufw`).
const UFW_SETTINGS_PATH: &str = "/etc/ufw/sysctl.conf";
const UFW_SWITCH_PATH: &str = "/etc/ufw/ufw.conf";
/// Settings that are not there in a kernel without IPv6.
const OPTIONAL: &str = "net.ipv6.";

impl Observer<'_> {
    pub(super) fn kernel(&mut self, name: &str, wanted: &str, boot: bool) -> Result<Verdict> {
        let values = kernel_values(self.node, name)?;
        if let Some((name, value)) = amiss(&values, wanted) {
            return Ok(Verdict::Fails(format!("{name} is {value}")));
        }
        if !boot || values.is_empty() && name.starts_with(OPTIONAL) {
            return Ok(Verdict::Holds);
        }
        if values.is_empty() {
            return Ok(Verdict::Fails(format!("the kernel does not have {name}")));
        }
        let mut listing = self.cat_config("sysctl.d")?;
        if self.text(UFW_SWITCH_PATH)?.lines().any(|line| line == "ENABLED=yes") {
            listing.push_str(&format!("\n# {UFW_SETTINGS_PATH}\n{}", self.text(UFW_SETTINGS_PATH)?));
        }
        Ok(match at_boot(&listing, name, wanted) {
            None => Verdict::Holds,
            Some(otherwise) => Verdict::Fails(otherwise),
        })
    }

    /// The files of a kind of configuration in the order in which systemd reads them, each below its path as a
    /// comment.
    pub(super) fn cat_config(&mut self, name: &str) -> Result<String> {
        self.listing(SYSTEMD_ANALYZE_PROGRAM, &["cat-config", name])
    }
}

/// What the next boot sets instead, and which file says so. The last line about a setting counts; a pattern sets what
/// no line names (sysctl.d(5)).
fn at_boot(listing: &str, name: &str, wanted: &str) -> Option<String> {
    let pattern = slashes(name);
    let (mut values, mut files) = (Settings::new(), Vec::new());
    let mut file = "";
    for line in listing.lines().map(str::trim) {
        file = line.strip_prefix("# ").filter(|path| path.starts_with('/')).unwrap_or(file);
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with(['#', ';'])) else {
            continue;
        };
        let key = slashes(key.trim().trim_start_matches('-'));
        if key == pattern
            || pattern.split_once('*').is_some_and(|(before, after)| is_between(&key, before, after))
        {
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            values.retain(|(known, _)| *known != key);
            files.retain(|(known, _)| *known != key);
            values.push((key.clone(), value));
            files.push((key, file));
        }
    }
    let every = values.iter().find(|(key, _)| key.contains('*')).map(|(_, value)| value.clone());
    for general in ["all", "default"] {
        let key = pattern.replace('*', general);
        if let Some(value) = &every
            && !values.iter().any(|(known, _)| *known == key)
        {
            values.push((key, value.clone()));
        }
    }
    if values.is_empty() {
        return Some(format!("{name} is {wanted} now, and no file sets it at the next boot"));
    }
    let (key, value) = amiss(&values, wanted)?;
    let file = files.iter().find(|(known, _)| *known == key).map_or("", |(_, file)| *file);
    Some(format!("{name} is {wanted} now, and the next boot makes {key} {value}: {file}"))
}

fn is_between(key: &str, before: &str, after: &str) -> bool {
    key.len() > before.len() + after.len() && key.starts_with(before) && key.ends_with(after)
}

/// A name as a path: dots are slashes, unless a slash comes first (sysctl.d(5)).
fn slashes(name: &str) -> String {
    let dots_first = name.find('.').unwrap_or(usize::MAX) < name.find('/').unwrap_or(usize::MAX);
    let swapped = |sign| match sign {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    if dots_first { name.chars().map(swapped).collect() } else { name.to_owned() }
}

#[cfg(test)]
mod tests;
