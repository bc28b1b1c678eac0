//! Logging in, in two steps: the password, then a second factor if the user has one.
//!
//! As PVE::AccessControl and proxmox-tfa do it (contract 2.4, 2.5; transcripts 21 to 23).

use serde_json::json;

use crate::access::failures;
use crate::access::legacy;
use crate::access::names;
use crate::access::realm_config;
use crate::access::shadow;
use crate::access::tfa_config::{Factors, TfaConfig};
use crate::access::user_config::UserConfig;
use crate::context::Context;
use crate::failure::Failure;

/// Failed codes in a row until TOTP is locked.
const TOTP_LIMIT: u32 = 8;
/// Failures of any second factor in a row until the user is locked for a while.
const TFA_LIMIT: u32 = 100;
/// For how many seconds.
const TFA_LOCK: u64 = 3600;

/// A login that is refused. The caller is told `401 authentication failure` and no more; all this is for the log.
#[derive(Clone, Default)]
#[cfg_attr(any(test, debug_assertions), derive(Debug))]
pub struct Refused {
    /// What the library of second factors logs, one line each.
    pub log: Vec<String>,
    /// The `msg=` of `authentication failure; rhost=… user=… msg=…`.
    pub reason: String,
}

impl Refused {
    /// Refused for this reason, without a line of its own in the log.
    pub fn because(reason: impl Into<String>) -> Self {
        Self { log: Vec::new(), reason: reason.into() }
    }

    fn logged(line: String) -> Self {
        Self { log: vec![line], reason: "failed 2nd factor".to_owned() }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::because(failure.message())
    }
}

/// The second factors that may answer: the JSON that a ticket carries to the second step.
#[derive(Clone)]
pub struct Challenge(pub String);

/// First step. Without a challenge the user is logged in.
pub fn first(context: &Context, user: &str, password: &str) -> Result<Option<Challenge>, Refused> {
    check_enabled(context, user)?;
    shadow::check(context, user, password)?;
    let (tfa, required) = factors(context, user)?;
    if required.as_deref() == Some("yubico") {
        return Ok(Some(Challenge(json!({ "yubico": true }).to_string())));
    }
    match tfa.users.get(user).and_then(challenge) {
        Some(challenge) => Ok(Some(challenge)),
        // The lock-out: the realm asks for a factor that this user does not have.
        None if required.is_some() => Err(Refused::because("missing required 2nd keys")),
        None => Ok(None),
    }
}

/// Second step: `totp:CODE` or `recovery:KEY` in answer to a challenge.
pub fn second(context: &Context, user: &str, response: &str) -> Result<(), Refused> {
    check_enabled(context, user)?;
    if response.starts_with("recovery:") {
        TfaConfig::locked(context, || Ok(verify(context, user, response)))?
    } else {
        verify(context, user, response)
    }
}

/// The user must be there, enabled and not expired.
fn check_enabled(context: &Context, user: &str) -> Result<(), Refused> {
    let config = UserConfig::read(context)?;
    names::user_id(user).map_err(Refused::because)?;
    let known = config.user(user)?;
    if !known.enable {
        return Err(Refused::because(format!("user '{user}' is disabled")));
    }
    match known.expire {
        Some(expire) if expire > 0 && expire < context.now() => {
            Err(Refused::because(format!("user '{user}' access expired")))
        }
        _ => Ok(()),
    }
}

/// All factors, those from the old `keys` of this user among them, and what the realm requires.
fn factors(context: &Context, user: &str) -> Result<(TfaConfig, Option<String>), Refused> {
    let (_, realm) = names::split_user(user).unwrap_or_default();
    let realms = realm_config::read(context)?;
    let realm = realms
        .realm(realm)
        .ok_or_else(|| Refused::because(format!("auth domain '{realm}' does not exist")))?;
    let mut tfa = TfaConfig::read(context)?;
    let users = UserConfig::read(context)?;
    if let Some(keys) = users.users.get(user).and_then(|user| user.keys.as_deref()) {
        legacy::add_keys(context, &mut tfa, user, realm, keys)?;
    }
    Ok((tfa, realm.required_factor().map(str::to_owned)))
}

/// The challenge for these factors; None if there are none, or all are disabled.
fn challenge(factors: &Factors) -> Option<Challenge> {
    let mut parts = Vec::new();
    if factors.totp.iter().any(|entry| entry.enable) {
        parts.push("\"totp\":true".to_owned());
    }
    // Used-up keys still count: such a user is asked for what is no longer there.
    if let Some(recovery) = &factors.recovery {
        parts.push(format!("\"recovery\":{}", json!(recovery.left())));
    }
    (!parts.is_empty()).then(|| Challenge(format!("{{{}}}", parts.join(","))))
}

fn verify(context: &Context, user: &str, response: &str) -> Result<(), Refused> {
    let (mut config, required) = factors(context, user)?;
    let (kind, answer) = response.split_once(':').ok_or_else(|| Refused::because("bad otp response"))?;
    let required = required.map(|kind| if kind == "oath" { "totp".to_owned() } else { kind });
    if let Some(required) = required.filter(|required| kind != "recovery" && kind != required) {
        return Err(Refused::because(format!("realm requires {required} authentication")));
    }
    let Some(factors) = config.users.get_mut(user) else {
        return Err(Refused::logged(format!("no 2nd factor available for user '{user}'")));
    };
    if factors.tfa_locked_until.is_some_and(|until| context.now() < until) {
        return Err(Refused::logged(format!("refusing 2nd factor for user '{user}'")));
    }
    let outcome = match kind {
        "totp" if factors.totp_locked => {
            return Err(Refused::logged(format!("TOTP of user '{user}' is locked")));
        }
        "totp" => verify_totp(context, user, factors, answer),
        "recovery" => verify_recovery(context, user, factors, answer),
        _ => return Err(Refused::because("invalid tfa response")),
    };
    match outcome {
        Ok(()) => {
            let mut counts = failures::read(context, user);
            counts.tfa_failures = 0;
            failures::write(context, user, counts);
            Ok(config.write(context)?)
        }
        Err(text) => {
            let refused = count(context, user, kind, &text, factors);
            if refused.1 {
                config.write(context)?;
            }
            Err(refused.0)
        }
    }
}

/// The first entry whose code this is decides; a code of an old step is a failure like any other.
fn verify_totp(context: &Context, user: &str, factors: &mut Factors, code: &str) -> Result<(), String> {
    let mut counts = failures::read(context, user);
    for entry in factors.totp.iter_mut().filter(|entry| entry.enable) {
        let step = entry.entry.totp.verify(code, context.now()).map_err(|_| "attempt to divide by zero")?;
        let Some(step) = step else { continue };
        if entry.entry.last_count.is_some_and(|last| step <= last) {
            counts.totp_failures += 1;
            failures::write(context, user, counts);
            return Err("rejecting reused TOTP value".to_owned());
        }
        entry.entry.last_count = Some(step);
        counts.totp_failures = 0;
        failures::write(context, user, counts);
        return Ok(());
    }
    counts.totp_failures += 1;
    failures::write(context, user, counts);
    Err("totp verification failed".to_owned())
}

/// A key works once, and frees what was locked.
fn verify_recovery(context: &Context, user: &str, factors: &mut Factors, key: &str) -> Result<(), String> {
    if !factors.recovery.as_mut().is_some_and(|recovery| recovery.use_up(key)) {
        return Err("recovery verification failed".to_owned());
    }
    factors.totp_locked = false;
    factors.tfa_locked_until = None;
    let mut counts = failures::read(context, user);
    counts.totp_failures = 0;
    failures::write(context, user, counts);
    Ok(())
}

/// Counts a failure, and locks at the limit. Also says whether something was locked.
fn count(context: &Context, user: &str, kind: &str, text: &str, factors: &mut Factors) -> (Refused, bool) {
    let mut counts = failures::read(context, user);
    counts.tfa_failures += 1;
    failures::write(context, user, counts);
    let mut refused =
        Refused::logged(format!("error in 2nd factor authentication for user '{user}': {text}"));
    let totp = kind == "totp" && counts.totp_failures >= TOTP_LIMIT;
    let any = counts.tfa_failures >= TFA_LIMIT;
    if totp {
        factors.totp_locked = true;
        refused.reason = "failed 2nd factor: TOTP limit reached, locked".to_owned();
    }
    if any {
        factors.tfa_locked_until = Some(context.now() + TFA_LOCK);
        if !totp {
            refused.reason = "failed 1nd factor: TFA limit reached, user locked out".to_owned();
        }
    }
    (refused, totp || any)
}
