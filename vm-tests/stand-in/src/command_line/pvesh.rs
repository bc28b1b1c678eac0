//! `pvesh`: any method of the API from the command line.

use serde_json::{Value, json};

use crate::api::{self, Route, Verb};
use crate::cluster_files;
use crate::command_line::options::{Accepted, FORMAT_OPTIONS, usage};
use crate::command_line::output::Wanted;
use crate::command_line::parameter::{Parameter, Parameters};
use crate::command_line::table::{Column, Style, draw};
use crate::context::Context;
use crate::failure::Failure;

/// Not a word of the usage, but accepted by every verb.
static NO_PROXY: Parameter = Parameter::boolean("noproxy").optional();
static API_PATH: Parameter = Parameter::text("api_path");

/// Its verbs with their usage where no path says more.
const USAGE: [(&str, &str); 6] = [
    ("create", "[OPTIONS] [FORMAT_OPTIONS]"),
    ("delete", "[OPTIONS] [FORMAT_OPTIONS]"),
    ("get", "[OPTIONS] [FORMAT_OPTIONS]"),
    ("ls", "[OPTIONS] [FORMAT_OPTIONS]"),
    ("set", "[OPTIONS] [FORMAT_OPTIONS]"),
    ("usage", "[OPTIONS]"),
];

/// Runs one line of `pvesh`.
pub fn run(context: &Context, arguments: &[String]) -> Result<(), Failure> {
    let word = arguments.first().map(String::as_str).unwrap_or_default();
    let path = arguments.get(1).map(String::as_str).unwrap_or_default();
    let verb = Verb::ALL.into_iter().find(|verb| verb.word() == word);
    // The handler is looked up before anything else, pmxcfs included.
    let route = match verb {
        Some(verb) if !path.is_empty() => Some(find(verb, path)?),
        _ => None,
    };
    if word.is_empty() {
        return Err(refuse("no command specified"));
    }
    cluster_files::ask_for_access(context)?;
    match (verb, route) {
        (Some(verb), Some(route)) => call(context, verb, &route, arguments.get(1..).unwrap_or_default()),
        (Some(verb), None) => {
            let usage = format!("pvesh {} <api_path> [OPTIONS] [FORMAT_OPTIONS]", verb.word());
            Err(Failure::usage("400 not enough arguments", usage))
        }
        _ if word == "ls" => list(context, path),
        _ if word == "help" => {
            context.print(&format!("{}\n", usage_text()));
            Ok(())
        }
        _ => Err(refuse(&format!("unknown command 'pvesh {word}'"))),
    }
}

fn find(verb: Verb, path: &str) -> Result<Route, Failure> {
    let route = api::find(verb, path)
        .ok_or_else(|| Failure::new(1, format!("No '{}' handler defined for '{path}'", verb.word())))?;
    if route.method.without_properties {
        return Err(Failure::die("unknown schema type (not an object?)"));
    }
    Ok(route)
}

fn call(context: &Context, verb: Verb, route: &Route, arguments: &[String]) -> Result<(), Failure> {
    let in_path = |name: &str| route.path_parameters.iter().any(|(known, _)| *known == name);
    let mut own: Vec<&Parameter> =
        route.method.parameters.iter().filter(|parameter| !in_path(parameter.name)).collect();
    own.push(&NO_PROXY);
    own.push(&API_PATH);
    let usage = usage(&format!("pvesh {}", verb.word()), &own, &["api_path"], &[], true);
    let mut accepted = own;
    let known = |name: &str| route.method.parameters.iter().any(|parameter| parameter.name == name);
    accepted.extend(FORMAT_OPTIONS.iter().filter(|option| !known(option.name)));
    let accepted = Accepted { parameters: accepted, positional: &["api_path"], usage: &usage };
    let mut parameters = accepted.read(context, arguments)?;
    for name in ["api_path", "noproxy"] {
        parameters.take(name);
    }
    let wanted = Wanted::taken_from(&mut parameters);
    for (name, value) in &route.path_parameters {
        parameters.set(name, value);
    }
    let value = route.method.call(context, &parameters).map_err(|failure| failure.with_usage(&usage))?;
    wanted.print(context, &value, route.method.returns)
}

/// `pvesh ls`: what lies below a path, and which verbs each has.
fn list(context: &Context, path: &str) -> Result<(), Failure> {
    let route =
        api::find(Verb::Get, path).ok_or_else(|| Failure::die(format!("no such resource '{path}'")))?;
    let key = route
        .method
        .children
        .ok_or_else(|| Failure::die(format!("resource '{path}' does not define child links")))?;
    let mut parameters = Parameters::default();
    for (name, value) in &route.path_parameters {
        parameters.set(name, value);
    }
    let value = route.method.call(context, &parameters)?;
    let names = value.as_array().into_iter().flatten().filter_map(|row| row.get(key)?.as_str());
    let mut rows: Vec<Value> = names
        .map(|name| {
            let path = format!("{}/{name}", path.trim_end_matches('/'));
            json!({ "capabilities": capabilities(&path), "name": name })
        })
        .collect();
    rows.sort_by_key(|row| row.get("name").map(ToString::to_string));
    let columns = [Column::text("capabilities"), Column::text("name")];
    context.print(&draw(&rows, &columns, Style { border: false, header: false, sorted: false }));
    Ok(())
}

/// `D` for what has something below it, then get, set, create, delete.
fn capabilities(path: &str) -> String {
    let served = |verb: Verb| api::find(verb, path).map(|route| route.method);
    let mut text = match served(Verb::Get) {
        Some(method) if method.children.is_some() => "Dr".to_owned(),
        Some(_) => "-r".to_owned(),
        None => "--".to_owned(),
    };
    for (verb, letter) in [(Verb::Set, 'w'), (Verb::Create, 'c'), (Verb::Delete, 'd')] {
        text.push(if served(verb).is_some() { letter } else { '-' });
    }
    text
}

fn refuse(reason: &str) -> Failure {
    Failure::die(format!("ERROR: {reason}\n{}", usage_text()))
}

fn usage_text() -> String {
    let lines: String =
        USAGE.iter().map(|(verb, options)| format!("       pvesh {verb} <api_path> {options}\n")).collect();
    format!("USAGE: pvesh <COMMAND> [ARGS] [OPTIONS]\n\n{lines}\n       pvesh help [<extra-args>] [OPTIONS]")
}
