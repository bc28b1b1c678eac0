//! PVE's rules, out of what the kernel has: `pve-firewall status` compares chains by a sum that stands beside them, and
//! does not see who took a rule out or put one in front.

use super::rules::{of_pve_line, pve_set};
use super::{Observer, Verdict};
use crate::error::{Error, Result};
use crate::facts::networks::{covers, short};
use crate::profile::Network;
use std::path::Path;

const IPSET_PROGRAM: &str = "/usr/sbin/ipset";
const INPUT: &str = "PVEFW-HOST-IN";
const OUTPUT: &str = "PVEFW-HOST-OUT";

impl Observer<'_> {
    pub(super) fn pve_rule(&mut self, line: &str) -> Result<Verdict> {
        for family in self.families()? {
            let Some(wanted) = of_pve_line(line, family.ipv4) else {
                return Err(Error::new(format!("reading the rule `{line}`"), "unknown form"));
            };
            if let Some(problem) = family.first(&wanted, if wanted.out { OUTPUT } else { INPUT }) {
                return Ok(Verdict::Fails(problem));
            }
        }
        Ok(Verdict::Holds)
    }

    pub(super) fn pve_set(&mut self, name: &str, networks: &[Network]) -> Result<Verdict> {
        let members = self.members(name)?;
        let missing = networks.iter().find(|network| !members.contains(&short(network)));
        Ok(missing.map_or(Verdict::Holds, |network| {
            Verdict::Fails(format!("the kernel's set {name} does not hold {network}"))
        }))
    }

    pub(super) fn pve_nothing_wider(&mut self, ports: &[u16], allowed: &[Network]) -> Result<Verdict> {
        let within = |network: &Network| allowed.iter().any(|outer| covers(outer, network));
        for family in self.families()? {
            // In front of PVE's jump, and in its chain. Loopback and what is already established let nobody in.
            let front = family.rules_of("INPUT", false);
            for (line, rule) in front.into_iter().chain(family.rules_of(INPUT, false)) {
                let open = rule.action.accepts() && rule.concerns(ports);
                if !open || line.contains(" -i lo ") || line.contains(" RELATED,ESTABLISHED ") {
                    continue;
                }
                let wide = match (&rule.set, &rule.network) {
                    (Some(set), _) => {
                        let members = self.members(set)?;
                        let wide = |member: &&String| !Network::parse(member).is_ok_and(|it| within(&it));
                        members.into_iter().find(|member| wide(&member)).map(|it| format!(": {it}"))
                    }
                    (None, Some(network)) if within(network) => None,
                    _ => Some(String::new()),
                };
                if let Some(member) = wide {
                    return Ok(Verdict::Fails(format!("the kernel also has `{line}`{member}")));
                }
            }
        }
        Ok(Verdict::Holds)
    }

    pub(super) fn pve_host_rule(&mut self, text: &str) -> Result<Verdict> {
        let chain = format!("-A {INPUT} ");
        let found = self.families()?.first().is_some_and(|family| {
            family.listing.lines().any(|line| line.starts_with(&chain) && line.contains(text))
        });
        Ok(Verdict::of(found, || format!("no rule of {INPUT} has `{text}`")))
    }

    /// Where PVE does not go by its files, `firewall.active` says so.
    pub(super) fn pve_file(&self, path: &Path, text: &str) -> Result<Verdict> {
        let found = self.text(&path.display().to_string())?;
        Ok(Verdict::of(found.contains(text), || format!("{} does not say so", path.display())))
    }

    /// The members of a set, of both families, in the kernel's spelling.
    fn members(&mut self, name: &str) -> Result<Vec<String>> {
        let listing = self.listing(IPSET_PROGRAM, &["list"])?;
        let (mut inside, mut members) = (false, Vec::new());
        for line in listing.lines() {
            if let Some(set) = line.strip_prefix("Name: ") {
                inside = pve_set(set) == Some(name);
            } else if inside && line.starts_with(|letter: char| letter.is_ascii_hexdigit() || letter == ':') {
                // `nomatch` behind an address takes away, and opens nothing.
                members.extend((!line.contains(' ')).then(|| line.to_owned()));
            }
        }
        Ok(members)
    }
}
