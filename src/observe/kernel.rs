//! Kernel settings: what is in effect, and what the next boot sets.

use super::{Observer, Verdict};
use crate::change::{Settings, amiss, kernel_values, one_blank, slashes, ufw_boot_settings};
use crate::error::Result;
use crate::gate::SYSTEMD_ANALYZE_PROGRAM;

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
            // In the order in which systemd reads them.
            let listing = self.listing(SYSTEMD_ANALYZE_PROGRAM, &["cat-config", "sysctl.d"])?;
            // UFW sets its own after that.
            at_boot(&[listing, ufw_boot_settings(self.node)?].join("\n"), name, wanted)
        };
        Ok(if otherwise.is_empty() { Verdict::Holds } else { Verdict::Fails(otherwise) })
    }
}

/// What modprobe does with a module that is not to be loaded.
const REFUSES: &str = "install /bin/false";
const MODPROBE_PROGRAM: &str = "/usr/sbin/modprobe";

impl Observer<'_> {
    /// A dry run says what would be inserted and run: first what the module needs, which harms nobody, then the module.
    pub(super) fn modules_blocked(&mut self, names: &[String]) -> Result<Verdict> {
        for name in names {
            let output = self.output(MODPROBE_PROGRAM, &["--dry-run", "--verbose", name])?;
            let last = output.stdout.trim_end().lines().last().unwrap_or(output.stderr.trim()).trim_end();
            if last != REFUSES {
                return Ok(Verdict::Fails(["modprobe loads ", name, ": ", last].concat()));
            }
        }
        Ok(Verdict::Holds)
    }
}

/// What the next boot sets instead; empty when it sets what is wanted. The last line about a setting counts; a pattern
/// sets what no line names (sysctl.d(5)).
fn at_boot(listing: &str, name: &str, wanted: &str) -> String {
    let pattern = slashes(name);
    let (before, after) = pattern.split_once('*').unwrap_or((&pattern, "*"));
    let mut values = Settings::new();
    for line in listing.lines() {
        // The name in a comment is none.
        let Some((key, value)) = line.split_once('=') else { continue };
        let key = slashes(key.trim().trim_start_matches('-'));
        let of_one = key.len() > before.len() + after.len();
        if key != pattern && !(of_one && key.starts_with(before) && key.ends_with(after)) {
            continue;
        }
        let value = one_blank(value);
        match values.iter_mut().find(|(known, _)| *known == key) {
            Some(known) => known.1 = value,
            None => values.push((key, value)),
        }
    }
    let instead = match amiss(&values, wanted) {
        None if values.is_empty() => "no file sets it at the next boot".to_owned(),
        None => return String::new(),
        Some((key, value)) => ["the next boot makes ", key, " ", value].concat(),
    };
    [name, " is ", wanted, " now, and ", &instead, " (`systemd-analyze cat-config sysctl.d`)"].concat()
}

#[cfg(test)]
mod tests;
