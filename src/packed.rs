//! Long texts, of which the binary has half: `src/build.rs` packs them, and here they are again.

use std::sync::OnceLock;

/// What each byte from 128 on stands for: two others.
const PAIRS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pairs"));
const FIRST: u8 = 128;

/// The text of a file that `src/build.rs` names, whole; for the rest of the run it is kept.
macro_rules! packed {
    ($name:literal) => {{
        static TEXT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
        $crate::packed::kept(&TEXT, include_bytes!(concat!(env!("OUT_DIR"), "/", $name)))
    }};
}
pub(crate) use packed;

/// Unpacks it the first time.
pub(crate) fn kept(text: &'static OnceLock<String>, packed: &[u8]) -> &'static str {
    text.get_or_init(|| unpacked(packed))
}

fn unpacked(packed: &[u8]) -> String {
    let mut text = String::new();
    let mut open: Vec<u8> = packed.iter().rev().copied().collect();
    while let Some(byte) = open.pop() {
        let place = usize::from(byte.wrapping_sub(FIRST)) * 2;
        match PAIRS.get(place..place + 2) {
            Some(pair) => open.extend(pair.iter().rev()),
            None => text.push(byte.into()),
        }
    }
    text
}

#[cfg(test)]
mod tests;
