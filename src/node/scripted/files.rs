//! The files of a scripted node, without the seam.

use crate::node::Machine;
use std::path::{Path, PathBuf};

/// The files of a scripted node, for tests and for what stands for commands: nothing here counts as a call.
pub struct Files {
    pub(super) directory: tempfile::TempDir,
    /// Something that stands for a command has found no room.
    pub(super) full: std::cell::Cell<bool>,
    /// The same files through the seam, never failing.
    pub machine: Machine,
}

impl Files {
    /// Where `path` really is.
    pub fn host(&self, path: &str) -> PathBuf {
        self.directory.path().join(path.trim_start_matches('/'))
    }

    /// Writes a file, and makes its parents.
    pub fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        self.directory(Path::new(path).parent().unwrap().to_str().unwrap());
        match std::fs::write(self.host(path), content) {
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => self.full.set(true),
            written => written.unwrap(),
        }
    }

    /// Makes a directory and its parents.
    pub fn directory(&self, path: &str) {
        std::fs::create_dir_all(self.host(path)).unwrap();
    }

    /// The content as text; empty when there is no such file.
    pub fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.host(path)).unwrap_or_default()
    }

    /// Whether anything stands at `path`.
    pub fn has(&self, path: &str) -> bool {
        self.host(path).symlink_metadata().is_ok()
    }

    /// Removes a file or a whole directory.
    pub fn remove(&self, path: &str) {
        let host = self.host(path);
        if host.symlink_metadata().unwrap().is_dir() {
            std::fs::remove_dir_all(host).unwrap();
        } else {
            std::fs::remove_file(host).unwrap();
        }
    }
}
