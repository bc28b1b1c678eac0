//! AppArmor, from what the kernel has.

use super::{Observer, Verdict};
use crate::error::{Error, Result};
use crate::facts::apparmor::{ENFORCE, LOADED_PATH, mode};
use crate::node::exists;
use std::path::Path;

const JOURNALCTL_PROGRAM: &str = "/usr/bin/journalctl";
/// The newest line of this boot about a denial, and nothing else.
const DENIALS: [&str; 8] = ["-q", "-k", "-b", "-o", "cat", "-n", "1", "--grep=apparmor=\"DENIED\""];
/// With `--grep`, and nothing found.
const NOTHING: i32 = 1;

impl Observer<'_> {
    pub(super) fn apparmor_on(&self) -> Result<Verdict> {
        let on = exists(self.node, Path::new(LOADED_PATH))?;
        Ok(Verdict::of(on, || "the kernel runs without AppArmor".to_owned()))
    }

    pub(super) fn apparmor_enforces(&self, name: &str) -> Result<Verdict> {
        let loaded = self.text(LOADED_PATH)?;
        let mode = match mode(&loaded, name) {
            "" => "not loaded",
            mode => mode,
        };
        Ok(Verdict::of(mode == ENFORCE, || ["the profile ", name, " is in mode ", mode].concat()))
    }

    pub(super) fn no_denials(&mut self) -> Result<Verdict> {
        let output = self.output(JOURNALCTL_PROGRAM, &DENIALS)?;
        let last = output.stdout.trim();
        if last.is_empty() && !output.success() && output.status != NOTHING {
            return Err(Error::new("looking for denials of AppArmor", output.complaint()));
        }
        Ok(Verdict::of(last.is_empty(), || format!("AppArmor denied: {last}")))
    }
}

#[cfg(test)]
mod tests;
