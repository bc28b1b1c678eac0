//! `/access/ticket`: what the login page and `pvesh create /access/ticket` call.
//!
//! A ticket has the form of a real one. Its signature is an HMAC instead of RSA: nobody but the stand-in reads it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::Hmac;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::access::login::{self, Challenge, Refused};
use crate::access::permissions;
use crate::access::random;
use crate::access::totp::hmac;
use crate::access::user_config::UserConfig;
use crate::access::{encoding, names};
use crate::api::{Method, Returns, Verb};
use crate::cluster_files;
use crate::command_line::parameter::{Parameter, Parameters};
use crate::context::Context;
use crate::failure::Failure;

/// Where the real one has its RSA key.
const KEY: &str = "priv/authkey.key";
/// How long a ticket is good for, in seconds.
const LIFETIME: u64 = 2 * 60 * 60;

/// GET /access/ticket: a dummy whose schema has no properties.
pub static READ: Method =
    Method::new(Verb::Get, "/access/ticket", |_, _| Ok(Value::Null)).without_properties();
/// POST /access/ticket
pub static CREATE: Method = Method::new(Verb::Create, "/access/ticket", create)
    .parameters(&[
        Parameter::text("username").max_length(64),
        Parameter::text("realm").format(names::realm).max_length(32).optional(),
        Parameter::text("password"),
        Parameter::text("otp").optional(),
        Parameter::boolean("new-format").optional(),
        Parameter::text("tfa-challenge").optional(),
    ])
    .returns(Returns::Object);
/// `pveum ticket`: the password comes from stdin alone.
pub static COMMAND: Method = Method::new(Verb::Create, "", command)
    .parameters(&[Parameter::text("username").max_length(64), Parameter::text("password").optional()])
    .returns(Returns::Object);

fn create(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let realm = parameters.get("realm").map(|realm| format!("@{realm}")).unwrap_or_default();
    let user = format!("{}{realm}", parameters.text("username"));
    let answer = log_in(context, &user, parameters.text("password"), parameters.get("tfa-challenge"));
    answer.map_err(|refused| {
        for line in refused.log {
            context.warn(&format!("ERROR: {line}"));
        }
        Failure::die("401 authentication failure")
    })
}

fn command(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let input = context.read_input();
    let password = input.lines().next().ok_or_else(|| Failure::die("EOF while reading password"))?;
    let mut given = Parameters::default();
    given.set("username", parameters.text("username"));
    given.set("password", password);
    create(context, &given)
}

/// One step of a login: the answer of the API, or why it is refused.
///
/// The first step has a password and no challenge. If its answer has `NeedTFA`, its ticket is the challenge of the
/// second step, whose password is `totp:CODE` or `recovery:KEY`.
pub fn log_in(
    context: &Context,
    user: &str,
    password: &str,
    challenge: Option<&str>,
) -> Result<Value, Refused> {
    let challenge = match challenge {
        Some(ticket) => {
            let data = opened(context, ticket, Some(user)).filter(|data| data.starts_with("!tfa!"));
            data.ok_or_else(|| Refused::because("permission denied - invalid PVE ticket"))?;
            login::second(context, user, password)?;
            None
        }
        None => login::first(context, user, password)?,
    };
    let csrf = csrf_token(context, user);
    Ok(match challenge {
        Some(Challenge(text)) => json!({
            "CSRFPreventionToken": csrf,
            "NeedTFA": 1,
            "ticket": assemble(context, &format!("!tfa!{text}"), Some(user))?,
            "username": user,
        }),
        None => {
            let config = UserConfig::read(context)?;
            json!({
                "CSRFPreventionToken": csrf,
                "cap": permissions::of_the_api(&config, user),
                "ticket": assemble(context, user, None)?,
                "username": user,
            })
        }
    })
}

/// The user of a complete ticket, if it is good.
pub fn user(context: &Context, ticket: &str) -> Option<String> {
    opened(context, ticket, None).filter(|data| !data.starts_with('!'))
}

fn assemble(context: &Context, data: &str, secret_data: Option<&str>) -> Result<String, Failure> {
    let plain = format!("PVE:{}:{:08X}", data.replace(':', "%3A"), context.now());
    let signature = signature(context, &plain, secret_data)?;
    Ok(format!("{plain}::{signature}"))
}

fn opened(context: &Context, ticket: &str, secret_data: Option<&str>) -> Option<String> {
    let (plain, given) = ticket.rsplit_once("::")?;
    if signature(context, plain, secret_data).ok()? != given {
        return None;
    }
    let (data, time) = plain.strip_prefix("PVE:")?.rsplit_once(':')?;
    let made = u64::from_str_radix(time, 16).ok()?;
    let now = context.now();
    (now < made + LIFETIME && made < now + 300).then(|| encoding::decode(data))
}

/// As long as an RSA signature of 2048 bits.
fn signature(context: &Context, plain: &str, secret_data: Option<&str>) -> Result<String, Failure> {
    let key = key(context)?;
    let full = secret_data.map_or_else(|| plain.to_owned(), |data| format!("{plain}:{data}"));
    let bytes: Vec<u8> =
        (0..8).flat_map(|part| hmac::<Hmac<Sha256>>(&key, format!("{part}{full}").as_bytes())).collect();
    Ok(STANDARD.encode(bytes))
}

/// The key of all tickets, made at first use.
fn key(context: &Context) -> Result<Vec<u8>, Failure> {
    if let Some(key) = cluster_files::read(context, KEY)?.filter(|key| !key.is_empty()) {
        return Ok(key);
    }
    let key = random::hexadecimal(&random::bytes::<32>()?).into_bytes();
    cluster_files::write(context, KEY, &key)?;
    Ok(key)
}

fn csrf_token(context: &Context, user: &str) -> String {
    let key = key(context).unwrap_or_default();
    let time = format!("{:08X}", context.now());
    let hash = hmac::<Hmac<Sha256>>(&key, format!("{time}:{user}").as_bytes());
    format!("{time}:{}", STANDARD_NO_PAD.encode(hash))
}

/// True if this is a token that belongs to the user's ticket.
pub fn is_csrf_token(context: &Context, user: &str, token: &str) -> bool {
    let Some((time, hash)) = token.split_once(':') else { return false };
    let key = key(context).unwrap_or_default();
    STANDARD_NO_PAD.encode(hmac::<Hmac<Sha256>>(&key, format!("{time}:{user}").as_bytes())) == hash
}
