//! fail2ban (rows F1 to F4): two jails on the journal, which shut addresses out by a table of nftables of their own.
//! Whatever filters beside it, iptables-legacy too, comes after that table.

use super::firewall::tables::API_PORT;
use super::{Area, control, push, refusal};
use crate::change::{Change, FileChange, ReloadChange, UnitChange};
use crate::control::{Check, Gate, GateAsk, Phase, Proposal, Refusal};
use crate::facts::{Facts, networks};
use crate::gate::FAIL2BAN_PROGRAM;
use crate::profile::Profile;
use std::fmt::Write;
use std::path::PathBuf;

pub(super) const UNIT: &str = "fail2ban.service";
/// The last file wins (jail.conf(5)); this one comes after Debian's `defaults-debian.conf`.
const JAIL_PATH: &str = "/etc/fail2ban/jail.d/firstlight.conf";
/// A name of its own: fail2ban is about to bring a filter `proxmox`.
const FILTER_PATH: &str = "/etc/fail2ban/filter.d/firstlight-pve.conf";
const HEADER: &str = "# Written by firstlight; change the answer and run `firstlight apply`.\n";
/// The text of pvedaemon (pve-contract 5.1). What the client says comes after its address, so that nothing before that
/// address is the client's; fail2ban writes a line end inside of a message as two signs.
const FILTER: &str = "[Definition]\n\
    failregex = ^\\s*\\S+ pvedaemon\\[\\d+\\]: authentication failure; rhost=<ADDR> user=\n\
    journalmatch = _SYSTEMD_UNIT=pvedaemon.service\n";
/// Keys of an agent are tries, too.
const MORE_TRIES_FOR_KEYS: u32 = 2;
const PACKAGES: [&str; 3] = ["fail2ban", "nftables", "python3-systemd"];

pub(super) struct Fail2ban;

/// One jail, and what its server must say about it.
struct Jail {
    id: &'static str,
    requirement: &'static str,
    name: &'static str,
    filter: &'static str,
    /// The kernel's own fields of the journal: nobody else can write what is counted.
    journal: &'static str,
    /// What is in its filter once it is read.
    matches: &'static str,
    ports: String,
    tries: u32,
}

impl Area for Fail2ban {
    fn name(&self) -> &'static str {
        "fail2ban"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.fail2ban.enabled
    }

    fn propose(&self, profile: &Profile, facts: &Facts) -> Result<Proposal, Vec<Refusal>> {
        if let Some(missing) = PACKAGES.iter().find(|name| !facts.has_package(name))
            && !profile.packages.enabled
        {
            let message = format!("must be true: {missing} is not installed");
            return Err(vec![refusal("firstlight.packages.enabled", message)]);
        }
        let jails = jails(profile, facts);
        let never = never_banned(profile, facts);
        let mut staged = vec![(PathBuf::from(JAIL_PATH), text(profile, &jails, &never).into_bytes())];
        if facts.pve_version.is_some() {
            staged.push((FILTER_PATH.into(), format!("{HEADER}{FILTER}").into_bytes()));
        }
        let mut proposal = Proposal::default();
        let mut after = Vec::new();
        for (path, content) in staged.clone() {
            after.push(path.clone());
            let file = FileChange { path, content, mode: 0o644, owner: "root".to_owned(), public: true };
            proposal.changes.push((Phase::Files, Change::File(file)));
        }
        proposal.gates.push(Gate {
            id: "fail2ban.configuration",
            tool: FAIL2BAN_PROGRAM,
            ask: GateAsk::Fail2ban { staged },
        });
        // One that runs reads them again; one that has just been installed is started after that.
        let reload = ReloadChange { name: UNIT.to_owned(), after };
        proposal.changes.push((Phase::Services, Change::Reload(reload)));
        let change = UnitChange { name: UNIT.to_owned(), enabled: Some(true), active: Some(true) };
        let runs = Check::Unit { name: UNIT.to_owned(), enabled: Some(true), active: Some(true) };
        let runs = control("fail2ban.runs", "F3", format!("{UNIT} runs, now and after a reboot"), runs);
        push(&mut proposal, (Phase::Services, Change::Unit(change)), vec![runs]);
        let all: Vec<usize> = (0..proposal.changes.len()).collect();
        for jail in &jails {
            for (part, requirement, wanted, answers) in jail.answers(profile, &never) {
                let check = Check::Fail2banJail { jail: jail.name, answers };
                let mut control = control("", requirement, wanted, check);
                control.id = format!("fail2ban.{}{part}", jail.id).into();
                control.changes.clone_from(&all);
                proposal.controls.push(control);
            }
        }
        let kept = "sshd logs failed logins, and journald keeps them".to_owned();
        proposal.controls.push(control("fail2ban.journal", "F1", kept, Check::LoginsLogged));
        Ok(proposal)
    }
}

fn jails(profile: &Profile, facts: &Facts) -> Vec<Jail> {
    let ports = super::ssh_ports(profile, facts);
    let tries = profile.fail2ban.max_retry;
    let mut jails = vec![Jail {
        id: "sshd",
        requirement: "F1",
        name: "sshd",
        // Debian 12's filter knows `sshd` alone; OpenSSH logs from `sshd-session` since 9.8.
        filter: "sshd[mode=aggressive, publickey=any, _daemon=\"sshd(?:-session)?\"]",
        journal: "_UID=0 _COMM=sshd + _UID=0 _COMM=sshd-session",
        matches: "[aA]uthentication (?:failure|error|failed) for",
        ports,
        tries: tries + MORE_TRIES_FOR_KEYS,
    }];
    if facts.pve_version.is_some() {
        jails.push(Jail {
            id: "pve",
            requirement: "F2",
            name: "firstlight-pve",
            filter: "firstlight-pve",
            journal: "_SYSTEMD_UNIT=pvedaemon.service",
            matches: "authentication failure; rhost=",
            ports: API_PORT.to_string(),
            tries,
        });
    }
    jails
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

fn text(profile: &Profile, jails: &[Jail], never: &str) -> String {
    let (find, ban) = (profile.fail2ban.find_minutes * 60, profile.fail2ban.ban_minutes * 60);
    let mut text = HEADER.to_owned();
    for Jail { name, filter, journal, ports, tries, .. } in jails {
        // A name in a log is somebody else's word: no address is looked up for it.
        let _ = write!(
            text,
            "\n[{name}]\nenabled = true\nfilter = {filter}\nbackend = systemd\njournalmatch = {journal}\nusedns = no\n\
             banaction = nftables\nport = {ports}\nmaxretry = {tries}\nfindtime = {find}\nbantime = {ban}\n\
             ignoreip = {never}\n"
        );
    }
    text
}

impl Jail {
    /// What of it is looked at: part of the control's id, row, sentence, and what the server must answer.
    fn answers(&self, profile: &Profile, never: &str) -> [(&'static str, &'static str, String, String); 3] {
        let Self { journal, matches, ports, tries, .. } = self;
        let (find, ban) = (profile.fail2ban.find_minutes, profile.fail2ban.ban_minutes);
        let counts = format!("{tries} failures in {find} minutes shut an address out for {ban} minutes");
        let numbers = format!(
            "maxretry\t{tries}\nfindtime\t{}\nbantime\t{}\njournalmatch\t{journal}\nfailregex\t{matches}",
            find * 60,
            ban * 60
        );
        let action = format!(
            "actions\tnftables\naction nftables port\t{ports}\n\
             action nftables actionban\tnft add element inet f2b-table \naction nftables blocktype\treject"
        );
        [
            ("", self.requirement, counts, numbers),
            ("-bans", "F3", format!("who is banned reaches nothing on {ports}"), action),
            ("-never-bans", "F4", format!("nobody but {never} is spared"), format!("ignoreip\t{never}")),
        ]
    }
}

#[cfg(test)]
mod tests;
