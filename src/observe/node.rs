//! What is true of the node itself: passwords, links, the clock, second factors, and our own last run.

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
        Ok(Verdict::of(STRONG.iter().any(|kind| field.starts_with(kind)), || {
            let none = field.is_empty() || field.starts_with(['!', '*']);
            if none { "there is none, or it is locked" } else { "its hash is a weak one" }.to_owned()
        }))
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

    /// Whether PVE has locked the user's entries, or else whether one of them waits for its first code.
    pub(super) fn totp_open(&mut self, user: &str, locked: bool) -> Result<Verdict> {
        let (users, what) = if locked {
            (Access::read(self.node)?.locked, "PVE has locked it after eight wrong codes")
        } else {
            (factor::unverified(self.node), "nobody has seen a code of it yet")
        };
        // The second device's has more words.
        let found = users.iter().any(|known| known.split(',').next() == Some(user));
        Ok(Verdict::of(!found, || what.to_owned()))
    }

    pub(super) fn last_run(&mut self) -> Result<Verdict> {
        let status = status::read(self.node)?;
        Ok(Verdict::of(!matches!(status.exit_code, 1 | 2 | 5), || {
            format!("it is {}: {}", status.outcome.word(), status.message.lines().next().unwrap_or_default())
        }))
    }
}
