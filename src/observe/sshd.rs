//! What sshd would do: `sshd -T -C`, for one connection or for none.

use super::{Observer, Verdict};
use crate::error::Result;
use crate::facts::sshd_options;
use crate::gate::{SSHD_NO_CONNECTION, SSHD_PROGRAM};

/// Options whose repetitions are a set: sshd adds up every `AllowUsers` line of every file.
const SETS: [&str; 1] = ["allowusers"];

impl Observer<'_> {
    pub(super) fn sshd(&mut self, connection: &str, key: &str, values: &[String]) -> Result<Verdict> {
        let connection = if connection.is_empty() { SSHD_NO_CONNECTION } else { connection };
        let listing = self.listing(SSHD_PROGRAM, &["-T", "-C", connection])?;
        Ok(match says(&listing, key, values) {
            Ok(()) => Verdict::Holds,
            Err(actual) => Verdict::Fails(format!("sshd uses {key} {actual}")),
        })
    }
}

/// Whether the listing of `sshd -T` has one of `values` for `key`; else what it has.
pub(crate) fn says(listing: &str, key: &str, values: &[String]) -> std::result::Result<(), String> {
    let options = sshd_options(listing);
    let found: Vec<&str> =
        options.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect();
    let actual = found.join(" ");
    let set = SETS.contains(&key);
    if values.iter().any(|value| if set { sorted(value) == sorted(&actual) } else { *value == actual }) {
        return Ok(());
    }
    Err(if actual.is_empty() { "(not set)".to_owned() } else { actual })
}

pub(super) fn sorted(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.sort_unstable();
    words.dedup();
    words
}
