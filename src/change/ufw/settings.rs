//! The kernel settings that UFW sets when it starts (`ufw-init` runs `sysctl` on the file that `IPT_SYSCTL` names),
//! and never sets back.

use super::{CONF_PATH, setting};
use crate::change::kernel;
use crate::error::Result;
use crate::facts::ufw::DEFAULTS_PATH;
use crate::node::{Node, read_text};
use std::path::Path;

/// The values now of all that starting UFW will set: name as the file has it, and value.
pub fn now(node: &dyn Node) -> Result<Vec<(String, String)>> {
    let mut settings = Vec::new();
    for name in names(&text(node)?) {
        settings.append(&mut kernel::values(node, name)?);
    }
    Ok(settings)
}

/// The file of what it will set at the next boot; empty where it does not start then.
pub fn boot_settings(node: &dyn Node) -> Result<String> {
    let starts = setting(node, CONF_PATH, "ENABLED")?.as_deref() == Some("yes");
    if starts { text(node) } else { Ok(String::new()) }
}

fn text(node: &dyn Node) -> Result<String> {
    let path = setting(node, DEFAULTS_PATH, "IPT_SYSCTL")?.filter(|path| path.starts_with('/'));
    let Some(path) = path else { return Ok(String::new()) };
    Ok(read_text(node, Path::new(&path))?.unwrap_or_default())
}

/// `NAME = VALUE`, a `-` in front of names whose failure does not matter; comments begin with `#` or `;`.
fn names(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().trim_start_matches('-'))
        // Globs and whatever else would not be one file below /proc/sys.
        .filter(|name| !name.is_empty() && !name.contains("..") && !name.contains(['*', '?', ' ']))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    #[test]
    fn j3_every_setting_of_the_file_is_named_once() {
        let text = "# net/a=1\n;x=1\n\nnet/ipv4/tcp_sack=1\n-net.ipv6.y = 0\nnet/ipv4/tcp_sack=0\n../x=1\nnet/*/z=1\n";
        assert_eq!(super::names(text), ["net.ipv6.y", "net/ipv4/tcp_sack"]);
    }
}
