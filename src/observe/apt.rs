//! What apt would really do: the sources that it reads, and its configuration as all files together make it.

use super::{Observer, Verdict};
use crate::error::Result;
use crate::facts::apt::Channel;

const APT_GET_PROGRAM: &str = "/usr/bin/apt-get";
const APT_CONFIG_PROGRAM: &str = "/usr/bin/apt-config";
/// Everything that an update would fetch, fetched before or not (apt-get(8), `indextargets`).
const TARGETS: [&str; 4] =
    ["--no-release-info", "--format", "$(REPO_URI) $(TARGET_OF) $(RELEASE) $(COMPONENT)", "indextargets"];

impl Observer<'_> {
    pub(super) fn apt_source(
        &mut self,
        (name, channel): (&str, Option<Channel>),
        suite: &str,
        read: bool,
    ) -> Result<Verdict> {
        let output = self.output(APT_GET_PROGRAM, &TARGETS)?;
        if !output.success() {
            return Ok(Verdict::Fails(format!("apt cannot read its sources: {}", output.complaint())));
        }
        let found = output.stdout.lines().find(|line| {
            let mut words = line.splitn(4, ' ').map(str::trim);
            let mut word = || words.next().unwrap_or_default();
            let (uri, of, release, components) = (word(), word(), word(), word());
            let offered = |one: Channel| {
                channel.is_none_or(|wanted| wanted == one) && one.is_offered(uri, components, name)
            };
            (offered(Channel::Enterprise) || offered(Channel::NoSubscription))
                && (suite.is_empty() || of == "deb" && release == suite)
        });
        Ok(match found {
            Some(line) if !read => {
                Verdict::Fails(format!("apt reads {}", line.split(' ').next().unwrap_or_default()))
            }
            None if read => Verdict::Fails("apt has no such source".to_owned()),
            _ => Verdict::Holds,
        })
    }

    /// A later file wins over an earlier one, and adds to its lists (apt.conf(5)).
    pub(super) fn apt_config(&mut self, names: &[&str], wanted: &[String]) -> Result<Verdict> {
        let dump = self.listing(APT_CONFIG_PROGRAM, &["dump"])?;
        let mut found = Vec::new();
        for line in dump.lines() {
            // `Name "value";`, `Name:: "value";` in a list, whose own line is empty.
            let Some((name, value)) = line.split_once(' ') else { continue };
            let value = value.trim_end_matches(';').trim_matches('"');
            let (bare, member) = name.strip_suffix("::").map_or((name, false), |bare| (bare, true));
            if names.iter().any(|one| one.eq_ignore_ascii_case(bare)) && (member || !value.is_empty()) {
                found.push(switch(value).to_owned());
            }
        }
        Ok(Verdict::of(found == wanted, || match found.as_slice() {
            [] => "apt's configuration does not say it".to_owned(),
            found => format!("apt's configuration says {}", found.join("; ")),
        }))
    }
}

/// The words for yes and no that apt knows beside the numbers, which may be days.
fn switch(value: &str) -> &str {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "with" | "on" | "enable" => "true",
        "no" | "false" | "without" | "off" | "disable" => "false",
        _ => value,
    }
}
