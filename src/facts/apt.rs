//! Where apt's packages come from: the files of sources.list(5) with their entries, and which repository of Proxmox a URI
//! names. Entries that are switched off are read, too: PVE's own tools switch them on again in their place.

use crate::node::{Kind, Node, exists, read_text};
use std::path::{Path, PathBuf};

/// The one file.
pub const LIST_PATH: &str = "/etc/apt/sources.list";
/// The directory of more.
pub const PARTS_PATH: &str = "/etc/apt/sources.list.d";
/// PVE keeps its subscription here: the key, a checksum, what Proxmox said about it.
const SUBSCRIPTION_PATH: &str = "/etc/subscription";
/// Where PVE's installer leaves a key for the first boot (pve-answer.md).
const STAGED_KEY_PATH: &str = "/var/lib/proxmox-first-boot/subscription-key";
/// What apt logs in with (apt_auth.conf(5)).
const LOGINS: [&str; 2] = ["/etc/apt/auth.conf", "/etc/apt/auth.conf.d"];
const ENTERPRISE_HOST: &str = "enterprise.proxmox.com";

/// A file with sources.
#[derive(Clone)]
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// Every byte of it.
    pub content: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
}

/// An entry: a line of a `.list` file, a stanza of a `.sources` file. Lists are words with blanks between.
#[derive(Default)]
pub struct Source {
    /// Whether apt reads it.
    pub enabled: bool,
    /// Whether it is a stanza.
    pub stanza: bool,
    /// Whether it has a field `Enabled`.
    pub has_switch: bool,
    /// Number of the line with that field, else of its last line.
    pub switch_line: usize,
    /// `deb`, `deb-src`.
    pub types: String,
    /// What they name decides what it is.
    pub uris: String,
    /// Its suites.
    pub suites: String,
    /// Its components.
    pub components: String,
    /// The key or keyring; may be empty.
    pub signed_by: String,
}

/// A release channel of Proxmox.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// For subscribers.
    Enterprise,
    /// For everybody.
    NoSubscription,
}

impl Channel {
    /// The word in answers and ids.
    pub fn word(self) -> &'static str {
        match self {
            Self::Enterprise => "enterprise",
            Self::NoSubscription => "no-subscription",
        }
    }

    /// The component that holds the channel of a repository.
    pub fn component(self, name: &str) -> &'static str {
        match (self, name) {
            (Self::Enterprise, "pve") => "pve-enterprise",
            (Self::NoSubscription, "pve") => "pve-no-subscription",
            _ => self.word(),
        }
    }

    /// Whether a URI with these components gives this channel of `name`; of any Ceph for `ceph-`.
    pub fn is_offered(self, uri: &str, components: &str, name: &str) -> bool {
        let own = proxmox(uri);
        let named = match own {
            // A mirror: the component of PVE says it all.
            None => name == "pve" || uri.trim_end_matches('/').ends_with(name),
            Some(own) => own == name || name.ends_with('-') && own.starts_with(name),
        };
        if own.is_some() && is_enterprise(uri) {
            // Whatever is read there wants a key.
            return named && self == Self::Enterprise;
        }
        // PVE 8's Ceph Quincy has `main` as another name of it.
        let main = self == Self::NoSubscription && name != "pve" && has(components, "main");
        named && (main || has(components, self.component(name)))
    }
}

/// Whether a word is in a list.
pub fn has(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|one| one == word)
}

/// Host and path of `scheme://user:password@HOST:port/PATH`.
fn parts(uri: &str) -> (&str, &str) {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next().unwrap_or_default();
    (host.split(':').next().unwrap_or_default(), path.trim_matches('/'))
}

fn is_enterprise(uri: &str) -> bool {
    parts(uri).0.eq_ignore_ascii_case(ENTERPRISE_HOST)
}

/// The repository on a server of Proxmox that a URI names: `pve`, `ceph-squid`; empty for what is none. `None` for others'
/// servers. Long ago PVE's path was `debian` alone, which Proxmox still answers (proxmox-apt, `standard.rs`).
pub fn proxmox(uri: &str) -> Option<&str> {
    let (host, path) = parts(uri);
    if !host.to_ascii_lowercase().ends_with(".proxmox.com") {
        return None;
    }
    Some(match path.strip_prefix("debian/") {
        Some(name) if !name.contains('/') => name,
        None if path == "debian" => "pve",
        _ => "",
    })
}

impl Source {
    /// Whether it gives this channel of `name`.
    pub fn offers(&self, name: &str, channel: Channel) -> bool {
        self.uris.split_ascii_whitespace().any(|uri| channel.is_offered(uri, &self.components, name))
    }

    /// Whether one of its URIs names this repository of Proxmox.
    pub fn names(&self, name: &str) -> bool {
        self.uris.split_ascii_whitespace().any(|uri| proxmox(uri) == Some(name))
    }

    /// Whether all of them do.
    pub fn is_only(&self, name: &str) -> bool {
        self.uris.split_ascii_whitespace().all(|uri| proxmox(uri) == Some(name))
    }
}

impl SourceFile {
    /// Its lines, each with its end.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        self.content.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }

    /// Its entries.
    pub fn sources(&self) -> Vec<Source> {
        let stanzas = self.path.extension().is_some_and(|extension| extension == "sources");
        let (mut sources, mut open, mut field) = (Vec::new(), Source::default(), String::new());
        let mut enabled = String::new();
        // The last stanza ends, too.
        for (number, line) in self.lines().into_iter().chain([Vec::new()]).enumerate() {
            let line = String::from_utf8_lossy(&line);
            if !stanzas {
                sources.extend(one_line(number, &line));
                continue;
            }
            if line.trim().is_empty() {
                let done = std::mem::take(&mut open);
                if !done.types.is_empty() {
                    // What counts as no in apt (StringToBool).
                    let off = ["no", "false", "without", "off", "disable", "0"]
                        .iter()
                        .any(|word| enabled.trim().eq_ignore_ascii_case(word));
                    sources.push(Source { enabled: !off, stanza: true, ..done });
                }
                enabled.clear();
                continue;
            }
            let folded = line.starts_with([' ', '\t']);
            let value = match line.split_once(':') {
                _ if line.starts_with('#') => continue,
                _ if folded => &*line,
                Some((name, value)) => {
                    field = name.trim().to_ascii_lowercase();
                    value
                }
                None => continue,
            };
            if field == "enabled" {
                open.has_switch = true;
                open.switch_line = number;
            } else if !open.has_switch {
                open.switch_line = number;
            }
            let list = match field.as_str() {
                "types" => &mut open.types,
                "uris" => &mut open.uris,
                "suites" => &mut open.suites,
                "components" => &mut open.components,
                "signed-by" => &mut open.signed_by,
                "enabled" => &mut enabled,
                _ => continue,
            };
            if !folded {
                list.clear();
            } else if !list.is_empty() {
                list.push(' ');
            }
            list.push_str(value.trim());
        }
        sources
    }
}

/// `deb [options] URI SUITE COMPONENT…`, behind `#` when it is switched off.
fn one_line(number: usize, line: &str) -> Option<Source> {
    let line = line.trim();
    let bare = line.trim_start_matches(['#', ' ', '\t']);
    let (types, rest) = bare.split('#').next()?.split_once([' ', '\t'])?;
    if !matches!(types, "deb" | "deb-src") {
        return None;
    }
    let (options, rest) = match rest.trim_start().strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut rest = rest.split_ascii_whitespace();
    let (uris, suites) = (rest.next()?.to_owned(), rest.next()?.to_owned());
    let mut components = String::new();
    for component in rest {
        components.push_str(component);
        components.push(' ');
    }
    let signed_by = options.split_ascii_whitespace().find_map(|word| word.strip_prefix("signed-by="));
    Some(Source {
        enabled: bare.len() == line.len(),
        switch_line: number,
        types: types.to_owned(),
        uris,
        suites,
        components,
        signed_by: signed_by.unwrap_or_default().to_owned(),
        ..Source::default()
    })
}

/// The files that apt reads, in its order. What cannot be read is left out: apt cannot read it either.
pub fn files(node: &dyn Node) -> Vec<SourceFile> {
    let named = |name: &str| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        !name.starts_with('.')
            && name.chars().all(plain)
            && (name.ends_with(".list") || name.ends_with(".sources"))
    };
    let parts = node.list(Path::new(PARTS_PATH)).unwrap_or_default();
    let parts = parts.iter().filter_map(|name| name.to_str()).filter(|name| named(name));
    let paths =
        std::iter::once(PathBuf::from(LIST_PATH)).chain(parts.map(|name| Path::new(PARTS_PATH).join(name)));
    let file = |path: PathBuf| {
        let found = node.lookup(&path).ok()??;
        // Of a link, the mode says nothing.
        let mode = if found.kind == Kind::File { found.mode } else { 0o644 };
        Some(SourceFile { content: node.read(&path).ok()?, path, mode })
    };
    paths.filter_map(file).collect()
}

/// Whether the node has a subscription key: PVE's own, one that waits for the network, or a login of apt.
pub fn has_subscription_key(node: &dyn Node) -> bool {
    let text = |path: &Path| read_text(node, path).ok().flatten().unwrap_or_default();
    let key = text(Path::new(SUBSCRIPTION_PATH));
    if key.lines().next().is_some_and(|line| !line.trim().is_empty())
        || exists(node, Path::new(STAGED_KEY_PATH)).unwrap_or_default()
    {
        return true;
    }
    let logs_in = |path: &Path| text(path).contains(ENTERPRISE_HOST);
    let [file, directory] = LOGINS.map(Path::new);
    let more = node.list(directory).unwrap_or_default();
    logs_in(file) || more.iter().any(|name| logs_in(&directory.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::scripted::Scripted;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.into(), content: text.into(), mode: 0o644 }
    }

    #[test]
    fn h1_uris_in_every_spelling_name_their_repository() {
        for uri in [
            "https://enterprise.proxmox.com/debian/pve",
            "https://enterprise.proxmox.com/debian",
            "http://Enterprise.Proxmox.com:443/debian/pve/",
            "https://pve1c-0123456789:id@enterprise.proxmox.com/debian/pve",
        ] {
            assert_eq!((is_enterprise(uri), proxmox(uri)), (true, Some("pve")), "{uri}");
        }
        let free = "http://download.proxmox.com/debian/ceph-squid";
        assert_eq!((is_enterprise(free), proxmox(free)), (false, Some("ceph-squid")));
        for uri in ["https://enterprise.proxmox.com/pub", "https://enterprise.proxmox.com/debian/pve/x"] {
            assert_eq!(proxmox(uri), Some(""), "{uri}");
        }
        for uri in ["http://deb.debian.org/debian", "cdrom:[Debian]/", "http://mirror.example.com/ceph-squid"]
        {
            assert_eq!(proxmox(uri), None, "{uri}");
        }
    }

    #[test]
    fn h1_lines_are_read_with_options_comments_and_switched_off() {
        let text = "# prose about deb lines\n\
            deb [ arch=amd64 signed-by=/k.gpg ] http://download.proxmox.com/debian/pve bookworm pve-no-subscription # x\n\
            #deb https://enterprise.proxmox.com/debian/pve bookworm pve-enterprise\n\
            deb-src http://deb.debian.org/debian bookworm main contrib\n";
        let sources = file("/etc/apt/sources.list", text).sources();
        assert_eq!(sources.len(), 3);
        assert!(sources[0].enabled && sources[0].types == "deb" && sources[0].signed_by == "/k.gpg");
        assert!(sources[0].offers("pve", Channel::NoSubscription));
        assert!(!sources[1].enabled && sources[1].offers("pve", Channel::Enterprise));
        assert!(sources[2].types == "deb-src" && sources[2].components == "main contrib ");
        assert_eq!(sources[2].switch_line, 3);
    }

    #[test]
    fn h1_stanzas_are_read_with_folds_comments_and_switched_off() {
        let text = "# one\nTypes: deb\n# between\nURIs:\n https://enterprise.proxmox.com/debian/ceph-squid\n\
            suites: trixie\nEnabled: No\nComponents: enterprise\n\n\n\
            Types: deb deb-src\nURIs: http://deb.debian.org/debian\nSuites: trixie trixie-updates\nComponents: main";
        let sources = file("/etc/apt/sources.list.d/x.sources", text).sources();
        assert_eq!(sources.len(), 2);
        assert!(!sources[0].enabled && sources[0].offers("ceph-squid", Channel::Enterprise));
        assert!(sources[0].offers("ceph-", Channel::Enterprise) && sources[0].suites == "trixie");
        assert_eq!((sources[0].has_switch, sources[0].switch_line), (true, 6));
        assert!(sources[1].enabled && has(&sources[1].suites, "trixie-updates"));
        assert_eq!((sources[1].has_switch, sources[1].switch_line), (false, 13));
    }

    #[test]
    fn h1_apt_reads_files_with_proper_names_alone() {
        let node = Scripted::new();
        for name in ["b.list", "a.sources", "c.sources.dpkg-old", ".d.list", "e f.list", "g.list.bak"] {
            node.files.put(&format!("{PARTS_PATH}/{name}"), "");
        }
        let found: Vec<_> = files(&node).into_iter().map(|file| file.path).collect();
        assert_eq!(found, ["a.sources", "b.list"].map(|name| Path::new(PARTS_PATH).join(name)));
    }

    #[test]
    fn h1_a_key_is_known_from_pve_the_installer_and_apt() {
        for (path, text, has) in [
            (SUBSCRIPTION_PATH, "pve1c-0123456789\nsum\ndata\n", true),
            (SUBSCRIPTION_PATH, "", false),
            (STAGED_KEY_PATH, "pve1c-0123456789\n", true),
            ("/etc/apt/auth.conf.d/pve.conf", "machine enterprise.proxmox.com/debian/pve\n login k\n", true),
            ("/etc/apt/auth.conf", "machine mirror.example.com login a\n", false),
        ] {
            let node = Scripted::new();
            node.files.put(path, text);
            assert_eq!(has_subscription_key(&node), has, "{path}");
        }
        assert!(!has_subscription_key(&Scripted::new()));
    }
}
