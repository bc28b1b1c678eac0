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

/// An entry: a line of a `.list` file, a stanza of a `.sources` file.
#[derive(Clone)]
pub struct Source {
    /// Whether apt reads it.
    pub enabled: bool,
    /// Whether it is a stanza.
    pub stanza: bool,
    /// Number of the line with its field `Enabled`.
    pub enabled_line: Option<usize>,
    /// Number of its last line.
    pub last_line: usize,
    /// Whether packages come from it, and not only their sources.
    pub binary: bool,
    /// What its URIs name.
    pub repositories: Vec<Repository>,
    /// Its suites.
    pub suites: Vec<String>,
    /// Its components.
    pub components: Vec<String>,
    /// The key or keyring; may be empty.
    pub signed_by: String,
}

/// What a URI names.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Repository {
    /// Whose server it is on.
    pub host: Host,
    /// `pve`, `ceph-squid`; on a server of Proxmox, everything else is empty.
    pub name: String,
}

/// Whose server.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Host {
    /// Proxmox's for subscribers.
    Enterprise,
    /// Proxmox's for everybody.
    Download,
    /// Somebody else's: Debian's, or a mirror of Proxmox's.
    Other,
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
    pub fn component(self, name: &str) -> String {
        let prefix = if name == "pve" { "pve-" } else { "" };
        format!("{prefix}{}", self.word())
    }

    /// Whether a repository with these components gives this channel of `name`; of any Ceph for `ceph-`.
    pub fn is_offered(self, repository: &Repository, components: &[&str], name: &str) -> bool {
        let component = self.component(name);
        // PVE 8's Ceph Quincy has `main` as another name of it.
        let main = if self == Self::NoSubscription && name != "pve" { "main" } else { "" };
        let named = if name.ends_with('-') {
            repository.name.starts_with(name)
        } else {
            repository.name == name || name == "pve" && repository.host == Host::Other
        };
        if repository.host == Host::Enterprise {
            // Whatever is read there wants a key.
            return named && self == Self::Enterprise;
        }
        named && components.iter().any(|word| *word == component || *word == main)
    }
}

impl Repository {
    /// What `scheme://user:password@HOST:port/PATH` names. Before PVE 4 the path of its own was `debian` alone, which
    /// Proxmox's servers still answer (proxmox-apt, `standard.rs`).
    pub fn of(uri: &str) -> Self {
        let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
        let host = host.to_ascii_lowercase();
        let path = path.trim_matches('/');
        let host = match host.as_str() {
            ENTERPRISE_HOST => Host::Enterprise,
            host if host.ends_with(".proxmox.com") => Host::Download,
            _ => Host::Other,
        };
        let name = match (host, path.strip_prefix("debian/"), path.rsplit('/').next()) {
            (Host::Other, _, last) => last,
            (_, None, Some("debian")) => Some("pve"),
            (_, name, _) => name,
        };
        Self { host, name: name.filter(|name| !name.contains('/')).unwrap_or_default().to_owned() }
    }
}

impl Source {
    /// Whether it gives this channel of `name`.
    pub fn offers(&self, name: &str, channel: Channel) -> bool {
        let components: Vec<&str> = self.components.iter().map(String::as_str).collect();
        self.repositories.iter().any(|repository| channel.is_offered(repository, &components, name))
    }

    /// Whether it names one repository of Proxmox, and no other.
    pub fn is_only(&self, name: &str) -> bool {
        self.repositories.iter().all(|repository| repository.name == name && repository.host != Host::Other)
    }
}

impl SourceFile {
    /// Its lines, each with its end.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        self.content.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }

    /// Its entries.
    pub fn sources(&self) -> Vec<Source> {
        let text: Vec<String> =
            self.lines().iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        let numbered = text.iter().map(String::as_str).enumerate();
        if self.path.extension().is_none_or(|extension| extension != "sources") {
            return numbered.filter_map(|(number, line)| one_line(number, line)).collect();
        }
        let (mut sources, mut open) = (Vec::new(), Fields::default());
        for (number, line) in numbered {
            if line.trim().is_empty() {
                sources.extend(std::mem::take(&mut open).source());
            } else if line.starts_with([' ', '\t']) {
                if let Some((_, value, _)) = open.0.last_mut() {
                    value.push(' ');
                    value.push_str(line);
                    open.1 = number;
                }
            } else if let Some((name, value)) = line.split_once(':').filter(|_| !line.starts_with('#')) {
                open.0.push((name.trim().to_ascii_lowercase(), value.to_owned(), number));
                open.1 = number;
            }
        }
        sources.extend(open.source());
        sources
    }
}

/// Fields of a stanza, with the number of the line that each begins in, and of the last line.
#[derive(Default)]
struct Fields(Vec<(String, String, usize)>, usize);

impl Fields {
    fn words(&self, name: &str) -> Vec<String> {
        let found = self.0.iter().rfind(|(field, ..)| field == name);
        found.map(|(_, value, _)| words(value)).unwrap_or_default()
    }

    fn source(self) -> Option<Source> {
        let types = self.words("types");
        let switch = self.words("enabled").concat().to_ascii_lowercase();
        // What counts as no in apt (StringToBool).
        let off = matches!(switch.as_str(), "no" | "false" | "without" | "off" | "disable" | "0");
        (!types.is_empty()).then(|| Source {
            enabled: !off,
            stanza: true,
            enabled_line: self.0.iter().rfind(|(field, ..)| field == "enabled").map(|(.., line)| *line),
            last_line: self.1,
            binary: types.iter().any(|word| word == "deb"),
            repositories: self.words("uris").iter().map(|uri| Repository::of(uri)).collect(),
            suites: self.words("suites"),
            components: self.words("components"),
            signed_by: self.words("signed-by").join(" "),
        })
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// `deb [options] URI SUITE COMPONENT…`, behind `#` when it is switched off.
fn one_line(number: usize, line: &str) -> Option<Source> {
    let line = line.trim();
    let bare = line.trim_start_matches(['#', ' ', '\t']);
    let (kind, rest) = bare.split('#').next()?.split_once([' ', '\t'])?;
    if !matches!(kind, "deb" | "deb-src") {
        return None;
    }
    let (options, rest) = match rest.trim_start().strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut rest = words(rest).into_iter();
    let repositories = vec![Repository::of(&rest.next()?)];
    let suites = vec![rest.next()?];
    let signed_by = words(options).iter().find_map(|word| word.strip_prefix("signed-by=").map(str::to_owned));
    Some(Source {
        enabled: bare.len() == line.len(),
        stanza: false,
        enabled_line: None,
        last_line: number,
        binary: kind == "deb",
        repositories,
        suites,
        components: rest.collect(),
        signed_by: signed_by.unwrap_or_default(),
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
        let of = |uri: &str| (Repository::of(uri).host, Repository::of(uri).name);
        for uri in [
            "https://enterprise.proxmox.com/debian/pve",
            "https://enterprise.proxmox.com/debian",
            "http://Enterprise.Proxmox.com:443/debian/pve/",
            "https://pve1c-0123456789:id@enterprise.proxmox.com/debian/pve",
        ] {
            assert_eq!(of(uri), (Host::Enterprise, "pve".to_owned()), "{uri}");
        }
        assert_eq!(
            of("http://download.proxmox.com/debian/ceph-squid"),
            (Host::Download, "ceph-squid".to_owned())
        );
        assert_eq!(of("http://mirror.example.com/x/ceph-squid"), (Host::Other, "ceph-squid".to_owned()));
        for uri in ["https://enterprise.proxmox.com/pub", "https://enterprise.proxmox.com/debian/pve/x"] {
            assert_eq!(of(uri), (Host::Enterprise, String::new()), "{uri}");
        }
        assert_eq!(of("http://deb.debian.org/debian").0, Host::Other);
        assert_eq!(of("cdrom:[Debian]/").0, Host::Other);
    }

    #[test]
    fn h1_lines_are_read_with_options_comments_and_switched_off() {
        let text = "# prose about deb lines\n\
            deb [ arch=amd64 signed-by=/k.gpg ] http://download.proxmox.com/debian/pve bookworm pve-no-subscription # x\n\
            #deb https://enterprise.proxmox.com/debian/pve bookworm pve-enterprise\n\
            deb-src http://deb.debian.org/debian bookworm main contrib\n";
        let sources = file("/etc/apt/sources.list", text).sources();
        assert_eq!(sources.len(), 3);
        assert!(sources[0].enabled && sources[0].binary && sources[0].signed_by == "/k.gpg");
        assert!(sources[0].offers("pve", Channel::NoSubscription));
        assert!(!sources[1].enabled && sources[1].offers("pve", Channel::Enterprise));
        assert!(!sources[2].binary && sources[2].components == ["main", "contrib"]);
        assert_eq!(sources[2].last_line, 3);
    }

    #[test]
    fn h1_stanzas_are_read_with_folds_comments_and_switched_off() {
        let text = "# one\nTypes: deb\n# between\nURIs:\n https://enterprise.proxmox.com/debian/ceph-squid\n\
            suites: trixie\nComponents: enterprise\nEnabled: No\n\n\n\
            Types: deb deb-src\nURIs: http://deb.debian.org/debian\nSuites: trixie trixie-updates\nComponents: main";
        let sources = file("/etc/apt/sources.list.d/x.sources", text).sources();
        assert_eq!(sources.len(), 2);
        assert!(!sources[0].enabled && sources[0].offers("ceph-squid", Channel::Enterprise));
        assert!(sources[0].offers("ceph-", Channel::Enterprise) && sources[0].suites == ["trixie"]);
        assert_eq!((sources[0].enabled_line, sources[0].last_line), (Some(7), 7));
        assert!(sources[1].enabled && sources[1].suites.len() == 2 && sources[1].last_line == 13);
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
