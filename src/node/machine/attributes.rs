//! Extended attributes by path, links not followed. POSIX ACLs are among them, as the kernel's own bytes.

use super::place::terminated;
use rustix::fs::XattrFlags;
use rustix::io::{Errno, Result};
use std::ffi::CStr;

/// More than Linux lets any attribute, or all names together, have.
const LIMIT: usize = 65536;

/// All attributes, sorted by name. Names that are not UTF-8 are left out: nothing on a PVE node makes any.
pub(super) fn read(path: &CStr) -> Result<Vec<(String, Vec<u8>)>> {
    // Nearly every file has none, or one short name: no memory for them.
    let mut short = [0; 512];
    let mut long = Vec::new();
    let listed = match rustix::fs::llistxattr(path, &mut short[..]) {
        Err(Errno::RANGE) => {
            long.resize(LIMIT, 0);
            rustix::fs::llistxattr(path, &mut long[..])
        }
        other => other,
    };
    let count = match listed {
        Ok(count) => count,
        // A file system without attributes, pmxcfs among them.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
        Err(errno) => return Err(errno),
    };
    let list = if long.is_empty() { &short[..] } else { &long[..] };
    let mut found = Vec::new();
    for name in list.get(..count).unwrap_or_default().split(|byte| *byte == 0) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if name.is_empty() {
            continue;
        }
        let mut value = Vec::with_capacity(LIMIT);
        match rustix::fs::lgetxattr(
            path,
            &*terminated(name.as_bytes())?,
            rustix::buffer::spare_capacity(&mut value),
        ) {
            Ok(_) => {}
            // Removed since it was listed; or shown in the list, as some ACLs are, where there is none.
            Err(Errno::NODATA | Errno::OPNOTSUPP) => continue,
            Err(errno) => return Err(errno),
        }
        value.shrink_to_fit();
        found.push((name.to_owned(), value));
    }
    found.sort_unstable();
    Ok(found)
}

/// Sets an attribute, or removes it; one that is not there is removed already.
pub(super) fn write(path: &CStr, name: &str, value: Option<&[u8]>) -> Result<()> {
    let name = terminated(name.as_bytes())?;
    match value {
        Some(value) => rustix::fs::lsetxattr(path, &*name, value, XattrFlags::empty()),
        None => match rustix::fs::lremovexattr(path, &*name) {
            Err(Errno::NODATA) => Ok(()),
            other => other,
        },
    }
}
