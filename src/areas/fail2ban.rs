//! fail2ban (rows F1 to F4): two jails on the journal, which shut addresses out by a table of nftables of their own.
//! Whatever filters beside it, iptables-legacy too, comes after that table.

use super::firewall::tables::API_PORT;
use super::{Area, WRITTEN, control, push_file, push_unit, refusal};
use crate::change::{Change, ReloadChange};
use crate::control::{Check, Control, Gate, GateAsk, Phase, Proposal, Refusal};
use crate::facts::{Facts, networks};
use crate::gate::FAIL2BAN_PROGRAM;
use crate::profile::Profile;

pub(super) const UNIT: &str = "fail2ban.service";
/// The last file wins (jail.conf(5)); this one comes after Debian's `defaults-debian.conf`.
const JAIL_PATH: &str = "/etc/fail2ban/jail.d/firstlight.conf";
/// A name of its own: fail2ban is about to bring a filter `proxmox`.
const FILTER_PATH: &str = "/etc/fail2ban/filter.d/firstlight-pve.conf";
/// The text of pvedaemon (pve-contract 5.1). What the client says comes after its address, so that nothing before that
/// address is the client's; fail2ban writes a line end inside of a message as two signs.
const FILTER: &str = "[Definition]\n\
    failregex = ^\\s*\\S+ pvedaemon\\[\\d+\\]: authentication failure; rhost=<ADDR> user=\n\
    journalmatch = _SYSTEMD_UNIT=pvedaemon.service\n";
/// Keys of an agent are tries, too.
const MORE_TRIES_FOR_KEYS: u32 = 2;
const PACKAGES: [&str; 3] = ["fail2ban", "nftables", "python3-systemd"];

/// Name, part of the ids of its controls, row, filter; the kernel's own fields of the journal, so that nobody else can
/// write what is counted; what is in its filter once it is read.
const JAILS: [[&str; 6]; 2] = [
    [
        "sshd",
        "sshd",
        "F1",
        // Debian 12's filter knows `sshd` alone; OpenSSH logs from `sshd-session` since 9.8.
        "sshd[mode=aggressive, publickey=any, _daemon=\"sshd(?:-session)?\"]",
        "_UID=0 _COMM=sshd + _UID=0 _COMM=sshd-session",
        "[aA]uthentication (?:failure|error|failed) for",
    ],
    [
        "firstlight-pve",
        "pve",
        "F2",
        "firstlight-pve",
        "_SYSTEMD_UNIT=pvedaemon.service",
        "authentication failure; rhost=",
    ],
];
/// What else the server must say about each.
const ACTION: &str = "actionban = nft add element inet f2b-table \nblocktype = reject\nfailregex = ";

pub(super) struct Fail2ban;

impl Area for Fail2ban {
    fn name(&self) -> &'static str {
        "fail2ban"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.fail2ban.enabled
    }

    fn refused(&self, profile: &Profile, facts: &Facts) -> Vec<Refusal> {
        let missing = PACKAGES.iter().find(|name| !facts.has_package(name));
        let (Some(missing), false) = (missing, profile.packages.enabled) else { return Vec::new() };
        vec![refusal(
            "firstlight.packages.enabled",
            ["must be true: ", missing, " is not installed"].concat(),
        )]
    }

    fn described(&self, profile: &Profile, facts: &Facts) -> Proposal {
        let (mut proposal, mut controls) = (Proposal::default(), Vec::new());
        let mut text = WRITTEN.to_owned();
        let mut staged = Vec::new();
        for jail in JAILS.iter().take(1 + usize::from(facts.pve_version.is_some())) {
            text.push_str(&section(jail, profile, facts, &mut controls));
        }
        staged.push((JAIL_PATH, text));
        if facts.pve_version.is_some() {
            staged.push((FILTER_PATH, [WRITTEN, FILTER].concat()));
        }
        let after = staged.iter().map(|(path, _)| path.into()).collect();
        let ask = GateAsk::Fail2ban {
            staged: staged.iter().map(|(path, text)| (path.into(), text.clone().into_bytes())).collect(),
        };
        proposal.gates.push(Gate { id: "fail2ban.configuration", tool: FAIL2BAN_PROGRAM, ask });
        for (path, text) in staged {
            push_file(&mut proposal, path, text, Vec::new());
        }
        // One that runs reads them again; one that has just been installed is started after that.
        let reload = ReloadChange { name: UNIT.to_owned(), after };
        proposal.changes.push((Phase::Services, Change::Reload(reload)));
        push_unit(&mut proposal, ("fail2ban.runs", "F3"), UNIT, true);
        for mut control in controls {
            control.changes.extend(0..proposal.changes.len());
            proposal.controls.push(control);
        }
        proposal
    }
}

/// The jail's part of the file, and what of it is looked at.
fn section(
    jail: &[&'static str; 6],
    profile: &Profile,
    facts: &Facts,
    controls: &mut Vec<Control>,
) -> String {
    let &[name, id, row, filter, journal, matches] = jail;
    let (mut tries, mut ports) = (profile.fail2ban.max_retry, API_PORT.to_string());
    if row == "F1" {
        tries += MORE_TRIES_FOR_KEYS;
        ports = super::ssh_ports(profile, facts);
    }
    let (find, ban) = (profile.fail2ban.find_minutes, profile.fail2ban.ban_minutes);
    let never = never_banned(profile, facts);
    let numbers = format!("\nmaxretry = {tries}\nfindtime = {}\nbantime = {}\n", find * 60, ban * 60);
    // A name in a log is somebody else's word: no address is looked up for it.
    let text = [
        "\n[",
        name,
        "]\nenabled = true\nfilter = ",
        filter,
        "\nbackend = systemd\njournalmatch = ",
        journal,
        "\nusedns = no\nbanaction = nftables\nport = ",
        &ports,
        &numbers,
        "ignoreip = ",
        &never,
        "\n",
    ]
    .concat();
    let looks: [(&str, &'static str, &'static str, [&str; 3]); 3] = [
        (
            "",
            row,
            "maxretry findtime bantime journalmatch failregex",
            ["bad logins are counted from ", journal, ""],
        ),
        (
            "-bans",
            "F3",
            "banaction port actionban blocktype",
            ["who is banned reaches nothing on ", &ports, ""],
        ),
        ("-never-bans", "F4", "ignoreip", ["nobody but ", &never, " is spared"]),
    ];
    for (part, row, keys, sentence) in looks {
        let wanted = [&text, ACTION, matches].concat();
        let check = Check::Fail2banJail { jail: name, keys, wanted };
        let mut control = control("", row, sentence.concat(), check);
        control.id = ["fail2ban.", id, part].concat().into();
        controls.push(control);
    }
    text
}

/// Loopback, the other nodes of the cluster, and whoever the answer names (row F4).
fn never_banned(profile: &Profile, facts: &Facts) -> String {
    let mut list = "127.0.0.0/8 ::1".to_owned();
    let members = facts.member_addresses.iter().map(ToString::to_string);
    for address in members.chain(profile.fail2ban.never_ban.iter().map(networks::short)) {
        if !list.split(' ').any(|known| known == address) {
            list.push(' ');
            list.push_str(&address);
        }
    }
    list
}

#[cfg(test)]
mod tests;
