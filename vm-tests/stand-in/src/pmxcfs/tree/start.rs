//! What a start finds out about the tree it has loaded.

use super::{Content, Tree};

impl Tree {
    /// Guests by their configurations.
    pub(super) fn count_guests(&mut self) {
        let files: Vec<String> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.is_directory())
            .map(|(inode, _)| self.path(*inode))
            .collect();
        self.guests.start_with(&files);
    }

    /// A start counts the life of every lock anew.
    pub(super) fn begin_locks(&mut self, now: u32) {
        let Some(Content::Directory(names)) =
            self.find("priv/lock").and_then(|inode| self.get(inode)).map(|entry| &entry.content)
        else {
            return;
        };
        for inode in names.values().copied().collect::<Vec<_>>() {
            if let Some(entry) = self.get(inode).filter(|entry| entry.is_directory()) {
                let mark = (inode, entry.version);
                let path = self.path(inode);
                self.locks.begin(&path, mark, now);
            }
        }
    }
}
