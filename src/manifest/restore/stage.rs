//! Files and links: made beside their paths, made durable together, renamed; then the other names of files.

use super::{Touched, Wanted, Work, metadata, temporary};
use crate::error::Result;
use crate::manifest::{Entry, State};
use crate::node::{Kind, Metadata};
use crate::objects::ObjectId;
use crate::sorted::{Map, Set};
use std::path::Path;

/// What is known about files while they are made.
#[derive(Default)]
struct Files<'a> {
    /// Made under their temporary names.
    staged: Vec<&'a Path>,
    /// The first path of each name group, and the other ones with it.
    first: Map<u32, &'a Path>,
    others: Vec<(&'a Path, &'a Path)>,
    /// Files with several names that are right, so that no second path keeps being one of the names.
    claimed: Set<(u64, u64)>,
    /// Paths that failed.
    broken: Set<&'a Path>,
}

impl Work<'_> {
    /// Makes all files and links that are not right.
    pub(super) fn make_files(&mut self, wanted: &[Wanted<'_>]) {
        let mut files = Files::default();
        let mut fresh = Touched::default();
        for Wanted { path, entry } in wanted {
            let Some(entry) = entry else { continue };
            let staged = match &entry.state {
                State::File { content, size } => match files.first.get(&entry.name_group) {
                    Some(first) => {
                        files.others.push((path, first));
                        continue;
                    }
                    None => self.stage_file(path, entry, (content, *size), &mut files),
                },
                State::Link { target } => self.stage_link(path, entry, target),
                State::Directory | State::Other | State::Absent => continue,
            };
            if entry.name_group != 0 {
                files.first.insert(entry.name_group, path);
            }
            match staged {
                Ok(true) => {
                    if matches!(entry.state, State::File { .. }) {
                        fresh.file(&temporary(path));
                    }
                    files.staged.push(path);
                }
                Ok(false) => {}
                Err(error) => {
                    files.broken.insert(path);
                    // Its own failure is told; one of the removal says nothing more, and the next run tries again.
                    let _ = self.node.remove_file(&temporary(path));
                    self.fail(path, error);
                }
            }
        }
        self.put_in_place(&mut files, fresh);
        self.make_other_names(&files);
    }

    /// Renames only what is durable.
    fn put_in_place(&mut self, files: &mut Files<'_>, fresh: Touched) {
        if let Err(error) = fresh.make_durable(self.node) {
            files.broken.extend(files.staged.iter().copied());
            return self.note(Err(error));
        }
        for path in &files.staged {
            match self.node.rename(&temporary(path), path) {
                Ok(()) => self.touched.directory(path),
                Err(error) => {
                    files.broken.insert(path);
                    let _ = self.node.remove_file(&temporary(path));
                    self.fail(path, error);
                }
            }
        }
    }

    /// Makes the file under its temporary name and says so, or corrects one whose content is right.
    fn stage_file<'a>(
        &mut self,
        path: &'a Path,
        entry: &Entry,
        (content, size): (&ObjectId, u64),
        files: &mut Files<'a>,
    ) -> Result<bool> {
        let node = self.node;
        if let Some(found) = node.lookup(path)?
            && self.content_is(path, &found, (content, size))?
            && (found.links < 2 || files.claimed.insert(found.identity))
        {
            let changed = !self.fixed(path)
                && metadata::correct(node, path, entry)? | metadata::correct_time(node, path, entry)?;
            if changed {
                self.touched.file(path);
            }
            return Ok(false);
        }
        let content = self.objects.read(content)?;
        let temporary = temporary(path);
        if self.fixed(path) {
            let private = path.components().any(|part| part.as_os_str() == "priv");
            node.create(&temporary, &content, if private { 0o600 } else { 0o640 })?;
        } else {
            node.create_for(&temporary, &content, 0o600, (entry.uid, entry.gid))?;
            metadata::correct(node, &temporary, entry)?;
            metadata::correct_time(node, &temporary, entry)?;
        }
        Ok(true)
    }

    fn content_is(&self, path: &Path, found: &Metadata, (content, size): (&ObjectId, u64)) -> Result<bool> {
        Ok(found.kind == Kind::File
            && found.size == size
            && ObjectId::of(&self.node.read_seen(path, found)?) == *content)
    }

    /// A link is small: one that is not right in everything is made anew.
    fn stage_link(&mut self, path: &Path, entry: &Entry, target: &Path) -> Result<bool> {
        let node = self.node;
        if let Some(found) = node.lookup(path)?
            && found.kind == Kind::Link
            && node.read_link(path)? == target
            && (found.uid, found.gid, found.modified) == (entry.uid, entry.gid, entry.modified)
            && has_attributes(&node.attributes(path)?, entry)
        {
            return Ok(false);
        }
        let temporary = temporary(path);
        node.make_link(&temporary, target)?;
        metadata::correct(node, &temporary, entry)?;
        metadata::correct_time(node, &temporary, entry)?;
        Ok(true)
    }

    fn make_other_names(&mut self, files: &Files<'_>) {
        for (path, first) in &files.others {
            // Another name of a file that is not right would be wrong too.
            if !files.broken.contains(first) {
                let made = self.make_other_name(path, first);
                self.note(made);
            }
        }
    }

    fn make_other_name(&mut self, path: &Path, first: &Path) -> Result<()> {
        let node = self.node;
        let identity = |found: Option<Metadata>| found.map(|found| found.identity);
        // Renaming one name of a file over another does nothing, and leaves both.
        if identity(node.lookup(path)?) == identity(node.lookup(first)?) {
            return Ok(());
        }
        let temporary = temporary(path);
        node.make_name(&temporary, first)?;
        node.rename(&temporary, path)?;
        self.touched.directory(path);
        Ok(())
    }
}

fn has_attributes(found: &[(String, Vec<u8>)], entry: &Entry) -> bool {
    found.len() == entry.attributes.len()
        && found.iter().zip(&entry.attributes).all(|(has, wanted)| *has.0 == *wanted.0 && *has.1 == *wanted.1)
}
