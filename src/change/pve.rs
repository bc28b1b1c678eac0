//! What PVE keeps about users: users, roles on paths, tokens, second factors, realms. Made and unmade by PVE's own tools,
//! under PVE's own locks; seen in PVE's files ([`Access`]).
//!
//! There is no path to restore: others use the same files at the same time, and `tfa.cfg` holds secrets that must not
//! come into our store. What takes a step back is what was not there before it, so that recovery needs no more than the
//! intent and what it sees, whatever became of the call (pve-observed 3.3, 3.4).

#[cfg(test)]
pub mod model;
mod undo;

use super::Need;
use crate::error::{Error, Result};
use crate::facts::pve::{Access, PveUser};
use crate::handover;
use crate::json::Value;
use crate::node::{Invocation, Node, run_checked};
use crate::plan::View;
use crate::profile::Handover;
use crate::totp;
use crate::transaction::record::PveInverse;

pub use undo::undo;

/// PVE's users.
pub const PVEUM: &str = "/usr/sbin/pveum";
/// PVE's whole API.
pub const PVESH: &str = "/usr/bin/pvesh";
/// A call takes a second or two; one that waits for a lock ten, for each of two.
const CALL_SECONDS: u64 = 120;
/// How our entries are called in PVE.
const DESCRIPTION: &str = "firstlight";
const SECOND: &str = "firstlight, second device";
/// What a plan says of a secret that it does not show.
const BAKED: &str = "the secret came with the answer, and was handed over when it was baked";
/// What a realm demands (contract 2.5): the only word for TOTP.
const DEMAND: &str = "type=oath";
/// In an inverse: the old field of keys was in use before.
const KEYS: &str = "keys";
/// In an inverse: it was there.
const THERE: &str = "there";

/// Something that PVE shall have.
#[derive(Clone)]
pub struct PveChange {
    /// What.
    pub object: PveObject,
    /// Where its secret goes, if it has one.
    pub handover: Handover,
}

/// A user, a permission, a factor.
#[derive(Clone)]
pub enum PveObject {
    /// A user that may log in.
    User {
        /// `ops@pam`.
        id: String,
        /// May be empty.
        comment: String,
    },
    /// A role on a path.
    Role {
        /// `ops@pam`.
        user: String,
        /// `Administrator`.
        role: String,
        /// `/`.
        path: String,
    },
    /// A privilege-separated API token.
    Token {
        /// `ops@pam`.
        user: String,
        /// `ansible`.
        name: String,
    },
    /// A TOTP entry that lets the user in; a `second` one beside it.
    Totp {
        /// `ops@pam`.
        user: String,
        /// In the label of the code.
        issuer: String,
        /// For another device.
        second: bool,
        /// In base32, if it came with the answer and was scanned already; else it is made here.
        secret: String,
    },
    /// Ten keys for the day that the device is lost.
    Recovery {
        /// `ops@pam`.
        user: String,
    },
    /// A realm that demands a second factor of everybody.
    Realm {
        /// `pam`.
        name: String,
    },
}

impl PveObject {
    /// Its name, for titles and messages.
    pub fn title(&self) -> String {
        match self {
            Self::User { id, .. } => format!("PVE user {id}"),
            Self::Role { user, role, path } => format!("PVE role {role} on {path} for {user}"),
            Self::Token { user, name } => format!("PVE API token {user}!{name}"),
            Self::Totp { user, second: false, .. } => format!("TOTP of {user}"),
            Self::Totp { user, second: true, .. } => format!("TOTP of {user}, second device"),
            Self::Recovery { user } => format!("recovery keys of {user}"),
            Self::Realm { name } => format!("PVE realm {name}: second factor for everybody"),
        }
    }

    /// Whether PVE has it.
    pub fn holds(&self, access: &Access) -> bool {
        match self {
            Self::User { id, .. } => access.user(id).is_some_and(PveUser::may_log_in),
            Self::Role { user, role, path } => {
                access.acls.iter().any(|[at, who, what]| (at, who, what) == (path, user, role))
            }
            Self::Token { user, name } => access.tokens.contains(&format!("{user}!{name}")),
            Self::Totp { user, second, .. } => access.totp_count(user) > usize::from(*second),
            Self::Recovery { user } => access.factors(user, "recovery").next().is_some(),
            Self::Realm { name } => access.demanded(name).is_some_and(|demand| demand.starts_with(DEMAND)),
        }
    }

    /// What decides the effect; no secret is among it.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![self.title()];
        if let Self::User { comment: more, .. } | Self::Totp { issuer: more, .. } = self {
            words.push(more.clone());
        }
        if matches!(self, Self::Totp { secret, .. } if !secret.is_empty()) {
            words.push(BAKED.to_owned());
        }
        words
    }
}

/// What is missing for it to be there.
pub fn need(node: &dyn Node, change: &PveChange) -> Result<Option<Need>> {
    if change.object.holds(&Access::read(node)?) {
        return Ok(None);
    }
    let lines = match &change.object {
        PveObject::Totp { secret, .. } if !secret.is_empty() => vec![BAKED.to_owned()],
        PveObject::Totp { .. } => vec!["the secret is made on the node, and handed over once".to_owned()],
        PveObject::Recovery { .. } | PveObject::Token { .. } => vec!["handed over once".to_owned()],
        _ => Vec::new(),
    };
    Ok(Some(Need { title: format!("{}: new", change.object.title()), view: View::Lines(lines) }))
}

/// What PVE says, once it is certain that it was PVE's files that were read: the plain directory below the mount is empty,
/// and whoever took that for what was there before would take away what is there.
fn seen(node: &dyn Node) -> Result<Access> {
    let access = Access::read(node)?;
    super::pmxcfs_mounted(node, "looking at users of PVE")?;
    Ok(access)
}

/// What was there before, so that what was not can be taken away.
pub fn inverse(node: &dyn Node, change: &PveChange) -> Result<PveInverse> {
    let access = seen(node)?;
    let of = |kind: &str, user: &str, name: &str, was: Vec<String>| PveInverse {
        kind: kind.to_owned(),
        title: change.object.title(),
        user: user.to_owned(),
        name: name.to_owned(),
        path: String::new(),
        was,
    };
    let there: Vec<String> = change.object.holds(&access).then(|| THERE.to_owned()).into_iter().collect();
    Ok(match &change.object {
        PveObject::User { id, .. } => {
            let state = access.user(id).map(|user| match user.may_log_in() {
                true => vec![THERE.to_owned()],
                // Who was there and could not log in: why.
                false => vec![u8::from(user.enabled).to_string(), user.expire.to_string()],
            });
            of("user", id, "", state.unwrap_or_default())
        }
        PveObject::Role { user, role, path } => {
            PveInverse { path: path.clone(), ..of("role", user, role, there) }
        }
        PveObject::Token { user, name } => of("token", user, name, there),
        PveObject::Recovery { user } => of("recovery", user, "", there),
        // Whatever was demanded before, as `make` replaces no other demand: that may hold a key.
        PveObject::Realm { name } => {
            of("realm", "", name, access.demanded(name).map(|_| THERE.to_owned()).into_iter().collect())
        }
        PveObject::Totp { user, second, .. } => {
            let mut was: Vec<String> = access.factors(user, "totp").map(|factor| factor.id.clone()).collect();
            if access.user(user).is_some_and(|user| !user.keys.is_empty()) {
                was.push(KEYS.to_owned());
            }
            of("totp", user, description(*second), was)
        }
    })
}

/// Makes it; what is secret about it goes to the hand-over.
pub fn make(node: &dyn Node, change: &PveChange) -> Result<()> {
    let heading = change.object.title();
    let access = seen(node)?;
    if change.object.holds(&access) {
        return Ok(());
    }
    match &change.object {
        PveObject::User { id, comment } => match access.user(id) {
            Some(user) => {
                // An end that is still to come is kept.
                let expire = if user.expired { 0 } else { user.expire }.to_string();
                pveum(node, &["user", "modify", id, "--enable", "1", "--expire", &expire])?;
            }
            None if comment.is_empty() => pveum(node, &["user", "add", id])?,
            None => pveum(node, &["user", "add", id, "--comment", comment])?,
        },
        PveObject::Role { user, role, path } => {
            pveum(node, &["acl", "modify", path, "--users", user, "--roles", role])?;
        }
        PveObject::Token { user, name } => {
            let arguments = ["user", "token", "add", user, name, "--privsep", "1", "--output-format", "json"];
            let said = json(node, &call(PVEUM, &arguments))?;
            let value = said.get("value").and_then(Value::text).unwrap_or_default();
            handover::add(node, change.handover, &heading, &format!("{user}!{name}={value}"))?;
        }
        PveObject::Totp { user, issuer, second, secret } if secret.is_empty() => {
            let secret = totp::base32(&node.random(totp::SECRET_BYTES)?);
            enrol(node, user, &secret, issuer, *second)?;
            handover::add(node, change.handover, &heading, &shown(change.handover, issuer, user, &secret))?;
        }
        PveObject::Totp { user, issuer, second, secret } => enrol(node, user, secret, issuer, *second)?,
        PveObject::Recovery { user } => {
            let keys = make_recovery_keys(node, user)?;
            handover::add(node, change.handover, &heading, &keys)?;
        }
        PveObject::Realm { name } => {
            safe_to_demand(&access, name)?;
            pveum(node, &["realm", "modify", name, "--tfa", DEMAND])?;
        }
    }
    super::sync_pmxcfs(node)
}

/// Enrols a secret with a code of this moment. PVE takes both on the command line alone: other processes of the node can
/// read them for the second that the call takes; no report of ours shows them.
pub fn enrol(node: &dyn Node, user: &str, secret: &str, issuer: &str, second: bool) -> Result<()> {
    let key = totp::from_base32(secret).unwrap_or_default();
    let path = format!("/access/tfa/{user}");
    let arguments =
        ["create", &path, "--type", "totp", "--description", description(second), "--output-format", "json"];
    let invocation = call(PVESH, &arguments);
    let invocation = hidden(invocation, "--totp", &totp::uri(issuer, user, secret));
    run_checked(node, &hidden(invocation, "--value", &totp::code(&key, node.now(), 0))).map(drop)
}

/// Makes ten keys; PVE shows them this once.
pub fn make_recovery_keys(node: &dyn Node, user: &str) -> Result<String> {
    let path = format!("/access/tfa/{user}");
    let said = json(node, &call(PVESH, &["create", &path, "--type", "recovery", "--output-format", "json"]))?;
    let keys = said.get("recovery").map(Value::list).unwrap_or_default();
    let keys: Vec<&str> = keys.iter().filter_map(Value::text).collect();
    if keys.is_empty() {
        return Err(Error::new(format!("making recovery keys of {user}"), "pvesh did not say which"));
    }
    Ok(keys.join("\n"))
}

/// A realm that demands a factor shuts out every user without one (contract 2.5): looked at once more.
fn safe_to_demand(access: &Access, realm: &str) -> Result<()> {
    if access.demanded(realm).is_some() {
        let doing = format!("demanding a second factor in the realm {realm}");
        return Err(Error::new(doing, "it demands another kind of factor by now"));
    }
    match access.without_factor(realm).first() {
        None if !access.factors_damaged => Ok(()),
        user => {
            let user = user.map_or("a user", |user| user.as_str());
            let because = format!("{user} has no second factor, and could not log in any more");
            Err(Error::new(format!("demanding a second factor in the realm {realm}"), because))
        }
    }
}

/// What the section of a TOTP entry says: the URI, the secret to type in, and in a file the code itself.
fn shown(to: Handover, issuer: &str, user: &str, secret: &str) -> String {
    let uri = totp::uri(issuer, user, secret);
    let text = format!("{uri}\n{}", totp::grouped(secret));
    match crate::qr::Code::of(uri.as_bytes()) {
        Some(code) if to == Handover::File => format!("{text}\n\n{}", code.half_blocks()),
        _ => text,
    }
}

/// How an entry of ours is called.
pub fn description(second: bool) -> &'static str {
    if second { SECOND } else { DESCRIPTION }
}

fn call(program: &str, arguments: &[&str]) -> Invocation {
    Invocation::new(program, arguments).limit(CALL_SECONDS)
}

fn hidden(mut invocation: Invocation, option: &str, value: &str) -> Invocation {
    invocation.arguments.push(option.to_owned());
    invocation.hide(value)
}

fn pveum(node: &dyn Node, arguments: &[&str]) -> Result<()> {
    run_checked(node, &call(PVEUM, arguments)).map(drop)
}

/// What a call says that must say something.
fn json(node: &dyn Node, invocation: &Invocation) -> Result<Value> {
    let output = run_checked(node, invocation)?;
    // What it says is secret, and is not shown.
    Value::read(&output.stdout)
        .ok_or_else(|| Error::new(format!("reading what {} said", invocation.line()), "it is no JSON"))
}

#[cfg(test)]
mod tests;
