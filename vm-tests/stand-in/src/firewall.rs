//! PVE's firewall: the files, the API, the compiler, the daemon that filters with iptables, and the command line.
//!
//! Sources of every belief: `pve-observed.md` 3.5–3.7, `pve-contract.md` section 3 and the transcripts 30 to 37.
//! What generates rules is pure; `kernel` alone runs the tools that load them.

pub mod address;
pub mod api;
pub mod cli;
pub mod compile;
pub mod config;
pub mod daemon;
pub mod digest;
pub mod files;
pub mod kernel;
pub mod log;
pub mod macros;
pub mod names;
pub mod network;
pub mod options;
pub mod rule;
pub mod status;
pub mod update;
pub mod verify;
pub mod write;

use std::hash::{BuildHasher, RandomState};

pub use api::METHODS;
pub use cli::run;

/// Whether Perl takes a text for true: it is neither empty nor `0`.
pub fn truthy(text: &str) -> bool {
    !matches!(text, "" | "0")
}

/// What Perl's `\s` matches in bytes.
pub fn blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

/// The same items in an order that differs from run to run, as that of Perl's hashes does.
pub fn shuffled<T>(items: Vec<T>) -> Vec<T> {
    let state = RandomState::new();
    let mut keyed: Vec<(u64, T)> =
        items.into_iter().enumerate().map(|(position, item)| (state.hash_one(position), item)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, item)| item).collect()
}
