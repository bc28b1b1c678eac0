//! `pvesh`: any method of the API from the command line.

use crate::api::{self, Route, Verb};
use crate::cluster_files;
use crate::command_line::options::{Accepted, FORMAT_OPTIONS, usage};
use crate::command_line::output::Wanted;
use crate::command_line::parameter::Parameter;
use crate::context::Context;
use crate::failure::Failure;

/// Not a word of the usage, but accepted by every verb.
static NO_PROXY: Parameter = Parameter::boolean("noproxy").optional();
static API_PATH: Parameter = Parameter::text("api_path");

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
    cluster_files::ask_for_access(context)?;
    let (Some(verb), Some(route)) = (verb, route) else {
        return Err(unknown(word));
    };
    call(context, verb, &route, arguments.get(1..).unwrap_or_default())
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

fn unknown(word: &str) -> Failure {
    Failure::die(format!("ERROR: unknown command 'pvesh {word}'"))
}
