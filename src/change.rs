//! One reversible effect on the node, as data: what an area asks for, what a plan shows, what a transaction does.

mod account;
mod apparmor;
mod back;
mod cluster;
mod digest;
mod file;
mod host_key;
mod kernel;
mod key_pair;
mod packages;
pub mod pve;
mod pve_firewall;
mod ufw;
mod unit;

use crate::error::Result;
use crate::facts::cluster_firewall;
use crate::manifest::Scope;
use crate::node::Node;
use crate::plan::View;
use crate::profile::{Handover, Passphrase, PasswordHash, Secret};
use crate::transaction::record::Inverse;
use std::path::{Path, PathBuf};

pub use account::{CREDENTIALS_DIR, database as account_database, merge};
pub use back::{settle, undo, undo_kept};
pub use cluster::{
    PATIENCE_BACK_SECONDS, locked as cluster_locked, mounted as pmxcfs_mounted, sync as sync_pmxcfs,
};
pub use file::{owner_ids, replace, waiting_path};
pub use host_key::bits as host_key_bits;
pub use kernel::path as kernel_path;
pub use kernel::{Settings, amiss, one_blank, slashes, values as kernel_values, whose as whose_settings};
pub use key_pair::{MARK as KEY_PAIR_MARK, made as made_keys, public as key_pair};
pub use packages::{Stays, needed as packages_needed};
pub use pve::{PveChange, PveObject, undo as undo_pve};
pub use pve_firewall::{
    PROGRAM as PVE_FIREWALL_PROGRAM, lint as pve_firewall_lint, replace as write_pve_firewall,
};
pub use ufw::boot_settings as ufw_boot_settings;

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
    /// Kernel settings at run time.
    Kernel(KernelChange),
    /// UFW switched off, with nothing of it left in the kernel.
    UfwOff,
    /// One of PVE's firewall files as a whole.
    PveFile(PveFileChange),
    /// PVE's own firewall switched, every other line of its file as it is.
    PveFirewall(Switch),
    /// A host key of the SSH server with at least so many bits.
    HostKey(HostKeyChange),
    /// A user of PVE, a permission, a second factor.
    Pve(PveChange),
    /// A key pair of the admin, made on the node.
    KeyPair(KeyPairChange),
    /// The profiles of this file in AppArmor's directory, enforced.
    AppArmor(String),
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

/// A unit that runs reads its files again.
#[derive(Clone)]
pub struct ReloadChange {
    /// Full name: `ssh.service`.
    pub name: String,
    /// Paths whose change makes this needed.
    pub after: Vec<PathBuf>,
}

/// Kernel settings at run time; nothing is done about one that the kernel does not have.
#[derive(Clone)]
pub struct KernelChange {
    /// Names and values: `net.bridge.bridge-nf-call-iptables`, with `*` for every interface, and as `/proc/sys` shows it.
    pub settings: Vec<(String, String)>,
}

/// An RSA host key, made anew when it has fewer bits (row A6); a key that is not there is not made.
#[derive(Clone)]
pub struct HostKeyChange {
    /// The private key; the public one lies beside it.
    pub path: PathBuf,
    /// Wanted bits.
    pub bits: u32,
}

/// An ed25519 pair, made once: the public key goes into a file, the private one is handed over (row A3).
#[derive(Clone)]
pub struct KeyPairChange {
    /// Login name.
    pub name: String,
    /// `ops@pve1`.
    pub comment: String,
    /// The user's `authorized_keys`; its directory must exist by then.
    pub path: PathBuf,
    /// Encrypts the private key.
    pub passphrase: Passphrase,
    /// Where the private key goes.
    pub handover: Handover,
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
    /// Networks whose pings are answered; `None` for everybody's, as UFW comes.
    pub ping: Option<Vec<String>>,
    /// Arguments of one `ufw` call each, in order: `allow from 10.0.20.0/24 to any port 22 proto tcp comment '…'`
    /// split into words.
    pub rules: Vec<Vec<String>>,
}

/// A file of PVE's firewall, written under PVE's lock and checked by PVE at once (rows D1, D5).
#[derive(Clone)]
pub struct PveFileChange {
    /// `cluster.fw`, or `host.fw` of this node.
    pub path: PathBuf,
    /// The whole text.
    pub content: String,
    /// The text that it was made from, what others wrote included; another one by then is not overwritten.
    pub base: Option<String>,
    /// Whether PVE checks once it is written: not while the other file is still to come, as the sets that rules in
    /// `host.fw` name stand in `cluster.fw`.
    pub checked: bool,
}

/// What PVE's firewall is switched to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Off.
    Off,
    /// On until the deadline of the open transaction: PVE's own dead man's switch.
    Trial,
    /// On until this second since 1970.
    Until(u64),
    /// On.
    On,
}

/// What is missing on this node for a change to be true, as a plan shows it.
pub struct Need {
    /// One line.
    pub title: String,
    /// What a reviewer sees below it.
    pub view: View,
}

impl Change {
    /// What is missing on this node; `None` when the change is true already. A reload alone is never needed: the
    /// plan adds it when one of its paths changes.
    pub fn need(&self, node: &dyn Node) -> Result<Option<Need>> {
        match self {
            Self::File(change) => file::file_need(node, change),
            Self::Directory(change) => file::directory_need(node, change),
            Self::Packages(change) => packages::need(node, change),
            Self::Account(change) => account::need(node, change),
            Self::Unit(change) => unit::need(node, change),
            Self::Reload(_) => Ok(None),
            Self::Ufw(change) => ufw::need(node, change),
            Self::Kernel(change) => kernel::need(node, change),
            Self::UfwOff => ufw::off_need(node),
            Self::PveFile(change) => pve_firewall::file_need(node, change),
            Self::PveFirewall(switch) => pve_firewall::switch_need(node, *switch),
            Self::HostKey(change) => host_key::need(node, change),
            Self::Pve(change) => pve::need(node, change),
            Self::KeyPair(change) => key_pair::need(node, change),
            Self::AppArmor(file) => apparmor::need(node, file),
        }
    }

    /// Every path that the effect may touch, directories whose times it changes included.
    pub fn scopes(&self, node: &dyn Node) -> Result<Vec<Scope>> {
        Ok(match self {
            Self::File(change) => with_waiting(&change.path),
            Self::PveFile(change) => with_waiting(&change.path),
            Self::PveFirewall(_) => with_waiting(Path::new(cluster_firewall::PATH)),
            Self::Directory(change) => with_parent(&change.path),
            Self::Packages(_) => packages::scopes(),
            Self::Account(change) => account::scopes(node, change)?,
            Self::Unit(_) => unit::scopes(),
            Self::Reload(_) | Self::Kernel(_) | Self::Pve(_) => Vec::new(),
            Self::Ufw(_) => ufw::scopes(),
            Self::UfwOff => ufw::off_scopes(),
            Self::HostKey(change) => host_key::scopes(change),
            Self::KeyPair(change) => key_pair::scopes(change),
            Self::AppArmor(_) => apparmor::scopes(),
        })
    }

    /// What takes the effect back beside its paths, observed before it. Refuses what could not be taken back.
    pub fn inverse(&self, node: &dyn Node, warnings: &mut Vec<String>) -> Result<Inverse> {
        match self {
            Self::File(_) | Self::Directory(_) => Ok(Inverse::Paths),
            Self::PveFile(_) | Self::PveFirewall(_) => pve_firewall::inverse(node),
            Self::Packages(change) => packages::inverse(node, change, warnings),
            Self::Account(change) => account::inverse(node, change),
            Self::Unit(change) => unit::inverse(node, &change.name),
            Self::Reload(change) => Ok(Inverse::Reload(change.name.clone())),
            Self::Ufw(_) | Self::UfwOff => ufw::inverse(node),
            Self::Kernel(change) => kernel::inverse(node, change),
            Self::HostKey(_) => host_key::inverse(node),
            Self::Pve(change) => Ok(Inverse::Pve(pve::inverse(node, change)?)),
            Self::KeyPair(change) => Ok(Inverse::KeyPair(key_pair::title(change))),
            Self::AppArmor(file) => apparmor::inverse(node, file),
        }
    }

    /// Makes it true.
    pub fn effect(&self, node: &dyn Node) -> Result<()> {
        match self {
            Self::File(change) => file::write_file(node, change),
            Self::Directory(change) => file::make_directory(node, change),
            Self::Packages(change) => packages::install(node, change),
            Self::Account(change) => account::make(node, change),
            Self::Unit(change) => unit::set(node, change),
            Self::Reload(change) => unit::reload(node, &change.name),
            Self::Ufw(change) => ufw::make(node, change),
            Self::Kernel(change) => kernel::make(node, change),
            Self::UfwOff => ufw::switch_off(node),
            Self::PveFile(change) => pve_firewall::write(node, change),
            Self::PveFirewall(switch) => pve_firewall::switch(node, *switch),
            Self::HostKey(change) => host_key::make(node, change),
            Self::Pve(change) => pve::make(node, change),
            Self::KeyPair(change) => key_pair::make(node, change),
            Self::AppArmor(file) => apparmor::make(node, file),
        }
    }

    /// The word for its kind, in plans and hashes.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Directory(_) => "directory",
            Self::Packages(_) => "packages",
            Self::Account(_) => "account",
            Self::Unit(_) => "unit",
            Self::Reload(_) => "reload",
            Self::Ufw(_) => "ufw",
            Self::Kernel(_) => "kernel",
            Self::UfwOff => "ufw-off",
            Self::PveFile(_) => "pve-file",
            Self::PveFirewall(_) => "pve-firewall",
            Self::HostKey(_) => "host-key",
            Self::Pve(_) => "pve",
            Self::KeyPair(_) => "key-pair",
            Self::AppArmor(_) => "apparmor",
        }
    }
}

fn with_parent(path: &Path) -> Vec<Scope> {
    let parent = path.parent().map(|parent| Scope::Entry(parent.to_owned()));
    parent.into_iter().chain([Scope::Entry(path.to_owned())]).collect()
}

/// A file, its directory, and where the new content waits.
fn with_waiting(path: &Path) -> Vec<Scope> {
    let mut scopes = with_parent(path);
    scopes.push(Scope::Entry(file::waiting_path(path)));
    scopes
}
