//! The disk as a power cut leaves it: the base, and what was written until then.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::log::{Log, Request};
use crate::command::{command, output};

/// A raw image that only goes forward through a log.
pub struct Disk {
    path: PathBuf,
    file: File,
    /// How many requests of the log it holds.
    done: usize,
}

impl Disk {
    /// A copy of the base, before the first request.
    pub fn copy_of(base: &Path, path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), file: copy(base, path)?, done: 0 })
    }

    /// Makes the requests up to and including the one at `last`.
    pub fn advance(&mut self, log: &Log, last: usize) -> Result<()> {
        for request in log.requests.get(self.done..=last).unwrap_or_default() {
            write(&self.file, log, request, request.length)?;
        }
        self.done = self.done.max(last + 1);
        Ok(())
    }

    /// A copy with a part of what was in flight: of the writes after the last flush, those `kept` tells, each to the
    /// number of bytes it returns.
    pub fn cut(&self, path: &Path, log: &Log, kept: &mut dyn FnMut(&Request) -> u64) -> Result<()> {
        let file = copy(&self.path, path)?;
        for request in in_flight(log, self.done) {
            write(&file, log, request, kept(request).min(request.length))?;
        }
        Ok(())
    }
}

/// The writes from a place on, up to the next flush: any part of them may have reached the disk.
pub fn in_flight(log: &Log, from: usize) -> impl Iterator<Item = &Request> {
    log.requests.get(from..).unwrap_or_default().iter().take_while(|request| !request.flush)
}

fn copy(from: &Path, to: &Path) -> Result<File> {
    output(command("cp", ["--sparse=always", "--reflink=auto"]).arg(from).arg(to))?;
    OpenOptions::new().write(true).open(to).with_context(|| format!("opening {}", to.display()))
}

/// What a disk returns where something was discarded is anybody's guess: here, what was there.
fn write(file: &File, log: &Log, request: &Request, length: u64) -> Result<()> {
    if request.discard || length == 0 {
        return Ok(());
    }
    let data = log.data(request)?;
    let part = data.get(..usize::try_from(length)?).unwrap_or(&data);
    file.write_all_at(part, request.offset).context("writing to a replayed disk")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_holds_what_was_flushed_and_a_part_of_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("base"), [0; 4096]).unwrap();
        let log =
            crate::power::log::tests::of(&[(0, Some(1)), (0, None), (2, Some(2)), (4, Some(3)), (0, None)]);
        let mut disk = Disk::copy_of(&at("base"), &at("disk")).unwrap();
        disk.advance(&log, 1).unwrap();
        assert_eq!(in_flight(&log, disk.done).count(), 2);
        disk.cut(&at("cut"), &log, &mut |request| if request.offset == 1024 { 0 } else { 512 }).unwrap();
        let bytes = std::fs::read(at("cut")).unwrap();
        let sectors: Vec<u8> = bytes.chunks(512).map(|sector| sector[0]).collect();
        assert_eq!(sectors, [1, 0, 0, 0, 3, 0, 0, 0]);
    }
}
