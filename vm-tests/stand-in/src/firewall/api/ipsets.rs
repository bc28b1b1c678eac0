//! Sets of addresses and their members.

use serde_json::{Map, Value, json};

use super::{COMMENT, DIGEST, NAME, change, check_digest, load, with_digest};
use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::context::Context;
use crate::failure::Failure;
use crate::firewall::address::{parse_network, verify_network, without_host_bits};
use crate::firewall::config::{Config, Entry, is_alias};

const SET_NAME: Parameter = Parameter::text("name").pattern(NAME).min_length(2).max_length(64);
const RENAME: Parameter = Parameter::text("rename").pattern(NAME).min_length(2).max_length(64).optional();
const CIDR: Parameter = Parameter::text("cidr").format(member);
const NO_MATCH: Parameter = Parameter::boolean("nomatch").optional();

/// All sets.
pub static LIST: Method =
    Method::new(Verb::Get, "/cluster/firewall/ipset", |context, _| Ok(listed(&load(context)?).0))
        .returns(Returns::List(&[]))
        .children("name");
/// A new set, or another name for one.
pub static CREATE: Method = Method::new(Verb::Create, "/cluster/firewall/ipset", create)
    .parameters(&[SET_NAME, COMMENT, DIGEST, RENAME]);
/// Takes a set away, used or not.
pub static DELETE: Method = Method::new(Verb::Delete, "/cluster/firewall/ipset/{name}", delete)
    .parameters(&[SET_NAME, Parameter::boolean("force").optional()]);
/// Members of a set.
pub static ENTRIES: Method =
    Method::new(Verb::Get, "/cluster/firewall/ipset/{name}", |context, parameters| {
        Ok(members(entries(&load(context)?, parameters)?).0)
    })
    .parameters(&[SET_NAME])
    .returns(Returns::List(&[]));
/// A new member.
pub static ADD: Method = Method::new(Verb::Create, "/cluster/firewall/ipset/{name}", add)
    .parameters(&[SET_NAME, CIDR, NO_MATCH, COMMENT]);
/// One member; its slash stands in the path as it is.
pub static GET: Method = Method::new(Verb::Get, "/cluster/firewall/ipset/{name}/{cidr...}", get)
    .parameters(&[SET_NAME, CIDR])
    .returns(Returns::Object);
/// Changes a member.
pub static SET: Method = Method::new(Verb::Set, "/cluster/firewall/ipset/{name}/{cidr...}", set)
    .parameters(&[SET_NAME, CIDR, NO_MATCH, COMMENT, DIGEST]);
/// Takes a member away.
pub static REMOVE: Method = Method::new(Verb::Delete, "/cluster/firewall/ipset/{name}/{cidr...}", remove)
    .parameters(&[SET_NAME, CIDR, DIGEST]);
/// What rules may refer to.
pub static REFERENCES: Method = Method::new(Verb::Get, "/cluster/firewall/refs", references)
    .parameters(&[const { Parameter::one_of("type", &["alias", "ipset"]).optional() }])
    .returns(Returns::List(&[]));

fn member(text: &str) -> Result<(), String> {
    if is_alias(text) { Ok(()) } else { verify_network(text) }
}

fn listed(config: &Config) -> (Value, String) {
    let list = config.ipsets.keys().map(|name| {
        let mut object = Map::from_iter([("name".to_owned(), json!(name))]);
        if let Some(comment) = config.ipset_comments.get(name) {
            object.insert("comment".to_owned(), json!(comment));
        }
        object
    });
    with_digest(list.collect())
}

fn members(entries: &[Entry]) -> (Value, String) {
    let list = entries.iter().map(|entry| {
        let mut object = Map::new();
        let texts = [("cidr", &entry.network), ("comment", &entry.comment)];
        for (name, text) in texts {
            object.extend(text.as_ref().map(|text| (name.to_owned(), json!(text))));
        }
        if entry.nomatch {
            object.insert("nomatch".to_owned(), json!(1));
        }
        if let Some(error) = &entry.error {
            object.insert("errors".to_owned(), json!({ "cidr": error }));
        }
        object
    });
    with_digest(list.collect())
}

fn no_set(name: &str) -> Failure {
    Failure::die(format!("no such IPSet '{name}'"))
}

fn entries<'a>(config: &'a Config, parameters: &Parameters) -> Result<&'a [Entry], Failure> {
    let name = parameters.text("name");
    config.ipsets.get(name).map(Vec::as_slice).ok_or_else(|| no_set(name))
}

fn edit(
    context: &Context,
    parameters: &Parameters,
    action: impl FnOnce(&Config, &mut Vec<Entry>) -> Result<(), Failure>,
) -> Result<Value, Failure> {
    change(context, |config| {
        let mut entries = entries(config, parameters)?.to_vec();
        action(config, &mut entries)?;
        config.ipsets.insert(parameters.text("name").to_owned(), entries);
        Ok(())
    })
}

fn create(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let name = parameters.text("name").to_owned();
    let comment = parameters.get("comment").map(|comment| (name.clone(), comment.to_owned()));
    change(context, |config| {
        let exists = config.ipsets.contains_key(&name);
        match parameters.get("rename") {
            None if exists => {
                return Err(Failure::parameter(255, "name", format!("IPSet '{name}' already exists")));
            }
            None => {
                config.ipsets.insert(name, Vec::new());
            }
            Some(old) => {
                check_digest(parameters, &listed(config).1)?;
                if exists && name != old {
                    return Err(Failure::parameter(
                        255,
                        "name",
                        format!("IPSet '{name}' does already exist"),
                    ));
                }
                let Some(entries) = config.ipsets.remove(old) else {
                    return Err(Failure::parameter(255, "name", format!("IPSet '{old}' does not exist")));
                };
                let kept = config.ipset_comments.remove(old);
                config.ipset_comments.extend(kept.map(|comment| (name.clone(), comment)));
                config.ipsets.insert(name, entries);
            }
        }
        config.ipset_comments.extend(comment);
        Ok(())
    })
}

fn delete(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let name = parameters.text("name");
    change(context, |config| {
        let empty = entries(config, parameters)?.is_empty();
        if !empty && parameters.flag("force") != Some(true) {
            return Err(Failure::die(format!("IPSet '{name}' is not empty")));
        }
        config.ipsets.remove(name);
        Ok(())
    })
}

fn add(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let text = parameters.text("cidr");
    edit(context, parameters, |config, entries| {
        let network = if is_alias(text) {
            config.resolve(text).map_err(Failure::die)?;
            text.to_owned()
        } else {
            let network = without_host_bits(text);
            parse_network(&network).map_err(Failure::die)?.0
        };
        if entries.iter().any(|entry| entry.network.as_deref() == Some(&network)) {
            return Err(Failure::parameter(255, "cidr", format!("address '{network}' already exists")));
        }
        if network.rsplit_once('/').is_some_and(|(_, prefix)| prefix.bytes().all(|byte| byte == b'0')) {
            return Err(Failure::parameter(255, "cidr", "a zero prefix is not allowed in ipset entries"));
        }
        let entry = Entry {
            network: Some(network),
            nomatch: parameters.flag("nomatch") == Some(true),
            comment: parameters
                .get("comment")
                .filter(|text| crate::firewall::truthy(text))
                .map(str::to_owned),
            error: None,
        };
        entries.insert(0, entry);
        Ok(())
    })
}

fn none_such() -> Failure {
    Failure::parameter(255, "cidr", "no such IP/Network")
}

fn get(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let config = load(context)?;
    let (list, _) = members(entries(&config, parameters)?);
    let wanted = parameters.text("cidr");
    let mut entries = list.as_array().into_iter().flatten();
    let found = entries.find(|entry| entry.get("cidr").and_then(Value::as_str) == Some(wanted));
    found.cloned().ok_or_else(none_such)
}

fn set(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    edit(context, parameters, |_, entries| {
        check_digest(parameters, &members(entries).1)?;
        let wanted = parameters.text("cidr");
        let entry = entries.iter_mut().find(|entry| entry.network.as_deref() == Some(wanted));
        let entry = entry.ok_or_else(none_such)?;
        entry.nomatch = parameters.flag("nomatch") == Some(true);
        entry.comment = parameters.get("comment").map(str::to_owned);
        Ok(())
    })
}

fn remove(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    edit(context, parameters, |_, entries| {
        check_digest(parameters, &members(entries).1)?;
        let wanted = parameters.text("cidr");
        entries.retain(|entry| entry.network.as_deref() != Some(wanted));
        Ok(())
    })
}

fn references(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let config = load(context)?;
    let mut list = Vec::new();
    let wanted = |kind: &str| parameters.get("type").is_none_or(|given| given == kind);
    if wanted("ipset") {
        for name in config.ipsets.keys() {
            let mut object =
                json!({ "type": "ipset", "name": name, "ref": format!("+{name}"), "scope": "dc" });
            annotate(&mut object, config.ipset_comments.get(name));
            list.push(object);
        }
    }
    if wanted("alias") {
        for alias in config.aliases.values() {
            let mut object = json!({ "type": "alias", "name": alias.name, "ref": alias.name, "scope": "dc" });
            annotate(&mut object, alias.comment.as_ref());
            list.push(object);
        }
    }
    Ok(Value::Array(list))
}

fn annotate(object: &mut Value, comment: Option<&String>) {
    if let (Some(object), Some(comment)) = (object.as_object_mut(), comment) {
        object.insert("comment".to_owned(), json!(comment));
    }
}
