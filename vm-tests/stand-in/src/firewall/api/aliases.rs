//! Aliases.

use serde_json::{Map, Value, json};

use super::{COMMENT, DIGEST, NAME, change, check_digest, load, with_digest};
use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::context::Context;
use crate::failure::Failure;
use crate::firewall::address::{parse_network, verify_network};
use crate::firewall::config::{Alias, Config};

const ALIAS_NAME: Parameter = Parameter::text("name").pattern(NAME).min_length(2).max_length(64);
const RENAME: Parameter = Parameter::text("rename").pattern(NAME).min_length(2).max_length(64).optional();
const CIDR: Parameter = Parameter::text("cidr").format(network);

/// All aliases.
pub static LIST: Method =
    Method::new(Verb::Get, "/cluster/firewall/aliases", |context, _| Ok(listed(&load(context)?).0))
        .returns(Returns::List(&[]))
        .children("name");
/// A new alias.
pub static CREATE: Method =
    Method::new(Verb::Create, "/cluster/firewall/aliases", create).parameters(&[ALIAS_NAME, CIDR, COMMENT]);
/// One alias.
pub static GET: Method = Method::new(Verb::Get, "/cluster/firewall/aliases/{name}", get)
    .parameters(&[ALIAS_NAME])
    .returns(Returns::Object);
/// Changes an alias; its address must be given.
pub static SET: Method = Method::new(Verb::Set, "/cluster/firewall/aliases/{name}", set)
    .parameters(&[ALIAS_NAME, RENAME, CIDR, COMMENT, DIGEST]);
/// Takes an alias away, used or not.
pub static DELETE: Method =
    Method::new(Verb::Delete, "/cluster/firewall/aliases/{name}", delete).parameters(&[ALIAS_NAME, DIGEST]);

fn network(text: &str) -> Result<(), String> {
    verify_network(text)
}

fn object(alias: &Alias) -> Map<String, Value> {
    let mut object = Map::from_iter([
        ("cidr".to_owned(), json!(alias.network)),
        ("ipversion".to_owned(), json!(alias.family.number())),
        ("name".to_owned(), json!(alias.name)),
    ]);
    object.extend(alias.comment.as_ref().map(|comment| ("comment".to_owned(), json!(comment))));
    object
}

fn listed(config: &Config) -> (Value, String) {
    with_digest(config.aliases.values().map(object).collect())
}

fn made(name: &str, parameters: &Parameters) -> Result<Alias, Failure> {
    let text = parameters.text("cidr");
    let (_, family) = parse_network(text).map_err(Failure::die)?;
    let comment = parameters.get("comment").filter(|text| crate::firewall::truthy(text)).map(str::to_owned);
    Ok(Alias { name: name.to_owned(), network: text.to_owned(), family, comment })
}

fn taken(name: &str) -> Failure {
    Failure::parameter(255, "name", format!("alias '{name}' already exists"))
}

fn create(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let name = parameters.text("name");
    change(context, |config| {
        if config.aliases.contains_key(&name.to_lowercase()) {
            return Err(taken(name));
        }
        config.aliases.insert(name.to_lowercase(), made(name, parameters)?);
        Ok(())
    })
}

fn get(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let config = load(context)?;
    let alias = config.aliases.get(&parameters.text("name").to_lowercase());
    let alias = alias.ok_or_else(|| Failure::parameter(255, "name", "no such alias"))?;
    Ok(Value::Object(object(alias)))
}

fn set(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let name = parameters.text("name");
    let key = name.to_lowercase();
    change(context, |config| {
        check_digest(parameters, &listed(config).1)?;
        if !config.aliases.contains_key(&key) {
            return Err(Failure::parameter(255, "name", "no such alias"));
        }
        let new = parameters.get("rename").filter(|new| new.to_lowercase() != key);
        if let Some(new) = new.filter(|new| config.aliases.contains_key(&new.to_lowercase())) {
            return Err(taken(new));
        }
        config.aliases.remove(&key);
        let name = new.unwrap_or(name);
        config.aliases.insert(name.to_lowercase(), made(name, parameters)?);
        Ok(())
    })
}

fn delete(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    change(context, |config| {
        check_digest(parameters, &listed(config).1)?;
        config.aliases.remove(&parameters.text("name").to_lowercase());
        Ok(())
    })
}
