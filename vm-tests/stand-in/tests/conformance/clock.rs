//! When each command was run: codes and times of entries depend on it.

use std::sync::OnceLock;

use regex::bytes::Regex;

use super::transcript::{Item, Transcript};

/// For each item the second in which the tool looked at its clock.
///
/// Where the item itself shows a time (of a new entry, of a ticket), it is that one. Elsewhere it is the time of the
/// item before plus how long that one took. Before the first shown time the same is counted backwards: setting up took
/// the recorder some seconds.
pub fn times(transcript: &Transcript) -> Vec<u64> {
    let first = transcript.items.iter().position(|item| shown(item, transcript.time).is_some());
    let mut now = transcript.time as f64;
    if let Some(first) = first {
        let items = &transcript.items[..=first];
        let shown = items.last().and_then(|item| shown(item, transcript.time)).unwrap_or(transcript.time);
        let before: u64 = items[..first].iter().map(|item| item.wall).sum();
        now = now.max(shown as f64 - before as f64 / 1000.0);
    }
    let mut times = Vec::new();
    for item in &transcript.items {
        if let Some(shown) = shown(item, now as u64) {
            now = shown as f64;
        }
        times.push(now as u64);
        now += item.wall as f64 / 1000.0;
    }
    times
}

/// The latest time that an item shows, if it is no older than the item can be.
fn shown(item: &Item, not_before: u64) -> Option<u64> {
    static DECIMAL: OnceLock<Regex> = OnceLock::new();
    static HEXADECIMAL: OnceLock<Regex> = OnceLock::new();
    let decimal = DECIMAL.get_or_init(|| Regex::new(r"\b1[78][0-9]{8}\b").expect("an expression"));
    let hexadecimal = HEXADECIMAL.get_or_init(|| Regex::new(r":(6B[0-9A-F]{6}):").expect("an expression"));
    let files = item.changed.values().flatten().map(|file| file.content.as_slice());
    let texts: Vec<&[u8]> = files.chain([item.stdout.as_slice()]).collect();
    let mut times = Vec::new();
    for text in texts {
        times.extend(decimal.find_iter(text).filter_map(|found| number(found.as_bytes(), 10)));
        times.extend(hexadecimal.captures_iter(text).filter_map(|found| number(&found[1], 16)));
    }
    // A challenge was made right before the call that answers it.
    let arguments = item.argv.join(" ");
    times.extend(hexadecimal.captures_iter(arguments.as_bytes()).filter_map(|found| number(&found[1], 16)));
    times.into_iter().filter(|time| *time + 3 >= not_before && *time < not_before + 600).max()
}

fn number(digits: &[u8], base: u32) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, base).ok()
}
