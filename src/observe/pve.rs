//! What the audit asks of PVE's firewall beside rules. `pve-firewall status` compares chains by a sum that stands beside
//! them, and does not see who took a rule out or put one in front.

use super::rules::pve_set;
use super::{Observer, Verdict};
use crate::error::Result;

const IPSET_PROGRAM: &str = "/usr/sbin/ipset";

impl Observer<'_> {
    pub(super) fn pve_set(&mut self, name: &str, entry: &str) -> Result<Verdict> {
        let found = self.members(name)?.iter().any(|member| member == entry);
        Ok(Verdict::of(found, || format!("the kernel's set {name} does not hold {entry}")))
    }

    pub(super) fn pve_host_rule(&mut self, text: &str) -> Result<Verdict> {
        let found = self.families()?.first().is_some_and(|family| {
            family.listing.lines().any(|line| line.starts_with("-A PVEFW-HOST-IN ") && line.contains(text))
        });
        Ok(Verdict::of(found, || format!("no rule of PVEFW-HOST-IN has `{text}`")))
    }

    /// Where PVE does not go by its files, `firewall.active` says so. The web interface adds words behind ours.
    pub(super) fn pve_file(&self, path: &str, section: &str, text: &str) -> Result<Verdict> {
        let (found, mut inside) = (self.text(path)?, false);
        let found = found.lines().any(|line| {
            if line.starts_with('[') {
                inside = line.starts_with(section);
            }
            inside && line.strip_prefix(text).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        });
        Ok(Verdict::of(found, || format!("{section} of {path} does not say so")))
    }

    /// The members of a set, of both families, in the kernel's spelling.
    pub(super) fn members(&mut self, name: &str) -> Result<Vec<String>> {
        let listing = self.listing(IPSET_PROGRAM, &["list"])?;
        let (mut inside, mut members) = (false, Vec::new());
        for line in listing.lines() {
            if let Some(set) = line.strip_prefix("Name: ") {
                inside = pve_set(set) == name;
            } else if inside
                && line.starts_with(|letter: char| letter.is_ascii_hexdigit() || letter == ':')
                // `nomatch` behind an address takes away, and opens nothing.
                && !line.contains(' ')
            {
                members.push(line.to_owned());
            }
        }
        Ok(members)
    }
}
