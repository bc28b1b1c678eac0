//! The locks of the cluster file system: directories below `/etc/pve/priv/lock`.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::cluster_files;
use crate::context::Context;
use crate::failure::Failure;

/// How long the tools try.
const SECONDS: u64 = 10;

/// A held lock. It is given back when this goes out of scope; a killed process leaves the directory, as the real ones do.
pub struct Lock {
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Takes a lock by its name, such as `file-user_cfg` or `firewall-cluster`.
///
/// Tries for ten seconds with a message each second, then gives up (transcripts 14 and 25). pmxcfs itself ends the
/// life of a lock that nobody renews, when it is asked to: the attempt to set the time of the directory to 0 is that
/// question.
pub fn take(context: &Context, name: &str) -> Result<Lock, Failure> {
    let path = context.path(&format!("/etc/pve/priv/lock/{name}"));
    if let Some(parent) = path.parent() {
        let _ = std::fs::create_dir_all(parent);
    }
    for second in 0..SECONDS {
        if second > 0 {
            context.warn(&format!("trying to acquire cfs lock '{name}' ..."));
        }
        // Without quorum the mount refuses; a plain directory of a replay does not know that it should.
        let attempt =
            if cluster_files::has_quorum(context) { make(&path) } else { Err(ErrorKind::PermissionDenied) };
        if attempt.is_ok() {
            return Ok(Lock { path });
        }
        if attempt == Err(ErrorKind::AlreadyExists) {
            ask_to_unlock(&path);
        }
        context.sleep(1);
    }
    if cluster_files::has_quorum(context) {
        Err(Failure::new(17, format!("cfs-lock '{name}' error: got lock request timeout")))
    } else {
        Err(Failure::new(13, format!("cfs-lock '{name}' error: no quorum!")))
    }
}

fn make(path: &Path) -> Result<(), ErrorKind> {
    DirBuilder::new().mode(0o700).create(path).map_err(|error| error.kind())
}

/// Asks pmxcfs to end a lock that is older than two minutes.
fn ask_to_unlock(path: &Path) {
    let zero = nix::sys::time::TimeVal::new(0, 0);
    let _ = nix::sys::stat::utimes(path, &zero, &zero);
}
