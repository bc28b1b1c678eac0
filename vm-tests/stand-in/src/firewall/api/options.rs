//! Options of the datacenter and of a node.

use serde_json::{Map, Value, json};

use super::{DELETE, DIGEST, NODE, change, change_host, check_digest, check_node, load};
use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::context::Context;
use crate::failure::Failure;
use crate::firewall::config::Config;
use crate::firewall::files::{self, Audience};
use crate::firewall::names::LOG_LEVELS;
use crate::firewall::{digest, options, update};

const POLICIES: &[&str] = &["ACCEPT", "REJECT", "DROP"];

const fn flag(name: &'static str) -> Parameter {
    Parameter::boolean(name).optional()
}

const fn level(name: &'static str) -> Parameter {
    Parameter::one_of(name, &LOG_LEVELS).optional()
}

static CLUSTER: [Parameter; 8] = [
    Parameter::integer("enable").minimum(0).optional(),
    flag("ebtables"),
    Parameter::one_of("policy_in", POLICIES).optional(),
    Parameter::one_of("policy_out", POLICIES).optional(),
    Parameter::one_of("policy_forward", &["ACCEPT", "DROP"]).optional(),
    Parameter::text("log_ratelimit").format(rate_limit).optional(),
    DELETE,
    DIGEST,
];

static HOST: [Parameter; 22] = [
    NODE,
    flag("enable"),
    level("log_level_in"),
    level("log_level_out"),
    level("log_level_forward"),
    level("tcp_flags_log_level"),
    level("smurf_log_level"),
    flag("nosmurfs"),
    flag("tcpflags"),
    Parameter::integer("nf_conntrack_max").minimum(32_768).optional(),
    Parameter::integer("nf_conntrack_tcp_timeout_established").minimum(7_875).optional(),
    Parameter::integer("nf_conntrack_tcp_timeout_syn_recv").minimum(30).maximum(60).optional(),
    flag("ndp"),
    flag("nf_conntrack_allow_invalid"),
    Parameter::text("nf_conntrack_helpers").format(helpers).optional(),
    flag("protection_synflood"),
    Parameter::integer("protection_synflood_rate").optional(),
    Parameter::integer("protection_synflood_burst").optional(),
    flag("log_nf_conntrack"),
    flag("nftables"),
    DELETE,
    DIGEST,
];

/// Broken in the recorded pvesh (pve-observed 3.2).
pub static CLUSTER_GET: Method =
    Method::new(Verb::Get, "/cluster/firewall/options", |context, _| Ok(listed(&load(context)?)))
        .returns(Returns::Object)
        .without_properties();

/// `set` works on the same path.
pub static CLUSTER_SET: Method =
    Method::new(Verb::Set, "/cluster/firewall/options", set_cluster).parameters(&CLUSTER);

/// Options of the node.
pub static HOST_GET: Method =
    Method::new(Verb::Get, "/nodes/{node}/firewall/options", |context, parameters| {
        check_node(context, parameters)?;
        let datacenter = load(context)?;
        Ok(listed(&files::host(context, &datacenter, Audience::Api)?))
    })
    .parameters(&[NODE])
    .returns(Returns::Object);

/// Sets options of the node.
pub static HOST_SET: Method =
    Method::new(Verb::Set, "/nodes/{node}/firewall/options", set_host).parameters(&HOST);

fn rate_limit(text: &str) -> Result<(), String> {
    let Err(errors) = options::rate_limit(text) else { return Ok(()) };
    let mut message = "format error".to_owned();
    for (property, fault) in errors {
        if property.is_empty() {
            return Err(fault);
        }
        message.push_str(&format!("\nlog_ratelimit.{property}: {fault}"));
    }
    Err(message)
}

fn helpers(text: &str) -> Result<(), String> {
    options::verify_helpers(text)
}

fn digest_of(config: &Config) -> String {
    digest::of_properties(config.options.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

fn listed(config: &Config) -> Value {
    let mut object = Map::new();
    for (key, value) in &config.options {
        let number = value.parse::<u64>().ok().filter(|_| options::is_number(key));
        object.insert(key.clone(), number.map_or_else(|| json!(value), |number| json!(number)));
    }
    object.insert("digest".to_owned(), json!(digest_of(config)));
    Value::Object(object)
}

fn assign(config: &mut Config, schema: &[Parameter], parameters: &Parameters) -> Result<(), Failure> {
    check_digest(parameters, &digest_of(config))?;
    let options = || {
        let names = schema.iter().map(|parameter| parameter.name);
        names.filter(|name| !matches!(*name, "delete" | "digest" | "node"))
    };
    for name in parameters.entries("delete") {
        if !options().any(|known| known == name) {
            return Err(Failure::parameter(255, "delete", format!("no such option '{name}'")));
        }
        config.options.remove(name);
    }
    for name in options() {
        if let Some(value) = parameters.get(name) {
            config.options.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(())
}

/// An `enable` above 1 becomes the time, and the caller applies the rules itself (contract 3.3, transcript 37).
fn set_cluster(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let mut parameters = parameters.clone();
    let timed = parameters.integer("enable").is_some_and(|value| value > 1);
    if timed {
        parameters.set("enable", context.now().to_string());
    }
    change(context, |config| assign(config, &CLUSTER, &parameters))?;
    if timed {
        update::update(context, Audience::Api)?;
    }
    Ok(Value::Null)
}

fn set_host(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    check_node(context, parameters)?;
    change_host(context, |_, host| assign(host, &HOST, parameters))
}
