//! Security groups.

use serde_json::{Map, Value, json};

use super::rules::GROUP;
use super::{COMMENT, DIGEST, NAME, change, change_host, check_digest, load, with_digest};
use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::context::Context;
use crate::failure::Failure;
use crate::firewall::config::Config;
use crate::firewall::rule::Rule;

const RENAME: Parameter = Parameter::text("rename").pattern(NAME).min_length(2).max_length(18).optional();

/// All groups.
pub static LIST: Method =
    Method::new(Verb::Get, "/cluster/firewall/groups", |context, _| Ok(listed(&load(context)?).0))
        .returns(Returns::List(&[]))
        .children("group");

/// A new group, or another name for one.
pub static CREATE: Method = Method::new(Verb::Create, "/cluster/firewall/groups", create)
    .parameters(&[GROUP, COMMENT, RENAME, DIGEST]);

/// Takes an empty group away.
pub static DELETE: Method =
    Method::new(Verb::Delete, "/cluster/firewall/groups/{group}", delete).parameters(&[GROUP]);

fn listed(config: &Config) -> (Value, String) {
    let list = config.groups.keys().map(|name| {
        let mut object = Map::from_iter([("group".to_owned(), json!(name))]);
        if let Some(comment) = config.group_comments.get(name) {
            object.insert("comment".to_owned(), json!(comment));
        }
        object
    });
    with_digest(list.collect())
}

fn create(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let group = parameters.text("group").to_owned();
    let comment = parameters.get("comment").map(str::to_owned);
    let Some(old) = parameters.get("rename").map(str::to_owned) else {
        return change(context, |config| {
            if config.groups.contains_key(&group) {
                let text = format!("Security group '{group}' already exists");
                return Err(Failure::parameter(255, "group", text));
            }
            config.group_comments.extend(comment.map(|comment| (group.clone(), comment)));
            config.groups.insert(group, Vec::new());
            Ok(())
        });
    };
    change(context, |config| {
        check_digest(parameters, &listed(config).1)?;
        let Some(rules) = config.groups.get(&old).cloned() else {
            let text = format!("Security group '{old}' does not exist");
            return Err(Failure::parameter(255, "group", text));
        };
        if old != group {
            if config.groups.contains_key(&group) {
                let text = format!("Security group '{group}' does already exist");
                return Err(Failure::parameter(255, "group", text));
            }
            config.groups.remove(&old);
            let kept = config.group_comments.remove(&old);
            config.group_comments.extend(kept.map(|comment| (group.clone(), comment)));
            config.groups.insert(group.clone(), rules);
            rename(&mut config.rules, &old, &group);
            change_host(context, |_, host| {
                rename(&mut host.rules, &old, &group);
                Ok(())
            })?;
        }
        config.group_comments.extend(comment.map(|comment| (group, comment)));
        Ok(())
    })
}

fn rename(rules: &mut [Rule], old: &str, new: &str) {
    for rule in rules.iter_mut().filter(|rule| rule.kind() == "group" && rule.action() == old) {
        rule.set("action", new);
    }
}

fn delete(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let group = parameters.text("group");
    change(context, |config| match config.groups.get(group) {
        None => Err(Failure::die(format!("no such security group '{group}'"))),
        Some(rules) if !rules.is_empty() => {
            Err(Failure::die(format!("Security group '{group}' is not empty")))
        }
        Some(_) => {
            config.groups.remove(group);
            Ok(())
        }
    })
}
