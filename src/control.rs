//! One statement about the node: what is wanted, how it is seen in effective state, which changes bring it about.
//!
//! Plan, probe and audit are readings of the same controls; there is no second list of expectations.

use crate::change::{Change, FileChange, PveObject};
use crate::profile::Network;
use crate::reach::Reach;
use std::borrow::Cow;
use std::path::PathBuf;

/// One statement about the node.
pub struct Control {
    /// Stable, dotted, starts with its area: `ssh.password-login`.
    pub id: Cow<'static, str>,
    /// The requirement row it comes from: `B1`.
    pub requirement: &'static str,
    /// What is wanted, as a short sentence without full stop.
    pub wanted: String,
    /// How it is seen in effective state.
    pub check: Check,
    /// Places in [`Proposal::changes`] of the changes that bring it about. Empty: nothing of ours brings it about
    /// on this node, so that it is a finding of the audit and no post-condition of a transaction.
    pub changes: Vec<usize>,
}

/// How a control is seen in *effective* state. Closed, data only; `observe` evaluates it.
pub enum Check {
    /// `sshd -T` (with `-C` when `connection` is not empty) prints `key` with one of `values`.
    Sshd {
        /// `user=root,host=…,addr=…,laddr=…,lport=…`, or empty.
        connection: String,
        /// Lower case, as `sshd -T` prints it.
        key: &'static str,
        /// Accepted values as printed; for lists the whole comma list. Options that are printed on several
        /// lines (`allowusers`, `port`) are one value with blanks between; `allowusers` counts as a set.
        values: Vec<String>,
    },
    /// dpkg says the package is installed and configured.
    PackageInstalled(String),
    /// The account exists, has this shell, and is in these groups.
    Account {
        /// Login name.
        name: String,
        /// Login shell.
        shell: String,
        /// Groups it must be in.
        groups: Vec<String>,
    },
    /// `sudo -l -U NAME` lists this specification.
    SudoAllows {
        /// Login name.
        name: String,
        /// Text that must be in the listing; empty: nothing may be allowed. Without `NOPASSWD` in it, no later
        /// line of the listing may allow everything without a password (the last match wins in sudo).
        text: String,
    },
    /// `sshd` would accept this key for this user: the line stands in the file sshd reads, with safe modes.
    AuthorizedKey {
        /// Login name.
        name: String,
        /// The file.
        path: PathBuf,
        /// `SHA256:…`; empty for the pair that was made on the node.
        fingerprint: String,
    },
    /// UFW is active with these defaults.
    UfwActive {
        /// Wanted default for incoming.
        incoming: String,
        /// Wanted default for outgoing.
        outgoing: String,
        /// Wanted default for routed; UFW shows `disabled` while the kernel does not forward.
        routed: String,
    },
    /// The kernel's own rules (iptables-save, ip6tables-save) decide so about what these words of a `ufw` call say, or
    /// those of a rule in PVE's files (`IN …`, `OUT …`).
    Rule(Vec<String>),
    /// No rule of a chain accepts one of these TCP ports from beyond these networks.
    NothingWider {
        /// `INPUT`, `PVEFW-HOST-IN`; empty for UFW's own.
        chain: &'static str,
        /// TCP ports.
        ports: Vec<u16>,
        /// Who may reach them.
        networks: Vec<Network>,
    },
    /// PVE's firewall filters in the kernel as its files say.
    PveFirewallOn,
    /// The kernel has nothing of UFW.
    UfwGone,
    /// Nobody filters beside the rules that `iptables-save` shows: no table of nftables, no other iptables.
    NoForeignTables,
    /// PVE's firewall does not filter.
    PveFirewallOff,
    /// The kernel has this value in effect; a setting that it does not have holds, as far as no boot shall set it.
    Kernel {
        /// Dotted name; with `*` in the place of an interface all of them.
        name: String,
        /// As `/proc/sys` shows it.
        value: String,
        /// Whether it is also what the files that a boot reads set.
        boot: bool,
    },
    /// The server of fail2ban says so about a jail.
    Fail2banJail {
        /// `sshd` or ours.
        jail: &'static str,
        /// What is asked, as jail.conf(5) calls it, with blanks between.
        keys: &'static str,
        /// `KEY = VALUE`, a line each.
        wanted: String,
    },
    /// The kernel enforces the AppArmor profile of this name.
    AppArmorEnforces(String),
    /// The kernel has AppArmor on.
    AppArmorOn,
    /// AppArmor has denied nothing since the boot.
    NoDenials,
    /// Postfix listens on loopback alone, now and when it is started again.
    MailOnLoopback,
    /// Beyond loopback nothing listens but on these: `tcp/22 tcp/5900:5999 udp/68`.
    Listeners(String),
    /// The unit is (not) active and (not) enabled.
    Unit {
        /// Full name.
        name: String,
        /// Starts at boot.
        enabled: Option<bool>,
        /// Runs now.
        active: Option<bool>,
    },
    /// The SSH host key has at least so many bits.
    HostKeyBits {
        /// The private key's file.
        path: PathBuf,
        /// Least bits.
        bits: u32,
    },
    /// PVE's files say that it is there.
    Pve(PveObject),
    /// apt reads a repository of Proxmox, or does not (`apt-get indextargets`).
    AptSource {
        /// `pve`, `ceph-squid`; `ceph-` for any Ceph.
        name: String,
        /// `enterprise`, `no-subscription`; empty for any.
        channel: &'static str,
        /// Of which suite it is read; empty: of none.
        suite: String,
    },
    /// `apt-config dump` has exactly these values.
    AptConfig {
        /// A setting or a list; names that mean the same with a blank between.
        names: &'static str,
        /// In order, `; ` between; a switch as `true` or `false`, whatever the word for it.
        values: String,
    },
    /// A file whose presence and mode are the state itself.
    FileMode {
        /// The path.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// The file is there like this.
    File(FileChange),
    /// modprobe refuses to load these modules.
    ModulesBlocked(Vec<String>),
    /// The account has a password, hashed by yescrypt, SHA-512 or SHA-256.
    Password(String),
    /// A symbolic link with this target.
    Link {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// systemd says that the clock is synchronised.
    Clock,
    /// No TOTP entry of the user is locked after eight wrong codes, or else none of ours waits for somebody to see a code.
    TotpOpen {
        /// With realm.
        user: String,
        /// Which of the two.
        locked: bool,
    },
    /// What firstlight did last on this node is not cut off, failed or half done.
    LastRun,
    /// A set of PVE's firewall holds this entry in the kernel.
    PveSet {
        /// As in the file: `management`.
        name: String,
        /// As the kernel spells it.
        entry: String,
    },
    /// The kernel has a rule in PVE's chain for incoming packets that holds this text.
    PveHostRule(String),
    /// PVE's firewall file says so: what no packet of the node comes by.
    PveFile {
        /// `cluster.fw`, or `host.fw` of this node.
        path: String,
        /// `[group web]`.
        section: String,
        /// A line of it without its comment.
        text: String,
    },
}

/// A tool's own check of new contents before they go live.
pub struct Gate {
    /// Stable: `ssh.configuration`.
    pub id: &'static str,
    /// The program that must be there; while it is missing the gate waits until after the packages.
    pub tool: &'static str,
    /// What is asked.
    pub ask: GateAsk,
}

/// What a gate asks its tool. `staged` are files as they will be.
pub enum GateAsk {
    /// `sshd -t` and `sshd -T -C` for each connection, on the whole configuration with `staged` in place.
    Sshd {
        /// Files as they will be.
        staged: Vec<(PathBuf, Vec<u8>)>,
        /// `user=…,host=…,addr=…,laddr=…,lport=…` and what must come out: key and value.
        connections: Vec<(String, Vec<(String, String)>)>,
    },
    /// `visudo -c` on the whole of sudoers with `staged` in place.
    Sudoers {
        /// Files as they will be.
        staged: Vec<(PathBuf, Vec<u8>)>,
    },
    /// `fail2ban-client -t` on the whole of its configuration with `staged` in place.
    Fail2ban {
        /// Files as they will be.
        staged: Vec<(PathBuf, Vec<u8>)>,
    },
    /// `pve-firewall compile` has nothing to say about the files as they are.
    PveFirewall,
    /// `ufw --dry-run` accepts every rule.
    UfwRules(Vec<Vec<String>>),
    /// systemd says that the clock is synchronised; waited for, so many seconds.
    Clock(u32),
    /// systemd understands this calendar expression.
    Calendar(String),
}

/// What one area asks for.
#[derive(Default)]
pub struct Proposal {
    /// Changes in the order they are to be made within the area.
    pub changes: Vec<(Phase, Change)>,
    /// Statements that shall be true afterwards.
    pub controls: Vec<Control>,
    /// Checks before anything goes live.
    pub gates: Vec<Gate>,
    /// Who must reach the node by new connections afterwards, and who must not.
    pub reach: Option<Box<Reach>>,
    /// What needs the operator's attention: shown in plan and report, exit code 3.
    pub warnings: Vec<String>,
    /// What the operator may want to know.
    pub notes: Vec<String>,
}

impl Proposal {
    /// The statements alone.
    pub fn into_controls(self) -> Vec<Control> {
        self.controls
    }

    /// Puts the changes into the order of their phases; within a phase they stay as they are. The places in controls are
    /// the new ones afterwards.
    pub fn sort_by_phase(&mut self) {
        let mut numbered: Vec<_> = std::mem::take(&mut self.changes).into_iter().enumerate().collect();
        numbered.sort_unstable_by_key(|(place, (phase, _))| (*phase, *place));
        for control in &mut self.controls {
            for place in &mut control.changes {
                *place = numbered.iter().position(|(before, _)| before == place).unwrap_or(*place);
            }
        }
        self.changes = numbered.into_iter().map(|(_, change)| change).collect();
    }
}

/// Order across areas: what can lock somebody out comes last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Where packages come from.
    Sources,
    /// Packages, in one call.
    Packages,
    /// Users, keys, sudo.
    Accounts,
    /// Configuration files.
    Files,
    /// Units started, stopped, enabled.
    Services,
    /// sshd reload, firewall.
    Exposure,
}

/// Why an area cannot do what is asked on this node: nothing is touched, exit code 2.
#[cfg_attr(test, derive(Debug))]
pub struct Refusal {
    /// The answer key it is about: `firstlight.firewall.management`.
    pub key: String,
    /// A sentence with the reason and what would be right.
    pub message: String,
}
