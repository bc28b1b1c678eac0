//! Manifests as text.

use super::{look, path};
use crate::manifest::{Entry, Manifest, State};
use crate::node::scripted::Scripted;
use crate::objects::ObjectId;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

#[test]
fn a_manifest_with_hostile_names_reads_back_as_it_was() {
    let mut manifest = Manifest::default();
    let hostile: &[&[u8]] =
        &[b"new\nline", b"per%cent", b"not \xff\xfe utf-8", b"tab\t", b" ", b"a=b", b"%0a", "ä".as_bytes()];
    for (number, name) in (0_u32..).zip(hostile) {
        let name = OsStr::from_bytes(name);
        let mut entry = Entry::absent();
        entry.state = match number % 4 {
            0 => State::File { content: ObjectId::of(name.as_bytes()), size: u64::MAX },
            1 => State::Link { target: name.into() },
            2 => State::Directory,
            _ => State::Other,
        };
        (entry.mode, entry.uid, entry.gid, entry.name_group) =
            (0o7777 - number, u32::MAX, number, number / 2);
        entry.modified = (-1 - i64::from(number), 999_999_999);
        entry.attributes =
            [("user.a=b %\n".into(), name.as_bytes().into()), ("user.empty".into(), [].into())].into();
        manifest.entries.insert(path("/etc").join(name), entry);
    }
    manifest.entries.insert("/".into(), Entry::absent());
    let text = manifest.encode();
    assert_eq!(Manifest::decode(&text).unwrap(), manifest);
    assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), manifest.entries.len() + 2);
    assert!(text.is_ascii());
    assert_eq!(Manifest::decode(&Manifest::default().encode()).unwrap(), Manifest::default());
}

#[test]
fn a_torn_or_changed_manifest_is_refused() {
    let node = Scripted::new();
    node.files.put("/etc/file", "content");
    let text = look(&node).encode();
    for length in 0..text.len() {
        assert!(Manifest::decode(&text[..length]).is_err(), "cut at {length}");
    }
    for index in 0..text.len() {
        let mut changed = text.clone();
        changed[index] ^= 1;
        assert!(Manifest::decode(&changed).is_err(), "flipped at {index}");
    }
    let mut longer = text;
    longer.push(b'\n');
    assert!(Manifest::decode(&longer).is_err());
}

#[test]
fn a_manifest_is_text_that_a_person_can_read() {
    let mut manifest = Manifest::default();
    let mut entry = Entry::absent();
    entry.state = State::File { content: ObjectId::of(b"hello"), size: 5 };
    (entry.mode, entry.gid, entry.modified) = (0o640, 33, (1_700_000_000, 5));
    entry.attributes = [("user.note".into(), b"a b".as_slice().into())].into();
    manifest.entries.insert("/etc/motd".into(), entry);
    let text = String::from_utf8(manifest.encode()).unwrap();
    let wanted = "firstlight manifest 1\nf 640 0 33 1700000000.5 0 /etc/motd 5 \
        2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 user.note=a%20b\nsha256 ";
    assert!(text.starts_with(wanted), "{text}");
}
