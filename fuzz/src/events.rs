//! Records of any kind from an input: what passes the checksums, because it is written before it is read.

use crate::input::Input;
use firstlight::manifest::Scope;
use firstlight::objects::ObjectId;
use firstlight::transaction::record::{Closing, Event, Inverse, Record};

/// Records until the input is used up, 64 at most.
pub fn records(input: &mut Input<'_>, objects: &[ObjectId]) -> Vec<Record> {
    let mut records = Vec::new();
    while !input.is_empty() && records.len() < 64 {
        records.push(Record { at: input.number(), event: event(input, objects) });
    }
    records
}

/// One event; objects are mostly those that exist.
pub fn event(input: &mut Input<'_>, objects: &[ObjectId]) -> Event {
    let kind = input.below(18);
    let step = input.below(6);
    match kind {
        0 => Event::Begin {
            // Mostly a format that this version reads.
            format: u32::from(input.byte() > 8) + u32::from(input.byte() / 255),
            version: input.text(),
            door: input.text(),
            plan: input.text(),
            source: input.text(),
            boot: input.text(),
            cluster: input.text(),
        },
        1 => Event::Step { step, title: input.text() },
        2 => Event::Snapshot { entries: input.below(256) },
        3 => Event::Gate {
            id: input.text(),
            passed: input.flag(),
            message: input.text(),
            milliseconds: input.number(),
        },
        4 => Event::Warning { text: input.text() },
        5 => Event::Note { text: input.text() },
        6 => Event::Intent {
            step,
            inverse: inverse(input),
            scopes: (0..input.below(4)).map(|_| scope(input)).collect(),
            before: object(input, objects),
        },
        7 => Event::Observed { step, after: object(input, objects) },
        8 => Event::Done { step, milliseconds: input.number() },
        9 => Event::Failed { what: input.text(), message: input.text() },
        10 => Event::Probe { control: input.text(), holds: input.flag(), message: input.text() },
        11 => Event::Commit,
        12 => Event::Revert { reason: input.text(), force: input.flag(), ufw_stays: input.flag() },
        13 => Event::Reverting { step, foreign: object(input, objects) },
        14 => Event::Reverted { step, kept: (0..input.below(3)).map(|_| input.path()).collect() },
        15 => Event::Try { number: u32::from(input.byte()), boot: input.text() },
        16 => Event::Ended { outcome: ended(input), message: input.text() },
        _ => Event::Closed { outcome: closing(input), message: input.text() },
    }
}

fn ended(input: &mut Input<'_>) -> String {
    match input.below(6) {
        0 => "bad-input".to_owned(),
        1 => "gave-up".to_owned(),
        2 => "no-answer".to_owned(),
        3 => "unchanged".to_owned(),
        _ => input.text(),
    }
}

fn closing(input: &mut Input<'_>) -> Closing {
    match input.below(4) {
        0 => Closing::Untouched,
        1 => Closing::Reverted,
        2 => Closing::RolledBack,
        _ => Closing::Stuck,
    }
}

fn inverse(input: &mut Input<'_>) -> Inverse {
    match input.below(11) {
        0 => Inverse::Packages(input.texts()),
        1 => Inverse::Account { name: input.text(), created: input.flag() },
        2 => Inverse::Unit { name: input.text(), active: input.flag() },
        3 => Inverse::Reload(input.text()),
        4 => Inverse::Kernel {
            before: vec![(input.text().replace('=', ""), input.text())],
            made: vec![input.text()],
        },
        5 => Inverse::Ufw {
            active: input.flag(),
            settings: vec![(input.text().replace('=', ""), input.text())],
        },
        6 => Inverse::KeyPair(input.text()),
        7 => Inverse::AppArmor { file: input.text(), loaded: input.flag() },
        8 => Inverse::PveFirewall(vec![(input.text().replace('=', ""), input.text())]),
        9 => Inverse::HostKey,
        _ => Inverse::Paths,
    }
}

fn scope(input: &mut Input<'_>) -> Scope {
    let kind = input.below(8);
    let path = input.known_path();
    match kind {
        0 => Scope::Tree(path),
        1 => Scope::Children(path),
        _ => Scope::Entry(path),
    }
}

fn object(input: &mut Input<'_>, objects: &[ObjectId]) -> ObjectId {
    let place = input.below(objects.len() + 1);
    objects.get(place).copied().unwrap_or_else(|| ObjectId::of(&[input.byte()]))
}
