//! `pmxcfs`: the cluster file system of PVE on `/etc/pve`, by FUSE.
//!
//! What it refuses and how it looks is recorded in transcripts 10 to 14 and 25 (pve-observed 3.8). Not as the real one:
//! a removed file that is still open has no `.fuse_hidden…` name, and SIGTERM never hangs.

pub mod cluster;
mod daemon;
pub mod database;
mod guests;
mod import;
mod locks;
mod mount;
mod state;
mod tree;
mod virtual_files;

#[cfg(test)]
mod tests;

pub use daemon::run;
pub use import::import;

/// Where it is mounted.
pub const MOUNT: &str = "/etc/pve";
/// Where its database lies.
pub const DATABASE: &str = "/var/lib/pve-cluster";
