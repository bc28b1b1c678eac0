//! Failed second factors by user: counted on this node, in files that do not outlive the boot.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::context::Context;

/// How often it failed since it last succeeded.
#[derive(Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Failures {
    /// With TOTP.
    pub totp_failures: u32,
    /// With any factor.
    pub tfa_failures: u32,
}

fn path(context: &Context, user: &str) -> PathBuf {
    context.path("/run/pve-private/tfa-challenges").join(user)
}

/// The counts of a user.
pub fn read(context: &Context, user: &str) -> Failures {
    fs::read(path(context, user))
        .ok()
        .and_then(|content| serde_json::from_slice(&content).ok())
        .unwrap_or_default()
}

/// Stores the counts of a user.
pub fn write(context: &Context, user: &str, failures: Failures) {
    let path = path(context, user);
    if let Some(parent) = path.parent() {
        let _ = fs::create_dir_all(parent);
    }
    if let Ok(content) = serde_json::to_vec(&failures) {
        let _ = fs::write(path, content);
    }
}

/// Forgets the counts of a user.
pub fn forget(context: &Context, user: &str) {
    let _ = fs::remove_file(path(context, user));
}
