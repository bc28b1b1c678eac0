//! What the journal says about the dead-man timer and about confirmation.

use super::fields::Fields;

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

type Pairs = Vec<(&'static str, String)>;

impl Armed {
    pub(super) fn fields(&self) -> Pairs {
        vec![
            ("boot", self.boot.clone()),
            ("until", self.until.to_string()),
            ("process", self.process.to_string()),
            ("began", self.began.to_string()),
        ]
    }

    pub(super) fn parse(fields: &Fields<'_>) -> Option<Self> {
        Some(Self {
            boot: fields.text("boot")?,
            until: fields.number("until")?,
            process: fields.number("process")?.try_into().ok()?,
            began: fields.number("began")?,
        })
    }
}

impl Waiting {
    pub(super) fn fields(&self) -> Pairs {
        let mut pairs = vec![
            ("boot", self.boot.clone()),
            ("until", self.until.to_string()),
            ("admin", self.admin.clone()),
            ("cursor", self.cursor.clone()),
        ];
        pairs.extend(self.keys.iter().map(|key| ("key", key.clone())));
        pairs.extend(self.not_from.iter().map(|address| ("not-from", address.clone())));
        pairs.extend(self.factors.iter().map(|factor| ("factor", factor.clone())));
        pairs
    }

    pub(super) fn parse(fields: &Fields<'_>) -> Option<Self> {
        Some(Self {
            boot: fields.text("boot")?,
            until: fields.number("until")?,
            admin: fields.text("admin")?,
            keys: fields.all("key"),
            not_from: fields.all("not-from"),
            factors: fields.all("factor"),
            cursor: fields.text("cursor")?,
        })
    }
}
