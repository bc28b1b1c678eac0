//! API tokens: `/access/users/{userid}/token`, and their values in `priv/token.cfg`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::access::names;
use crate::access::random;
use crate::access::user_config::{Token, UserConfig};
use crate::access::users::{USER, token_data};
use crate::api::{Method, Returns, Verb};
use crate::cluster_files;
use crate::command_line::parameter::{Parameter, Parameters};
use crate::command_line::table::Column;
use crate::context::Context;
use crate::failure::Failure;
use crate::locks;

const TOKEN: Parameter = Parameter::text("tokenid").pattern(names::REALM);
const EXPIRE: Parameter = Parameter::integer("expire").minimum(0).optional();
const PRIVSEP: Parameter = Parameter::boolean("privsep").optional();
const COMMENT: Parameter = Parameter::text("comment").optional();

static COLUMNS: [Column<'static>; 4] =
    [Column::text("tokenid"), Column::text("comment"), Column::number("expire"), Column::text("privsep")];

/// GET /access/users/{userid}/token
pub static LIST: Method = Method::new(Verb::Get, "/access/users/{userid}/token", list)
    .parameters(&[USER])
    .returns(Returns::List(&COLUMNS))
    .children("tokenid");
/// GET /access/users/{userid}/token/{tokenid}
pub static READ: Method = Method::new(Verb::Get, "/access/users/{userid}/token/{tokenid}", read)
    .parameters(&[USER, TOKEN])
    .returns(Returns::Object);
/// POST /access/users/{userid}/token/{tokenid}
pub static CREATE: Method = Method::new(Verb::Create, "/access/users/{userid}/token/{tokenid}", create)
    .parameters(&[USER, TOKEN, EXPIRE, PRIVSEP, COMMENT])
    .returns(Returns::Object);
/// PUT /access/users/{userid}/token/{tokenid}
pub static UPDATE: Method = Method::new(Verb::Set, "/access/users/{userid}/token/{tokenid}", update)
    .parameters(&[USER, TOKEN, EXPIRE, PRIVSEP, COMMENT])
    .returns(Returns::Object);
/// DELETE /access/users/{userid}/token/{tokenid}
pub static DELETE: Method =
    Method::new(Verb::Delete, "/access/users/{userid}/token/{tokenid}", delete).parameters(&[USER, TOKEN]);

fn list(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let config = UserConfig::read(context)?;
    let user = config.user(parameters.text("userid"))?;
    let rows = user.tokens.iter().map(|(name, token)| {
        let mut row = token_data(token);
        row.insert("tokenid".to_owned(), json!(name));
        Value::Object(row)
    });
    Ok(rows.collect())
}

fn read(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let config = UserConfig::read(context)?;
    let (user, name) = (parameters.text("userid"), parameters.text("tokenid"));
    let token = config.user(user)?.tokens.get(name).ok_or_else(|| no_such_token(user, name))?;
    Ok(Value::Object(token_data(token)))
}

fn create(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let (user, name) = (parameters.text("userid"), parameters.text("tokenid"));
    if UserConfig::read(context)?.user(user)?.tokens.contains_key(name) {
        return Err(Failure::parameter(255, "tokenid", "Token already exists."));
    }
    let full = format!("{user}!{name}");
    let value = UserConfig::change(context, "generating token failed", |config| {
        let owner = config.user_mut(user)?;
        let token = Token {
            privsep: parameters.flag("privsep").unwrap_or(true),
            expire: parameters.integer("expire").unwrap_or_default().unsigned_abs(),
            comment: parameters.get("comment").filter(|comment| !comment.is_empty()).map(str::to_owned),
        };
        owner.tokens.insert(name.to_owned(), token);
        let value = random::uuid()?;
        change_values(context, |values| {
            values.insert(full.clone(), value.clone());
        })?;
        Ok(value)
    })?;
    // What was given comes back as it was given: as text (transcript 20, item 58).
    let mut info = serde_json::Map::new();
    info.insert("privsep".to_owned(), parameters.get("privsep").map_or(json!(1), |given| json!(given)));
    for key in ["expire", "comment"] {
        if let Some(given) = parameters.get(key) {
            info.insert(key.to_owned(), json!(given));
        }
    }
    Ok(json!({ "full-tokenid": full, "info": info, "value": value }))
}

fn update(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let (user, name) = (parameters.text("userid"), parameters.text("tokenid"));
    UserConfig::change(context, "updating token info failed", |config| {
        let token = config.user_mut(user)?.tokens.get_mut(name).ok_or_else(|| no_such_token(user, name))?;
        if let Some(privsep) = parameters.flag("privsep") {
            token.privsep = privsep;
        }
        if let Some(expire) = parameters.integer("expire") {
            token.expire = expire.unsigned_abs();
        }
        if let Some(comment) = parameters.get("comment") {
            token.comment = Some(comment.to_owned()).filter(|comment| !comment.is_empty());
        }
        Ok(Value::Object(token_data(token)))
    })
}

fn delete(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let (user, name) = (parameters.text("userid"), parameters.text("tokenid"));
    UserConfig::change(context, "deleting token failed", |config| {
        config.user_mut(user)?.tokens.remove(name).ok_or_else(|| no_such_token(user, name))?;
        let full = format!("{user}!{name}");
        forget_in_acls(config, &full);
        change_values(context, |values| {
            values.remove(&full);
        })?;
        Ok(Value::Null)
    })
}

/// An ACL of a token that is gone is dropped when the file is read the next time; so it is never written.
pub fn forget_in_acls(config: &mut UserConfig, full: &str) {
    for acl in config.acls.values_mut() {
        acl.tokens.remove(full);
    }
}

/// The values of all tokens.
pub fn values(context: &Context) -> Result<BTreeMap<String, String>, Failure> {
    let content = cluster_files::read(context, "priv/token.cfg")?.unwrap_or_default();
    let text = String::from_utf8_lossy(&content).into_owned();
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs.map(|(token, value)| (token.to_owned(), value.trim().to_owned())).collect())
}

fn change_values(
    context: &Context,
    change: impl FnOnce(&mut BTreeMap<String, String>),
) -> Result<(), Failure> {
    let _lock = locks::take(context, "file-priv_token_cfg")?;
    let mut all = values(context)?;
    change(&mut all);
    let text: String = all.iter().map(|(token, value)| format!("{token} {value}\n")).collect();
    cluster_files::write(context, "priv/token.cfg", text.as_bytes())
}

fn no_such_token(user: &str, token: &str) -> Failure {
    Failure::die(format!("no such token '{token}' for user '{user}'"))
}
