//! What the operator wants: valid by construction, read without touching the node.
//!
//! One struct per table of the answer, one field per key, the names spelled as in the answer. The readers in
//! `answer` build these; areas read them.

mod address;
mod credential;
mod firewall;
mod name;

pub use address::{Network, Port};
pub use credential::{Passphrase, PasswordHash, PublicKey, Secret};
pub use firewall::{AddressSet, Firewall, FirewallMode, Group, Management, Outgoing, Ping, Rule, Service};
pub use name::UserName;

/// Everything the operator asked for.
#[derive(Clone)]
pub struct Profile {
    /// Where the answer came from, for reports: a file name, `embedded answer`, `wizard`.
    pub source: String,
    /// What ends the transaction; `None` when the answer is silent (the door decides).
    pub confirm: Option<Confirm>,
    /// Deadline of `confirm = "login"`, 1 to 1440.
    pub confirm_minutes: u32,
    /// Minutes after which a run that is not over is put back, 1 to 1440.
    pub deadline_minutes: u32,
    /// Directory of `.deb` files to install from instead of the network; empty for none.
    pub packages_directory: String,
    /// Where one-time secrets go.
    pub handover: Handover,
    /// The admin user.
    pub admin: Admin,
    /// The SSH server.
    pub ssh: Ssh,
    /// Which firewall filters, and what it lets through.
    pub firewall: Firewall,
    /// Which packages may change.
    pub packages: Packages,
    /// Package sources.
    pub repositories: Repositories,
    /// Second factor of PVE's login.
    pub totp: Totp,
    /// fail2ban.
    pub fail2ban: Fail2ban,
    /// Kernel settings.
    pub kernel: Kernel,
    /// Services of a PVE node.
    pub services: Services,
    /// AppArmor profiles.
    pub apparmor: AppArmor,
    /// Files of the operator's own.
    pub files: Vec<OwnFile>,
    /// Unattended updates.
    pub updates: Updates,
    /// The audit and its schedule.
    pub audit: Audit,
    /// Who is told the result.
    pub report: Report,
}

/// What ends a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Confirm {
    /// Committed as soon as the probes pass.
    None,
    /// Committed by a new login of the admin, else put back.
    Login,
}

/// Where one-time secrets (QR code, recovery keys, private key) are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// `/dev/tty1` and an active serial console.
    Console,
    /// `/root/firstlight-handover.txt`, 0600.
    File,
}

/// `[firstlight.admin]`: rows A1 to A6.
#[derive(Clone)]
pub struct Admin {
    /// Whether the area plans and audits at all.
    pub enabled: bool,
    /// Login name.
    pub name: UserName,
    /// GECOS comment.
    pub comment: String,
    /// Login shell, absolute.
    pub shell: String,
    /// Public keys, those of root included when `ssh-keys-of-root` says so.
    pub ssh_keys: Vec<PublicKey>,
    /// Whether and where a new pair is made.
    pub ssh_key_pair: KeyPair,
    /// Of a pair that is made on the node: the wizard asks for it, and no answer has it.
    pub ssh_key_passphrase: Passphrase,
    /// crypt(5) hash; `None` keeps what the account has (or locks a new one).
    pub password_hash: Option<Secret<PasswordHash>>,
    /// What sudo lets the admin do.
    pub sudo: Sudo,
    /// PVE role, empty for no PVE user.
    pub pve_role: String,
    /// PVE path of the role.
    pub pve_path: String,
    /// Name of an API token to make, empty for none.
    pub api_token: String,
}

/// Where the admin's key pair is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum KeyPair {
    /// Only given keys.
    None,
    /// On the node.
    Node,
    /// On the operator's machine.
    Bake,
}

/// What sudo lets the admin do.
#[derive(Clone, PartialEq, Eq)]
pub enum Sudo {
    /// Everything, with the password.
    Password,
    /// Everything, without a password.
    NoPassword,
    /// These commands without a password; absolute paths, arguments allowed.
    Commands(Vec<String>),
    /// No sudo at all.
    None,
}

/// `[firstlight.ssh]`: rows B1 to B6.
#[derive(Clone)]
pub struct Ssh {
    /// Whether the area plans and audits at all.
    pub enabled: bool,
    /// The one port sshd listens on.
    pub port: Port,
    /// How root may log in.
    pub root_login: RootLogin,
    /// Whether passwords are accepted.
    pub password_login: bool,
    /// Users beside root and the admin.
    pub allow_users: Vec<UserName>,
    /// Which algorithms are offered.
    pub algorithms: Algorithms,
    /// Tries per connection.
    pub max_auth_tries: u32,
    /// Seconds until an unauthenticated connection is closed.
    pub login_grace_seconds: u32,
    /// Seconds until an unresponsive connection is closed; 0 for never.
    pub idle_seconds: u32,
    /// TCP and stream-local forwarding (PVE's migration needs both).
    pub tcp_forwarding: bool,
    /// X11 forwarding.
    pub x11_forwarding: bool,
}

/// How root may log in over SSH.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RootLogin {
    /// By key only.
    Key,
    /// Not at all.
    No,
}

/// SSH algorithm sets (row B4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Algorithms {
    /// Post-quantum first, curve25519 last.
    Compatible,
    /// What the ssh-audit policy of this OpenSSH wants.
    Strict,
    /// Debian's.
    Keep,
}

/// `[firstlight.packages]`: row H2.
#[derive(Clone)]
pub struct Packages {
    /// Whether the area plans and audits at all.
    pub enabled: bool,
    /// Lets apt upgrade installed packages where a new one needs it; not revertible.
    pub allow_upgrades: bool,
    /// Debian names, beside those that the areas need.
    pub extra: Vec<String>,
}

/// `[firstlight.repositories]`: row H1. Words as in the answer.
#[derive(Clone)]
pub struct Repositories {
    /// Whether the area plans and audits at all.
    pub enabled: bool,
    /// `auto`, `enterprise`, `no-subscription` or `keep`.
    pub pve: String,
    /// The same for Ceph.
    pub ceph: String,
}

/// `[firstlight.totp]`: rows C1 to C8.
#[derive(Clone)]
pub struct Totp {
    /// Whether the area plans and audits at all.
    pub enabled: bool,
    /// `first-boot` or `on-verify`.
    pub enrolment: String,
    /// PVE users beside the admin.
    pub users: Vec<String>,
    /// Empty for the host name.
    pub issuer: String,
    /// `node` or `bake`.
    pub secret: String,
    /// With `bake`: users and their secrets in base32; a user's second one is for the second device.
    pub secrets: Vec<(String, String)>,
    /// Whether recovery keys are made.
    pub recovery_keys: bool,
    /// Whether a second entry is made.
    pub second_device: bool,
    /// Realms that demand a factor.
    pub enforced_realms: Vec<String>,
    /// How long to wait for a synchronised clock.
    pub clock_wait_seconds: u32,
}

impl Totp {
    /// The secret that came with the answer for this device.
    pub fn secret_of(&self, user: &str, second: bool) -> Option<&str> {
        let mut theirs = self.secrets.iter().filter(|(of, _)| of == user);
        theirs.nth(usize::from(second)).map(|(_, secret)| secret.as_str())
    }
}

/// `[firstlight.fail2ban]`: rows F1 to F4.
#[derive(Clone)]
pub struct Fail2ban {
    /// Whether the area plans and audits at all.
    pub enabled: bool,
    /// Length of a ban.
    pub ban_minutes: u32,
    /// Window in which failures count.
    pub find_minutes: u32,
    /// Failures until a ban.
    pub max_retry: u32,
    /// Networks that are never banned.
    pub never_ban: Vec<Network>,
}

/// `[firstlight.kernel]`: row G1.
#[derive(Clone)]
pub struct Kernel {
    /// Whether the area plans and audits at all.
    pub enabled: bool,
    /// `auto`, `0`, `1` or `2`.
    pub rp_filter: String,
    /// More settings, name and value.
    pub extra: Vec<(String, String)>,
    /// Modules that the kernel shall not load.
    pub blocked_modules: Vec<String>,
}

/// `[firstlight.services]`: rows G2 to G4.
#[derive(Clone)]
pub struct Services {
    /// Whether the area plans and audits at all.
    pub enabled: bool,
    /// `auto`, `on` or `off`.
    pub rpcbind: String,
    /// `loopback` or `keep`.
    pub postfix: String,
    /// `tcp/9100`: what the audit accepts beside PVE's own.
    pub listeners_allowed: Vec<String>,
}

/// `[firstlight.apparmor]`: row G5.
#[derive(Clone)]
pub struct AppArmor {
    /// Whether the area plans and audits at all.
    pub enabled: bool,
    /// `None` for `auto`, else named profiles.
    pub profiles: Option<Vec<String>>,
}

/// `[[firstlight.file]]`: a file of the operator's own.
#[derive(Clone)]
pub struct OwnFile {
    /// Below `/etc`.
    pub path: String,
    /// The whole of it.
    pub content: String,
    /// Permission bits.
    pub mode: u32,
}

/// `[firstlight.updates]`: row H3.
#[derive(Clone)]
pub struct Updates {
    /// Whether the area plans and audits at all.
    pub enabled: bool,
    /// Debian's security updates.
    pub security: bool,
    /// Packages of origin Proxmox.
    pub proxmox: bool,
    /// Whether to reboot by itself.
    pub reboot: bool,
}

/// `[firstlight.audit]`: rows I1 to I3.
#[derive(Clone)]
pub struct Audit {
    /// Whether the area plans and audits at all.
    pub enabled: bool,
    /// systemd calendar expression or `never`.
    pub schedule: String,
    /// Whether the result is mailed.
    pub mail: bool,
    /// Findings that are accepted.
    pub waivers: Vec<Waiver>,
}

/// `[[firstlight.audit.waiver]]`.
#[derive(Clone)]
pub struct Waiver {
    /// Id of the control.
    pub control: String,
    /// Why it is accepted.
    pub reason: String,
    /// Last day, `YYYY-MM-DD`; empty for no end.
    pub until: String,
}

/// `[firstlight.report]`: row J5.
#[derive(Clone)]
pub struct Report {
    /// Whether the area plans and audits at all.
    pub enabled: bool,
    /// URL that gets the result, empty for none.
    pub webhook: String,
    /// Key of its HMAC.
    pub webhook_key: Option<Secret<String>>,
    /// Directory of a Prometheus text file, empty for none.
    pub prometheus_textfile: String,
}
