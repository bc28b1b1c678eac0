//! Takes a plain directory into the database, as if it had always been there: a guest's image has files below
//! `/etc/pve` that a mount would stumble over.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::context::Context;
use crate::pmxcfs::database::Database;
use crate::pmxcfs::mount::now;
use crate::pmxcfs::tree::{Inode, ROOT, Tree};
use crate::pmxcfs::{DATABASE, MOUNT};

/// Moves what lies below `/etc/pve` into a new database. Nothing happens where there is a database already.
pub fn import(context: &Context) -> io::Result<()> {
    let (mount, directory) = (context.path(MOUNT), context.path(DATABASE));
    if Database::exists(&directory) {
        return Ok(());
    }
    let mut database = Database::open(&directory)?;
    let mut tree = Tree::new(database.rows(), now());
    take(&mut tree, ROOT, &mount)?;
    database.commit(tree.take_records())?;
    database.close()?;
    for entry in fs::read_dir(&mount)? {
        let path = entry?.path();
        if path.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
    }
    Ok(())
}

fn take(tree: &mut Tree, parent: Inode, directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        if kind.is_dir() {
            let inode = tree.mkdir(parent, name.as_bytes(), now())?;
            take(tree, inode, &entry.path())?;
        } else if kind.is_file() {
            let inode = tree.create(parent, name.as_bytes(), now())?;
            tree.write(inode, 0, &fs::read(entry.path())?, now())?;
        }
    }
    Ok(())
}
