//! The areas, one subject each: from Profile and Facts to what is wanted. They never write, run or print.

mod admin;
mod apparmor;
mod audit;
#[cfg(test)]
pub(crate) mod example;
mod fail2ban;
mod files;
pub mod firewall;
mod kernel;
mod packages;
mod repositories;
mod services;
mod ssh;
pub mod totp;
mod updates;

use crate::change::{Change, FileChange, PveChange, PveObject, UnitChange};
use crate::control::{Check, Control, Phase, Proposal, Refusal};
use crate::facts::Facts;
use crate::profile::{KeyPair, Profile};
use crate::reach::Reach;
use std::net::IpAddr;

pub use admin::{SUDO_GROUP, UIDS_OF_PEOPLE};
pub use audit::TIMER as AUDIT_TIMER;
pub use ssh::shut_out;

/// The first line of a file of ours.
const WRITTEN: &str = "# Written by firstlight; change the answer and run `firstlight apply`.\n";

/// One subject of the hardening.
pub trait Area {
    /// The name of its table in the answer: `ssh`.
    fn name(&self) -> &'static str;
    /// Whether the answer wants it.
    fn enabled(&self, profile: &Profile) -> bool;
    /// Why it cannot be brought about on this node: all reasons at once.
    fn refused(&self, _profile: &Profile, _facts: &Facts) -> Vec<Refusal> {
        Vec::new()
    }
    /// What shall be true on this node, whether it is refused or not; pure.
    fn described(&self, profile: &Profile, facts: &Facts) -> Proposal;
    /// What the audit looks at: the statements of `described`, and those that no change brings about, so that a
    /// transaction has no reason to wait for them.
    fn audited(&self, profile: &Profile, facts: &Facts) -> Vec<Control> {
        self.described(profile, facts).into_controls()
    }
}

/// Every area that this version builds; the one place to register one.
pub const AREAS: &[&dyn Area] = &[
    &repositories::Repositories,
    &packages::Packages,
    &updates::Updates,
    &admin::Admin,
    &totp::Totp,
    &ssh::Ssh,
    &fail2ban::Fail2ban,
    &kernel::Kernel,
    &services::Services,
    &apparmor::AppArmor,
    &files::Files,
    &firewall::Firewall,
    &audit::Audit,
];

/// What all enabled areas want together: changes in the order of their phases, within a phase in the order of
/// the areas. The places in controls are those of the merged list. All refusals of all areas at once.
pub fn propose_all(profile: &Profile, facts: &Facts) -> Result<Proposal, Vec<Refusal>> {
    let (mut merged, mut refusals) = (Proposal::default(), Vec::new());
    for area in AREAS.iter().filter(|area| area.enabled(profile)) {
        let mut reasons = area.refused(profile, facts);
        if reasons.is_empty() {
            append(&mut merged, area.described(profile, facts));
        }
        refusals.append(&mut reasons);
    }
    refusals.extend(refused_together(profile, facts));
    refusals.extend(written_twice(&merged));
    if !refusals.is_empty() {
        return Err(refusals);
    }
    merged.notes.extend(left_alone(profile, facts));
    merged.sort_by_phase();
    Ok(merged)
}

/// What the audit looks at on this node, and what would be refused: that stops no audit.
pub fn audited(profile: &Profile, facts: &Facts) -> (Vec<Control>, Vec<Refusal>) {
    let (mut controls, mut refusals) = (Vec::new(), Vec::new());
    for area in AREAS.iter().filter(|area| area.enabled(profile)) {
        controls.append(&mut area.audited(profile, facts));
        refusals.append(&mut area.refused(profile, facts));
    }
    refusals.append(&mut refused_together(profile, facts));
    (controls, refusals)
}

fn append(merged: &mut Proposal, mut proposal: Proposal) {
    let shift = merged.changes.len();
    for control in &mut proposal.controls {
        control.changes.iter_mut().for_each(|place| *place += shift);
    }
    merged.changes.append(&mut proposal.changes);
    merged.controls.append(&mut proposal.controls);
    merged.gates.append(&mut proposal.gates);
    // Whoever comes later knows more: the firewall comes after SSH.
    merged.reach = proposal.reach.or(merged.reach.take());
    merged.warnings.append(&mut proposal.warnings);
    merged.notes.append(&mut proposal.notes);
}

/// A file of the answer that one of the areas writes.
fn written_twice(merged: &Proposal) -> Option<Refusal> {
    let files = || {
        merged.changes.iter().filter_map(|(_, change)| match change {
            Change::File(file) => Some(&file.path),
            _ => None,
        })
    };
    let twice =
        files().enumerate().find(|(place, path)| files().take(*place).any(|before| before == *path))?;
    Some(refusal(
        "firstlight.file",
        ["must leave ", &twice.1.to_string_lossy(), " to firstlight, which writes it"].concat(),
    ))
}

/// Refusals that need more than one table (design 4).
fn refused_together(profile: &Profile, facts: &Facts) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let name = profile.admin.name.as_str();
    let known = facts.user(name);
    if !profile.admin.enabled && profile.ssh.enabled && known.is_none() {
        refusals.push(refusal(
            "firstlight.admin.enabled",
            format!(
                "must be true: {name} has no account on this node, and AllowUsers would let only root in"
            ),
        ));
    }
    let makes_one = profile.admin.ssh_key_pair == KeyPair::Node;
    let has_keys = (makes_one || !profile.admin.ssh_keys.is_empty()) && profile.admin.enabled;
    if profile.ssh.enabled
        && !profile.ssh.password_login
        && !has_keys
        && !known.is_some_and(|user| user.has_keys)
    {
        refusals.push(refusal(
            "firstlight.admin.ssh-keys",
            format!("must hold a key: password login is off, and {name} has no key on this node"),
        ));
    }
    refusals
}

/// What the answer has and this node has no place for.
fn left_alone(profile: &Profile, facts: &Facts) -> Option<String> {
    let token = facts.pve_version.is_none() && profile.admin.enabled && !profile.admin.api_token.is_empty();
    token.then(|| "left alone: the API token, as this is no node of PVE".to_owned())
}

/// The admin logs in by SSH from wherever nothing is known to be shut out.
fn reach(profile: &Profile, facts: &Facts) -> Reach {
    let effective = facts.sshd_values("port").first().and_then(|port| port.parse().ok());
    let wanted = profile.ssh.port.number();
    Reach {
        user: profile.admin.name.as_str().to_owned(),
        ssh: if profile.ssh.enabled { wanted } else { effective.unwrap_or(wanted) },
        ports: Vec::new(),
        management: Vec::new(),
        open: None,
        own: facts.addresses.clone(),
        listens: facts
            .addresses
            .iter()
            .map(|(own, _)| *own)
            .filter(|own| sshd_listens(facts, *own))
            .collect(),
        gateways: facts.gateways.clone(),
    }
}

/// Whether sshd listens on this address: `listenaddress 0.0.0.0:22`, `[::]:22`. It is not ours to change; unknown
/// counts as yes.
fn sshd_listens(facts: &Facts, own: IpAddr) -> bool {
    let listed = facts.sshd_values("listenaddress");
    let address = |text: &str| -> Option<IpAddr> {
        text.rsplit_once(':')?.0.trim_start_matches('[').trim_end_matches(']').parse().ok()
    };
    let fits = |listed: IpAddr| listed == own || listed.is_unspecified() && listed.is_ipv4() == own.is_ipv4();
    listed.is_empty() || listed.iter().any(|text| address(text).is_none_or(fits))
}

/// A file that everybody may read, in the phase of files.
fn push_file(proposal: &mut Proposal, path: &str, content: String, controls: Vec<Control>) {
    let (path, content, owner) = (path.into(), content.into_bytes(), "root".to_owned());
    let file = FileChange { path, content, mode: 0o644, owner, public: true };
    push(proposal, (Phase::Files, Change::File(file)), controls);
}

/// A unit, and the control that looks for the same.
fn push_unit(proposal: &mut Proposal, row: (&'static str, &'static str), name: &str, runs: bool) {
    let (enabled, active) = (Some(runs), Some(runs));
    let wanted = [name, if runs { " runs" } else { " does not run" }, ", now and after a boot"].concat();
    let check = Check::Unit { name: name.to_owned(), enabled, active };
    let change = Change::Unit(UnitChange { name: name.to_owned(), enabled, active });
    push(proposal, (Phase::Services, change), vec![control(row.0, row.1, wanted, check)]);
}

/// A refusal; `message` goes on after the key: `must …` or a whole sentence.
fn refusal(key: &str, message: String) -> Refusal {
    Refusal { key: key.to_owned(), message }
}

/// Adds a change and the controls that it brings about.
fn push(proposal: &mut Proposal, change: (Phase, Change), controls: Vec<Control>) {
    let place = proposal.changes.len();
    proposal.changes.push(change);
    proposal.controls.extend(controls.into_iter().map(|mut control| {
        control.changes.push(place);
        control
    }));
}

/// Where SSH is after the run, with commas between.
fn ssh_ports(profile: &Profile, facts: &Facts) -> String {
    let effective = facts.sshd_values("port").join(",");
    if profile.ssh.enabled || effective.is_empty() {
        profile.ssh.port.number().to_string()
    } else {
        effective
    }
}

/// Something that PVE shall have, and the control that looks for it.
fn push_pve(
    proposal: &mut Proposal,
    profile: &Profile,
    phase: Phase,
    (id, requirement): (String, &'static str),
    object: PveObject,
) {
    let check = Check::Pve(object.clone());
    let control = Control { id: id.into(), requirement, wanted: object.title(), check, changes: Vec::new() };
    let change = Change::Pve(PveChange { object, handover: profile.handover });
    push(proposal, (phase, change), vec![control]);
}

/// A statement that no change of this run brings about.
#[inline(never)]
fn also(controls: &mut Vec<Control>, id: &[&str], requirement: &'static str, wanted: &[&str], check: Check) {
    let (id, wanted) = (id.concat().into(), wanted.concat());
    controls.push(Control { id, requirement, wanted, check, changes: Vec::new() });
}

/// A control with a fixed id.
fn control(id: &'static str, requirement: &'static str, wanted: String, check: Check) -> Control {
    Control { id: id.into(), requirement, wanted, check, changes: Vec::new() }
}

#[cfg(test)]
mod tests;
