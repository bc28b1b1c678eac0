//! Kernel settings: what is in effect, and what the next boot sets.

use super::{Observer, Verdict};
use crate::change::{Settings, amiss, kernel_values, one_blank};
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
        let now = amiss(&values, wanted);
        let otherwise = if let Some((name, value)) = now {
            [name, " is ", value].concat()
        } else if !boot || values.is_empty() && name.starts_with(OPTIONAL) {
            return Ok(Verdict::Holds);
        } else if values.is_empty() {
            ["the kernel does not have ", name].concat()
        } else {
            // The files in the order in which systemd reads them, each below its path as a comment.
            let mut listing = self.listing(SYSTEMD_ANALYZE_PROGRAM, &["cat-config", "sysctl.d"])?;
            if self.text(UFW_SWITCH_PATH)?.lines().any(|line| line == "ENABLED=yes") {
                let settings = self.text(UFW_SETTINGS_PATH)?;
                listing = [&listing, "\n# ", UFW_SETTINGS_PATH, "\n", &settings].concat();
            }
            at_boot(&listing, name, wanted)
        };
        Ok(if otherwise.is_empty() { Verdict::Holds } else { Verdict::Fails(otherwise) })
    }
}

/// What the next boot sets instead, and which file says so; empty when it sets what is wanted. The last line about a
/// setting counts; a pattern sets what no line names (sysctl.d(5)).
fn at_boot(listing: &str, name: &str, wanted: &str) -> String {
    let pattern = slashes(name);
    let (before, after) = pattern.split_once('*').unwrap_or((&pattern, ""));
    let (mut values, mut files) = (Settings::new(), Vec::new());
    let mut file = "";
    for line in listing.lines().map(str::trim) {
        if let Some(path) = line.strip_prefix("# ").filter(|path| path.starts_with('/')) {
            file = path;
        }
        // The name in a comment is none.
        let Some((key, value)) = line.split_once('=') else { continue };
        let key = slashes(key.trim().trim_start_matches('-'));
        let of_one = !after.is_empty() && key.len() > before.len() + after.len();
        if key != pattern && !(of_one && key.starts_with(before) && key.ends_with(after)) {
            continue;
        }
        let value = one_blank(value);
        if let Some((known, from)) = values.iter_mut().zip(&mut files).find(|(known, _)| known.0 == key) {
            (known.1, *from) = (value, file);
        } else {
            values.push((key, value));
            files.push(file);
        }
    }
    if let Some((_, value)) = values.iter().find(|(key, _)| *key == pattern).cloned() {
        for general in ["all", "default"] {
            let key = pattern.replace('*', general);
            if !values.iter().any(|(known, _)| *known == key) {
                values.push((key, value.clone()));
            }
        }
    }
    let is_now = [name, " is ", wanted, " now, and "].concat();
    if values.is_empty() {
        return is_now + "no file sets it at the next boot";
    }
    let Some((key, value)) = amiss(&values, wanted) else { return String::new() };
    let place = values.iter().position(|(known, _)| known == key);
    let file = place.and_then(|place| files.get(place)).copied().unwrap_or_default();
    [&is_now, "the next boot makes ", key, " ", value, ": ", file].concat()
}

/// A name as a path: dots are slashes, unless a slash comes first (sysctl.d(5)).
fn slashes(name: &str) -> String {
    if !name.contains('.') || name.contains('/') && name.find('/') < name.find('.') {
        return name.to_owned();
    }
    let swapped = |sign| match sign {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    name.chars().map(swapped).collect()
}

#[cfg(test)]
mod tests;
