//! One reversible effect on the node, as data: what an area asks for, what a plan shows, what a transaction does.

use crate::profile::{PasswordHash, Secret};
use std::path::PathBuf;

/// One reversible effect. Areas build these; `transaction` observes, does and reverts them.
#[derive(Clone)]
pub enum Change {
    /// A regular file with exactly this content.
    File(FileChange),
    /// A directory.
    Directory(DirectoryChange),
    /// Packages that must be there.
    Packages(PackagesChange),
    /// A user of the system.
    Account(AccountChange),
    /// Whether a unit starts at boot, and whether it runs now.
    Unit(UnitChange),
    /// Makes a running service read its configuration again; needed only when one of `after` changes.
    Reload(ReloadChange),
    /// UFW's defaults and rules, and UFW switched on.
    Ufw(UfwChange),
}

/// A regular file with exactly this content, mode and owner. Parents must exist by then.
#[derive(Clone)]
pub struct FileChange {
    /// Absolute path; never through a link.
    pub path: PathBuf,
    /// The whole content.
    pub content: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// User and group by name, looked up when it is written: the account may be new.
    pub owner: String,
    /// Whether the content may be shown in plans (false: "changed, N bytes").
    pub public: bool,
}

/// A directory with this mode and owner.
#[derive(Clone)]
pub struct DirectoryChange {
    /// Absolute path; never through a link.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// User by name; the group is the user's own.
    pub owner: String,
}

/// Packages that must be installed, in one apt call (row H2).
#[derive(Clone)]
pub struct PackagesChange {
    /// Debian names, sorted.
    pub names: Vec<String>,
    /// Directory of `.deb` files instead of the network.
    pub directory: Option<PathBuf>,
    /// Lets apt upgrade installed packages where a new one needs it.
    pub allow_upgrades: bool,
}

/// A user of the system with home and own group (row A1). An existing account is kept and converges.
#[derive(Clone)]
pub struct AccountChange {
    /// Login name.
    pub name: String,
    /// GECOS comment; empty keeps what is there.
    pub comment: String,
    /// Absolute shell.
    pub shell: String,
    /// Home directory of a new account.
    pub home: PathBuf,
    /// Supplementary groups the account must be in.
    pub groups: Vec<String>,
    /// crypt(5) hash; `None` keeps what is there, and locks a new account.
    pub password: Option<Secret<PasswordHash>>,
}

/// Whether a unit starts at boot, and whether it runs now; `None` leaves as is.
#[derive(Clone)]
pub struct UnitChange {
    /// Full name: `fail2ban.service`.
    pub name: String,
    /// Starts at boot.
    pub enabled: Option<bool>,
    /// Runs now.
    pub active: Option<bool>,
}

/// `systemctl reload` of a running unit.
#[derive(Clone)]
pub struct ReloadChange {
    /// Full name: `ssh.service`.
    pub name: String,
    /// Paths whose change makes this needed.
    pub after: Vec<PathBuf>,
}

/// UFW as wanted (rows E2 to E4).
#[derive(Clone)]
pub struct UfwChange {
    /// `deny`, `allow` or `reject`, for `ufw default … incoming`.
    pub incoming: String,
    /// The same for outgoing.
    pub outgoing: String,
    /// The same for routed.
    pub routed: String,
    /// `off`, `low`, `medium`, `high`, `full`.
    pub logging: String,
    /// Arguments of one `ufw` call each, in order: `allow from 10.0.20.0/24 to any port 22 proto tcp comment '…'`
    /// split into words.
    pub rules: Vec<Vec<String>>,
}
