//! `/access/tfa`, and what `pveum user tfa` does.

use serde_json::{Value, json};

use crate::access::failures;
use crate::access::random;
use crate::access::tfa_config::{Factors, Recovery, Secret, TfaConfig, TotpEntry};
use crate::access::totp::{Panic, Totp};
use crate::access::user_config::UserConfig;
use crate::access::users::USER;
use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::context::Context;
use crate::failure::Failure;
use crate::version::is_8;

const ID: Parameter = Parameter::text("id");
const DESCRIPTION: Parameter = Parameter::text("description").max_length(255).optional();
const PASSWORD: Parameter = Parameter::text("password").min_length(5).max_length(64).optional();
const TYPES: [&str; 5] = ["totp", "u2f", "webauthn", "recovery", "yubico"];

/// GET /access/tfa
pub static LIST: Method =
    Method::new(Verb::Get, "/access/tfa", list).returns(Returns::List(&[])).children("userid");
/// GET /access/tfa/{userid}
pub static LIST_USER: Method = Method::new(Verb::Get, "/access/tfa/{userid}", list_user)
    .parameters(&[USER])
    .returns(Returns::List(&[]))
    .children("id");
/// POST /access/tfa/{userid}
pub static CREATE: Method = Method::new(Verb::Create, "/access/tfa/{userid}", create)
    .parameters(&[
        USER,
        Parameter::one_of("type", &TYPES),
        DESCRIPTION,
        Parameter::text("totp").optional(),
        Parameter::text("value").optional(),
        Parameter::text("challenge").optional(),
        PASSWORD,
    ])
    .returns(Returns::Object);
/// GET /access/tfa/{userid}/{id}
pub static READ: Method = Method::new(Verb::Get, "/access/tfa/{userid}/{id}", read)
    .parameters(&[USER, ID])
    .returns(Returns::Object);
/// PUT /access/tfa/{userid}/{id}
pub static UPDATE: Method = Method::new(Verb::Set, "/access/tfa/{userid}/{id}", update).parameters(&[
    USER,
    ID,
    DESCRIPTION,
    Parameter::boolean("enable").optional(),
    PASSWORD,
]);
/// DELETE /access/tfa/{userid}/{id}
pub static DELETE: Method =
    Method::new(Verb::Delete, "/access/tfa/{userid}/{id}", delete).parameters(&[USER, ID, PASSWORD]);
/// PUT /access/users/{userid}/unlock-tfa
pub static UNLOCK: Method = Method::new(Verb::Set, "/access/users/{userid}/unlock-tfa", unlock)
    .parameters(&[USER])
    .returns(Returns::Scalar);
/// `pveum user tfa list`, which has no place in the API.
pub static COMMAND_LIST: Method =
    Method::new(Verb::Get, "", command_list).parameters(&[Parameter::text("userid").optional()]);
/// `pveum user tfa delete`, which has no place in the API.
pub static COMMAND_DELETE: Method =
    Method::new(Verb::Set, "", command_delete).parameters(&[USER, Parameter::text("id").optional()]);

fn list(context: &Context, _parameters: &Parameters) -> Result<Value, Failure> {
    let config = TfaConfig::read(context)?;
    let rows = config.users.iter().map(|(user, factors)| {
        let mut row = serde_json::Map::new();
        row.insert("entries".to_owned(), Value::Array(factors.rows()));
        row.insert("userid".to_owned(), json!(user));
        factors.insert_locks(&mut row, context.now());
        Value::Object(row)
    });
    Ok(rows.collect())
}

/// A user who does not exist has an empty list.
fn list_user(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let config = TfaConfig::read(context)?;
    Ok(Value::Array(config.users.get(parameters.text("userid")).map(Factors::rows).unwrap_or_default()))
}

fn read(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let id = parameters.text("id");
    let rows = list_user(context, parameters)?;
    let found = rows.as_array().into_iter().flatten().find(|row| row.get("id").is_some_and(|own| own == id));
    found.cloned().ok_or_else(|| {
        Failure::die(format!("404 No such tfa entry '{id}' at /usr/share/perl5/PVE/API2/TFA.pm line 192"))
    })
}

/// `keys` in user.cfg becomes `x` before anything is checked, and stays so if the check fails.
fn create(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let user = parameters.text("userid");
    UserConfig::read(context)?.user(user)?;
    TfaConfig::locked(context, || {
        let mut config = TfaConfig::read(context)?;
        mark(context, user, true)?;
        let answer = add(context, &mut config, user, parameters)?;
        config.write(context)?;
        Ok(answer)
    })
}

/// Says in user.cfg whether a user has second factors.
fn mark(context: &Context, user: &str, enabled: bool) -> Result<(), Failure> {
    UserConfig::change(context, "enabling TFA for the user failed", |config| {
        if let Some(user) = config.users.get_mut(user) {
            user.keys = enabled.then(|| "x".to_owned());
        }
        Ok(())
    })
}

fn add(
    context: &Context,
    config: &mut TfaConfig,
    user: &str,
    parameters: &Parameters,
) -> Result<Value, Failure> {
    match parameters.text("type") {
        "totp" => add_totp(context, config, user, parameters),
        "recovery" => add_recovery(context, config, user, parameters),
        kind => Err(refused(&format!("no {kind} configuration available"))),
    }
}

fn refused(text: &str) -> Failure {
    Failure::new(2, text)
}

/// Neither the code nor the secret is compared with what is there already: every call that passes adds an entry.
fn add_totp(
    context: &Context,
    config: &mut TfaConfig,
    user: &str,
    parameters: &Parameters,
) -> Result<Value, Failure> {
    if parameters.has("challenge") {
        return Err(refused("'challenge' parameter is invalid for 'totp' entries"));
    }
    let description =
        parameters.get("description").ok_or_else(|| refused("'description' is required for new entries"))?;
    let (Some(uri), Some(code)) = (parameters.get("totp"), parameters.get("value")) else {
        return Err(refused("'totp' type requires both 'totp' and 'value' parameters"));
    };
    let totp = Totp::read(uri).map_err(|text| refused(&text))?;
    match totp.verify(code, context.now()) {
        Ok(Some(_)) if !context.is_switched("wrong-code") => {}
        Ok(_) => return Err(refused("failed to verify TOTP challenge")),
        Err(Panic) => return Err(panicked()),
    }
    let entry = TotpEntry {
        id: random::uuid()?,
        description: description.to_owned(),
        created: context.now(),
        enable: true,
        entry: Secret { totp, last_count: None },
    };
    let answer = json!({ "id": entry.id });
    config.users.entry(user.to_owned()).or_default().totp.push(entry);
    Ok(answer)
}

fn panicked() -> Failure {
    let thread = format!("thread '<unnamed>' ({})", std::process::id());
    let lines = [
        String::new(),
        format!("{thread} panicked at proxmox-tfa/src/totp.rs:312:29:"),
        "attempt to divide by zero".to_owned(),
        "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace".to_owned(),
        "rust function panicked at /usr/share/perl5/PVE/API2/TFA.pm line 390.".to_owned(),
    ];
    refused(&lines.join("\n"))
}

fn add_recovery(
    context: &Context,
    config: &mut TfaConfig,
    user: &str,
    parameters: &Parameters,
) -> Result<Value, Failure> {
    if ["totp", "value", "challenge"].iter().any(|name| parameters.has(name)) {
        return Err(refused("generating recovery tokens does not allow additional parameters"));
    }
    let factors = config.users.entry(user.to_owned()).or_default();
    if factors.recovery.is_some() {
        return Err(refused("user already has recovery keys"));
    }
    let (recovery, keys) = Recovery::generate(context.now())?;
    factors.recovery = Some(recovery);
    Ok(json!({ "id": "recovery", "recovery": keys }))
}

/// Recovery keys cannot be changed (transcript 21, item 75).
fn update(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let (user, id) = (parameters.text("userid"), parameters.text("id"));
    UserConfig::read(context)?.user(user)?;
    TfaConfig::locked(context, || {
        let mut config = TfaConfig::read(context)?;
        let entries = config.users.get_mut(user).map(|factors| factors.totp.iter_mut());
        let entry = entries.into_iter().flatten().find(|entry| entry.id == id);
        let entry = entry.ok_or_else(|| Failure::die("no such entry"))?;
        if let Some(description) = parameters.get("description") {
            description.clone_into(&mut entry.description);
        }
        if let Some(enable) = parameters.flag("enable") {
            entry.enable = enable;
        }
        config.write(context)?;
        Ok(Value::Null)
    })
}

fn delete(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let (user, id) = (parameters.text("userid"), parameters.text("id"));
    UserConfig::read(context)?.user(user)?;
    let left = TfaConfig::locked(context, || {
        let mut config = TfaConfig::read(context)?;
        let left = config.delete(user, id)?;
        config.write(context)?;
        Ok(left)
    })?;
    if !left {
        mark(context, user, false)?;
    }
    Ok(Value::Null)
}

fn unlock(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let user = parameters.text("userid");
    TfaConfig::locked(context, || {
        let mut config = TfaConfig::read(context)?;
        failures::forget(context, user);
        let factors = config.users.get_mut(user).ok_or_else(|| refused("no such user"))?;
        let was_locked =
            factors.totp_locked || factors.tfa_locked_until.is_some_and(|until| until > context.now());
        factors.totp_locked = false;
        factors.tfa_locked_until = None;
        if was_locked {
            config.write(context)?;
        }
        Ok(json!(u8::from(was_locked)))
    })
}

/// The rows by user, or those of one user alone.
fn command_list(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    if parameters.has("userid") { list_user(context, parameters) } else { list(context, parameters) }
}

/// The text of `pveum user tfa list`: two lines for each entry, an empty one between.
pub fn list_text(value: &Value) -> String {
    let rows = value.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.iter().all(|row| row.get("entries").is_none()) {
        return entries_text(rows, "");
    }
    let users: Vec<String> = rows
        .iter()
        .map(|row| {
            let entries = row.get("entries").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let user = row.get("userid").and_then(Value::as_str).unwrap_or_default();
            format!("{user}:\n{}", entries_text(entries, "    "))
        })
        .collect();
    users.join("\n")
}

fn entries_text(rows: &[Value], indent: &str) -> String {
    let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let entries: Vec<String> = rows
        .iter()
        .map(|row| {
            let kind = format!("{}:", text(row, "type"));
            let (id, description) = (text(row, "id"), text(row, "description"));
            format!("{indent}{kind:<9} {id}\n{indent}    {description}\n")
        })
        .collect();
    entries.join("\n")
}

/// Without an id every factor goes, and `keys` with it, but on PVE 8 (pve-contract 2.4); nobody asks whether the user exists.
fn command_delete(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let user = parameters.text("userid");
    TfaConfig::locked(context, || {
        let mut config = TfaConfig::read(context)?;
        let left = match parameters.get("id") {
            Some(id) => config.delete(user, id)?,
            None => {
                config.remove_user(context, user);
                false
            }
        };
        if !left && !is_8(context) {
            UserConfig::change(context, "", |users| {
                if let Some(user) = users.users.get_mut(user) {
                    user.keys = None;
                }
                Ok(())
            })?;
        }
        config.write(context)?;
        Ok(Value::Null)
    })
}
