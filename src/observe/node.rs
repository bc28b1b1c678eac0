//! What is true of the node itself: passwords, links, the clock, timers, second factors, and our own last run.

use super::{Observer, Verdict};
use crate::error::Result;
use crate::factor;
use crate::facts::accounts::{SHADOW_PATH, password_field};
use crate::facts::pve::Access;
use crate::gate::TIMEDATECTL_PROGRAM;
use crate::status;
use std::path::Path;

/// crypt(5): yescrypt, SHA-512, SHA-256 (those that the answer takes).
const STRONG: [&str; 3] = ["$y$", "$6$", "$5$"];

impl Observer<'_> {
    pub(super) fn password(&mut self, name: &str) -> Result<Verdict> {
        let shadow = self.text(SHADOW_PATH)?;
        let field = password_field(&shadow, name).unwrap_or_default();
        // No word of the hash itself.
        Ok(if STRONG.iter().any(|kind| field.starts_with(kind)) {
            Verdict::Holds
        } else if field.is_empty() || field.starts_with(['!', '*']) {
            Verdict::Fails(format!("{name} has no password, or it is locked"))
        } else {
            Verdict::Fails(format!("the hash of {name}'s password is a weak one"))
        })
    }

    pub(super) fn link(&mut self, path: &Path, target: &Path) -> Result<Verdict> {
        let leads = self.node.read_link(path).ok();
        Ok(Verdict::of(leads.as_deref() == Some(target), || {
            format!("{} does not lead to {}", path.display(), target.display())
        }))
    }

    pub(super) fn clock(&mut self) -> Result<Verdict> {
        let says = self.listing(TIMEDATECTL_PROGRAM, &["show", "-p", "NTPSynchronized", "--value"])?;
        Ok(Verdict::of(says.trim() == "yes", || "the clock is not synchronised".to_owned()))
    }

    pub(super) fn totp_verified(&mut self, user: &str) -> Result<Verdict> {
        let waits = factor::unverified(self.node).iter().any(|known| known == user);
        Ok(Verdict::of(!waits, || format!("nobody has seen a code of {user}'s second factor yet")))
    }

    pub(super) fn totp_unlocked(&mut self, user: &str) -> Result<Verdict> {
        let locked = Access::read(self.node)?.locked.iter().any(|known| known == user);
        Ok(Verdict::of(!locked, || format!("PVE has locked it for {user} after eight wrong codes")))
    }

    pub(super) fn last_run(&mut self) -> Result<Verdict> {
        let status = status::read(self.node)?;
        Ok(Verdict::of(!matches!(status.exit_code, 1 | 2 | 5), || {
            format!("it is {}: {}", status.outcome.word(), status.message.lines().next().unwrap_or_default())
        }))
    }
}
