//! Fuzzing of everything that firstlight reads: its own state on the disk, answers, and files of the node.
//!
//! A target is a property over any bytes: it panics where the property does not hold. `cargo vm test fuzz` looks for
//! such bytes, guided by coverage; `cargo test` replays the corpora and every input that ever failed.

pub mod answer;
pub mod changes;
pub mod events;
pub mod foreign;
pub mod input;
pub mod journal;
pub mod json;
pub mod manifest;
pub mod memory;
pub mod payload;
pub mod seeds;
pub mod state;

/// One property.
pub struct Target {
    /// As its corpus is called.
    pub name: &'static str,
    /// Whether it reads what firstlight itself wrote to the disk.
    pub state: bool,
    /// The property.
    pub run: fn(&[u8]),
}

const fn own(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, state: true, run }
}

const fn foreign(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, state: false, run }
}

/// Every property.
pub const TARGETS: &[Target] = &[
    own("journal", journal::bytes),
    own("records", journal::records),
    own("manifest", manifest::bytes),
    own("entries", manifest::entries),
    own("status", state::status),
    own("hook", state::hook),
    own("recovery", state::recovery),
    own("payload", payload::payload),
    foreign("answer", answer::answer),
    foreign("facts", foreign::facts),
    foreign("plan", foreign::plan),
    foreign("changes", changes::changes),
    foreign("json", json::json),
    foreign("observe", foreign::observe),
];

/// Whether a terminal shows this and obeys nothing in it.
pub fn is_plain(text: &str) -> bool {
    let odd = |character: char| {
        character.is_control() && character != '\n' && character != '\t'
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
    };
    !text.contains(odd)
}
