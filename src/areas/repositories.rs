//! Package sources of Proxmox (row H1): a node without a subscription key reads what everybody may read, of PVE and of
//! Ceph; one with a key is left as it is. Entries are switched in their place and added in the form that PVE's own tools
//! use (proxmox-apt, `standard.rs`); every other byte stays.

use super::{Area, push, refusal};
use crate::change::{Change, FileChange};
use crate::control::{Check, Control, Phase, Proposal, Refusal};
use crate::facts::Facts;
use crate::facts::apt::{Channel, LIST_PATH, PARTS_PATH, Source, SourceFile, has, proxmox};
use crate::profile::Profile;
use std::path::{Path, PathBuf};

/// PVE and its parts.
const PVE: &str = "pve";
/// In front of each release of Ceph.
const CEPH: &str = "ceph-";
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
        let mut desk = Desk::open(facts);
        let ceph = desk.releases_of_ceph();
        let wanted = &profile.repositories;
        for (key, word, names) in [(PVE, &wanted.pve, vec![PVE.to_owned()]), ("ceph", &wanted.ceph, ceph)] {
            let channel = match word.as_str() {
                "enterprise" => Some(Channel::Enterprise),
                "no-subscription" => Some(Channel::NoSubscription),
                "auto" if !facts.subscription_key => Some(Channel::NoSubscription),
                "auto" => None,
                _ => continue,
            };
            desk.key = key;
            if channel == Some(Channel::Enterprise) && !facts.subscription_key {
                proposal.warnings.push(format!(
                    "repositories.{key} = \"enterprise\": this node has no subscription key, and will be refused there"
                ));
            }
            match channel {
                Some(Channel::NoSubscription) => {
                    let any = if key == PVE { PVE } else { CEPH };
                    desk.controls.push(read(facts, any, Some(Channel::Enterprise), false));
                }
                Some(Channel::Enterprise) => {}
                None if key == PVE => desk.controls.push(read(facts, PVE, None, true)),
                None => {}
            }
            let Some(channel) = channel else { continue };
            for name in &names {
                desk.settle(name, channel);
                desk.controls.push(read(facts, name, Some(channel), true));
            }
        }
        desk.close(proposal)
    }
}

/// Whether apt reads a repository.
fn read(facts: &Facts, name: &str, channel: Option<Channel>, read: bool) -> Control {
    let title = name.trim_end_matches('-');
    let word = channel.map_or("packages", Channel::word);
    let (not, suite) = if read { ("", facts.debian_codename.clone()) } else { ("not ", String::new()) };
    Control {
        id: format!("repositories.{title}.{word}").into(),
        requirement: "H1",
        wanted: format!("apt does {not}read {title} of Proxmox ({word})"),
        check: Check::AptSource { name: name.to_owned(), channel, suite, read },
        changes: Vec::new(),
    }
}

/// The files while they are worked on.
struct Desk<'a> {
    facts: &'a Facts,
    /// The answer key that is worked for.
    key: &'static str,
    files: Vec<Sheet>,
    controls: Vec<Control>,
    refusals: Vec<Refusal>,
}

struct Sheet {
    path: PathBuf,
    mode: u32,
    lines: Vec<Vec<u8>>,
    sources: Vec<Source>,
    changed: bool,
}

impl Sheet {
    fn of(file: &SourceFile) -> Self {
        let (path, lines, sources) = (file.path.clone(), file.lines(), file.sources());
        Self { path, mode: file.mode, lines, sources, changed: false }
    }

    /// As PVE does it: a line becomes a comment, a stanza gets `Enabled: false`.
    fn switch(&mut self, place: usize, on: bool) {
        let Some(source) = self.sources.get_mut(place) else { return };
        source.enabled = on;
        self.changed = true;
        let Some(line) = self.lines.get_mut(source.switch_line) else { return };
        if source.stanza {
            let switch = if on { "Enabled: true\n" } else { "Enabled: false\n" };
            if source.has_switch {
                line.clear();
            } else {
                end(line);
            }
            line.extend_from_slice(switch.as_bytes());
        } else if on {
            let marks = line.iter().take_while(|byte| b"# \t".contains(byte)).count();
            line.drain(..marks);
        } else {
            line.splice(..0, *b"# ");
        }
    }
}

/// Every line has an end, the last one too.
fn end(line: &mut Vec<u8>) {
    if !line.ends_with(b"\n") {
        line.push(b'\n');
    }
}

impl<'a> Desk<'a> {
    fn open(facts: &'a Facts) -> Self {
        let files = facts.apt_sources.iter().map(Sheet::of).collect();
        Self { facts, key: PVE, files, controls: Vec::new(), refusals: Vec::new() }
    }

    /// The releases of Ceph that apt reads; a node without any has no need of one.
    fn releases_of_ceph(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for source in self.sources().filter(|source| source.enabled) {
            for name in source.uris.split_ascii_whitespace().filter_map(proxmox) {
                if name.starts_with(CEPH) && !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
        }
        names
    }

    /// Reads one channel of a repository, and not the other one.
    fn settle(&mut self, name: &str, channel: Channel) {
        let other = match channel {
            Channel::Enterprise => Channel::NoSubscription,
            Channel::NoSubscription => Channel::Enterprise,
        };
        self.switch_off(name, &|source| source.offers(name, other) && !source.offers(name, channel));
        let suite = self.facts.debian_codename.as_str();
        let right = |source: &Source| {
            has(&source.types, "deb") && has(&source.suites, suite) && source.offers(name, channel)
        };
        if !self.sources().any(|source| source.enabled && right(source)) {
            // Two entries with different keys for one repository are an error to apt.
            let key = self.key_of(&|source| source.is_only(name));
            let fits = |source: &Source| {
                let same = source.signed_by.is_empty() || key.is_empty() || source.signed_by == key;
                same && right(source) && source.is_only(name)
            };
            let found = self.files.iter_mut().find_map(|file| {
                let place = file.sources.iter().position(fits)?;
                Some((file, place))
            });
            match found {
                Some((file, place)) => file.switch(place, true),
                None => self.add(name, channel, &key),
            }
        }
        // Such an error that was there before goes, too.
        let key = self.key_of(&|source| right(source) && source.is_only(name));
        if !key.is_empty() {
            self.switch_off(name, &|source| !source.signed_by.is_empty() && source.signed_by != key);
        }
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().flat_map(|file| &file.sources)
    }

    /// The key that apt checks such entries with now.
    fn key_of(&self, which: &dyn Fn(&Source) -> bool) -> String {
        let mut keys = self.sources().filter(|source| source.enabled && !source.signed_by.is_empty());
        keys.find(|source| which(source)).map(|source| source.signed_by.clone()).unwrap_or_default()
    }

    /// Switches entries of a repository of Proxmox off.
    fn switch_off(&mut self, name: &str, which: &dyn Fn(&Source) -> bool) {
        for file in &mut self.files {
            for place in 0..file.sources.len() {
                let Some(source) = file.sources.get(place) else { continue };
                if !source.enabled || !source.names(name) || !which(source) {
                    continue;
                }
                if source.is_only(name) {
                    file.switch(place, false);
                } else {
                    let message = format!(
                        "must be \"keep\": {} has one entry for {name} and for others; make two of it first",
                        file.path.display()
                    );
                    self.refusals.push(refusal(&format!("firstlight.repositories.{}", self.key), message));
                }
            }
        }
    }

    /// A new entry, where and how PVE's own tools write it.
    fn add(&mut self, name: &str, channel: Channel, key: &str) {
        let stanzas = self.facts.debian_version.parse().unwrap_or(0) >= FIRST_WITH_STANZAS;
        let base = match channel {
            Channel::Enterprise => "https://enterprise",
            Channel::NoSubscription => "http://download",
        };
        let uri = format!("{base}.proxmox.com/debian/{name}");
        let (suite, component) = (&self.facts.debian_codename, channel.component(name));
        let text = if stanzas {
            // One that stands in the entry itself is left to it.
            let key = if key.is_empty() || key.contains(' ') { KEYRING } else { key };
            format!("Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: {component}\nSigned-By: {key}\n")
        } else {
            format!("deb {uri} {suite} {component}\n")
        };
        let ending = if stanzas { "sources" } else { "list" };
        let file = match (name, channel) {
            (PVE, Channel::Enterprise) => "pve-enterprise",
            (PVE, _) => "proxmox",
            _ => "ceph",
        };
        let path = match file {
            "proxmox" if !stanzas => PathBuf::from(LIST_PATH),
            file => Path::new(PARTS_PATH).join(format!("{file}.{ending}")),
        };
        let place = self.files.iter().position(|file| file.path == path);
        let place = place.unwrap_or_else(|| {
            let empty = SourceFile { path, content: Vec::new(), mode: 0o644 };
            self.files.push(Sheet::of(&empty));
            self.files.len() - 1
        });
        let Some(file) = self.files.get_mut(place) else { return };
        file.changed = true;
        if let Some(last) = file.lines.last_mut() {
            end(last);
            if stanzas {
                last.push(b'\n');
            }
        }
        file.lines.push(text.into_bytes());
    }

    fn close(self, mut proposal: Proposal) -> Result<Proposal, Vec<Refusal>> {
        if !self.refusals.is_empty() {
            return Err(self.refusals);
        }
        for file in self.files.into_iter().filter(|file| file.changed) {
            let (content, owner) = (file.lines.concat(), "root".to_owned());
            let change = FileChange { path: file.path, content, mode: file.mode, owner, public: true };
            push(&mut proposal, (Phase::Sources, Change::File(change)), Vec::new());
        }
        let changes: Vec<usize> = (0..proposal.changes.len()).collect();
        proposal.controls = self.controls;
        for control in &mut proposal.controls {
            if matches!(control.check, Check::AptSource { channel: Some(_), .. }) {
                control.changes.clone_from(&changes);
            }
        }
        Ok(proposal)
    }
}

#[cfg(test)]
mod tests;
