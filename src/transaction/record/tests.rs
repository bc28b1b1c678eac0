//! Every record survives its line; a damaged line is none.

use super::*;

fn examples() -> Vec<Event> {
    let id = ObjectId::of(b"x");
    let inverses = [
        Inverse::Paths,
        Inverse::Packages(vec!["sudo".into(), "ufw".into()]),
        Inverse::Account { name: "ops".into(), created: true },
        Inverse::Unit { name: "ssh.service".into(), active: false },
        Inverse::Reload("ssh.service".into()),
        Inverse::Ufw {
            active: true,
            settings: vec![("net/ipv4/x".into(), "1\t2".into()), ("y".into(), String::new())],
        },
        Inverse::PveFirewall(vec![("net.x".into(), "1 2".into()), ("net.y".into(), "0".into())]),
        Inverse::Kernel { name: "net.x".into(), value: "1 2".into() },
        Inverse::HostKey,
        Inverse::Reach("/etc/ssh/keys of ops".into()),
        Inverse::Pve(PveInverse {
            kind: "token".into(),
            title: "API token".into(),
            user: "ops@pam".into(),
            name: "ansible".into(),
            path: String::new(),
            was: vec!["a".into(), "b\tc".into()],
        }),
    ];
    let mut events: Vec<Event> = inverses
        .into_iter()
        .map(|inverse| {
            let scopes = vec![
                Scope::Entry("/etc/a=b".into()),
                Scope::Children("/x".into()),
                Scope::Tree("/etc/x y".into()),
            ];
            Event::Intent { step: 3, inverse, scopes, before: id }
        })
        .collect();
    events.extend([
        Event::Begin {
            format: FORMAT,
            version: "0.1.0".into(),
            door: "hook".into(),
            plan: "abc".into(),
            source: "a=b\tc".into(),
            boot: String::new(),
            cluster: "rack 1".into(),
        },
        Event::Step { step: 0, title: "100 % of\nit".into() },
        Event::Snapshot { entries: 1200 },
        Event::Armed(Armed { boot: "b00t".into(), until: 3_600_000, process: 77, began: 12_345 }),
        Event::Waiting(Waiting {
            boot: "b00t".into(),
            until: 600_000,
            admin: "ops".into(),
            keys: vec!["SHA256:a".into(), "SHA256:b".into()],
            not_from: vec!["10.0.20.10".into(), "fd00::1".into()],
            factors: vec!["6e4f 0".into(), "77aa 5".into()],
            cursor: "s=1;i=2;b=3".into(),
        }),
        Event::Gate { id: "ssh".into(), passed: false, message: "no\r\nway".into(), milliseconds: 7 },
        Event::Warning { text: "é%41".into() },
        Event::Note { text: "n".into() },
        Event::Observed { step: 1, after: id },
        Event::Done { step: 1, milliseconds: 12 },
        Event::Failed { what: "x".into(), message: String::new() },
        Event::Probe { control: "ssh.port".into(), holds: true, message: String::new() },
        Event::Commit,
        Event::Revert { reason: "because".into(), force: true, ufw_stays: true },
        Event::Reverting { step: 2, foreign: id },
        Event::Reverted { step: 2, kept: vec!["/etc/c".into(), "/etc/d".into()] },
        Event::Try { number: 2, boot: "b".into() },
        Event::Ended { outcome: "gave-up".into(), message: "three tries".into() },
        Event::Closed { outcome: Closing::Stuck, message: "oh".into() },
    ]);
    events
}

#[test]
fn j3_every_record_survives_its_line() {
    for event in examples() {
        let record = Record { at: 1_795_000_000_123, event };
        let line = record.encode();
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert_eq!(Record::decode(line.trim_end_matches('\n')), Some(record));
    }
}

/// Whole by its checksum, as another version of firstlight may write it.
fn sealed(parts: &[&str]) -> String {
    let body = parts.join("\t");
    format!("{}\t{body}", checksum(&body))
}

#[test]
fn j3_a_line_that_lacks_a_field_or_has_a_wrong_one_is_no_record() {
    for event in examples() {
        let line = Record { at: 5, event }.encode();
        let parts: Vec<&str> = line.trim_end_matches('\n').split('\t').skip(1).collect();
        let key = |part: &str| part.split('=').next().unwrap().to_owned();
        assert!(Record::decode(&sealed(&parts)).is_some(), "{line}");
        for place in 1..parts.len() {
            let key = key(parts[place]);
            let of_a_list = parts.iter().filter(|part| part.starts_with(&format!("{key}="))).count() > 1;
            if of_a_list || ["entry", "children", "tree"].contains(&key.as_str()) {
                continue;
            }
            let mut without = parts.clone();
            without.remove(place);
            assert_eq!(Record::decode(&sealed(&without)), None, "{line} without {key}");
        }
    }
    for line in [
        "gate\tat=1\tid=a\tpassed=maybe\tmessage=\tms=1",
        "done\tat=1\tstep=-1\tms=1",
        "done\tat=1\tstep=1\tms=x",
    ] {
        assert_eq!(Record::decode(&sealed(&[line])), None, "{line}");
    }
}

#[test]
fn j3_a_torn_or_flipped_line_is_no_record() {
    for event in examples() {
        let line = Record { at: 5, event }.encode();
        let line = line.trim_end_matches('\n');
        for end in 0..line.len() {
            if let Some(torn) = line.get(..end) {
                assert_eq!(Record::decode(torn), None, "{torn}");
            }
        }
        for place in 0..line.len() {
            let mut flipped = line.as_bytes().to_vec();
            flipped[place] ^= 1;
            if let Ok(text) = std::str::from_utf8(&flipped) {
                assert_eq!(Record::decode(text), None, "{text}");
            }
        }
    }
}
