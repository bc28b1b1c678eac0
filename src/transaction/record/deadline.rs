//! What the journal says about the dead-man timer and about confirmation.

use super::fields::{Fields, Line};

/// The dead-man timer runs, and for whom.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Armed {
    /// Kernel's boot id: no other boot knows this deadline.
    pub boot: String,
    /// When the run must be over: milliseconds since that boot, on `CLOCK_BOOTTIME`.
    pub until: u64,
    /// The process that runs; 0 when unknown.
    pub process: u32,
    /// When that process began, in the kernel's ticks: a number may be used again.
    pub began: u64,
}

/// Applied, and waiting for somebody to prove that they still get in.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Waiting {
    /// Kernel's boot id: another boot puts the node back.
    pub boot: String,
    /// When it is put back: milliseconds since that boot, on `CLOCK_BOOTTIME`.
    pub until: u64,
    /// Whose login confirms.
    pub admin: String,
    /// Fingerprints of the keys that count.
    pub keys: Vec<String>,
    /// Addresses that do not count.
    pub not_from: Vec<String>,
    /// The admin's TOTP entries at PVE, each with the time step of its last login: a later one is a new login.
    pub factors: Vec<String>,
    /// Place in the system's journal after which a login is a new one; empty when logins cannot be seen.
    pub cursor: String,
}

impl Armed {
    pub(super) fn write(&self, line: &mut Line) {
        line.verb("armed").text("boot", &self.boot).number("until", self.until);
        line.number("process", self.process.into()).number("began", self.began);
    }

    pub(super) fn parse(fields: &Fields<'_>) -> Self {
        Self {
            boot: fields.text("boot"),
            until: fields.number("until"),
            process: fields.small("process"),
            began: fields.number("began"),
        }
    }
}

impl Waiting {
    pub(super) fn write(&self, line: &mut Line) {
        line.verb("waiting").text("boot", &self.boot).number("until", self.until);
        line.text("admin", &self.admin).text("cursor", &self.cursor).texts("key", &self.keys);
        line.texts("not-from", &self.not_from).texts("factor", &self.factors);
    }

    pub(super) fn parse(fields: &Fields<'_>) -> Self {
        Self {
            boot: fields.text("boot"),
            until: fields.number("until"),
            admin: fields.text("admin"),
            keys: fields.texts("key"),
            not_from: fields.texts("not-from"),
            factors: fields.texts("factor"),
            cursor: fields.text("cursor"),
        }
    }
}
