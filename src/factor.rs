//! The second factor of one user after the run: shown again, verified, replaced. What changes here is PVE's alone and is
//! safe at every moment (a new entry comes before an old one goes), so that no journal takes it back.

use crate::change::pve::{self, PveObject};
use crate::change::{PveChange, undo_pve};
use crate::error::{Error, Result};
use crate::facts::pve::{Access, Factor};
use crate::facts::{host_name, pmxcfs};
use crate::handover;
use crate::node::{Invocation, Node, read_text, run_checked};
use crate::profile::{Handover, Profile};
use crate::totp;
use crate::transaction::record::PveInverse;
use crate::transaction::state::{prepare, write_atomically};
use std::path::Path;

/// Ids of entries of which a code was seen.
const VERIFIED_PATH: &str = "/var/lib/firstlight/verified";
const NOT_YET: &str = ", not enrolled yet";
/// Of a heading: `recovery keys of root@pam`.
const RECOVERY_KEYS: &str = "recovery keys";

/// What is shown of a factor, once or again.
#[derive(Default)]
pub struct Shown {
    /// `TOTP of root@pam`.
    pub title: String,
    /// For the QR code.
    pub uri: String,
    /// To be typed in, in groups of four.
    pub secret: String,
    /// Lines to keep: recovery keys, a token.
    pub keys: Vec<String>,
}

impl Shown {
    /// A secret, to be scanned and to be typed in.
    pub fn of(title: String, issuer: &str, user: &str, secret: &str) -> Self {
        Self { title, uri: totp::uri(issuer, user, secret), secret: totp::grouped(secret), keys: Vec::new() }
    }
}

/// What `verify` found.
pub enum Verified {
    /// The code is right.
    Right,
    /// The code is right, and by it the factor counts from now on.
    Enrolled,
    /// It is not.
    Wrong,
}

/// Everything that was handed over and not acknowledged yet, a screen each: a TOTP entry with the recovery keys of its
/// user, a token.
pub fn pending(node: &dyn Node) -> Result<Vec<Shown>> {
    let sections = handover::pending(node)?;
    let mut shown: Vec<Shown> = Vec::new();
    for (title, body) in sections {
        let mut lines = body.lines();
        let of = title.strip_prefix(RECOVERY_KEYS).map(|of| format!("TOTP{of}"));
        if body.starts_with("otpauth:") {
            let (uri, secret) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
            shown.push(Shown { title, uri: uri.to_owned(), secret: secret.to_owned(), keys: Vec::new() });
        } else if let Some(totp) = shown.iter_mut().find(|shown| Some(&shown.title) == of.as_ref()) {
            totp.keys.extend(lines.map(str::to_owned));
        } else {
            shown.push(Shown { title, keys: lines.map(str::to_owned).collect(), ..Shown::default() });
        }
    }
    Ok(shown)
}

/// The user's factor for the screen, with the recovery keys that wait; the one of the second device before it, and tokens
/// that wait before both, as what comes last stays. One who has none gets a secret that counts once a code of it was seen.
pub fn show(node: &dyn Node, user: &str) -> Result<Vec<Shown>> {
    let access = access(node, user)?;
    let host = host_name(node);
    let mut all = Vec::new();
    for (factor, secret) in entries(&access, user) {
        let name = totp_of(user, factor.description == pve::description(true)).title();
        let title = format!("{name} ({})", if factor.last > 0 { "in use" } else { "not used yet" });
        all.push(Shown::of(title, &host, user, &secret));
    }
    if let Some(last) = all.last_mut() {
        let mut tokens = Vec::new();
        for waits in pending(node)?.into_iter().filter(|shown| handover::is_of(&shown.title, user)) {
            if waits.uri.is_empty() && !waits.title.starts_with(RECOVERY_KEYS) {
                tokens.push(waits);
            } else {
                last.keys.extend(waits.keys);
            }
        }
        // Beside a code there is no room for one.
        tokens.append(&mut all);
        return Ok(tokens);
    }
    offer(node, user, false)
}

/// A secret for the screen that counts once a code of it was seen; the same one again until then.
pub fn offer(node: &dyn Node, user: &str, second: bool) -> Result<Vec<Shown>> {
    let title = unenrolled(user, second);
    if waiting(node, &title)?.is_none() {
        let secret = totp::base32(&node.random(totp::SECRET_BYTES)?);
        let uri = totp::uri(&host_name(node), user, &secret);
        handover::add(node, Handover::Console, &title, &format!("{uri}\n{}", totp::grouped(&secret)))?;
    }
    let mut all = pending(node)?;
    all.retain(|shown| shown.title == title);
    Ok(all)
}

/// Users of the answer who have no TOTP entry yet, of those whom PVE knows.
pub fn open(node: &dyn Node, profile: &Profile) -> Result<Vec<String>> {
    if pmxcfs::state(node)? == pmxcfs::State::Absent {
        return Ok(Vec::new());
    }
    let access = Access::read(node)?;
    let mut users = Vec::new();
    for (user, second) in crate::areas::totp::devices(profile) {
        if !second && access.user(&user).is_some() && access.totp_count(&user) == 0 {
            users.push(user);
        }
    }
    Ok(users)
}

/// Looks whether the code is one of the user's factor, and remembers that. The caller holds the lock.
pub fn verify(node: &dyn Node, user: &str, code: &str) -> Result<Verified> {
    let access = access(node, user)?;
    let right = |secret: &str| is_right(node, secret, code);
    let ours = access.factors(user, "totp").filter(|factor| factor.enabled);
    for factor in ours {
        if totp::secret(&factor.uri).is_some_and(right) {
            remember(node, &factor.id)?;
            handover::seen(node, user)?;
            return Ok(Verified::Right);
        }
    }
    if access.totp_count(user) == 0 { enrol_with_code(node, user, false, code) } else { Ok(Verified::Wrong) }
}

/// Enrols what was offered, if the code is right. The caller holds the lock.
pub fn enrol_with_code(node: &dyn Node, user: &str, second: bool, code: &str) -> Result<Verified> {
    let title = unenrolled(user, second);
    let Some(secret) = waiting(node, &title)?.filter(|secret| is_right(node, secret, code)) else {
        return Ok(Verified::Wrong);
    };
    enrol(node, user, &secret, second)?;
    handover::remove(node, &title)?;
    let access = access(node, user)?;
    let ours = |factor: &&Factor| factor.description == pve::description(second);
    if let Some(factor) = access.factors(user, "totp").filter(ours).last() {
        remember(node, &factor.id)?;
    }
    Ok(Verified::Enrolled)
}

/// The heading of a secret that waits for its first code.
fn unenrolled(user: &str, second: bool) -> String {
    totp_of(user, second).title() + NOT_YET
}

fn is_right(node: &dyn Node, secret: &str, code: &str) -> bool {
    totp::from_base32(secret).is_some_and(|key| totp::is_right(&key, node.now(), code.trim()))
}

/// Gives the user a new secret and new recovery keys, takes the old ones away, and lifts the lock that eight wrong codes
/// have set. The caller holds the lock.
pub fn reset(node: &dyn Node, user: &str) -> Result<()> {
    let access = access(node, user)?;
    let secret = totp::base32(&node.random(totp::SECRET_BYTES)?);
    let old: Vec<String> = ["totp", "recovery"]
        .into_iter()
        .flat_map(|kind| access.factors(user, kind))
        .map(|factor| format!("/access/tfa/{user}/{}", factor.id))
        .collect();
    enrol_with(node, user, &secret, false)?;
    for path in old {
        run_checked(node, &Invocation::new(pve::PVESH, &["delete", &path]))?;
    }
    // Its entry has gone with the others.
    handover::remove(node, &totp_of(user, true).title())?;
    let keys = pve::make_recovery_keys(node, user)?;
    handover::add(node, Handover::Console, &recovery(user).title(), &keys)?;
    run_checked(node, &Invocation::new(pve::PVEUM, &["user", "tfa", "unlock", user]))?;
    crate::change::sync_pmxcfs(node)
}

/// Users with an entry of ours of which nobody has seen a code, neither PVE at a login nor we: `root@pam`, `root@pam,
/// second device`.
pub fn unverified(node: &dyn Node) -> Vec<String> {
    let verified = read_text(node, Path::new(VERIFIED_PATH)).ok().flatten().unwrap_or_default();
    let Ok(access) = Access::read(node) else { return Vec::new() };
    let open = |factor: &&Factor| {
        factor.enabled
            && factor.kind == "totp"
            && factor.last == 0
            && !verified.lines().any(|id| id == factor.id)
    };
    let name = |factor: &Factor| {
        let (ours, second) = rank(factor);
        let more = if second { ", second device" } else { "" };
        (ours || second).then(|| factor.user.clone() + more)
    };
    access.factors.iter().filter(open).filter_map(name).collect()
}

/// What was shown once on a console, and nobody has acknowledged by `totp verify`: recovery keys, tokens that PVE still has.
pub fn unacknowledged(node: &dyn Node) -> Vec<String> {
    let Ok(access) = Access::read(node) else { return Vec::new() };
    let mut shown = handover::unacknowledged(node).unwrap_or_default();
    shown.retain(|heading| match heading.rsplit_once(' ') {
        Some(("recovery keys of", user)) => access.factors(user, "recovery").next().is_some(),
        Some((_, token)) => access.tokens.iter().any(|known| known == token),
        None => false,
    });
    shown
}

fn enrol(node: &dyn Node, user: &str, secret: &str, second: bool) -> Result<()> {
    enrol_with(node, user, secret, second)?;
    if Access::read(node)?.factors(user, "recovery").next().is_none() {
        let keys = pve::make_recovery_keys(node, user)?;
        handover::add(node, Handover::Console, &recovery(user).title(), &keys)?;
    }
    crate::change::sync_pmxcfs(node)
}

/// Enrols, and wipes off the mark of an enrolment that failed.
fn enrol_with(node: &dyn Node, user: &str, secret: &str, second: bool) -> Result<()> {
    let change = PveChange { object: totp_of(user, second), handover: Handover::Console };
    let inverse: PveInverse = pve::inverse(node, &change)?;
    let issuer = host_name(node);
    if let Err(error) = pve::enrol(node, user, secret, &issuer, second) {
        undo_pve(node, &inverse)?;
        return Err(error);
    }
    let uri = totp::uri(&issuer, user, secret);
    let title = change.object.title();
    handover::add(node, Handover::Console, &title, &format!("{uri}\n{}", totp::grouped(secret)))
}

/// The secret of this title that waits for its first code.
fn waiting(node: &dyn Node, title: &str) -> Result<Option<String>> {
    let sections = handover::pending(node)?;
    let section = sections.iter().find(|(heading, _)| heading == title);
    Ok(section.and_then(|(_, body)| totp::secret(body.lines().next()?)).map(str::to_owned))
}

/// Who may log in, once it is certain that this is what PVE says.
fn access(node: &dyn Node, user: &str) -> Result<Access> {
    let doing = format!("looking at the factor of {user}");
    match pmxcfs::state(node)? {
        pmxcfs::State::Ready | pmxcfs::State::ReadOnly => {}
        pmxcfs::State::Absent => return Err(Error::new(doing, "this node has no PVE")),
        pmxcfs::State::Down => return Err(Error::new(doing, "pmxcfs is not mounted on /etc/pve")),
    }
    let access = Access::read(node)?;
    if access.user(user).is_none() {
        return Err(
            Error::new(doing, "PVE has no such user").hint("pveum user list; names have a realm: ops@pam")
        );
    }
    Ok(access)
}

/// The entries to show: ours, that of the second device first; else one that our codes are right for.
fn entries<'a>(access: &'a Access, user: &'a str) -> Vec<(&'a Factor, String)> {
    let mut entries: Vec<_> = access
        .factors(user, "totp")
        .filter(|factor| factor.enabled)
        .filter_map(|factor| Some((factor, totp::secret(&factor.uri)?.to_owned())))
        .collect();
    entries.sort_by_key(|(factor, _)| rank(factor));
    let ours = entries.iter().filter(|(factor, _)| rank(factor) != (false, false)).count();
    entries.split_off(entries.len().saturating_sub(ours.max(1)))
}

/// Whether an entry is ours, and whether it is ours for the second device: somebody else's come first in this order.
fn rank(factor: &Factor) -> (bool, bool) {
    (factor.description == pve::description(false), factor.description == pve::description(true))
}

/// A user's TOTP entry as PVE shall have it.
pub fn totp_of(user: &str, second: bool) -> PveObject {
    PveObject::Totp { user: user.to_owned(), issuer: String::new(), second, secret: String::new() }
}

fn recovery(user: &str) -> PveObject {
    PveObject::Recovery { user: user.to_owned() }
}

fn remember(node: &dyn Node, id: &str) -> Result<()> {
    prepare(node)?;
    let path = Path::new(VERIFIED_PATH);
    let text = read_text(node, path)?.unwrap_or_default();
    if text.lines().any(|line| line == id) {
        return Ok(());
    }
    write_atomically(node, path, format!("{text}{id}\n").as_bytes())
}

#[cfg(test)]
#[path = "factor/tests.rs"]
mod tests;
