//! Where apt's packages come from: the files of sources.list(5) with their entries, and which repository of Proxmox a URI
//! names. Entries that are switched off are read, too: PVE's own tools switch them on again in their place.

use crate::node::{Kind, Node, read_text};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::SplitAsciiWhitespace;

/// The one file.
pub const LIST_PATH: &str = "/etc/apt/sources.list";
/// The directory of more.
pub const PARTS_PATH: &str = "/etc/apt/sources.list.d";
/// The repository of PVE; also begins the names of its components.
pub const PVE: &str = "pve";
/// Begins the names of those of Ceph: `ceph-squid`.
pub const CEPH: &str = "ceph-";
/// The channel for subscribers.
pub const ENTERPRISE: &str = "enterprise";
/// The channel for everybody.
pub const FREE: &str = "no-subscription";
/// Where a subscription leaves its key: PVE's own file, what PVE's installer lays ready for the first boot, and what apt logs
/// in with (pve-answer.md; PVE writes the last one with the first).
const KEY_PATHS: [&str; 3] =
    ["/etc/subscription", "/var/lib/proxmox-first-boot/subscription-key", "/etc/apt/auth.conf.d/pve.conf"];

/// Places of the fields of an entry, which are words with blanks between.
pub const TYPES: usize = 0;
/// What decides which repository it is.
pub const URIS: usize = 1;
/// `trixie`.
pub const SUITES: usize = 2;
/// `pve-no-subscription`.
pub const COMPONENTS: usize = 3;
/// Key or keyring.
pub const SIGNED_BY: usize = 4;
/// Whether apt reads it.
const SWITCH: usize = 5;
/// The names of these fields in a stanza, in small letters.
const FIELDS: [&str; 6] = ["types", "uris", "suites", "components", "signed-by", "enabled"];
/// The words for no, then those for yes, that apt knows (StringToBool); a one may be a number, too.
const NO_AND_YES: [&str; 11] =
    ["no", "false", "without", "off", "disable", "0", "yes", "true", "with", "on", "enable"];

/// What a word means to apt where it wants yes or no.
pub fn meaning(word: &str) -> Option<bool> {
    NO_AND_YES.iter().position(|one| word.eq_ignore_ascii_case(one)).map(|place| place > 5)
}

/// A file with sources.
#[derive(Clone)]
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
    /// Permission bits.
    pub mode: u32,
}

/// An entry: a line of a `.list` file, a stanza of a `.sources` file.
#[derive(Default)]
pub struct Source {
    /// Place of its file among those of the node.
    pub file: usize,
    /// Whether it is a stanza.
    pub stanza: bool,
    /// From where to where its switch is in the text: the field `Enabled`, or the place for one in front of `Types`; the mark
    /// of a comment.
    pub at: (usize, usize),
    fields: [String; 6],
}

impl Source {
    /// A field; may be empty.
    pub fn field(&self, place: usize) -> &str {
        self.fields.get(place).map_or("", String::as_str)
    }

    /// The words of a field.
    pub fn words(&self, place: usize) -> SplitAsciiWhitespace<'_> {
        self.field(place).split_ascii_whitespace()
    }

    /// Whether a word is in a field.
    pub fn has(&self, place: usize, word: &str) -> bool {
        self.words(place).any(|one| one == word)
    }

    /// Whether apt reads it.
    pub fn enabled(&self) -> bool {
        meaning(self.field(SWITCH)) != Some(false)
    }

    /// Whether it gives this channel of `name`.
    pub fn offers(&self, name: &str, channel: &str) -> bool {
        self.words(URIS).any(|uri| offers(uri, self.field(COMPONENTS), name, channel))
    }

    /// Whether all of it comes from Proxmox.
    pub fn is_of_proxmox(&self) -> bool {
        self.words(URIS).all(is_of_proxmox)
    }
}

/// Whether it is on a server of Proxmox.
pub fn is_of_proxmox(uri: &str) -> bool {
    let mut parts = uri.splitn(4, '/');
    parts.nth(2).is_some_and(|host| host.contains(".proxmox.com"))
}

/// Its last part: `ceph-squid`. PVE is not known by it: long ago its path was `debian` alone
/// (proxmox-apt, `standard.rs`).
pub fn repository(uri: &str) -> &str {
    uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// Whether a URI with these components gives this channel of `name`, any channel for an empty one; of any Ceph for `ceph-`.
/// Mirrors do, too: PVE's components say it all.
pub fn offers(uri: &str, components: &str, name: &str, channel: &str) -> bool {
    let (own, pve) = (repository(uri), name == PVE);
    // Whatever is read there wants a key.
    let keyed = uri.contains("enterprise.proxmox.com");
    let named = pve || own == name || name == CEPH && own.starts_with(name);
    named
        && components.split_ascii_whitespace().any(|component| {
            // PVE 8's word, which an upgraded node keeps (pve-contract 6.4).
            let component = if component == "pvetest" { "pve-test" } else { component };
            let (before, word) = component.split_once('-').unwrap_or_default();
            let word = match (keyed, pve) {
                (true, _) => ENTERPRISE,
                (_, true) => word,
                _ => component,
            };
            // PVE 8's Ceph Quincy has `main` as another name of what is for everybody.
            (before == PVE) == pve
                && (channel.is_empty() || word == channel || word == "main" && channel == FREE)
        })
}

impl SourceFile {
    /// Adds its entries; `file` is its place.
    pub fn read(&self, file: usize, sources: &mut Vec<Source>) {
        let stanzas = self.path.extension().is_some_and(|extension| extension == "sources");
        let (mut open, mut field, mut end) = (Source::default(), 0, 0);
        // The last stanza ends, too.
        for line in self.text.split_inclusive('\n').chain(["\n"]) {
            let start = end;
            end += line.len();
            if !stanzas {
                sources.extend(one_line(line, end).map(|source| Source { file, ..source }));
                continue;
            }
            if line.trim_ascii().is_empty() {
                let done = std::mem::take(&mut open);
                if !done.field(TYPES).is_empty() {
                    sources.push(Source { file, stanza: true, ..done });
                }
                continue;
            }
            let folded = line.starts_with([' ', '\t']);
            let value = match line.split_once(':') {
                _ if line.starts_with('#') => continue,
                _ if folded => line,
                Some((name, value)) => {
                    let is_it = |one: &&str| name.eq_ignore_ascii_case(one);
                    field = FIELDS.iter().position(is_it).unwrap_or(FIELDS.len());
                    value
                }
                None => continue,
            };
            if field == SWITCH {
                open.at = (start, end);
            } else if field == TYPES && open.field(SWITCH).is_empty() {
                open.at = (start, start);
            }
            let Some(list) = open.fields.get_mut(field) else { continue };
            if folded {
                list.push(' ');
            } else {
                list.clear();
            }
            list.push_str(value.trim_ascii());
        }
    }
}

/// `deb [options] URI SUITE COMPONENT…`, behind `#` when it is switched off; `end` is the line's.
fn one_line(line: &str, end: usize) -> Option<Source> {
    let line = line.trim_ascii_start();
    let marks = line.bytes().take_while(|byte| b"# \t".contains(byte)).count();
    let bare = line.get(marks..)?;
    let mut rest = bare.split('#').next()?;
    let types = word(&mut rest);
    if !matches!(types, "deb" | "deb-src") {
        return None;
    }
    let mut signed_by = "";
    if let Some(options) = rest.trim_ascii_start().strip_prefix('[') {
        let (options, behind) = options.split_once(']')?;
        signed_by =
            options.split_ascii_whitespace().find_map(|one| one.strip_prefix("signed-by=")).unwrap_or("");
        rest = behind;
    }
    let switch = if bare.len() == line.len() { "" } else { "no" };
    let fields = [types, word(&mut rest), word(&mut rest), rest.trim_ascii(), signed_by, switch];
    let at = (end - line.len(), end - bare.len());
    Some(Source { at, fields: fields.map(str::to_owned), ..Source::default() })
}

/// Takes off the first word.
fn word<'a>(rest: &mut &'a str) -> &'a str {
    let word = rest.split_ascii_whitespace().next().unwrap_or_default();
    *rest = rest.trim_ascii_start().strip_prefix(word).unwrap_or_default();
    word
}

/// The files that apt reads, in its order. What cannot be read is left out: apt cannot read it either. So is what is no
/// UTF-8, of which not every byte would stay.
pub fn files(node: &dyn Node) -> Vec<SourceFile> {
    let mut names = node.list(Path::new(PARTS_PATH)).unwrap_or_default();
    // The one file comes first.
    names.insert(0, OsString::new());
    let mut files = Vec::new();
    for name in names {
        let mut path = Path::new(PARTS_PATH).join(&name);
        let ending = path.extension().is_some_and(|ending| ending == "list" || ending == "sources");
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        let bytes = name.as_encoded_bytes();
        if name.is_empty() {
            path = LIST_PATH.into();
        } else if !ending || bytes.starts_with(b".") || !bytes.iter().all(plain) {
            continue;
        }
        let (Ok(Some(found)), Ok(content)) = (node.lookup(&path), node.read(&path)) else { continue };
        let Ok(text) = String::from_utf8(content) else { continue };
        // Of a link, the mode says nothing.
        let mode = if found.kind == Kind::File { found.mode } else { 0o644 };
        files.push(SourceFile { path, text, mode });
    }
    files
}

/// Whether the node has a subscription key.
pub fn has_subscription_key(node: &dyn Node) -> bool {
    let text = |path: &&str| read_text(node, Path::new(path)).ok().flatten().unwrap_or_default();
    KEY_PATHS.iter().any(|path| !text(path).trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::scripted::Scripted;

    fn sources(path: &str, text: &str) -> Vec<Source> {
        let mut sources = Vec::new();
        SourceFile { path: path.into(), text: text.into(), mode: 0o644 }.read(7, &mut sources);
        assert!(sources.iter().all(|source| source.file == 7));
        sources
    }

    #[test]
    fn h1_uris_in_every_spelling_are_of_proxmox_or_not() {
        for uri in [
            "https://enterprise.proxmox.com/debian/pve",
            "https://enterprise.proxmox.com/debian",
            "http://enterprise.proxmox.com:443/debian/pve/",
            "https://pve1c-0123456789:id@enterprise.proxmox.com/debian/pve",
        ] {
            assert!(is_of_proxmox(uri) && offers(uri, "pve-enterprise", PVE, ENTERPRISE), "{uri}");
        }
        assert_eq!(repository("http://download.proxmox.com/debian/ceph-squid/"), "ceph-squid");
        for uri in [
            "http://deb.example.org/debian",
            "cdrom:[Debian]/",
            "http://mirror.example.com/ceph-squid",
            "http://mirror.example.com/enterprise.proxmox.com/debian/pve",
        ] {
            assert!(!is_of_proxmox(uri), "{uri}");
        }
    }

    #[test]
    fn h1_components_say_which_channel_it_is() {
        let [pve, ceph] =
            ["pve", "ceph-quincy"].map(|name| ["http://download.proxmox.com/debian/", name].concat());
        let keyed = pve.replace("download", "enterprise");
        for (uri, components, name, channel, right) in [
            (&pve, "x pve-no-subscription", PVE, FREE, true),
            (&pve, "pve-no-subscription", PVE, ENTERPRISE, false),
            (&pve, "pve-test", PVE, "", true),
            (&pve, "pve-test", PVE, FREE, false),
            (&pve, "main", PVE, "", false),
            (&pve, "pve-enterprise", CEPH, ENTERPRISE, false),
            (&keyed, "pve-no-subscription", PVE, FREE, false),
            (&keyed, "pve-no-subscription", PVE, ENTERPRISE, true),
            (&keyed, "main", CEPH, ENTERPRISE, false),
            (&ceph, "enterprise", "ceph-quincy", ENTERPRISE, true),
            (&ceph, "enterprise", CEPH, ENTERPRISE, true),
            (&ceph, "enterprise", "ceph-squid", ENTERPRISE, false),
            (&ceph, "no-subscription", CEPH, FREE, true),
            (&ceph, "main", CEPH, FREE, true),
            (&ceph, "main", CEPH, ENTERPRISE, false),
            (&ceph, "no-subscription", PVE, FREE, false),
        ] {
            assert_eq!(offers(uri, components, name, channel), right, "{uri} {components} {name} {channel}");
        }
    }

    #[test]
    fn h1_lines_are_read_with_options_comments_and_switched_off() {
        let text = "# prose about deb lines\n\
            deb [ arch=amd64 signed-by=/k.gpg ] http://download.proxmox.com/debian/pve bookworm pve-no-subscription # x\n\
            #deb https://enterprise.proxmox.com/debian/pve bookworm pve-enterprise\n\
            deb-src http://deb.example.org/debian\tbookworm  main contrib";
        let sources = sources("/etc/apt/sources.list", text);
        assert_eq!(sources.len(), 3);
        assert!(sources[0].enabled() && sources[0].field(TYPES) == "deb");
        assert_eq!((sources[0].field(SIGNED_BY), sources[0].field(SUITES)), ("/k.gpg", "bookworm"));
        assert!(sources[0].offers(PVE, FREE) && !sources[0].offers(PVE, ENTERPRISE));
        assert!(!sources[1].enabled() && sources[1].offers(PVE, ENTERPRISE));
        assert_eq!(&text[sources[1].at.0..sources[1].at.1], "#");
        assert!(sources[2].enabled() && sources[2].field(TYPES) == "deb-src");
        assert_eq!((sources[2].field(SUITES), sources[2].field(COMPONENTS)), ("bookworm", "main contrib"));
        assert!(text[sources[2].at.0..].starts_with("deb-src") && sources[2].at.0 == sources[2].at.1);
    }

    #[test]
    fn h1_stanzas_are_read_with_folds_comments_and_switched_off() {
        let text = "# one\nTypes: deb\n# between\nURIs:\n https://enterprise.proxmox.com/debian/ceph-squid\n\
            # https://x.example.com/\n http://y.example.com/\nX-Other: a\n b\n\
            suites: trixie\nEnabled: No\nComponents: enterprise\n\n\n\
            Types: deb deb-src\nURIs: http://deb.example.org/debian\nSuites: trixie trixie-updates\nComponents: main";
        let sources = sources("/etc/apt/sources.list.d/x.sources", text);
        assert_eq!(sources.len(), 2);
        assert!(!sources[0].enabled() && sources[0].offers("ceph-squid", ENTERPRISE));
        assert!(sources[0].offers(CEPH, ENTERPRISE) && sources[0].field(SUITES) == "trixie");
        assert!(!sources[0].is_of_proxmox() && sources[0].words(URIS).count() == 2);
        assert_eq!(&text[sources[0].at.0..sources[0].at.1], "Enabled: No\n");
        assert!(sources[1].enabled() && sources[1].has(SUITES, "trixie-updates"));
        assert!(
            text[sources[1].at.0..].starts_with("Types: deb deb-src") && sources[1].at.0 == sources[1].at.1
        );
    }

    #[test]
    fn h1_apt_reads_files_with_proper_names_alone() {
        let node = Scripted::new();
        node.files.put(LIST_PATH, "# caf\u{e9}\n");
        node.files.put(&format!("{PARTS_PATH}/latin.list"), b"# caf\xe9\n");
        for name in [
            "b.list",
            "a.sources",
            "c.sources.dpkg-old",
            ".d.list",
            "e f.list",
            "g.list.bak",
            ".list",
            "list",
        ] {
            node.files.put(&format!("{PARTS_PATH}/{name}"), "");
        }
        let found: Vec<_> = files(&node).into_iter().map(|file| (file.path, file.text)).collect();
        let parts = ["a.sources", "b.list"].map(|name| (Path::new(PARTS_PATH).join(name), String::new()));
        assert_eq!(found[0], (LIST_PATH.into(), "# caf\u{e9}\n".to_owned()));
        assert_eq!(found[1..], parts);
    }

    #[test]
    fn h1_a_key_is_known_from_pve_the_installer_and_apt() {
        for (path, text, has) in [
            ("/etc/subscription", "pve1c-0123456789\nsum\ndata\n", true),
            ("/etc/subscription", "", false),
            ("/var/lib/proxmox-first-boot/subscription-key", "pve1c-0123456789\n", true),
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
