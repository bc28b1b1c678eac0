//! The files under `answer-files/` against the reader: the right ones are right and complete, the wrong ones get
//! the very message that their first line expects.

use crate::answer::{Answer, Notes, Problems, collect, read};
use crate::areas::{self, example};
use crate::facts::Facts;
use crate::{bake::bake, payload};
use std::path::{Path, PathBuf};
use std::{env, fs};
use toml::de::DeTable;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("answer-files").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

fn complete() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("answer-files/complete.toml")).unwrap()
}

#[test]
fn every_example_is_valid_and_bakes() {
    let examples = files("");
    assert!(examples.len() >= 5);
    for path in examples {
        let answer = read("example", &fs::read(&path).unwrap());
        let answer = answer.unwrap_or_else(|problems| panic!("{}:\n{problems}", path.display()));
        let baked =
            bake(&answer, &payload::tests::tiny_elf()).unwrap_or_else(|problems| panic!("{problems}"));
        let strict: toml::Table = toml::from_str(&baked.answer_toml).unwrap();
        for required in ["global", "network", "disk-setup", "first-boot"] {
            assert!(strict.contains_key(required), "{}: {required}", path.display());
        }
        assert!(!strict.contains_key("firstlight"));
    }
}

/// Expectation and content of a wrong example: the expectation stands in the first line or in a file beside it.
fn expectation(path: &Path, bytes: &[u8]) -> (String, String) {
    if let Ok(text) = fs::read_to_string(path.with_extension("expect")) {
        return ("expect".to_owned(), text.trim_end().to_owned());
    }
    let first = bytes.split(|&byte| byte == b'\n').next().unwrap();
    let first = str::from_utf8(first).unwrap().strip_prefix("# ").unwrap();
    let (how, what) = first.split_once(": ").unwrap();
    (how.to_owned(), what.to_owned())
}

/// What a fresh node with one private and one public address makes of an answer that is right by itself.
fn on_node(name: &str, answer: &Answer, is_pve: bool) -> Problems {
    let mut facts = Facts::example();
    facts.addresses.push((example::address("203.0.113.7"), example::network("203.0.113.0/24")));
    facts.pve_version = facts.pve_version.filter(|_| is_pve);
    let refusals = areas::propose_all(&answer.profile, &facts).err().unwrap_or_default();
    let problem = |refusal: &crate::control::Refusal| answer.problem_at(&refusal.key, &*refusal.message);
    Problems::new(name, refusals.iter().map(problem).collect())
}

#[test]
fn every_wrong_example_gets_the_one_problem_that_it_expects() {
    let examples = files("invalid");
    assert!(examples.len() >= 28, "the scenario wants at least 25");
    for path in examples {
        let name = path.file_name().unwrap().to_str().unwrap();
        let bytes = fs::read(&path).unwrap();
        let (how, what) = expectation(&path, &bytes);
        let problems = match read(name, &bytes) {
            Err(problems) if how == "expect" => problems,
            Ok(answer) if how != "expect" => on_node(name, &answer, how != "expect on a node without PVE"),
            Err(problems) => panic!("{name} is wrong without a node:\n{problems}"),
            Ok(_) => panic!("{name} is right"),
        };
        let text = problems.to_string();
        assert!(
            !what.is_empty() && text.starts_with(&format!("{name}:{what}")),
            "{name} expects {what}, got:\n{text}"
        );
        assert_eq!(problems.list.len(), 1, "{name} has more than one problem:\n{text}");
        for secret in ["horse", "SSHA", "G6pzGlbe", "OPENSSH"] {
            assert!(!text.contains(secret), "{name} shows a secret:\n{text}");
        }
    }
}

/// `complete.toml` with everything that is commented out switched on. It contradicts itself, but every key is asked.
fn everything() -> String {
    let active = |line: &str| match line.strip_prefix('#') {
        Some(code) if !code.starts_with(' ') && !code.is_empty() => code.to_owned(),
        _ => line.to_owned(),
    };
    complete().lines().map(active).collect::<Vec<_>>().join("\n")
}

/// Dotted paths of every key of a text.
fn written(text: &str) -> Vec<String> {
    let mut table = String::new();
    let mut paths = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']']).to_owned();
            paths.push(table.clone());
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            paths.push(format!("{table}.{key}"));
        }
    }
    paths
}

#[test]
fn the_complete_example_names_every_key_that_the_code_reads() {
    let text = everything();
    let parsed = DeTable::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let notes = Notes::default();
    collect(&notes, parsed.get_ref(), "complete");
    let written = written(&text);
    let asked = notes.asked.into_inner();
    assert!(asked.len() > 150, "only {} keys were asked for", asked.len());
    for path in asked {
        let key = path.rsplit('.').next().unwrap();
        // Old spellings are PVE's; overlays are not in this version; what is inside a value is told in its comment.
        let inside = ["firstlight.firewall.group.rules.", "firstlight.node"];
        if key.contains('_') || inside.iter().any(|prefix| path.starts_with(prefix)) {
            continue;
        }
        assert!(written.contains(&path), "complete.toml does not name {path}");
    }
    let list = notes.list.into_inner();
    let unknown: Vec<&str> =
        list.iter().filter(|n| n.message.contains("is not a key")).map(|n| &*n.key).collect();
    assert!(unknown.is_empty(), "complete.toml names what the code does not read: {unknown:?}");
}

#[test]
fn every_key_of_the_complete_example_has_a_comment() {
    let mut before = "";
    for line in complete().lines() {
        if line.contains(" = ") && !line.starts_with("# ") {
            assert!(before.starts_with("# "), "no comment above: {line}");
        }
        before = if line.starts_with("# ") { line } else { "" };
    }
}

#[test]
fn the_complete_example_shows_the_defaults() {
    let complete = read("one", complete().as_bytes()).unwrap_or_else(|problems| panic!("{problems}"));
    let minimal = "[firstlight]\nschema = 1\n[firstlight.admin]\nname = \"ops\"\nssh-keys = [\"ssh-ed25519 \
                   AAAAC3NzaC1lZDI1NTE5AAAAICSRnhZczuItvkC4OIHjiTlZfkL7tay9kjZQKYGK4cdl ops@example\"]\n";
    let minimal = read("two", minimal.as_bytes()).unwrap_or_else(|problems| panic!("{problems}"));
    let (one, two) = (complete.profile, minimal.profile);
    assert_eq!(one.confirm_minutes, two.confirm_minutes);
    assert_eq!((one.admin.shell, one.admin.pve_role), (two.admin.shell, two.admin.pve_role));
    assert_eq!((one.admin.pve_path, one.admin.comment), (two.admin.pve_path, two.admin.comment));
    assert!(one.admin.password_hash.is_none() && two.admin.password_hash.is_none());
    assert_eq!(one.ssh.max_auth_tries, two.ssh.max_auth_tries);
    assert_eq!(one.ssh.login_grace_seconds, two.ssh.login_grace_seconds);
    assert_eq!(one.ssh.idle_seconds, two.ssh.idle_seconds);
    assert!(
        one.ssh.tcp_forwarding
            && two.ssh.tcp_forwarding
            && !one.ssh.x11_forwarding
            && !two.ssh.x11_forwarding
    );
    assert_eq!((one.totp.users, one.totp.enrolment), (two.totp.users, two.totp.enrolment));
    assert_eq!(one.totp.clock_wait_seconds, two.totp.clock_wait_seconds);
    assert_eq!(
        (one.firewall.log_level, one.firewall.log_rate),
        (two.firewall.log_level, two.firewall.log_rate)
    );
    assert_eq!(one.fail2ban.ban_minutes, two.fail2ban.ban_minutes);
    assert_eq!((one.kernel.rp_filter, one.services.rpcbind), (two.kernel.rp_filter, two.services.rpcbind));
    assert_eq!((one.repositories.pve, one.repositories.ceph), (two.repositories.pve, two.repositories.ceph));
    assert_eq!((one.audit.schedule, one.report.webhook), (two.audit.schedule, two.report.webhook));
    assert!(one.updates.security && two.updates.security && !one.updates.reboot && !two.updates.reboot);
}

#[test]
fn no_prefix_of_an_answer_panics() {
    let text = complete();
    // In steps that meet every key; all of them would take a minute without optimisation.
    for end in (0..text.len()).step_by(7) {
        let _ = read("prefix", &text.as_bytes()[..end]);
    }
}

const ROUNDS: usize = 3000;

#[test]
fn no_mutation_of_an_answer_panics_and_what_is_still_valid_is_written_again() {
    let originals = [complete(), everything(), fs::read_to_string(&files("")[0]).unwrap()];
    let mut state = 0x0005_DEEC_E66D_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let spice = b"[]{}=\"'.,\n\r\\#-+09azAZ_ \x00\x1b\xff\xc3";
    for round in 0..ROUNDS {
        let mut bytes = originals[round % 3].clone().into_bytes();
        for _ in 0..=random(4) {
            let (at, byte) = (random(bytes.len()), spice[random(spice.len())]);
            match random(3) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        match read("mutation", &bytes) {
            Err(problems) => assert!(!problems.list.is_empty() && !problems.to_string().is_empty()),
            Ok(answer) => {
                let again = read("record", answer.record.as_bytes());
                let again = again.unwrap_or_else(|problems| panic!("{problems}\n{}", answer.record));
                assert_eq!(again.record, answer.record);
                let strict = answer.pve.map(|pve| toml::from_str::<toml::Table>(&pve.toml));
                assert!(strict.is_none_or(|parsed| parsed.is_ok()));
            }
        }
    }
}
