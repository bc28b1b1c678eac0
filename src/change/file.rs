//! Files and directories: replaced as a whole, never through a link.

use super::cluster::{self, fixed_by_place};
use super::{DirectoryChange, FileChange, Need};
use crate::error::{Error, Result};
use crate::facts::accounts::{PASSWD_PATH, entry};
use crate::manifest;
use crate::node::{Kind, Metadata, Node, read_text};
use crate::plan::View;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

const WAITING: &str = ".firstlight-new";
/// File names end here (`NAME_MAX`).
const LONGEST_NAME: usize = 255;

/// Where new content waits beside its file; the name is fixed so that a crash leaves nothing unknown.
pub fn waiting_path(path: &Path) -> PathBuf {
    let own = path.file_name().unwrap_or_default();
    if own.len() + 1 + WAITING.len() > LONGEST_NAME {
        return manifest::temporary(path);
    }
    let mut name = OsString::from(".");
    name.push(own);
    name.push(WAITING);
    path.with_file_name(name)
}

/// Numeric user and group of a user name; group is the user's own.
pub fn owner_ids(node: &dyn Node, name: &str) -> Result<(u32, u32)> {
    if name == "root" {
        return Ok((0, 0));
    }
    let passwd = read_text(node, Path::new(PASSWD_PATH))?.unwrap_or_default();
    let ids = entry(&passwd, name).map(|entry| (entry.uid, entry.gid));
    ids.ok_or_else(|| Error::new(format!("looking up the user {name}"), "no such user in /etc/passwd"))
}

/// What is missing for the file to be as wanted.
pub fn file_need(node: &dyn Node, change: &FileChange) -> Result<Option<Need>> {
    let found = node.lookup(&change.path)?;
    let before = match &found {
        Some(metadata) if metadata.kind == Kind::File => Some(node.read_seen(&change.path, metadata)?),
        Some(metadata) if metadata.kind == Kind::Directory => {
            return Err(Error::new(format!("planning {}", change.path.display()), "there is a directory"));
        }
        _ => None,
    };
    let metadata_fits =
        |metadata| fixed_by_place(&change.path) || fits(node, metadata, change.mode, &change.owner);
    let right =
        before.as_deref() == Some(change.content.as_slice()) && found.as_ref().is_some_and(metadata_fits);
    if right {
        return Ok(None);
    }
    let what = match (&before, before.as_deref() == Some(change.content.as_slice())) {
        (None, _) => "new".to_owned(),
        (Some(_), true) => "mode or owner".to_owned(),
        (Some(_), false) => "changed".to_owned(),
    };
    changeable(node, &change.path)?;
    let title = format!(
        "file {}: {what}, {} bytes, {:04o} {}",
        change.path.display(),
        change.content.len(),
        change.mode,
        change.owner
    );
    // What is not world-readable now is not shown either, whatever the new mode.
    let readable = found.as_ref().is_none_or(|metadata| metadata.mode & 0o004 != 0);
    let view = if change.public && readable {
        View::Diff { path: change.path.clone(), before, after: change.content.clone() }
    } else {
        View::Lines(Vec::new())
    };
    Ok(Some(Need { title, view }))
}

/// Whoever made a file immutable wants it as it is: better said in the plan than in the middle of the run.
fn changeable(node: &dyn Node, path: &Path) -> Result<()> {
    let Some(by) = node.immutable(path)? else { return Ok(()) };
    let by = by.display();
    Err(Error::new(format!("planning {}", path.display()), format!("{by} is immutable or append-only"))
        .hint(format!("lsattr -d {by} shows it; chattr -i -a {by} allows the change")))
}

/// What is missing for the directory to be as wanted.
pub fn directory_need(node: &dyn Node, change: &DirectoryChange) -> Result<Option<Need>> {
    let found = node.lookup(&change.path)?;
    if let Some(metadata) = &found {
        if metadata.kind != Kind::Directory {
            return Err(Error::new(format!("planning {}", change.path.display()), "it is not a directory"));
        }
        if fits(node, metadata, change.mode, &change.owner) {
            return Ok(None);
        }
    }
    let what = if found.is_some() { "mode or owner" } else { "new" };
    let title = format!("directory {}: {what}, {:04o} {}", change.path.display(), change.mode, change.owner);
    Ok(Some(Need { title, view: View::Lines(Vec::new()) }))
}

/// An owner that does not exist yet fits nothing.
fn fits(node: &dyn Node, metadata: &Metadata, mode: u32, owner: &str) -> bool {
    metadata.mode == mode && owner_ids(node, owner).is_ok_and(|ids| ids == (metadata.uid, metadata.gid))
}

/// Writes the file: durable before it is renamed, the rename durable before it returns.
pub fn write_file(node: &dyn Node, change: &FileChange) -> Result<()> {
    if fixed_by_place(&change.path) {
        cluster::mounted(node, &format!("writing {}", change.path.display()))?;
    }
    replace(node, &change.path, &change.content, change.mode, owner_ids(node, &change.owner)?)?;
    if fixed_by_place(&change.path) {
        cluster::sync(node)?;
    }
    Ok(())
}

/// The content first, then the name, each durable.
pub fn replace(node: &dyn Node, path: &Path, content: &[u8], mode: u32, owner: (u32, u32)) -> Result<()> {
    let waiting = waiting_path(path);
    manifest::make_room(node, &waiting)?;
    if owner == (0, 0) {
        node.create(&waiting, content, mode)?;
    } else {
        node.create_for(&waiting, content, mode, owner)?;
    }
    node.sync_file(&waiting)?;
    node.rename(&waiting, path)?;
    sync_parent(node, path)
}

/// Makes the directory, or corrects its mode and owner.
pub fn make_directory(node: &dyn Node, change: &DirectoryChange) -> Result<()> {
    node.make_directory_for(&change.path, change.mode, owner_ids(node, &change.owner)?)?;
    node.sync_directory(&change.path)?;
    sync_parent(node, &change.path)
}

fn sync_parent(node: &dyn Node, path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), |parent| node.sync_directory(parent))
}
