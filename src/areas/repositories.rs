//! Package sources of Proxmox (row H1): a node without a subscription key reads what everybody may read, of PVE and of
//! Ceph; one with a key is left as it is. Entries are switched in their place and added in the form that PVE's own tools
//! use (proxmox-apt, `standard.rs`); every other byte stays.

use super::{Area, push, refusal};
use crate::change::{Change, FileChange};
use crate::control::{Check, Control, Phase, Proposal, Refusal};
use crate::facts::Facts;
use crate::facts::apt::{
    CEPH, ENTERPRISE, FREE, LIST_PATH, PARTS_PATH, PVE, SIGNED_BY, SUITES, Source, SourceFile, TYPES,
};
use crate::profile::Profile;

/// Where PVE 9 has the key of its archive.
const KEYRING: &str = "/usr/share/keyrings/proxmox-archive-keyring.gpg";
/// The first release of Debian where PVE writes stanzas.
const FIRST_WITH_STANZAS: u32 = 13;

pub(super) struct Repositories;

impl Area for Repositories {
    fn name(&self) -> &'static str {
        "repositories"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.repositories.enabled
    }

    fn propose(&self, profile: &Profile, facts: &Facts) -> Result<Proposal, Vec<Refusal>> {
        let mut proposal = Proposal::default();
        if facts.pve_version.is_none() || facts.debian_codename.is_empty() {
            return Ok(proposal);
        }
        let mut desk = Desk { facts, files: facts.apt_sources.clone(), refusals: Vec::new() };
        let (wanted, keyed) = (&profile.repositories, facts.subscription_key);
        for (key, word) in [(PVE, wanted.pve.as_str()), ("ceph", &wanted.ceph)] {
            let channel = match word {
                "auto" if keyed => "",
                "auto" | FREE => FREE,
                ENTERPRISE => ENTERPRISE,
                _ => continue,
            };
            if channel == ENTERPRISE && !keyed {
                let words =
                    ["repositories.", key, ": without a subscription key \"enterprise\" is refused there"];
                proposal.warnings.push(words.concat());
            }
            let names = if key == PVE { vec![PVE.to_owned()] } else { desk.releases_of_ceph() };
            if channel == FREE {
                let any = if key == PVE { PVE } else { CEPH };
                proposal.controls.push(read(any, ENTERPRISE, ""));
            }
            for name in &names {
                if !channel.is_empty() {
                    desk.settle(key, name, channel);
                } else if key != PVE {
                    continue;
                }
                proposal.controls.push(read(name, channel, &facts.debian_codename));
            }
        }
        desk.close(proposal)
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
    refusals: Vec<Refusal>,
}

/// Every line has an end, the last one too.
fn end(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

fn is_only(source: &Source, name: &str) -> bool {
    source.names().all(|one| one == Some(name))
}

impl Desk<'_> {
    fn sources(&self) -> Vec<Source> {
        let mut sources = Vec::new();
        for (place, file) in self.files.iter().enumerate() {
            file.read(place, &mut sources);
        }
        sources
    }

    /// The releases of Ceph that apt reads; a node without any has no need of one.
    fn releases_of_ceph(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for source in self.sources().iter().filter(|source| source.enabled()) {
            for name in source.names().flatten() {
                if name.starts_with(CEPH) && !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
        }
        names
    }

    /// Reads one channel of a repository, and not the other one.
    fn settle(&mut self, key: &str, name: &str, channel: &str) {
        let sources = self.sources();
        let suite = self.facts.debian_codename.as_str();
        let other = if channel == FREE { ENTERPRISE } else { FREE };
        let goes = |source: &Source| source.offers(name, other) && !source.offers(name, channel);
        let right = |source: &Source| {
            source.has(TYPES, "deb") && source.has(SUITES, suite) && source.offers(name, channel)
        };
        let own = |source: &Source| source.has(SUITES, suite) && is_only(source, name);
        // Two entries with different keys for one repository are an error to apt: there is one key, that of the first entry
        // which stays.
        let stays = |source: &&Source| source.enabled() && own(source) && !goes(source);
        let signed = sources.iter().filter(stays).min_by_key(|source| !right(source));
        let signed = signed.map(|source| source.field(SIGNED_BY));
        let other_key = |source: &Source| signed.is_some_and(|signed| source.field(SIGNED_BY) != signed);
        let missing = !sources.iter().any(|source| source.enabled() && right(source));
        let fits = |source: &&Source| right(source) && own(source) && !other_key(source);
        let found = sources.iter().find(fits).filter(|_| missing);
        // From the end, so that places in front stay what they are.
        for source in sources.iter().rev() {
            if found.is_some_and(|found| std::ptr::eq(found, source)) {
                self.switch(source, true);
            } else if source.enabled() && source.names().any(|one| one == Some(name)) {
                if goes(source) && !is_only(source, name) {
                    self.refuse(key, name, source);
                } else if goes(source) || own(source) && other_key(source) {
                    self.switch(source, false);
                }
            }
        }
        if missing && found.is_none() {
            self.add(name, channel, signed.unwrap_or(KEYRING));
        }
    }

    fn refuse(&mut self, key: &str, name: &str, source: &Source) {
        let Some(file) = self.files.get(source.file) else { return };
        let path = file.path.to_string_lossy();
        let words = [
            "must be \"keep\": ",
            &path,
            " has one entry for ",
            name,
            " and for others; make two of it first",
        ];
        self.refusals.push(refusal(&["firstlight.repositories.", key].concat(), words.concat()));
    }

    /// As PVE does it: a line becomes a comment, a stanza gets `Enabled: false`.
    fn switch(&mut self, source: &Source, on: bool) {
        let Some(file) = self.files.get_mut(source.file) else { return };
        let (mut start, mut stop) = source.at;
        if start == file.text.len() {
            end(&mut file.text);
            (start, stop) = (file.text.len(), file.text.len());
        }
        let word = match (source.stanza, on) {
            (true, true) => "Enabled: true\n",
            (true, false) => "Enabled: false\n",
            (false, true) => "",
            (false, false) => "# ",
        };
        file.text.replace_range(start..stop, word);
    }

    /// A new entry, where and how PVE's own tools write it.
    fn add(&mut self, name: &str, channel: &str, key: &str) {
        let stanzas = self.facts.debian_version.parse().unwrap_or(0) >= FIRST_WITH_STANZAS;
        let base = if channel == FREE { "http://download" } else { "https://enterprise" };
        let (before, suite) = (if name == PVE { "pve-" } else { "" }, self.facts.debian_codename.as_str());
        let words = if stanzas {
            ["Types: deb\nURIs: ", "\nSuites: ", "\nComponents: ", "\n"]
        } else {
            ["deb ", " ", " ", "\n"]
        };
        let [types, suites, components, last] = words;
        let mut text =
            [types, base, ".proxmox.com/debian/", name, suites, suite, components, before, channel, last]
                .concat();
        // One that stands in the entry itself is left to it.
        if stanzas && !key.is_empty() {
            let key = if key.contains(' ') { KEYRING } else { key };
            text.extend(["Signed-By: ", key, "\n"]);
        }
        let file = match (name, channel) {
            (PVE, ENTERPRISE) => "pve-enterprise",
            (PVE, _) => "proxmox",
            _ => "ceph",
        };
        let mut path = [PARTS_PATH, "/", file, if stanzas { ".sources" } else { ".list" }].concat();
        if path.ends_with("proxmox.list") {
            path = LIST_PATH.to_owned();
        }
        match self.files.iter_mut().find(|file| file.path.as_os_str() == path.as_str()) {
            None => self.files.push(SourceFile { path: path.into(), text, mode: 0o644 }),
            Some(file) => {
                end(&mut file.text);
                if stanzas && !file.text.is_empty() {
                    file.text.push('\n');
                }
                file.text.push_str(&text);
            }
        }
    }

    fn close(self, mut proposal: Proposal) -> Result<Proposal, Vec<Refusal>> {
        if !self.refusals.is_empty() {
            return Err(self.refusals);
        }
        let before =
            self.facts.apt_sources.iter().map(|file| file.text.as_str()).chain(std::iter::repeat(""));
        for (file, before) in self.files.into_iter().zip(before) {
            if file.text != before {
                let content = file.text.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')).collect();
                let owner = "root".to_owned();
                let change = FileChange { path: file.path, content, mode: file.mode, owner, public: true };
                push(&mut proposal, (Phase::Sources, Change::File(change)), Vec::new());
            }
        }
        for control in &mut proposal.controls {
            if !matches!(control.check, Check::AptSource { channel: "", .. }) {
                control.changes.extend(0..proposal.changes.len());
            }
        }
        Ok(proposal)
    }
}

#[cfg(test)]
mod tests;
