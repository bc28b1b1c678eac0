//! Splits an answer: PVE's part for the installer, ours sealed into the first-boot executable.

use crate::answer::{Answer, Problem, Problems};
use crate::payload::{self, MOST_BYTES, Sealed};
use crate::profile::KeyPair;

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
    if answer.profile.admin.ssh_key_pair == KeyPair::Bake {
        let message = "cannot be \"bake\" in this version; make the pair with `ssh-keygen -t ed25519`";
        problems.push(answer.problem_at("firstlight.admin.ssh-key-pair", message));
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
