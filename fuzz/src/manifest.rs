//! Manifests: any bytes, bytes with the right SHA-256 at the end, and entries written and read back.

use crate::input::Input;
use firstlight::manifest::{Entry, Manifest, State};
use firstlight::objects::ObjectId;

/// Any bytes. The first says whether the rest gets first line and SHA-256.
pub fn bytes(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let text = if kind & 1 == 0 { rest.to_vec() } else { summed(rest) };
    let Ok(manifest) = Manifest::decode(&text) else { return };
    let canonical = manifest.encode();
    let again = Manifest::decode(&canonical);
    assert!(again.is_ok(), "what was written cannot be read");
    if let Ok(again) = again {
        assert!(again.entries == manifest.entries, "what was written reads differently");
        assert!(again.encode() == canonical, "not canonical");
        assert!(manifest.differences(&again).is_empty(), "a manifest differs from itself");
        assert!(manifest.restoration(&Manifest::default()).len() <= manifest.entries.len());
    }
}

/// Two manifests of any entries: read back, compared, and with a bit flipped.
pub fn entries(data: &[u8]) {
    let mut input = Input::new(data);
    let (how, place) = (input.byte(), input.number());
    let one = manifest(&mut input, usize::from(how >> 4));
    let other = manifest(&mut input, 16);
    for manifest in [&one, &other] {
        let text = manifest.encode();
        let read = Manifest::decode(&text).ok();
        assert!(read.is_some_and(|read| read.entries == manifest.entries), "does not read back");
        let mut damaged = text;
        let place = usize::try_from(place).unwrap_or(0) % damaged.len();
        if how & 1 == 0 {
            damaged.truncate(place);
        } else if let Some(byte) = damaged.get_mut(place) {
            *byte ^= 1 << (how >> 1 & 7);
        }
        assert!(Manifest::decode(&damaged).is_err(), "damage is not seen");
    }
    let (there, back) = (one.differences(&other).len(), other.differences(&one).len());
    assert!(there == back, "differences depend on the direction");
    assert!(one.restoration(&other).len() >= there);
}

/// Up to `most` entries.
pub fn manifest(input: &mut Input<'_>, most: usize) -> Manifest {
    let mut manifest = Manifest::default();
    while !input.is_empty() && manifest.entries.len() < most {
        let path = input.known_path();
        manifest.entries.insert(path, entry(input));
    }
    // The single name of a file is no group: none is read back.
    let groups: Vec<u32> = manifest.entries.values().map(|entry| entry.name_group).collect();
    let alone = |entry: &Entry| groups.iter().filter(|group| **group == entry.name_group).count() == 1;
    manifest.entries.change(&alone, &mut |entry| entry.name_group = 0);
    manifest
}

fn entry(input: &mut Input<'_>) -> Entry {
    let state = match input.below(6) {
        0 => State::Directory,
        1 => State::Link { target: input.path() },
        2 => State::Other,
        3 => return Entry::absent(),
        _ => {
            let content = input.below(4);
            State::File { content: ObjectId::of(content_of(content)), size: content as u64 }
        }
    };
    let attributes = match input.below(8) {
        0 => (0..input.below(3))
            .map(|_| {
                let name = input.text().into_boxed_str();
                let length = input.below(16);
                (name, input.bytes(length).to_vec().into_boxed_slice())
            })
            .collect(),
        _ => Box::default(),
    };
    let mode = u32::from(input.byte()) << 4;
    let (uid, gid) = (u32::from(input.byte()), u32::from(input.byte()));
    let modified = (input.number().cast_signed(), u32::from(input.byte()));
    Entry { state, mode, uid, gid, name_group: u32::from(input.byte() % 3), modified, attributes }
}

/// The contents that entries have, by their length.
pub fn content_of(length: usize) -> &'static [u8] {
    b"abc".get(..length).unwrap_or_default()
}

/// `text` as the body of a manifest.
pub fn summed(text: &[u8]) -> Vec<u8> {
    let mut whole = b"firstlight manifest 1\n".to_vec();
    whole.extend_from_slice(text);
    let sum = ObjectId::of(&whole).to_string();
    whole.extend_from_slice(format!("sha256 {sum}\n").as_bytes());
    whole
}
