//! Options as Perl's Getopt::Long reads them for PVE: one dash or two, any case, unique abbreviations, options and
//! positional arguments in any order.

use std::collections::BTreeMap;

use crate::command_line::parameter::{Kind, Parameter, Parameters};
use crate::context::Context;
use crate::failure::Failure;

/// What one call may be given.
pub struct Accepted<'a> {
    /// Every parameter that is an option or positional.
    pub parameters: Vec<&'a Parameter>,
    /// Names of the positional ones, in order.
    pub positional: &'a [&'static str],
    /// The usage line told with every refusal.
    pub usage: &'a str,
}

impl Accepted<'_> {
    /// Reads the arguments. Warnings go to stderr, as Getopt::Long's do.
    pub fn read(&self, context: &Context, arguments: &[String]) -> Result<Parameters, Failure> {
        let mut reading =
            Reading { accepted: self, values: BTreeMap::new(), rest: Vec::new(), failed: false };
        reading.run(context, arguments);
        if reading.failed {
            return Err(self.refuse("unable to parse option"));
        }
        let Reading { values, rest, .. } = reading;
        let mut parameters = Parameters::default();
        for (name, given) in values {
            let parameter = self.parameters.iter().find(|parameter| parameter.name == name);
            parameters.set(name, self.value(parameter.map(|parameter| parameter.kind), given)?);
        }
        self.place(&mut parameters, rest)?;
        Ok(parameters)
    }

    /// The value of an option that was given once or several times.
    fn value(&self, kind: Option<Kind>, mut given: Vec<String>) -> Result<String, Failure> {
        match kind {
            Some(Kind::List) => Ok(given.join(",")),
            Some(Kind::Boolean) => {
                let word = given.pop().unwrap_or_default().to_lowercase();
                match word.as_str() {
                    "" | "1" | "on" | "yes" | "true" => Ok("1".to_owned()),
                    "0" | "off" | "no" | "false" => Ok("0".to_owned()),
                    _ => Err(self.refuse("unable to parse boolean option")),
                }
            }
            _ => Ok(given.pop().unwrap_or_default()),
        }
    }

    /// Gives the positional arguments their names.
    fn place(&self, parameters: &mut Parameters, rest: Vec<String>) -> Result<(), Failure> {
        let mut rest = rest.into_iter();
        for name in self.positional {
            match rest.next() {
                Some(value) => parameters.set(name, value),
                None => {
                    let optional =
                        self.parameters.iter().any(|parameter| parameter.name == *name && parameter.optional);
                    if !optional {
                        return Err(self.refuse("not enough arguments"));
                    }
                }
            }
        }
        if rest.next().is_some() { Err(self.refuse("too many arguments")) } else { Ok(()) }
    }

    fn refuse(&self, text: &str) -> Failure {
        Failure::usage(format!("400 {text}"), self.usage)
    }

    /// The option that a word stands for: itself, or what it is the beginning of, alone.
    fn option(&self, word: &str) -> Found<'_> {
        let word = word.to_lowercase();
        let options: Vec<_> = self
            .parameters
            .iter()
            .filter(|parameter| !word.is_empty() && parameter.name.to_lowercase().starts_with(&word))
            .collect();
        if let Some(exact) = options.iter().find(|parameter| parameter.name.to_lowercase() == word) {
            return Found::One(exact);
        }
        match options.as_slice() {
            [] => Found::None,
            [one] => Found::One(one),
            several => {
                let mut names: Vec<&str> = several.iter().map(|parameter| parameter.name).collect();
                names.sort_unstable();
                Found::Several(names.join(", "))
            }
        }
    }
}

/// What an option's word stands for.
enum Found<'a> {
    None,
    One(&'a Parameter),
    Several(String),
}

/// The state of reading one command line.
struct Reading<'a> {
    accepted: &'a Accepted<'a>,
    values: BTreeMap<&'a str, Vec<String>>,
    rest: Vec<String>,
    failed: bool,
}

impl Reading<'_> {
    fn run(&mut self, context: &Context, arguments: &[String]) {
        let mut words = arguments.iter().peekable();
        while let Some(word) = words.next() {
            if word == "--" {
                self.rest.extend(words.cloned());
                return;
            }
            let Some(body) =
                word.strip_prefix("--").or_else(|| word.strip_prefix('-')).filter(|body| !body.is_empty())
            else {
                self.rest.push(word.clone());
                continue;
            };
            let (name, joined) = match body.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (body, None),
            };
            let parameter = match self.accepted.option(name) {
                Found::One(parameter) => parameter,
                Found::None => {
                    self.fail(context, &format!("Unknown option: {name}"));
                    continue;
                }
                Found::Several(names) => {
                    self.fail(context, &format!("Option {name} is ambiguous ({names})"));
                    continue;
                }
            };
            let value = match joined {
                // An empty value behind the sign counts as none at all, and there is no next one to take.
                Some(value) if value.is_empty() && parameter.kind != Kind::Boolean => None,
                Some(value) => Some(value),
                None if parameter.kind == Kind::Boolean => {
                    let own = words.next_if(|next| !next.starts_with('-') || next.len() == 1);
                    Some(own.cloned().unwrap_or_default())
                }
                None => words.next().cloned(),
            };
            match value {
                Some(value) => self.values.entry(parameter.name).or_default().push(value),
                None => self.fail(context, &format!("Option {name} requires an argument")),
            }
        }
    }

    fn fail(&mut self, context: &Context, text: &str) {
        context.warn(text);
        self.failed = true;
    }
}

/// The options of the output that every tool knows where it prints values.
pub static FORMAT_OPTIONS: [Parameter; 5] = [
    Parameter::one_of("output-format", &["text", "json", "json-pretty", "yaml"]).optional(),
    Parameter::boolean("human-readable").optional(),
    Parameter::boolean("noborder").optional(),
    Parameter::boolean("noheader").optional(),
    Parameter::boolean("quiet").optional(),
];

/// The usage line of one command: positional and required ones, then what else there is.
pub fn usage(
    prefix: &str,
    parameters: &[&Parameter],
    positional: &[&str],
    fixed: &[&str],
    format_options: bool,
) -> String {
    let mut words = Vec::new();
    for name in positional {
        let optional = parameters.iter().any(|parameter| parameter.name == *name && parameter.optional);
        words.push(if optional { format!("[<{name}>]") } else { format!("<{name}>") });
    }
    let mut others: Vec<_> = parameters
        .iter()
        .filter(|parameter| !positional.contains(&parameter.name) && !fixed.contains(&parameter.name))
        .collect();
    others.sort_by_key(|parameter| parameter.name);
    for parameter in others.iter().filter(|parameter| !parameter.optional) {
        words.push(format!("--{} <{}>", parameter.name, parameter.kind.name()));
    }
    let mut line = format!("{prefix} {}", words.join(" "));
    if !others.is_empty() {
        line.push_str(" [OPTIONS]");
    }
    if format_options {
        line.push_str(" [FORMAT_OPTIONS]");
    }
    line
}
