//! Splits an answer: PVE's part for the installer, ours sealed into the first-boot executable.

use crate::answer::{Answer, Problem, Problems};
use crate::areas;
use crate::error::Result;
use crate::factor::{Shown, totp_of};
use crate::node::Node;
use crate::payload::{self, MOST_BYTES, Sealed};
use crate::profile::KeyPair;
use crate::totp;

/// What `firstlight bake` writes.
pub struct Baked {
    /// Strict: only PVE's tables, canonical keys.
    pub answer_toml: String,
    /// The executable with our part behind it.
    pub first_boot: Vec<u8>,
}

/// `executable` may carry an older payload, which is replaced.
pub fn bake(answer: &Answer, executable: &[u8]) -> std::result::Result<Baked, Problems> {
    let problems = obstacles(answer, executable);
    match &answer.pve {
        Some(pve) if problems.is_empty() => Ok(Baked {
            answer_toml: pve.toml.clone(),
            first_boot: payload::seal(executable, answer.sealed.as_bytes()),
        }),
        _ => Err(Problems::new(&answer.profile.source, problems)),
    }
}

/// Makes the secrets that the answer wants made here, and gives what is to be scanned. An answer that brings its own
/// keeps them.
pub fn make_secrets(node: &dyn Node, answer: &mut Answer) -> Result<Vec<Shown>> {
    if !answer.profile.totp.secrets.is_empty() {
        return Ok(Vec::new());
    }
    let (mut secrets, mut shown) = (Vec::new(), Vec::new());
    let issuer = issuer(answer);
    for (user, second) in devices(answer) {
        let secret = totp::base32(&node.random(totp::SECRET_BYTES)?);
        shown.push(Shown::of(totp_of(&user, second).title(), &issuer, &user, &secret));
        secrets.push((user, secret));
    }
    if !secrets.is_empty() {
        answer.take_secrets(secrets);
    }
    Ok(shown)
}

/// Whose secrets are made here.
fn devices(answer: &Answer) -> Vec<(String, bool)> {
    match answer.profile.totp.secret.as_str() {
        "bake" => areas::totp::devices(&answer.profile),
        _ => Vec::new(),
    }
}

/// The node's name, if the answer knows it.
fn issuer(answer: &Answer) -> String {
    let wanted = &answer.profile.totp.issuer;
    let name = answer.pve.as_ref().and_then(|pve| pve.fqdn.as_deref()?.split('.').next());
    if wanted.is_empty() { name.unwrap_or_default().to_owned() } else { wanted.clone() }
}

fn obstacles(answer: &Answer, executable: &[u8]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if answer.pve.is_none() {
        let message = "is required to bake, with PVE's other tables: the installer answers from it";
        problems.push(answer.problem_at("global", message));
    }
    if answer.profile.admin.ssh_key_pair == KeyPair::Bake {
        let message = "cannot be \"bake\" in this version; make the pair with `ssh-keygen -t ed25519`";
        problems.push(answer.problem_at("firstlight.admin.ssh-key-pair", message));
    }
    let totp = &answer.profile.totp;
    let lacks = |(user, second): &(String, bool)| totp.secret_of(user, *second).is_none();
    if let Some((user, _)) = devices(answer).iter().find(|device| lacks(device)) {
        let message = format!("must hold one for every device of {user}; left out, all of them are made");
        problems.push(answer.problem_at("firstlight.totp.secrets", message));
    }
    if !payload::is_executable(executable) {
        problems.push(answer.problem_at("", "the executable to bake into is no whole 64-bit ELF file"));
        return problems;
    }
    if let Sealed::Damaged(_) = payload::unseal(executable) {
        problems.push(answer.problem_at("", "the executable to bake into has foreign bytes at its end"));
    }
    let (bare, ours) = (payload::executable(executable).len(), answer.sealed.len() + payload::OVERHEAD);
    if bare + ours > MOST_BYTES {
        problems.push(answer.problem_at(
            "",
            format!(
                "makes a first-boot executable of {} bytes ({bare} of the program, {ours} of the answer); PVE's \
                 installer takes {MOST_BYTES} at most",
                bare + ours
            ),
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::read;
    use crate::payload::tests::tiny_elf;

    fn example() -> Answer {
        read("ufw.toml", include_bytes!("../answer-files/ufw.toml"))
            .unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn the_answer_is_split_and_each_part_holds_its_own() {
        let baked = bake(&example(), &tiny_elf()).unwrap_or_else(|problems| panic!("{problems}"));
        let Sealed::Answer(ours) = payload::unseal(&baked.first_boot) else {
            panic!("no answer in the executable")
        };
        let ours = str::from_utf8(ours).unwrap();
        assert!(!ours.contains("[global]") && !ours.contains("root-password"), "{ours}");
        assert!(!baked.answer_toml.contains("firstlight."), "{}", baked.answer_toml);
        let again = read("embedded answer", ours.as_bytes()).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(again.pve.is_none() && again.record == example().record);
        assert!(again.profile.admin.password_hash.is_some());
    }

    #[test]
    fn a_baked_executable_may_be_baked_again() {
        let once = bake(&example(), &tiny_elf()).ok().unwrap();
        let twice = bake(&example(), &once.first_boot).ok().unwrap();
        assert_eq!(once.first_boot, twice.first_boot);
    }

    #[test]
    fn c1_baked_secrets_are_sealed_shown_once_and_in_no_record() {
        let text = str::from_utf8(include_bytes!("../answer-files/ufw.toml")).unwrap();
        let node = crate::node::scripted::Scripted::new();
        let totp = "[firstlight.totp]\n\"secret\" = 'bake'\nsecond-device = true\n";
        let mut answer = read("a.toml", format!("{text}\n{totp}").as_bytes()).ok().unwrap();
        let problem = bake(&answer, &tiny_elf()).err().unwrap().to_string();
        assert!(problem.contains("must hold one for every device of root@pam"), "{problem}");
        let shown = make_secrets(&node, &mut answer).unwrap();
        let titles: Vec<&str> = shown.iter().map(|shown| shown.title.as_str()).collect();
        let both = |user: &str| [format!("TOTP of {user}"), format!("TOTP of {user}, second device")];
        assert_eq!(titles, [both("root@pam"), both("ops@pam")].concat());
        let baked = bake(&answer, &tiny_elf()).unwrap_or_else(|problems| panic!("{problems}"));
        let Sealed::Answer(ours) = payload::unseal(&baked.first_boot) else { panic!("no answer") };
        let again = read("embedded answer", ours).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(again.profile.totp.secrets, answer.profile.totp.secrets);
        assert!(again.record.contains("secret = \"bake\""));
        for (place, (user, second)) in
            [("root@pam", false), ("root@pam", true), ("ops@pam", false), ("ops@pam", true)]
                .into_iter()
                .enumerate()
        {
            let secret = again.profile.totp.secret_of(user, second).unwrap();
            assert!(
                shown[place].uri.starts_with(&format!("otpauth://totp/pve1:{user}?")),
                "{}",
                shown[place].uri
            );
            assert!(shown[place].uri.ends_with(secret) && secret.len() == 32);
            assert!(!again.record.contains(secret) && !baked.answer_toml.contains(secret));
        }
        // What is sealed already, or comes with the answer, is not made again.
        let mut again = again;
        assert!(make_secrets(&node, &mut again).unwrap().is_empty());
        let off = text.to_owned() + "[firstlight.totp]\nsecret = \"bake\"\nenabled = false\n";
        let mut off = read("a.toml", off.as_bytes()).ok().unwrap();
        assert!(make_secrets(&node, &mut off).unwrap().is_empty() && bake(&off, &tiny_elf()).is_ok());
    }

    #[test]
    fn exactly_one_mebibyte_is_allowed_and_one_byte_more_is_not() {
        let answer = example();
        let mut elf = tiny_elf();
        let room = MOST_BYTES - answer.sealed.len() - payload::OVERHEAD;
        // The segment, whose size stands at 64 + 32, fills the room.
        elf.resize(room, 0);
        elf[96..104].copy_from_slice(&(room as u64).to_le_bytes());
        assert_eq!(bake(&answer, &elf).ok().map(|baked| baked.first_boot.len()), Some(MOST_BYTES));
        elf.push(0);
        elf[96..104].copy_from_slice(&(room as u64 + 1).to_le_bytes());
        let problems = bake(&answer, &elf).err().unwrap().to_string();
        assert!(problems.contains("1048577 bytes") && problems.contains("1048576 at most"), "{problems}");
    }

    #[test]
    fn what_cannot_be_baked_is_refused_at_its_place() {
        let refused = |text: &str, executable: &[u8]| {
            let answer = read("a.toml", text.as_bytes()).unwrap_or_else(|problems| panic!("{problems}"));
            bake(&answer, executable).err().unwrap().to_string()
        };
        let ours = "[firstlight]\nschema = 1\n[firstlight.admin]\nname = \"ops\"\nssh-key-pair = \"bake\"\n";
        let text = refused(ours, &tiny_elf());
        assert!(text.contains("a.toml:1:1: global: is required to bake"), "{text}");
        assert!(text.contains("a.toml:5:1: firstlight.admin.ssh-key-pair: cannot be"), "{text}");
        assert!(refused(ours, b"#!/bin/sh\n").contains("no whole 64-bit ELF file"));
        let mut damaged = tiny_elf();
        damaged.push(0);
        assert!(refused(ours, &damaged).contains("foreign bytes"));
    }
}
