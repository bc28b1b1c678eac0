//! The API tree: which method serves a verb and a path.
//!
//! An area gives a table of its methods (`access::METHODS`, `firewall::METHODS`). A method is called with verified
//! parameters, those of its path among them.

use serde_json::Value;

use crate::command_line::parameter::{Parameter, Parameters};
use crate::command_line::table::Column;
use crate::context::Context;
use crate::failure::Failure;

/// What `pvesh` is asked to do with a path.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(any(test, debug_assertions), derive(Debug))]
pub enum Verb {
    /// GET
    Get,
    /// PUT
    Set,
    /// POST
    Create,
    /// DELETE
    Delete,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Get, Self::Set, Self::Create, Self::Delete];

    /// The word of `pvesh`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Create => "create",
            Self::Delete => "delete",
        }
    }
}

/// What a method gives back, as far as printing needs to know it.
#[derive(Clone, Copy)]
pub enum Returns {
    /// Nothing: not a byte is printed, whatever the format.
    Nothing,
    /// One value without keys.
    Scalar,
    /// An object: a table of keys and values.
    Object,
    /// Objects; text tables show these columns. None stands for every key, sorted.
    List(&'static [Column<'static>]),
    /// Values without keys.
    Values,
}

/// One method of the API. Written as a `static`, by the builder below.
pub struct Method {
    /// The verb it serves.
    pub verb: Verb,
    /// Its path; a segment in braces is a parameter, the last one may take further segments: `{cidr...}`.
    pub path: &'static str,
    /// Its parameters, those of the path among them.
    pub parameters: &'static [Parameter],
    /// What it gives back.
    pub returns: Returns,
    /// True where the real schema has no `properties` at all: the recorded pvesh dies of it (pve-observed 3.2).
    pub without_properties: bool,
    /// The key of its answers that names what lies below; `pvesh ls` lists it.
    pub children: Option<&'static str>,
    /// The call itself.
    pub run: fn(&Context, &Parameters) -> Result<Value, Failure>,
}

impl Method {
    /// A method without parameters that gives nothing back.
    pub const fn new(
        verb: Verb,
        path: &'static str,
        run: fn(&Context, &Parameters) -> Result<Value, Failure>,
    ) -> Self {
        Self {
            verb,
            path,
            parameters: &[],
            returns: Returns::Nothing,
            without_properties: false,
            children: None,
            run,
        }
    }

    /// Sets the parameters.
    #[must_use]
    pub const fn parameters(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }

    /// Sets what it gives back.
    #[must_use]
    pub const fn returns(mut self, returns: Returns) -> Self {
        self.returns = returns;
        self
    }

    /// Says that the real schema has no `properties`.
    #[must_use]
    pub const fn without_properties(mut self) -> Self {
        self.without_properties = true;
        self
    }

    /// Says which key of its answers names what lies below.
    #[must_use]
    pub const fn children(mut self, key: &'static str) -> Self {
        self.children = Some(key);
        self
    }

    /// Verifies the parameters and makes the call.
    pub fn call(&self, context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
        parameters.verify(self.parameters)?;
        (self.run)(context, parameters)
    }
}

/// A method and the parameters that its path gave.
pub struct Route {
    /// The method.
    pub method: &'static Method,
    /// Parameters of the path by name.
    pub path_parameters: Vec<(&'static str, String)>,
}

/// The tables of all areas.
fn areas() -> [&'static [&'static Method]; 3] {
    [crate::version::METHODS, crate::access::METHODS, crate::firewall::METHODS]
}

/// All methods of all areas.
pub fn methods() -> impl Iterator<Item = &'static Method> {
    areas().into_iter().flatten().copied()
}

/// The method that serves a verb on a path. A literal segment wins over a parameter.
pub fn find(verb: Verb, path: &str) -> Option<Route> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    methods()
        .filter(|method| method.verb == verb)
        .filter_map(|method| Some(Route { method, path_parameters: matched(method.path, &segments)? }))
        .min_by_key(|route| route.path_parameters.len())
}

/// The parameters of a path that fits the template.
fn matched(template: &'static str, segments: &[&str]) -> Option<Vec<(&'static str, String)>> {
    let mut found = Vec::new();
    let mut rest = segments;
    for part in template.split('/').filter(|part| !part.is_empty()) {
        let (first, others) = rest.split_first()?;
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => match name.strip_suffix("...") {
                Some(name) => {
                    found.push((name, rest.join("/")));
                    return Some(found);
                }
                None => found.push((name, (*first).to_owned())),
            },
            None if part == *first => {}
            None => return None,
        }
        rest = others;
    }
    rest.is_empty().then_some(found)
}
