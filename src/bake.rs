//! Splits an answer: PVE's part for the installer, ours sealed into the first-boot executable.

use crate::answer::{Answer, Problem, Problems};
use crate::payload::{self, MOST_BYTES, Sealed};

/// What `firstlight bake` writes.
pub struct Baked {
    /// Strict: only PVE's tables, canonical keys.
    pub answer_toml: String,
    /// The executable with our part behind it.
    pub first_boot: Vec<u8>,
}

/// `executable` may carry an older payload, which is replaced.
pub fn bake(answer: &Answer, executable: &[u8]) -> Result<Baked, Problems> {
    let problems = obstacles(answer, executable);
    match &answer.pve {
        Some(pve) if problems.is_empty() => Ok(Baked {
            answer_toml: pve.toml.clone(),
            first_boot: payload::seal(executable, answer.sealed.as_bytes()),
        }),
        _ => Err(Problems::new(&answer.profile.source, problems)),
    }
}

fn obstacles(answer: &Answer, executable: &[u8]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if answer.pve.is_none() {
        let message = "is required to bake, with PVE's other tables: the installer answers from it";
        problems.push(answer.problem_at("global", message));
    }
    if answer.profile.totp.secret == "bake" {
        let message = "cannot be \"bake\" in this version; \"node\" makes it on the node";
        problems.push(answer.problem_at("firstlight.totp.secret", message));
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
        let ours = "[firstlight]\nschema = 1\n[firstlight.totp]\nsecret = \"bake\"\n[firstlight.admin]\n\
            name = \"ops\"\nssh-key-pair = \"bake\"\n";
        let text = refused(ours, &tiny_elf());
        assert!(text.contains("a.toml:1:1: global: is required to bake"), "{text}");
        assert!(text.contains("a.toml:4:1: firstlight.totp.secret: cannot be"), "{text}");
        assert!(refused(ours, b"#!/bin/sh\n").contains("no whole 64-bit ELF file"));
        let mut damaged = tiny_elf();
        damaged.push(0);
        assert!(refused(ours, &damaged).contains("foreign bytes"));
    }
}
