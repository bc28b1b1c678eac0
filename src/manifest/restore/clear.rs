//! Making room: what shall not stand at a path goes, children before their directories.

use super::{Wanted, Work};
use crate::error::Result;
use crate::manifest::State;
use crate::node::{Kind, Node};
use crate::sorted::{Map, Set};
use std::path::{Path, PathBuf};

/// Which paths are directories all the way from the root: below a link, nothing stands as far as we care.
#[derive(Default)]
pub struct Ground {
    known: Map<PathBuf, bool>,
}

impl Ground {
    /// Whether `directory` and everything above it are directories, not links to any.
    pub fn carries(&mut self, node: &dyn Node, directory: &Path) -> Result<bool> {
        // From the first known one down, without recursion: trees may be deep.
        let mut carries = true;
        let mut unknown = Vec::new();
        for above in directory.ancestors() {
            if let Some(known) = self.known.get(above) {
                carries = *known;
                break;
            }
            unknown.push(above);
        }
        for path in unknown.into_iter().rev() {
            carries = carries && node.lookup(path)?.is_some_and(|found| found.kind == Kind::Directory);
            self.known.insert(path.to_owned(), carries);
        }
        Ok(carries)
    }
}

impl Work<'_> {
    /// Removes what is in the way; gives back what is left to be made, parents first.
    pub(super) fn clear_the_way<'a>(&mut self, wanted: Vec<Wanted<'a>>) -> Vec<Wanted<'a>> {
        let mut ground = Ground::default();
        let mut blocked = Set::default();
        let mut ready = Vec::new();
        for wanted in wanted.into_iter().rev() {
            match self.clear(&wanted, &mut ground) {
                Ok(true) if wanted.entry.is_some() => ready.push(wanted),
                Ok(true) => {}
                Ok(false) => {
                    blocked.insert(wanted.path);
                }
                Err(error) => {
                    blocked.insert(wanted.path);
                    self.fail(wanted.path, error);
                }
            }
        }
        // What was to stand below is told with what blocks it.
        ready.retain(|wanted| !wanted.path.ancestors().any(|above| blocked.contains(above)));
        ready.reverse();
        ready
    }

    /// Whether the path is free for its entry now, or right already; `false` where it is left as it is.
    fn clear(&mut self, wanted: &Wanted<'_>, ground: &mut Ground) -> Result<bool> {
        let path = wanted.path;
        let state = wanted.entry.map(|entry| &entry.state);
        let found = match path.parent() {
            Some(parent) if !ground.carries(self.node, parent)? => None,
            _ => self.node.lookup(path)?,
        };
        match (state, found.map(|found| found.kind)) {
            (Some(State::Other), Some(Kind::Other)) => return Ok(false),
            (Some(State::Other), _) => {
                self.keep(path, "a device, socket or pipe was here; it is not made again".to_owned());
                return Ok(false);
            }
            (_, Some(Kind::Other)) => {
                self.keep(path, "a device, socket or pipe is here".to_owned());
                return Ok(false);
            }
            (Some(State::Directory), Some(Kind::Directory)) | (_, None) => {}
            (_, Some(Kind::Directory)) => return self.remove_directory(path),
            (Some(State::Directory) | None, Some(_)) => {
                self.node.remove_file(path)?;
                self.touched.directory(path);
            }
            (Some(_), Some(_)) => {}
        }
        Ok(true)
    }

    fn remove_directory(&mut self, path: &Path) -> Result<bool> {
        if let Err(error) = self.node.remove_directory(path) {
            let names = self.node.list(path)?;
            let Some(name) = names.first() else { return Err(error) };
            let name = Path::new(name).display();
            self.keep(path, format!("the directory holds {} other things: {name}", names.len()));
            return Ok(false);
        }
        self.touched.directory(path);
        Ok(true)
    }
}
