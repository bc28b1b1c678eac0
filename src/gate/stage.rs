//! A copy of configuration files below one directory, with new contents laid over what the node has.

use super::include::{components, is_pattern, matches_path};
use crate::error::{Error, Result};
use crate::node::{Kind, Node, exists};
use std::path::{Path, PathBuf};

/// How deep files may include each other: sshd stops at 16 (`SERVCONF_MAX_DEPTH`), sudo at 128.
const MAX_DEPTH: usize = 16;

pub(super) struct Stage<'a> {
    pub(super) node: &'a dyn Node,
    root: &'a Path,
    overlay: &'a [(PathBuf, Vec<u8>)],
}

/// Rewrites one file: gives its text for the stage, and the files that it includes.
pub(super) type Rewrite<'a> = &'a dyn Fn(&Stage<'_>, &Path, &str) -> Result<(String, Vec<PathBuf>)>;

impl<'a> Stage<'a> {
    pub(super) fn new(node: &'a dyn Node, root: &'a Path, overlay: &'a [(PathBuf, Vec<u8>)]) -> Self {
        Self { node, root, overlay }
    }

    /// Where a path of the node lies in the stage.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The same as text, for command lines and includes.
    pub(super) fn text(&self, path: &Path) -> String {
        self.path(path).display().to_string()
    }

    /// A tool's message about the stage as one about the node.
    pub(super) fn real(&self, message: &str) -> String {
        message.replace(&self.root.display().to_string(), "")
    }

    /// Copies `path` and everything it includes.
    pub(super) fn copy(&self, path: &Path, rewrite: Rewrite<'_>) -> Result<()> {
        self.copy_at(path, rewrite, 0)
    }

    fn copy_at(&self, path: &Path, rewrite: Rewrite<'_>, depth: usize) -> Result<()> {
        let target = self.path(path);
        if exists(self.node, &target)? {
            return Ok(());
        }
        if depth > MAX_DEPTH {
            return Err(Error::new(
                format!("staging {}", path.display()),
                "files include each other too deeply",
            ));
        }
        let (text, includes) = rewrite(self, path, &self.content(path)?)?;
        if let Some(parent) = target.parent() {
            self.make_directories(parent)?;
        }
        // visudo wants nobody else to write; sshd does not mind.
        self.node.create(&target, text.as_bytes(), 0o440)?;
        includes.iter().try_for_each(|include| self.copy_at(include, rewrite, depth + 1))
    }

    fn content(&self, path: &Path) -> Result<String> {
        let laid_over = self.overlay.iter().find(|(name, _)| name == path);
        let bytes = match laid_over {
            Some((_, content)) => content.clone(),
            None => self.node.read(path)?,
        };
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Makes a directory of the stage with its parents.
    pub(super) fn make_directories(&self, directory: &Path) -> Result<()> {
        let mut path = self.root.to_owned();
        for name in directory.strip_prefix(self.root).unwrap_or(directory).components() {
            path.push(name);
            if !exists(self.node, &path)? {
                self.node.make_directory(&path, 0o700)?;
            }
        }
        Ok(())
    }

    /// Files that an absolute pattern stands for, sorted as glob(3) does, the new ones included.
    pub(super) fn expand(&self, pattern: &str) -> Result<Vec<PathBuf>> {
        let mut found = vec![PathBuf::from("/")];
        for component in components(pattern) {
            let mut next = Vec::new();
            for directory in &found {
                if is_pattern(component) {
                    next.extend(self.names(directory)?);
                } else {
                    next.push(directory.join(component));
                }
            }
            found = next;
            if is_pattern(component) {
                let depth = found.first().map_or(0, |path| path.components().count() - 1);
                let start: Vec<&str> = components(pattern).take(depth).collect();
                let start = format!("/{}", start.join("/"));
                found.retain(|path| matches_path(&start, &path.to_string_lossy()));
            }
        }
        let mut files = Vec::new();
        for path in found {
            if exists(self.node, &path)? {
                files.push(path);
            }
        }
        let laid_over = self.overlay.iter().map(|(path, _)| path);
        files.extend(laid_over.filter(|path| matches_path(pattern, &path.to_string_lossy())).cloned());
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }

    /// What stands in a directory of the node; nothing when it is none.
    fn names(&self, directory: &Path) -> Result<Vec<PathBuf>> {
        match self.node.lookup(directory)? {
            Some(found) if found.kind == Kind::Directory => {
                Ok(self.node.list(directory)?.into_iter().map(|name| directory.join(name)).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Files that stand or will stand in `directory`, sorted.
    pub(super) fn files_in(&self, directory: &Path) -> Result<Vec<PathBuf>> {
        let mut files = self.names(directory)?;
        let laid_over = self.overlay.iter().map(|(path, _)| path);
        files.extend(laid_over.filter(|path| path.parent() == Some(directory)).cloned());
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }
}
