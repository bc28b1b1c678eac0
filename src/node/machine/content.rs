//! Reading and writing the bytes of an open file.

use rustix::io::{Errno, Result};
use std::os::fd::OwnedFd;

/// What is larger is never held in memory: a hole of a terabyte costs its owner nothing.
const MOST: usize = 256 * 1024 * 1024;

/// Everything from here to the end; `size` is what the file says it has.
pub(super) fn read_all(file: &OwnedFd, size: usize) -> Result<Vec<u8>> {
    if size > MOST {
        return Err(Errno::FBIG);
    }
    // One byte more than it has, so that the end is seen without growing. A setting of the kernel says that it has none,
    // and gives what fits into the first read, and no more.
    let mut content = Vec::with_capacity(if size == 0 { 4096 } else { size.saturating_add(1) });
    loop {
        if content.len() == content.capacity() {
            content.reserve(4096);
        }
        match rustix::io::read(file, rustix::buffer::spare_capacity(&mut content)) {
            Ok(0) => return Ok(content),
            // There was room for more, so this was the end. Files of the kernel say that they have 0 bytes.
            Ok(_) if size > 0 && content.len() == size => return Ok(content),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Everything from here to the end, piece by piece.
pub(super) fn read_pieces(file: &OwnedFd, take: &mut dyn FnMut(&[u8])) -> Result<()> {
    let mut piece = Vec::with_capacity(HOLE);
    loop {
        piece.clear();
        match rustix::io::read(file, rustix::buffer::spare_capacity(&mut piece)) {
            Ok(0) => return Ok(()),
            Ok(_) => take(&piece),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Writes all of it at the place where the file is.
pub(super) fn write_all(file: &OwnedFd, mut content: &[u8]) -> Result<()> {
    while !content.is_empty() {
        match rustix::io::write(file, content) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => content = content.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// A run of zeros of this length, at a multiple of it, becomes a hole.
const HOLE: usize = 64 * 1024;

/// Writes all of it into a new file; long runs of zeros take no room.
pub(super) fn write_sparse(file: &OwnedFd, content: &[u8]) -> Result<()> {
    let mut start = 0;
    for (number, piece) in content.chunks(HOLE).enumerate() {
        let at = number * HOLE;
        if piece.len() == HOLE && piece.iter().all(|byte| *byte == 0) {
            write_all(file, content.get(start..at).unwrap_or_default())?;
            start = at + HOLE;
            rustix::fs::seek(file, rustix::fs::SeekFrom::Start(start as u64))?;
        }
    }
    write_all(file, content.get(start..).unwrap_or_default())?;
    // A hole at the end is none until the file has its length.
    if start > 0 && start == content.len() { rustix::fs::ftruncate(file, start as u64) } else { Ok(()) }
}
