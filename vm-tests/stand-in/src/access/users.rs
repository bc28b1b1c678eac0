//! `/access/users`.

use serde_json::{Map, Value, json};

use crate::access::names;
use crate::access::shadow;
use crate::access::tfa_config::TfaConfig;
use crate::access::user_config::{Token, User, UserConfig};
use crate::access::{realm_config, tokens};
use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::command_line::table::Column;
use crate::context::Context;
use crate::failure::Failure;

/// The user id as every method of the API takes it.
pub const USER: Parameter = Parameter::text("userid").format(names::user_id).max_length(64);
const ENABLE: Parameter = Parameter::boolean("enable").optional();
const EXPIRE: Parameter = Parameter::integer("expire").minimum(0).optional();
const FIRST_NAME: Parameter = Parameter::text("firstname").max_length(1024).optional();
const LAST_NAME: Parameter = Parameter::text("lastname").max_length(1024).optional();
const EMAIL: Parameter = Parameter::text("email").format(names::email).max_length(254).optional();
const COMMENT: Parameter = Parameter::text("comment").max_length(2048).optional();
const KEYS: Parameter = Parameter::text("keys").pattern("[0-9a-zA-Z!=]{0,4096}").optional();
const GROUPS: Parameter = Parameter::list("groups").format(names::groups).optional();
const PASSWORD: Parameter = Parameter::text("password").min_length(8).max_length(64).optional();

static COLUMNS: [Column<'static>; 13] = [
    Column::text("userid").width(64),
    Column::text("comment").width(2048),
    Column::text("email").width(254),
    Column::text("enable"),
    Column::number("expire"),
    Column::text("firstname").width(1024),
    Column::text("groups"),
    Column::text("keys"),
    Column::text("lastname").width(1024),
    Column::text("realm-type"),
    Column::number("tfa-locked-until"),
    Column::text("tokens"),
    Column::text("totp-locked"),
];

/// GET /access/users
pub static LIST: Method = Method::new(Verb::Get, "/access/users", list)
    .parameters(&[Parameter::boolean("enabled").optional(), Parameter::boolean("full").optional()])
    .returns(Returns::List(&COLUMNS))
    .children("userid");
/// POST /access/users
pub static CREATE: Method = Method::new(Verb::Create, "/access/users", create)
    .parameters(&[USER, ENABLE, EXPIRE, FIRST_NAME, LAST_NAME, EMAIL, COMMENT, KEYS, PASSWORD, GROUPS]);
/// GET /access/users/{userid}
pub static READ: Method =
    Method::new(Verb::Get, "/access/users/{userid}", read).parameters(&[USER]).returns(Returns::Object);
/// PUT /access/users/{userid}
pub static UPDATE: Method = Method::new(Verb::Set, "/access/users/{userid}", update).parameters(&[
    USER,
    ENABLE,
    EXPIRE,
    FIRST_NAME,
    LAST_NAME,
    EMAIL,
    COMMENT,
    KEYS,
    GROUPS,
    Parameter::boolean("append").optional(),
]);
/// DELETE /access/users/{userid}
pub static DELETE: Method = Method::new(Verb::Delete, "/access/users/{userid}", delete).parameters(&[USER]);

fn list(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let config = UserConfig::read(context)?;
    let realms = realm_config::read(context)?;
    let tfa = TfaConfig::read(context)?;
    let full = parameters.flag("full") == Some(true);
    let wanted = parameters.flag("enabled");
    let mut rows = Vec::new();
    for (id, user) in
        config.users.iter().filter(|(_, user)| wanted.is_none_or(|wanted| wanted == user.enable))
    {
        let mut row = data(user);
        if full {
            row.insert("groups".to_owned(), json!(config.groups_of(id).join(",")));
            row.insert("tokens".to_owned(), token_list(user));
        }
        let realm = names::split_user(id).map(|(_, realm)| realm).unwrap_or_default();
        if let Some(realm) = realms.realm(realm) {
            row.insert("realm-type".to_owned(), json!(realm.kind));
        }
        row.insert("userid".to_owned(), json!(id));
        if let Some(factors) = tfa.users.get(id) {
            factors.insert_locks(&mut row, context.now());
        }
        rows.push(Value::Object(row));
    }
    Ok(Value::Array(rows))
}

/// What every answer about a user has: the fields that are set.
fn data(user: &User) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("enable".to_owned(), json!(u8::from(user.enable)));
    if let Some(expire) = user.expire {
        row.insert("expire".to_owned(), json!(expire));
    }
    let texts = [
        ("firstname", &user.first_name),
        ("lastname", &user.last_name),
        ("email", &user.email),
        ("comment", &user.comment),
        ("keys", &user.keys),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            row.insert(name.to_owned(), json!(text));
        }
    }
    row
}

fn token_list(user: &User) -> Value {
    if user.tokens.is_empty() {
        return Value::Null;
    }
    let rows = user.tokens.iter().map(|(name, token)| {
        let mut row = token_data(token);
        row.insert("tokenid".to_owned(), json!(name));
        Value::Object(row)
    });
    rows.collect()
}

/// What an answer says about a token.
pub fn token_data(token: &Token) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("expire".to_owned(), json!(token.expire));
    row.insert("privsep".to_owned(), json!(u8::from(token.privsep)));
    if let Some(comment) = &token.comment {
        row.insert("comment".to_owned(), json!(comment));
    }
    row
}

fn read(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let config = UserConfig::read(context)?;
    let id = parameters.text("userid");
    let user = config.user(id)?;
    let mut row = data(user);
    row.insert("groups".to_owned(), json!(config.groups_of(id)));
    let tokens: Map<String, Value> =
        user.tokens.iter().map(|(name, token)| (name.clone(), Value::Object(token_data(token)))).collect();
    row.insert("tokens".to_owned(), if tokens.is_empty() { Value::Null } else { Value::Object(tokens) });
    Ok(Value::Object(row))
}

fn create(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let id = parameters.text("userid");
    UserConfig::change(context, "create user failed", |config| {
        if config.users.contains_key(id) {
            return Err(Failure::new(2, format!("user '{id}' already exists")));
        }
        if let Some(password) = parameters.get("password") {
            shadow::set_password(context, id, password)?;
        }
        let user = User { enable: parameters.flag("enable").unwrap_or(true), ..User::default() };
        config.users.insert(id.to_owned(), user);
        join_groups(config, id, parameters)?;
        set_fields(config.user_mut(id)?, parameters);
        Ok(Value::Null)
    })
}

fn update(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let id = parameters.text("userid");
    if parameters.has("append") && !parameters.has("groups") {
        return Err(Failure::parameter(255, "groups", "missing property required by 'append'"));
    }
    UserConfig::change(context, "update user failed", |config| {
        config.user(id)?;
        if parameters.flag("append") != Some(true) && parameters.has("groups") {
            config.leave_groups(id);
        }
        join_groups(config, id, parameters)?;
        let user = config.user_mut(id)?;
        if let Some(enable) = parameters.flag("enable") {
            user.enable = enable;
        }
        set_fields(user, parameters);
        Ok(Value::Null)
    })
}

fn join_groups(config: &mut UserConfig, id: &str, parameters: &Parameters) -> Result<(), Failure> {
    for name in parameters.entries("groups") {
        let group = config.groups.get_mut(name);
        let group = group.ok_or_else(|| Failure::new(2, format!("no such group '{name}'")))?;
        group.users.insert(id.to_owned());
    }
    Ok(())
}

fn set_fields(user: &mut User, parameters: &Parameters) {
    if let Some(expire) = parameters.integer("expire") {
        user.expire = Some(expire.unsigned_abs());
    }
    let texts = [
        ("firstname", &mut user.first_name),
        ("lastname", &mut user.last_name),
        ("email", &mut user.email),
        ("comment", &mut user.comment),
        ("keys", &mut user.keys),
    ];
    for (name, text) in texts {
        if let Some(given) = parameters.get(name) {
            *text = Some(given.to_owned());
        }
    }
}

/// Deleting a user who is not there is no error, and deleting root takes its line (transcript 20, items 64, 65).
fn delete(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let id = parameters.text("userid");
    UserConfig::change(context, "delete user failed", |config| {
        // The real one disables the user in a first write, should the rest fail.
        if let Some(user) = config.users.get_mut(id) {
            user.enable = false;
            config.write(context)?;
        }
        shadow::forget(context, id)?;
        if let Some(user) = config.users.remove(id) {
            for token in user.tokens.keys() {
                tokens::forget_in_acls(config, &format!("{id}!{token}"));
            }
        }
        TfaConfig::read(context).and_then(|mut tfa| {
            tfa.remove_user(context, id);
            tfa.write(context)
        })?;
        config.leave_groups(id);
        for acl in config.acls.values_mut() {
            acl.users.remove(id);
        }
        Ok(Value::Null)
    })
}
