//! The API of the firewall below `/cluster/firewall` and `/nodes/{node}/firewall` (contract 3.9, transcripts 30–33).

mod aliases;
mod groups;
mod ipsets;
mod options;
mod rules;

use serde_json::{Map, Value, json};

use super::config::Config;
use super::digest;
use super::files::{self, Audience};
use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::context::Context;
use crate::failure::Failure;
use crate::locks;

pub(super) const NAME: &str = "[A-Za-z][A-Za-z0-9_-]+";
const COMMENT: Parameter = Parameter::text("comment").optional();
const DIGEST: Parameter = Parameter::text("digest").max_length(64).optional();
const DELETE: Parameter = Parameter::list("delete").optional();
const NODE: Parameter = Parameter::text("node");

static INDEX: Method = Method::new(Verb::Get, "/cluster/firewall", |_, _| {
    Ok(index(&["aliases", "rules", "options", "groups", "ipset", "macros", "refs"]))
})
.returns(Returns::List(&[]))
.children("name")
.without_properties();

static NODE_INDEX: Method =
    Method::new(Verb::Get, "/nodes/{node}/firewall", |_, _| Ok(index(&["rules", "options", "log"])))
        .parameters(&[NODE])
        .returns(Returns::List(&[]))
        .children("name");

static MACROS: Method = Method::new(Verb::Get, "/cluster/firewall/macros", |_, _| {
    Ok(super::macros::names().map(|name| json!({ "macro": name, "descr": name })).collect())
})
.returns(Returns::List(&[]))
.without_properties();

/// Everything.
pub static METHODS: &[&Method] = &[
    &INDEX,
    &NODE_INDEX,
    &MACROS,
    &options::CLUSTER_GET,
    &options::CLUSTER_SET,
    &options::HOST_GET,
    &options::HOST_SET,
    &rules::CLUSTER_LIST,
    &rules::CLUSTER_CREATE,
    &rules::CLUSTER_GET,
    &rules::CLUSTER_SET,
    &rules::CLUSTER_DELETE,
    &rules::HOST_LIST,
    &rules::HOST_CREATE,
    &rules::HOST_GET,
    &rules::HOST_SET,
    &rules::HOST_DELETE,
    &rules::GROUP_LIST,
    &rules::GROUP_CREATE,
    &rules::GROUP_GET,
    &rules::GROUP_SET,
    &rules::GROUP_DELETE,
    &groups::LIST,
    &groups::CREATE,
    &groups::DELETE,
    &ipsets::LIST,
    &ipsets::CREATE,
    &ipsets::DELETE,
    &ipsets::REFERENCES,
    &ipsets::ENTRIES,
    &ipsets::ADD,
    &ipsets::GET,
    &ipsets::SET,
    &ipsets::REMOVE,
    &aliases::LIST,
    &aliases::CREATE,
    &aliases::GET,
    &aliases::SET,
    &aliases::DELETE,
];

fn index(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "name": name })).collect()
}

/// The node of a path must be this one.
fn check_node(context: &Context, parameters: &Parameters) -> Result<(), Failure> {
    let node = parameters.text("node");
    if node == context.node() || node == "localhost" {
        return Ok(());
    }
    Err(Failure::new(
        11,
        format!(
            "hostname lookup '{node}' failed - failed to get address info for: {node}: Temporary failure in name \
             resolution"
        ),
    ))
}

/// Refuses if the caller knows another state.
fn check_digest(parameters: &Parameters, digest: &str) -> Result<(), Failure> {
    match parameters.get("digest") {
        Some(known) if super::truthy(known) && known != digest => {
            Err(Failure::die("detected modified configuration - file changed by other user? Try again."))
        }
        _ => Ok(()),
    }
}

fn load(context: &Context) -> Result<Config, Failure> {
    files::cluster(context, Audience::Api)
}

/// Changes `cluster.fw` under its lock.
fn change(
    context: &Context,
    action: impl FnOnce(&mut Config) -> Result<(), Failure>,
) -> Result<Value, Failure> {
    let _lock = locks::take(context, "firewall-cluster")?;
    let mut config = load(context)?;
    action(&mut config)?;
    files::save_cluster(context, &config)?;
    Ok(Value::Null)
}

/// Changes the node's `host.fw` under its lock. The action gets the datacenter's configuration first.
fn change_host(
    context: &Context,
    action: impl FnOnce(&Config, &mut Config) -> Result<(), Failure>,
) -> Result<Value, Failure> {
    let _lock = locks::take(context, &format!("firewall-host-{}", context.node()))?;
    let datacenter = load(context)?;
    let mut host = files::host(context, &datacenter, Audience::Api)?;
    action(&datacenter, &mut host)?;
    files::save_host(context, &host)?;
    Ok(Value::Null)
}

/// Objects with the checksum of the whole list in each.
fn with_digest(list: Vec<Map<String, Value>>) -> (Value, String) {
    let lines: Vec<(String, String)> = list
        .iter()
        .flatten()
        .filter(|(_, value)| !value.is_object())
        .map(|(key, value)| (key.clone(), crate::command_line::table::cell(Some(value))))
        .collect();
    let digest = digest::of_properties(lines.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let list = list.into_iter().map(|mut object| {
        object.insert("digest".to_owned(), json!(digest));
        Value::Object(object)
    });
    (list.collect(), digest)
}
