//! What apt would really do: the sources that it reads, and its configuration as all files together make it.

use super::{Observer, Verdict};
use crate::error::Result;
use crate::facts::apt::{is_of_proxmox, meaning, offers};

const APT_GET_PROGRAM: &str = "/usr/bin/apt-get";
const APT_CONFIG_PROGRAM: &str = "/usr/bin/apt-config";
/// Everything that an update would fetch, fetched before or not (apt-get(8), `indextargets`).
const TARGETS: [&str; 4] =
    ["--no-release-info", "--format", "$(REPO_URI) $(TARGET_OF) $(RELEASE) $(COMPONENT)", "indextargets"];

impl Observer<'_> {
    pub(super) fn apt_source(&mut self, name: &str, channel: &str, suite: &str) -> Result<Verdict> {
        // Sources that contradict each other are an error, in apt's words.
        let targets = self.listing(APT_GET_PROGRAM, &TARGETS)?;
        let (read, of) = (!suite.is_empty(), ["deb ", suite, " "].concat());
        let found = targets.lines().find_map(|line| {
            let (uri, line) = line.split_once(' ')?;
            let is_it = if read { line.starts_with(&of) } else { is_of_proxmox(uri) };
            (is_it && offers(uri, line, name, channel)).then_some(uri)
        });
        Ok(match found {
            Some(uri) if !read => Verdict::Fails(["apt reads ", uri].concat()),
            None if read => Verdict::Fails("apt has no such source".to_owned()),
            _ => Verdict::Holds,
        })
    }

    /// A later file wins over an earlier one, and adds to its lists (apt.conf(5)). `names` with blanks between, `wanted` with
    /// `; `.
    pub(super) fn apt_config(&mut self, names: &str, wanted: &str) -> Result<Verdict> {
        let dump = self.listing(APT_CONFIG_PROGRAM, &["dump"])?;
        let mut found = Vec::new();
        for line in dump.lines() {
            // `Name "value";`, `Name:: "value";` in a list, whose own line is empty.
            let Some((name, value)) = line.split_once(" \"") else { continue };
            let value = value.strip_suffix("\";").unwrap_or(value);
            let bare = name.trim_end_matches(':');
            if names.split(' ').any(|one| one.eq_ignore_ascii_case(bare))
                && !(value.is_empty() && bare == name)
            {
                found.push(match meaning(value) {
                    None => value,
                    Some(true) => "true",
                    Some(false) => "false",
                });
            }
        }
        let found = found.join("; ");
        Ok(Verdict::of(found == wanted, || ["apt's configuration says \"", &found, "\""].concat()))
    }
}
