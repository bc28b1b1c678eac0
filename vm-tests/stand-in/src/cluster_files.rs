//! Files below `/etc/pve` as the tools read and write them.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use sha1::{Digest, Sha1};

use crate::context::Context;
use crate::failure::Failure;

/// Fails as every tool does when it cannot talk to pmxcfs: because it is down, or because the caller is not root.
///
/// Texts and status: transcript 25.
pub fn ask_for_access(context: &Context) -> Result<(), Failure> {
    let (status, reason) = if !is_up(context) {
        (111, "Connection refused")
    } else if !context.is_privileged() {
        (255, "Unknown error -1")
    } else {
        return Ok(());
    };
    for count in 1..=3 {
        context.warn(&format!("ipcc_send_rec[{count}] failed: {reason}"));
    }
    Err(Failure::new(status, format!("Unable to load access control list: {reason}")))
}

/// True if pmxcfs is there: on the machine its link answers, as PVE itself looks (contract 4.1); in a directory nobody
/// said that it is down.
pub fn is_up(context: &Context) -> bool {
    if context.is_the_machine() {
        return local_mode().is_some();
    }
    !context.path("/etc/pve-stand-in/pmxcfs-down").exists()
}

/// True unless the cluster has no quorum: pmxcfs then takes the right to write from its link. A plain directory of a
/// replay has its `.members` only.
pub fn has_quorum(context: &Context) -> bool {
    if context.is_the_machine() {
        return local_mode().is_some_and(|mode| mode & 0o200 != 0);
    }
    // Without corosync there is no word about quorum, and none is needed.
    if !context.path("/etc/pve/corosync.conf").exists() {
        return true;
    }
    let members = fs::read_to_string(context.path("/etc/pve/.members")).unwrap_or_default();
    serde_json::from_str::<serde_json::Value>(&members)
        .ok()
        .and_then(|members| members.get("cluster")?.get("quorate")?.as_i64())
        == Some(1)
}

/// Mode of the link `/etc/pve/local`, which pmxcfs alone has.
fn local_mode() -> Option<u32> {
    fs::symlink_metadata("/etc/pve/local").ok().filter(fs::Metadata::is_symlink).map(|found| found.mode())
}

/// The content of a file below `/etc/pve`, or None if there is none.
pub fn read(context: &Context, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(context.path(&format!("/etc/pve/{name}"))) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("open", &format!("/etc/pve/{name}"), &error)),
    }
}

/// Writes a file below `/etc/pve` as `file_set_contents` does: `FILE.tmp.PID`, then rename.
pub fn write(context: &Context, name: &str, content: &[u8]) -> Result<(), Failure> {
    let temporary = format!("/etc/pve/{name}.tmp.{}", std::process::id());
    let mode = if name.starts_with("priv/") { 0o600 } else { 0o640 };
    let path = context.path(&temporary);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&path)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&path, context.path(&format!("/etc/pve/{name}"))));
    written.map_err(|error| {
        let _ = fs::remove_file(&path);
        failed("write", &temporary, &error)
    })
}

fn failed(action: &str, path: &str, error: &std::io::Error) -> Failure {
    let code = error.raw_os_error().and_then(|code| u8::try_from(code).ok()).unwrap_or(255);
    let text = error.to_string();
    let reason = text.split(" (os error").next().unwrap_or_default();
    Failure::new(code, format!("unable to {action} file '{path}' - {reason}"))
}

/// The digest of a file's content that the API shows: SHA-1, in hexadecimal.
pub fn digest(content: &[u8]) -> String {
    Sha1::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
