//! `/access/permissions`: what a user may do, from roles and ACLs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::access::names;
use crate::access::roles::{ADMINISTRATOR, NO_ACCESS};
use crate::access::user_config::{Granted, ROOT, UserConfig, path_parts, path_text};
use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::context::Context;
use crate::failure::Failure;

const PATH: Parameter = Parameter::text("path").optional();

/// GET /access/permissions
pub static READ: Method = Method::new(Verb::Get, "/access/permissions", read)
    .parameters(&[Parameter::text("userid").optional(), PATH])
    .returns(Returns::Object);
/// `pveum user token permissions`, which has no place of its own in the API.
pub static TOKEN: Method = Method::new(Verb::Get, "", token)
    .parameters(&[
        Parameter::text("userid").format(names::user_id),
        Parameter::text("tokenid").pattern(names::REALM),
        PATH,
    ])
    .returns(Returns::Object);

/// Privileges with their propagation.
type Privileges = BTreeMap<String, bool>;

fn read(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let config = UserConfig::read(context)?;
    let subject = parameters.get("userid").unwrap_or(ROOT);
    Ok(answer(&config, subject, parameters.get("path")))
}

fn token(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let config = UserConfig::read(context)?;
    let subject = format!("{}!{}", parameters.text("userid"), parameters.text("tokenid"));
    Ok(answer(&config, &subject, parameters.get("path")))
}

fn answer(config: &UserConfig, subject: &str, path: Option<&str>) -> Value {
    let as_numbers = |privileges: Privileges| {
        let pairs = privileges.into_iter().map(|(name, propagate)| (name, json!(u8::from(propagate))));
        Value::Object(pairs.collect::<Map<_, _>>())
    };
    if let Some(path) = path {
        return json!({ path: as_numbers(privileges(config, subject, path)) });
    }
    let usual =
        ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"].map(str::to_owned);
    let mut paths: BTreeSet<String> = usual.into_iter().collect();
    paths.extend(config.acls.keys().map(|parts| path_text(parts)));
    let found = paths.into_iter().filter_map(|path| {
        let privileges = privileges(config, subject, &path);
        (!privileges.is_empty()).then(|| (path, as_numbers(privileges)))
    });
    Value::Object(found.collect())
}

/// What a user or a token may do on a path.
pub fn privileges(config: &UserConfig, subject: &str, path: &str) -> Privileges {
    if subject == ROOT {
        let all = config.roles.get(ADMINISTRATOR).into_iter().flatten();
        return all.map(|privilege| (privilege.clone(), true)).collect();
    }
    let Some((user, name)) = names::split_token(subject).filter(|_| !config.users.contains_key(subject))
    else {
        return of_roles(config, subject, path);
    };
    let of_user = privileges(config, user, path);
    let token = config.users.get(user).and_then(|user| user.tokens.get(name));
    match token {
        None => Privileges::new(),
        Some(token) if !token.privsep => of_user,
        Some(_) => of_roles(config, subject, path)
            .into_iter()
            .filter_map(|(privilege, own)| Some((privilege.clone(), own && *of_user.get(&privilege)?)))
            .collect(),
    }
}

fn of_roles(config: &UserConfig, subject: &str, path: &str) -> Privileges {
    let mut privileges = Privileges::new();
    for (role, propagate) in roles(config, subject, path) {
        for privilege in config.roles.get(&role).into_iter().flatten() {
            *privileges.entry(privilege.clone()).or_default() |= propagate;
        }
    }
    privileges
}

/// Walks down the path. What a deeper node says replaces what was there; a user's own roles go before a group's.
fn roles(config: &UserConfig, subject: &str, path: &str) -> Granted {
    let parts = path_parts(path);
    let mut roles = Granted::new();
    for depth in 0..=parts.len() {
        let Some(acl) = parts.get(..depth).and_then(|parts| config.acls.get(parts)) else { continue };
        let last = depth == parts.len();
        let valid = |granted: &Granted| -> Granted {
            let valid = granted.iter().filter(|(_, propagate)| last || **propagate);
            valid.map(|(role, propagate)| (role.clone(), *propagate)).collect()
        };
        let own = acl.tokens.get(subject).or_else(|| acl.users.get(subject)).map(valid).unwrap_or_default();
        let new = if own.is_empty() {
            let of_groups = acl.groups.iter().filter(|(name, _)| {
                config.groups.get(*name).is_some_and(|group| group.users.contains(subject))
            });
            of_groups.flat_map(|(_, granted)| valid(granted)).collect()
        } else {
            own
        };
        if !new.is_empty() {
            roles = new;
        }
    }
    if let Some(propagate) = roles.get(NO_ACCESS) {
        return Granted::from([(NO_ACCESS.to_owned(), *propagate)]);
    }
    roles
}

/// The `cap` of a login's answer: privileges by the part of the interface that they open.
pub fn of_the_api(config: &UserConfig, user: &str) -> Value {
    const MODIFY: &str = "Permissions.Modify";
    let parts: [(&str, &[&str]); 7] = [
        ("vms", &["VM.", MODIFY]),
        ("access", &["User.", "Group.", MODIFY]),
        ("storage", &["Datastore.", MODIFY]),
        ("nodes", &["Sys.", MODIFY]),
        ("sdn", &["SDN.", MODIFY]),
        ("dc", &["Sys.Audit", "Sys.Modify", "SDN."]),
        ("mapping", &["Mapping.", MODIFY]),
    ];
    let required =
        ["/", "/nodes", "/access/groups", "/vms", "/storage", "/sdn", "/mapping"].map(str::to_owned);
    let mut paths: BTreeSet<String> = required.into_iter().collect();
    paths.extend(config.acls.keys().map(|parts| path_text(parts)));
    let mut answer: BTreeMap<&str, BTreeMap<String, u8>> =
        parts.iter().map(|(part, _)| (*part, BTreeMap::new())).collect();
    for path in paths {
        let top = path.split('/').nth(1).filter(|top| !top.is_empty()).unwrap_or("dc");
        let Some((part, beginnings)) = parts.iter().find(|(part, _)| *part == top) else { continue };
        for privilege in privileges(config, user, &path).into_keys() {
            if beginnings.iter().any(|beginning| privilege.starts_with(beginning)) {
                answer.entry(part).or_default().insert(privilege, 1);
            }
        }
    }
    json!(answer)
}

/// The text of `pveum user permissions`.
pub fn rows(value: &Value) -> Value {
    let paths = value.as_object().into_iter().flatten();
    let rows = paths.map(|(path, privileges)| {
        let lines: Vec<String> = privileges
            .as_object()
            .into_iter()
            .flatten()
            .map(|(privilege, propagate)| {
                format!("{privilege}{}", if *propagate == json!(1) { " (*)" } else { "" })
            })
            .collect();
        json!({ "path": path, "permissions": lines.join("\n") })
    });
    rows.collect()
}
