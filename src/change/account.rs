//! A user of the system, made and changed by Debian's own tools (`useradd`, `usermod`, `chpasswd`).
//!
//! The scope is the account database with its backup files and the home directory: taken back by restoring them
//! as they were. Where somebody else has changed the database since, only our lines are put back ([`merge`]).

pub mod merge;

use super::{AccountChange, Need};
use crate::error::{Error, Result};
use crate::facts::accounts::{self, GROUP_PATH, PASSWD_PATH, SHADOW_PATH};
use crate::manifest::Scope;
use crate::node::{Invocation, Node, exists, read_text, run_checked};
use crate::plan::View;
use crate::profile::{PasswordHash, Secret};
use crate::transaction::record::Inverse;
use std::path::{Path, PathBuf};

/// The account database; every file has a backup with a dash behind its name.
const DATABASE: [&str; 6] =
    [PASSWD_PATH, SHADOW_PATH, GROUP_PATH, "/etc/gshadow", "/etc/subuid", "/etc/subgid"];
/// Where systemd puts what the firmware or the hypervisor hands over.
pub const CREDENTIALS_DIR: &str = "/run/credentials/@system";

/// Paths that making or changing the account may touch. The home of an account that is there already is its own.
pub fn scopes(node: &dyn Node, change: &AccountChange) -> Result<Vec<Scope>> {
    // With its backups the tools leave locks and half-written copies beside it when they are killed.
    let mut scopes = vec![Scope::Children("/etc".into())];
    if existing(node, &change.name)?.is_none() {
        if let Some(parent) = change.home.parent() {
            scopes.push(Scope::Entry(parent.to_owned()));
        }
        // `useradd` puts nothing into a home that is there already: what it holds is not ours.
        let tree = !exists(node, &change.home)?;
        scopes.push(if tree { Scope::Tree } else { Scope::Entry }(change.home.clone()));
    }
    Ok(scopes)
}

/// What is there of the account: comment, shell, groups, hash.
struct Existing {
    comment: String,
    shell: String,
    groups: Vec<String>,
    hash: String,
}

fn existing(node: &dyn Node, name: &str) -> Result<Option<Existing>> {
    let text = |path: &str| Ok::<_, Error>(read_text(node, Path::new(path))?.unwrap_or_default());
    let passwd = text(PASSWD_PATH)?;
    let Some(entry) = accounts::entry(&passwd, name) else { return Ok(None) };
    Ok(Some(Existing {
        comment: entry.comment.to_owned(),
        shell: entry.shell.to_owned(),
        groups: accounts::memberships(name, entry.gid, &text(GROUP_PATH)?),
        hash: accounts::password_field(&text(SHADOW_PATH)?, name).unwrap_or_default().to_owned(),
    }))
}

/// What is missing for the account to be as wanted.
pub fn need(node: &dyn Node, change: &AccountChange) -> Result<Option<Need>> {
    let Some(found) = existing(node, &change.name)? else {
        let mut lines = vec![format!("home {}, shell {}", change.home.display(), change.shell)];
        if !change.groups.is_empty() {
            lines.push(format!("groups {}", change.groups.join(", ")));
        }
        lines.push(if change.password.is_some() { "password set" } else { "password locked" }.to_owned());
        let title = format!("user {}: new", change.name);
        return Ok(Some(Need { title, view: View::Lines(lines) }));
    };
    let mut lines = Vec::new();
    if found.shell != change.shell {
        lines.push(format!("shell {} instead of {}", change.shell, found.shell));
    }
    if !change.comment.is_empty() && found.comment != change.comment {
        lines.push(format!("comment {}", change.comment));
    }
    let missing: Vec<&str> =
        change.groups.iter().filter(|group| !found.groups.contains(group)).map(String::as_str).collect();
    if !missing.is_empty() {
        lines.push(format!("also in {}", missing.join(", ")));
    }
    if let Some(secret) = &change.password
        && password_line(node, change, secret)? != format!("{}:{}\n", change.name, found.hash).into_bytes()
    {
        lines.push("password changed".to_owned());
    }
    if lines.is_empty() {
        return Ok(None);
    }
    Ok(Some(Need {
        title: format!("user {}: {}", change.name, lines.join(", ")),
        view: View::Lines(Vec::new()),
    }))
}

/// Whether the account is new, for the way back.
pub fn inverse(node: &dyn Node, change: &AccountChange) -> Result<Inverse> {
    Ok(Inverse::Account { name: change.name.clone(), created: existing(node, &change.name)?.is_none() })
}

/// Makes or changes the account; the hash goes to `chpasswd` on standard input.
pub fn make(node: &dyn Node, change: &AccountChange) -> Result<()> {
    match existing(node, &change.name)? {
        None => create(node, change)?,
        Some(found) => converge(node, change, &found)?,
    }
    if let Some(secret) = &change.password {
        let line = password_line(node, change, secret)?;
        run_checked(node, &Invocation::new("/usr/sbin/chpasswd", &["-e"]).input(line))?;
    }
    Ok(())
}

fn create(node: &dyn Node, change: &AccountChange) -> Result<()> {
    let home = change.home.to_string_lossy();
    let groups = change.groups.join(",");
    let mut arguments = vec!["--create-home", "--home-dir", &home, "--user-group", "--shell", &change.shell];
    if !groups.is_empty() {
        arguments.extend(["--groups", &groups]);
    }
    if !change.comment.is_empty() {
        arguments.extend(["--comment", &change.comment]);
    }
    arguments.push(&change.name);
    run_checked(node, &Invocation::new("/usr/sbin/useradd", &arguments)).map(drop)
}

fn converge(node: &dyn Node, change: &AccountChange, found: &Existing) -> Result<()> {
    let groups = change.groups.join(",");
    let mut arguments = Vec::new();
    if found.shell != change.shell {
        arguments.extend(["--shell", change.shell.as_str()]);
    }
    if !change.comment.is_empty() && found.comment != change.comment {
        arguments.extend(["--comment", change.comment.as_str()]);
    }
    if change.groups.iter().any(|group| !found.groups.contains(group)) {
        arguments.extend(["--append", "--groups", groups.as_str()]);
    }
    if arguments.is_empty() {
        return Ok(());
    }
    arguments.push(&change.name);
    run_checked(node, &Invocation::new("/usr/sbin/usermod", &arguments)).map(drop)
}

fn password_line(node: &dyn Node, change: &AccountChange, secret: &Secret<PasswordHash>) -> Result<Vec<u8>> {
    let read = |path: PathBuf| -> Result<String> {
        Ok(String::from_utf8_lossy(&node.read(&path)?).trim_end().to_owned())
    };
    let hash = match secret {
        Secret::Value(hash) => hash.reveal().to_owned(),
        Secret::File(path) => read(path.into())?,
        Secret::Credential(name) => read(Path::new(CREDENTIALS_DIR).join(name))?,
    };
    if !hash.starts_with('$') || hash.contains([':', '\n']) {
        let doing = format!("reading the password hash of {}", change.name);
        return Err(Error::new(doing, "it is not a crypt(5) hash such as yescrypt's $y$…"));
    }
    Ok(format!("{}:{hash}\n", change.name).into_bytes())
}

/// The file of the account database that the path is, or is the backup of.
pub fn database(path: &Path) -> Option<&'static str> {
    let path = path.to_str()?;
    DATABASE.into_iter().find(|file| *file == path.strip_suffix('-').unwrap_or(path))
}
