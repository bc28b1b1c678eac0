//! The account database: our lines go back, those of others stay.

use super::Way;
use crate::change;
use crate::error::Result;
use crate::manifest::{self, Entry, Manifest, State};
use std::path::{Path, PathBuf};

impl Way<'_> {
    /// Puts our lines of the account database back where somebody else has changed it too. What is left of `kept`
    /// has been changed by somebody else in our own lines.
    pub(super) fn untangle(
        &self,
        before: &Manifest,
        after: &Manifest,
        kept: Vec<PathBuf>,
        force: bool,
    ) -> Result<Vec<PathBuf>> {
        let mut left = Vec::new();
        for path in kept {
            let merged = match change::account_database(&path) {
                Some(file) => self.merge(before, after, Path::new(file), &path, force)?,
                None => false,
            };
            if !merged {
                left.push(path);
            }
        }
        Ok(left)
    }

    /// Whether all of our lines are back in `path`, which holds what `file` does: it, or its backup.
    fn merge(
        &self,
        before: &Manifest,
        after: &Manifest,
        file: &Path,
        path: &Path,
        force: bool,
    ) -> Result<bool> {
        let text = |manifest: &Manifest| match manifest.get(file).map(|entry| &entry.state) {
            Some(State::File { content, .. }) => {
                self.objects.read(content).map(|it| String::from_utf8(it).ok())
            }
            _ => Ok(Some(String::new())),
        };
        let now = self.capture_paths(std::iter::once(path), None)?;
        let (Some(seen), Some(entry)) = (self.node.lookup(path)?, now.get(path)) else { return Ok(true) };
        let State::File { .. } = entry.state else { return Ok(false) };
        let content = String::from_utf8(self.node.read_seen(path, &seen)?).ok();
        // What is no text is nobody's to take apart.
        let (Some(before), Some(after), Some(now)) = (text(before)?, text(after)?, content) else {
            return Ok(false);
        };
        let (text, whole) = change::merge::merge(
            &change::merge::Versions { before: &before, after: &after, now: &now },
            force,
        );
        if text != now {
            let mut batch = self.objects.batch()?;
            let state = State::File { content: batch.add(text.as_bytes())?, size: text.len() as u64 };
            batch.commit()?;
            let seconds = i64::try_from(self.node.now() / 1000).unwrap_or_default();
            let entry = Entry { state, name_group: 0, modified: (seconds, 0), ..entry.clone() };
            manifest::restore(self.node, self.objects, &[(path, Some(&entry))])?;
        }
        Ok(whole)
    }
}
