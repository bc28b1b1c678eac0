//! Rules of the datacenter, of a node and of security groups.

use serde_json::{Map, Value, json};

use super::{
    COMMENT, DELETE, DIGEST, NAME, NODE, change, change_host, check_digest, check_node, load, with_digest,
};
use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::context::Context;
use crate::failure::Failure;
use crate::firewall::config::Config;
use crate::firewall::files::{self, Audience};
use crate::firewall::names::{LOG_LEVELS, Names, verify_icmp_type};
use crate::firewall::rule::{PROPERTIES, Rule, property};
use crate::firewall::verify::{Place, Scope, address_list, is_interface, verify};

const POSITION: Parameter = Parameter::integer("pos").minimum(0);
const MOVE_TO: Parameter = Parameter::integer("moveto").minimum(0).optional();
const KIND: Parameter = Parameter::one_of("type", &["in", "out", "forward", "group"]);
const ACTION: Parameter = Parameter::text("action").pattern(NAME).max_length(20).min_length(2);
pub(super) const GROUP: Parameter = Parameter::text("group").pattern(NAME).min_length(2).max_length(18);

/// What every call that writes a rule takes, behind what is its own.
macro_rules! with_properties {
    ($($own:expr),*) => {
        &[
            $($own,)*
            Parameter::text("macro").max_length(128).optional(),
            Parameter::text("iface").format(interface).min_length(2).max_length(20).optional(),
            Parameter::text("source").format(address).max_length(512).optional(),
            Parameter::text("dest").format(address).max_length(512).optional(),
            Parameter::text("proto").format(protocol).optional(),
            Parameter::integer("enable").minimum(0).optional(),
            Parameter::one_of("log", &LOG_LEVELS).optional(),
            Parameter::text("sport").format(source_ports).optional(),
            Parameter::text("dport").format(ports).optional(),
            Parameter::text("icmp-type").format(icmp_type).optional(),
            COMMENT,
            DIGEST,
        ]
    };
}

fn interface(name: &str) -> Result<(), String> {
    let message = || format!("invalid network interface name '{name}'");
    is_interface(name).then_some(()).ok_or_else(message)
}

fn address(text: &str) -> Result<(), String> {
    address_list(text).map(drop)
}

fn protocol(text: &str) -> Result<(), String> {
    Names::of_the_machine().verify_protocol(text)
}

fn ports(text: &str) -> Result<(), String> {
    Names::of_the_machine().verify_ports(text, true).map(drop)
}

fn source_ports(text: &str) -> Result<(), String> {
    Names::of_the_machine().verify_ports(text, false).map(drop)
}

fn icmp_type(text: &str) -> Result<(), String> {
    verify_icmp_type(text)
}

/// The five methods of one place for rules.
macro_rules! methods {
    ($place:expr, $path:literal, [$($own:expr),*],
     $list:ident, $create:ident, $get:ident, $set:ident, $delete:ident) => {
        /// All rules.
        pub static $list: Method = Method::new(Verb::Get, $path, |context, parameters| list($place, context, parameters))
            .parameters(&[$($own),*])
            .returns(Returns::List(&[]))
                .children("pos");
        /// A new rule: always the first, and disabled unless told otherwise.
        pub static $create: Method =
            Method::new(Verb::Create, $path, |context, parameters| create($place, context, parameters))
                .parameters(with_properties!($($own,)* KIND, ACTION, POSITION.optional()));
        /// One rule.
        pub static $get: Method =
            Method::new(Verb::Get, concat!($path, "/{pos}"), |context, parameters| get($place, context, parameters))
                .parameters(&[$($own,)* POSITION])
                .returns(Returns::Object);
        /// Changes or moves a rule.
        pub static $set: Method =
            Method::new(Verb::Set, concat!($path, "/{pos}"), |context, parameters| set($place, context, parameters))
                .parameters(with_properties!(
                    $($own,)* KIND.optional(), ACTION.optional(), POSITION, MOVE_TO, DELETE
                ));
        /// Takes a rule away.
        pub static $delete: Method = Method::new(Verb::Delete, concat!($path, "/{pos}"), |context, parameters| {
            delete($place, context, parameters)
        })
        .parameters(&[$($own,)* POSITION, DIGEST]);
    };
}

methods!(
    Place::Cluster,
    "/cluster/firewall/rules",
    [],
    CLUSTER_LIST,
    CLUSTER_CREATE,
    CLUSTER_GET,
    CLUSTER_SET,
    CLUSTER_DELETE
);
methods!(
    Place::Host,
    "/nodes/{node}/firewall/rules",
    [NODE],
    HOST_LIST,
    HOST_CREATE,
    HOST_GET,
    HOST_SET,
    HOST_DELETE
);
methods!(
    Place::Group,
    "/cluster/firewall/groups/{group}",
    [GROUP],
    GROUP_LIST,
    GROUP_CREATE,
    GROUP_GET,
    GROUP_SET,
    GROUP_DELETE
);

fn no_group(parameters: &Parameters) -> Failure {
    Failure::die(format!("no such security group '{}'", parameters.text("group")))
}

fn read(place: Place, context: &Context, parameters: &Parameters) -> Result<Vec<Rule>, Failure> {
    if place == Place::Host {
        check_node(context, parameters)?;
    }
    let datacenter = load(context)?;
    match place {
        Place::Cluster => Ok(datacenter.rules),
        Place::Host => Ok(files::host(context, &datacenter, Audience::Api)?.rules),
        Place::Group => {
            datacenter.groups.get(parameters.text("group")).cloned().ok_or_else(|| no_group(parameters))
        }
    }
}

/// Changes the rules of a place. The action also gets what they may refer to.
fn edit(
    place: Place,
    context: &Context,
    parameters: &Parameters,
    action: impl FnOnce(&mut Vec<Rule>, Option<&Config>, &Config) -> Result<(), Failure>,
) -> Result<Value, Failure> {
    match place {
        Place::Host => {
            check_node(context, parameters)?;
            change_host(context, |datacenter, host| {
                let mut rules = host.rules.clone();
                action(&mut rules, Some(datacenter), host)?;
                host.rules = rules;
                Ok(())
            })
        }
        Place::Cluster => change(context, |config| {
            let mut rules = config.rules.clone();
            action(&mut rules, None, config)?;
            config.rules = rules;
            Ok(())
        }),
        Place::Group => change(context, |config| {
            let group = parameters.text("group");
            let mut rules = config.groups.get(group).cloned().ok_or_else(|| no_group(parameters))?;
            action(&mut rules, None, config)?;
            config.groups.insert(group.to_owned(), rules);
            Ok(())
        }),
    }
}

fn object(rule: &Rule) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in rule.properties() {
        let number = (name == "enable").then(|| value.parse::<i64>().ok()).flatten();
        object.insert(name.to_owned(), number.map_or_else(|| json!(value), |number| json!(number)));
    }
    if let Some(family) = rule.family {
        object.insert("ipversion".to_owned(), json!(family.number()));
    }
    if !rule.errors.is_empty() {
        let errors: Map<String, Value> =
            rule.errors.iter().map(|(name, text)| (name.clone(), json!(text))).collect();
        object.insert("errors".to_owned(), Value::Object(errors));
    }
    object
}

fn objects(rules: &[Rule]) -> (Value, String) {
    with_digest(rules.iter().map(object).collect())
}

fn list(place: Place, context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let (mut list, _) = objects(&read(place, context, parameters)?);
    for (position, rule) in list.as_array_mut().into_iter().flatten().enumerate() {
        if let Some(rule) = rule.as_object_mut() {
            rule.insert("pos".to_owned(), json!(position));
        }
    }
    Ok(list)
}

fn position(parameters: &Parameters, rules: usize) -> Result<usize, Failure> {
    let position = parameters.integer("pos").and_then(|position| usize::try_from(position).ok());
    position
        .filter(|position| *position < rules)
        .ok_or_else(|| Failure::die(format!("no rule at position {}", parameters.text("pos"))))
}

fn get(place: Place, context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let rules = read(place, context, parameters)?;
    let position = position(parameters, rules.len())?;
    let (list, _) = objects(&rules);
    let mut rule = list.get(position).cloned().unwrap_or_default();
    if let Some(rule) = rule.as_object_mut() {
        rule.insert("pos".to_owned(), json!(parameters.text("pos")));
    }
    Ok(rule)
}

/// Takes the properties of a call into a rule; an empty text or `-` takes one away.
fn copy(rule: &mut Rule, parameters: &Parameters) {
    for name in PROPERTIES {
        match parameters.get(name) {
            None => {}
            Some("" | "-") => rule.remove(name),
            Some(value) => rule.set(name, value),
        }
    }
}

fn check(rule: &mut Rule, place: Place, cluster: Option<&Config>, own: &Config) -> Result<(), Failure> {
    let names = Names::of_the_machine();
    let scope = Scope { cluster, own: Some(own), place, names };
    let verdict = verify(rule, scope).map_err(Failure::die)?;
    match verdict.errors.into_iter().next() {
        None => Ok(()),
        Some((name, text)) => Err(Failure::parameter(2, name, text)),
    }
}

fn create(place: Place, context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    edit(place, context, parameters, |rules, cluster, own| {
        let mut rule = Rule::default();
        copy(&mut rule, parameters);
        check(&mut rule, place, cluster, own)?;
        if !parameters.has("enable") {
            rule.set("enable", "0");
        }
        rules.insert(0, rule);
        Ok(())
    })
}

fn set(place: Place, context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    edit(place, context, parameters, |rules, cluster, own| {
        check_digest(parameters, &objects(rules).1)?;
        let position = position(parameters, rules.len())?;
        let target = parameters.integer("moveto").and_then(|target| usize::try_from(target).ok());
        if let Some(target) = target.filter(|target| *target != position) {
            move_rule(rules, position, target);
            return Ok(());
        }
        let Some(rule) = rules.get_mut(position) else { return Ok(()) };
        copy(rule, parameters);
        for name in parameters.entries("delete") {
            let Some(name) = property(name) else {
                return Err(Failure::parameter(255, "delete", format!("no such property ('{name}')")));
            };
            if matches!(name, "type" | "action") {
                let text = format!("unable to delete required property '{name}'");
                return Err(Failure::parameter(255, "delete", text));
            }
            rule.remove(name);
        }
        check(rule, place, cluster, own)
    })
}

/// Moves a rule in front of what stands at the target now.
fn move_rule(rules: &mut Vec<Rule>, position: usize, target: usize) {
    let rule = rules.remove(position);
    let target = if target > position { target - 1 } else { target };
    rules.insert(target.min(rules.len()), rule);
}

fn delete(place: Place, context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    edit(place, context, parameters, |rules, _, _| {
        check_digest(parameters, &objects(rules).1)?;
        let position = position(parameters, rules.len())?;
        rules.remove(position);
        Ok(())
    })
}
