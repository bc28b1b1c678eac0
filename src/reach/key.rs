//! The throw-away key, and the line that lets it in: nothing but `/usr/bin/true`, from the lent addresses, for
//! minutes. A crash leaves at most a dead line, and recovery takes that out.

use crate::change;
use crate::error::{Error, Result};
use crate::facts::accounts::{PASSWD_PATH, entry};
use crate::facts::sshd_options;
use crate::gate::SSHD_PROGRAM;
use crate::manifest::Scope;
use crate::node::{Invocation, Kind, Node, exists, read_text, run_checked};
use crate::status::time;
use crate::transaction::state;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

pub(super) const KEYGEN_PROGRAM: &str = "/usr/bin/ssh-keygen";
pub(super) const KEY_PATH: &str = "/run/firstlight/reach/key";
pub(super) const HOSTS_PATH: &str = "/run/firstlight/reach/hosts";
const DIRECTORY: &str = "/run/firstlight/reach";
/// What the line ends with: nobody else's does.
const COMMENT: &str = "firstlight-probe";
const LIFE_MILLISECONDS: u64 = 10 * 60 * 1000;

/// Where the key goes, and what it is good for.
pub(super) struct Keys {
    /// The file that sshd reads for the admin.
    pub(super) path: PathBuf,
    owner: (u32, u32),
    mode: u32,
    /// Addresses that may use it, with commas.
    from: String,
    /// The node's own host keys, as a file of known hosts.
    hosts: String,
}

impl Keys {
    /// Asks sshd what it would read for this connection.
    pub(super) fn find(
        node: &dyn Node,
        user: &str,
        port: u16,
        (from, to): (IpAddr, IpAddr),
        inside: &[IpAddr],
    ) -> Result<Self> {
        let doing = || format!("preparing a login of {user}");
        let connection = format!("user={user},host={from},addr={from},laddr={to},lport={port}");
        let listing = run_checked(node, &Invocation::new(SSHD_PROGRAM, &["-T", "-C", &connection]))?.stdout;
        let options = sshd_options(&listing);
        let values = |key: &'static str| {
            options.iter().filter(move |(name, _)| name == key).flat_map(|(_, value)| value.split(' '))
        };
        let alone = |methods: &str| methods == "any" || methods.split(':').next() == Some("publickey");
        if !values("pubkeyauthentication").all(|value| value == "yes")
            || !values("authenticationmethods").all(alone)
        {
            return Err(Error::new(doing(), "sshd does not let in by a key alone"));
        }
        let passwd = read_text(node, Path::new(PASSWD_PATH))?.unwrap_or_default();
        let account = entry(&passwd, user).ok_or_else(|| Error::new(doing(), "there is no such account"))?;
        let expand = |name: &str| {
            let name = name
                .replace("%h", account.home)
                .replace("%u", user)
                .replace("%U", &account.uid.to_string())
                .replace("%%", "%");
            Path::new(account.home).join(name)
        };
        let paths: Vec<PathBuf> =
            values("authorizedkeysfile").filter(|name| *name != "none").map(expand).collect();
        let (path, owner, mode) = place(node, &paths, (account.uid, account.gid))?
            .ok_or_else(|| Error::new(doing(), "sshd reads no file of keys that a line can be added to"))?;
        let mut hosts = String::new();
        for key in values("hostkey") {
            if let Some(text) = read_text(node, Path::new(&format!("{key}.pub")))? {
                hosts.push_str(&format!("firstlight {}\n", text.trim_end()));
            }
        }
        let from = inside.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(",");
        Ok(Self { path, owner, mode, from, hosts })
    }

    /// Its paths, with the directory whose times change.
    pub(super) fn scopes(&self) -> Vec<Scope> {
        let parent = self.path.parent().map(|parent| Scope::Entry(parent.to_owned()));
        let own = [Scope::Entry(self.path.clone()), Scope::Entry(change::waiting_path(&self.path))];
        parent.into_iter().chain(own).collect()
    }
}

type Place = (PathBuf, (u32, u32), u32);

/// The first file that is there, else the first that can be made. No links, and nothing that a cluster shares.
fn place(node: &dyn Node, paths: &[PathBuf], account: (u32, u32)) -> Result<Option<Place>> {
    let local = || paths.iter().filter(|path| !path.starts_with("/etc/pve"));
    for path in local() {
        if let Some(found) = node.lookup(path)?.filter(|found| found.kind == Kind::File) {
            return Ok(Some((path.clone(), (found.uid, found.gid), found.mode)));
        }
    }
    for path in local() {
        let Some(parent) = path.parent() else { continue };
        let parent = node.lookup(parent)?;
        if parent.is_some_and(|parent| parent.kind == Kind::Directory) && !exists(node, path)? {
            return Ok(Some((path.clone(), account, 0o600)));
        }
    }
    Ok(None)
}

/// Makes the key pair and lets it in.
pub(super) fn make(node: &dyn Node, keys: &Keys) -> Result<()> {
    discard(node)?;
    state::make_directories(node, Path::new(DIRECTORY))?;
    let arguments = ["-q", "-t", "ed25519", "-N", "", "-C", COMMENT, "-f", KEY_PATH];
    run_checked(node, &Invocation::new(KEYGEN_PROGRAM, &arguments))?;
    node.create(Path::new(HOSTS_PATH), keys.hosts.as_bytes(), 0o600)?;
    let public = read_text(node, Path::new(&format!("{KEY_PATH}.pub")))?.unwrap_or_default();
    // To the minute; sshd takes `Z` for UTC.
    let end = time::iso(node.now() + LIFE_MILLISECONDS);
    let end: String = end.chars().filter(char::is_ascii_digit).take(12).collect();
    let mut content = theirs(&content(node, &keys.path)?);
    if content.last().is_some_and(|&last| last != b'\n') {
        content.push(b'\n');
    }
    let line = format!(
        "restrict,command=\"/usr/bin/true\",from=\"{}\",expiry-time=\"{end}Z\" {}\n",
        keys.from,
        public.trim_end()
    );
    content.extend_from_slice(line.as_bytes());
    change::replace(node, &keys.path, &content, keys.mode, keys.owner)
}

/// The very file that stands there: its owner could put a link to somebody else's in its place.
fn content(node: &dyn Node, path: &Path) -> Result<Vec<u8>> {
    match node.lookup(path)? {
        Some(seen) => node.read_seen(path, &seen),
        None => Ok(Vec::new()),
    }
}

/// The content without any line of ours.
fn theirs(content: &[u8]) -> Vec<u8> {
    let lines = content.split_inclusive(|&byte| byte == b'\n');
    lines.filter(|line| !line.trim_ascii_end().ends_with(COMMENT.as_bytes())).flatten().copied().collect()
}

/// Takes our line out of a file that belongs to somebody else by now. Safe to repeat.
pub fn forget(node: &dyn Node, path: &Path) -> Result<()> {
    let Some(found) = node.lookup(path)?.filter(|found| found.kind == Kind::File) else { return Ok(()) };
    let content = content(node, path)?;
    let theirs = theirs(&content);
    if theirs == content {
        return Ok(());
    }
    change::replace(node, path, &theirs, found.mode, (found.uid, found.gid))
}

/// Throws the key pair away.
pub(super) fn discard(node: &dyn Node) -> Result<()> {
    state::remove_tree(node, Path::new(DIRECTORY))
}
