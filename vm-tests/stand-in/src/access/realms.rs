//! `/access/domains`.

use serde_json::{Value, json};

use crate::access::names;
use crate::access::realm_config::{self, Realm, Realms};
use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::command_line::table::Column;
use crate::context::Context;
use crate::failure::Failure;
use crate::locks;

const REALM: Parameter = Parameter::text("realm").format(names::realm).max_length(32);
const COMMENT: Parameter = Parameter::text("comment").max_length(4096).optional();
const DEFAULT: Parameter = Parameter::boolean("default").optional();
const TFA: Parameter = Parameter::text("tfa").format(factor).max_length(128).optional();
const TYPES: [&str; 5] = ["ad", "ldap", "openid", "pam", "pve"];

static COLUMNS: [Column<'static>; 4] =
    [Column::text("realm"), Column::text("type"), Column::text("comment"), Column::text("tfa")];

/// GET /access/domains
pub static LIST: Method =
    Method::new(Verb::Get, "/access/domains", list).returns(Returns::List(&COLUMNS)).children("realm");
/// POST /access/domains
pub static CREATE: Method = Method::new(Verb::Create, "/access/domains", create).parameters(&[
    REALM,
    Parameter::one_of("type", &TYPES),
    COMMENT,
    DEFAULT,
    TFA,
]);
/// GET /access/domains/{realm}
pub static READ: Method =
    Method::new(Verb::Get, "/access/domains/{realm}", read).parameters(&[REALM]).returns(Returns::Object);
/// PUT /access/domains/{realm}
pub static UPDATE: Method = Method::new(Verb::Set, "/access/domains/{realm}", update).parameters(&[
    REALM,
    COMMENT,
    DEFAULT,
    TFA,
    Parameter::list("delete").optional(),
    Parameter::text("digest").max_length(64).optional(),
]);
/// DELETE /access/domains/{realm}
pub static DELETE: Method = Method::new(Verb::Delete, "/access/domains/{realm}", delete).parameters(&[REALM]);
/// POST /access/domains/{realm}/sync
pub static SYNC: Method = Method::new(Verb::Create, "/access/domains/{realm}/sync", sync)
    .parameters(&[REALM, Parameter::one_of("scope", &["users", "groups", "both"]).optional()]);

/// The property string of a realm's second factor.
fn factor(value: &str) -> Result<(), String> {
    let keys = [
        Parameter::one_of("type", &["yubico", "oath"]),
        Parameter::text("id").optional(),
        Parameter::text("key").optional(),
        Parameter::text("url").optional(),
        Parameter::integer("digits").minimum(6).maximum(8).optional(),
        Parameter::integer("step").minimum(10).optional(),
    ];
    property_string(value, &keys)
}

/// Checks a property string, in the words of PVE::JSONSchema.
fn property_string(value: &str, keys: &[Parameter]) -> Result<(), String> {
    let mut given: Vec<(&str, &str)> = Vec::new();
    for part in value.split(',').filter(|part| !part.trim().is_empty()) {
        let Some((name, value)) = part.split_once('=') else {
            return Err("value without key, but schema does not define a default key".to_owned());
        };
        if name.is_empty() || value.is_empty() {
            return Err("missing key in comma-separated list property".to_owned());
        }
        if given.iter().any(|(known, _)| *known == name) {
            return Err(format!("duplicate key in comma-separated list property: {name}"));
        }
        if !keys.iter().any(|key| key.name == name) {
            return Err(format!("invalid key in comma-separated list property: {name}"));
        }
        given.push((name, value));
    }
    let mut refused = Vec::new();
    for key in keys {
        let outcome = match given.iter().find(|(name, _)| *name == key.name) {
            Some((_, value)) => key.check(value),
            None if key.optional => Ok(()),
            None => Err("property is missing and it is not optional".to_owned()),
        };
        refused.extend(outcome.err().map(|text| format!("tfa.{}: {text}", key.name)));
    }
    if refused.is_empty() { Ok(()) } else { Err(format!("format error\n{}", refused.join("\n"))) }
}

fn list(context: &Context, _parameters: &Parameters) -> Result<Value, Failure> {
    let realms = realm_config::read(context)?;
    let rows = realms.all.iter().map(|realm| {
        let mut row = json!({ "realm": realm.name, "type": realm.kind });
        let mut set = |name: &str, value: Option<Value>| {
            if let (Some(row), Some(value)) = (row.as_object_mut(), value) {
                row.insert(name.to_owned(), value);
            }
        };
        set("comment", realm.get("comment").filter(|text| !text.is_empty()).map(|text| json!(text)));
        set("default", realm.get("default").filter(|value| *value == "1").map(|_| json!(1)));
        set("tfa", realm.required_factor().map(|kind| json!(kind)));
        row
    });
    Ok(rows.collect())
}

fn read(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let realms = realm_config::read(context)?;
    let name = parameters.text("realm");
    let realm = realms.realm(name).ok_or_else(|| Failure::die(format!("domain '{name}' does not exist")))?;
    let mut row = serde_json::Map::new();
    for (key, value) in &realm.properties {
        row.insert(key.clone(), json!(value));
    }
    row.insert("type".to_owned(), json!(realm.kind));
    row.insert("digest".to_owned(), json!(realms.digest));
    if realm.kind == "pam" {
        row.insert("plugin".to_owned(), json!("PVE::Auth::PAM"));
    }
    Ok(Value::Object(row))
}

fn change(
    context: &Context,
    action: &str,
    change: impl FnOnce(&mut Realms) -> Result<(), Failure>,
) -> Result<Value, Failure> {
    let changed = || {
        let _lock = locks::take(context, "file-domains_cfg")?;
        let mut realms = realm_config::read(context)?;
        change(&mut realms)?;
        realm_config::write(context, &realms)?;
        Ok(Value::Null)
    };
    changed().map_err(|failure: Failure| failure.within(action))
}

fn create(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let (name, kind) = (parameters.text("realm"), parameters.text("type"));
    change(context, "add auth server failed", |realms| {
        if realms.realm(name).is_some() {
            return Err(Failure::die(format!("domain '{name}' already exists")));
        }
        if kind == "pam" || kind == "pve" {
            return Err(Failure::die(format!("unable to create builtin type '{kind}'")));
        }
        let realm = Realm { name: name.to_owned(), kind: kind.to_owned(), ..Realm::default() };
        realms.all.push(realm);
        set(realms, name, parameters);
        Ok(())
    })
}

/// Unknown names in `delete` are no error, and the realm's second factor is set without a look at who has one
/// (transcript 23).
fn update(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let name = parameters.text("realm");
    if realm_config::read(context)?.realm(name).is_none() {
        let place = "at /usr/share/perl5/PVE/API2/Domains.pm line";
        for _ in 0..2 {
            let text = "Use of uninitialized value $type in string eq";
            context.warn(&format!("{text} {place} 257, <DATA> line 960."));
        }
        let text = format!("cannot lookup undefined type! {place} 261.");
        return Err(Failure::die(text).within("update auth server failed"));
    }
    change(context, "update auth server failed", |realms| {
        if parameters.get("digest").is_some_and(|digest| digest != realms.digest) {
            let text = "detected modified configuration - file changed by other user? Try again.";
            return Err(Failure::die(text));
        }
        let deleted = parameters.entries("delete");
        if deleted.is_empty() && parameters.iter().all(|(key, _)| key == "realm" || key == "digest") {
            return Err(Failure::die("no options specified"));
        }
        if let Some(realm) = realms.realm_mut(name) {
            realm.properties.retain(|key, _| !deleted.contains(&key.as_str()));
        }
        set(realms, name, parameters);
        Ok(())
    })
}

fn set(realms: &mut Realms, name: &str, parameters: &Parameters) {
    if parameters.flag("default") == Some(true) {
        for realm in &mut realms.all {
            realm.properties.remove("default");
        }
    }
    if let Some(realm) = realms.realm_mut(name) {
        for key in ["comment", "default", "tfa"] {
            if let Some(value) = parameters.get(key) {
                realm.properties.insert(key.to_owned(), value.to_owned());
            }
        }
    }
}

/// A built-in realm loses its section with everything in it, and is there again at once.
fn delete(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let name = parameters.text("realm");
    change(context, "delete auth server failed", |realms| {
        if realms.realm(name).is_none() {
            return Err(Failure::die(format!("authentication domain '{name}' does not exist")));
        }
        realms.all.retain(|realm| realm.name != name);
        Ok(())
    })
}

fn sync(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let realms = realm_config::read(context)?;
    let name = parameters.text("realm");
    let realm = realms.realm(name).ok_or_else(|| Failure::die(format!("Realm '{name}' does not exist.")))?;
    let text = format!("Cannot sync realm type '{}'! Only LDAP/AD realms can be synced.", realm.kind);
    Err(Failure::die(text))
}
