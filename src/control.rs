//! One statement about the node: what is wanted, how it is seen in effective state, which changes bring it about.
//!
//! Plan, probe and audit are readings of the same controls; there is no second list of expectations.

use crate::change::{Change, PveObject};
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
        /// `SHA256:…`.
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
    /// The kernel's own rules (iptables-save, ip6tables-save) decide so about what these words of a `ufw` call say.
    UfwRule(Vec<String>),
    /// No rule in UFW's chains accepts one of these TCP ports from beyond these networks.
    UfwNothingWider {
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
    /// `/proc/sys` shows this value; a setting that the kernel does not have holds.
    Kernel {
        /// Dotted name.
        name: String,
        /// As `/proc/sys` shows it.
        value: String,
    },
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
    /// A file whose presence and mode are the state itself.
    FileMode {
        /// The path.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
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
    /// `pve-firewall compile` has nothing to say about the files as they are.
    PveFirewall,
    /// `ufw --dry-run` accepts every rule.
    UfwRules(Vec<Vec<String>>),
    /// systemd says that the clock is synchronised; waited for, so many seconds.
    Clock(u32),
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
