//! Package sources of Proxmox (row H1): a node without a subscription key reads what everybody may read, of PVE and of
//! Ceph; one with a key is left as it is. Entries are switched in their place, as PVE's own tools do it, and added in the form
//! that those use for PVE on PVE 9 (proxmox-apt, `standard.rs`); every other byte stays.

use super::Area;
use crate::change::{Change, FileChange};
use crate::control::{Check, Control, Phase, Proposal};
use crate::facts::Facts;
use crate::facts::apt::{
    CEPH, ENTERPRISE, FREE, PVE, SIGNED_BY, SUITES, Source, SourceFile, TYPES, URIS, is_of_proxmox,
    repository,
};
use crate::profile::Profile;

/// Where PVE 9 has the key of its archive, which PVE 8 has among the keys for everything.
const KEYRING: &str = "/usr/share/keyrings/proxmox-archive-keyring.gpg";
const DEBIAN_WITHOUT_KEYRING: &str = "12";
/// Where PVE 9 has what everybody may read of PVE; apt reads all of it there, on PVE 8, too.
const PATH: &str = "/etc/apt/sources.list.d/proxmox.sources";

pub(super) struct Repositories;

impl Area for Repositories {
    fn name(&self) -> &'static str {
        "repositories"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.repositories.enabled
    }

    fn described(&self, profile: &Profile, facts: &Facts) -> Proposal {
        let mut proposal = Proposal::default();
        if facts.pve_version.is_none() || facts.debian_codename.is_empty() {
            return proposal;
        }
        let mut desk = Desk { facts, files: facts.apt_sources.clone() };
        let (wanted, keyed) = (&profile.repositories, facts.subscription_key);
        for (any, word) in [(PVE, wanted.pve.as_str()), (CEPH, &wanted.ceph)] {
            let channel = match word {
                "auto" if keyed => "",
                "auto" | FREE => FREE,
                ENTERPRISE => ENTERPRISE,
                _ => continue,
            };
            if channel == FREE {
                proposal.controls.push(read(any, ENTERPRISE, ""));
            }
            let names = if any == PVE { PVE.to_owned() } else { desk.releases_of_ceph() };
            for name in names.split_ascii_whitespace() {
                if !channel.is_empty() {
                    desk.settle(name, channel);
                } else if any == CEPH {
                    continue;
                }
                proposal.controls.push(read(name, channel, &facts.debian_codename));
            }
        }
        desk.close(&mut proposal);
        proposal
    }
}

/// Whether apt reads a channel of a repository for this suite; without a suite, that it reads it for none.
fn read(name: &str, channel: &'static str, suite: &str) -> Control {
    let title = name.trim_end_matches('-');
    let word = if channel.is_empty() { "packages" } else { channel };
    let not = if suite.is_empty() { "not " } else { "" };
    Control {
        id: ["repositories.", title, ".", word].concat().into(),
        requirement: "H1",
        wanted: ["apt does ", not, "read ", title, " of Proxmox (", word, ")"].concat(),
        check: Check::AptSource { name: name.to_owned(), channel, suite: suite.to_owned() },
        changes: Vec::new(),
    }
}

/// The files while they are worked on.
struct Desk<'a> {
    facts: &'a Facts,
    files: Vec<SourceFile>,
}

impl Desk<'_> {
    fn sources(&self) -> Vec<Source> {
        let mut sources = Vec::new();
        for (place, file) in self.files.iter().enumerate() {
            file.read(place, &mut sources);
        }
        sources
    }

    /// The releases of Ceph that apt reads from Proxmox, as words; a node without any has no need of one.
    fn releases_of_ceph(&self) -> String {
        let mut names = String::new();
        for source in self.sources() {
            for uri in source.words(URIS) {
                let name = repository(uri);
                let new =
                    name.starts_with(CEPH) && !names.split_ascii_whitespace().any(|known| known == name);
                if new && source.enabled() && is_of_proxmox(uri) {
                    names.push_str(name);
                    names.push(' ');
                }
            }
        }
        names
    }

    /// Reads one channel of a repository, and not the other one. An entry that is for others' servers, too, is left alone.
    fn settle(&mut self, name: &str, channel: &str) {
        let sources = self.sources();
        let suite = self.facts.debian_codename.as_str();
        let other = if channel == FREE { ENTERPRISE } else { FREE };
        let goes = |source: &Source| source.offers(name, other) && !source.offers(name, channel);
        let right = |source: &Source| {
            source.has(TYPES, "deb") && source.has(SUITES, suite) && source.offers(name, channel)
        };
        // Two entries with different keys for one repository are an error to apt: there is one key, that of the first right
        // entry, or of the first one that stays.
        let mut signed = None;
        let mut missing = true;
        for source in &sources {
            let own = source.is_of_proxmox() && source.has(SUITES, suite) && source.offers(name, "");
            let right = right(source);
            if source.enabled() && own && !goes(source) && (signed.is_none() || right && missing) {
                signed = Some(source.field(SIGNED_BY));
            }
            missing &= !(right && source.enabled());
        }
        let other_key = |source: &Source| signed.is_some_and(|signed| source.field(SIGNED_BY) != signed);
        // From the end, so that places in front stay what they are.
        for source in sources.iter().rev().filter(|source| source.is_of_proxmox() && source.offers(name, ""))
        {
            if !source.enabled() {
                if missing && right(source) && !other_key(source) {
                    missing = false;
                    self.switch(source, true);
                }
            } else if goes(source) || source.has(SUITES, suite) && other_key(source) {
                self.switch(source, false);
            }
        }
        if missing {
            self.add(name, channel, signed);
        }
    }

    /// As PVE does it: a line becomes a comment, a stanza gets `Enabled: false`.
    fn switch(&mut self, source: &Source, on: bool) {
        let Some(file) = self.files.get_mut(source.file) else { return };
        let word = match (source.stanza, on) {
            (true, true) => "Enabled: true\n",
            (true, false) => "Enabled: false\n",
            (false, true) => "",
            (false, false) => "# ",
        };
        let (before, after) = (file.text.get(..source.at.0), file.text.get(source.at.1..));
        file.text = [before.unwrap_or_default(), word, after.unwrap_or_default()].concat();
    }

    /// A new entry, in front of the others of its file.
    fn add(&mut self, name: &str, channel: &str, signed: Option<&str>) {
        let base = if channel == FREE { "http://download" } else { "https://enterprise" };
        let before = if name == PVE { "pve-" } else { "" };
        let suite = &self.facts.debian_codename;
        let key = match signed {
            None if self.facts.debian_version == DEBIAN_WITHOUT_KEYRING => "",
            // One that stands in the entry itself is left to it.
            Some(key) if !key.contains(' ') => key,
            _ => KEYRING,
        };
        let [field, end] = if key.is_empty() { [""; 2] } else { ["Signed-By: ", "\n"] };
        let words = ["Types: deb\nURIs: ", base, ".proxmox.com/debian/", name, "\nSuites: ", suite];
        let more = ["\nComponents: ", before, channel, "\n", field, key, end];
        let text = words.concat() + &more.concat();
        match self.files.iter_mut().find(|file| file.path.as_os_str() == PATH) {
            None => self.files.push(SourceFile { path: PATH.into(), text, mode: 0o644 }),
            Some(file) => file.text = [&text, "\n", &file.text].concat(),
        }
    }

    fn close(self, proposal: &mut Proposal) {
        for (place, file) in self.files.into_iter().enumerate() {
            if self.facts.apt_sources.get(place).is_none_or(|before| before.text != file.text) {
                let (content, owner) = (file.text.into_bytes(), "root".to_owned());
                let change = FileChange { path: file.path, content, mode: file.mode, owner, public: true };
                proposal.changes.push((Phase::Sources, Change::File(change)));
            }
        }
        for control in &mut proposal.controls {
            if !matches!(control.check, Check::AptSource { channel: "", .. }) {
                control.changes.extend(0..proposal.changes.len());
            }
        }
    }
}

#[cfg(test)]
mod tests;
