//! `/access/acl`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::access::names;
use crate::access::user_config::{Granted, UserConfig, path_text};
use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::command_line::table::Column;
use crate::context::Context;
use crate::failure::Failure;

/// The path of an ACL.
pub const PATH: Parameter = Parameter::text("path");

static COLUMNS: [Column<'static>; 5] = [
    Column::text("path"),
    Column::text("roleid"),
    Column::text("type"),
    Column::text("ugid"),
    Column::text("propagate"),
];

/// GET /access/acl
pub static LIST: Method = Method::new(Verb::Get, "/access/acl", list).returns(Returns::List(&COLUMNS));
/// PUT /access/acl
pub static UPDATE: Method = Method::new(Verb::Set, "/access/acl", update).parameters(&[
    PATH,
    Parameter::list("roles").format(names::roles),
    Parameter::boolean("propagate").optional(),
    Parameter::list("users").format(names::user_ids).optional(),
    Parameter::list("groups").format(names::groups).optional(),
    Parameter::list("tokens").format(names::token_ids).optional(),
    Parameter::boolean("delete").optional(),
]);

fn list(context: &Context, _parameters: &Parameters) -> Result<Value, Failure> {
    let config = UserConfig::read(context)?;
    let mut rows = Vec::new();
    for (parts, acl) in &config.acls {
        let path = path_text(parts);
        for (kind, subjects) in [("user", &acl.users), ("group", &acl.groups), ("token", &acl.tokens)] {
            for (subject, granted) in subjects {
                rows.extend(granted.iter().map(|(role, propagate)| {
                    json!({
                        "path": path,
                        "propagate": u8::from(*propagate),
                        "roleid": role,
                        "type": kind,
                        "ugid": subject,
                    })
                }));
            }
        }
    }
    Ok(Value::Array(rows))
}

fn update(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    const SUBJECTS: [&str; 3] = ["tokens", "users", "groups"];
    if SUBJECTS.iter().all(|name| parameters.text(name).is_empty()) {
        let text = "either 'users', 'groups' or 'tokens' is required.";
        let refused = SUBJECTS.iter().map(|name| ((*name).to_owned(), text.to_owned())).collect();
        return Err(Failure::parameters(255, refused));
    }
    let remove = parameters.flag("delete") == Some(true);
    let given = parameters.text("path");
    let path = names::normal_path(given).filter(|path| remove || names::is_acl_path(path));
    let path = path.ok_or_else(|| Failure::parameter(255, "path", format!("invalid ACL path '{given}'")))?;
    UserConfig::change(context, "ACL update failed", |config| {
        for role in parameters.entries("roles") {
            if !config.roles.contains_key(role) {
                return Err(Failure::die(format!("role '{role}' does not exist")));
            }
            check_subjects(config, parameters)?;
            let propagate = parameters.flag("propagate").unwrap_or(true);
            let change = Change { role, propagate: (!remove).then_some(propagate) };
            let acl = config.acl_mut(&path);
            change.make(&mut acl.groups, parameters.entries("groups"));
            change.make(&mut acl.users, parameters.entries("users"));
            change.make(&mut acl.tokens, parameters.entries("tokens"));
        }
        Ok(Value::Null)
    })
}

fn check_subjects(config: &UserConfig, parameters: &Parameters) -> Result<(), Failure> {
    if let Some(group) = parameters.entries("groups").iter().find(|name| !config.groups.contains_key(**name))
    {
        return Err(Failure::die(format!("group '{group}' does not exist")));
    }
    if let Some(user) = parameters.entries("users").iter().find(|name| !config.users.contains_key(**name)) {
        return Err(Failure::die(format!("user '{user}' does not exist")));
    }
    for full in parameters.entries("tokens") {
        let (user, token) = names::split_token(full).unwrap_or_default();
        if !config.user(user)?.tokens.contains_key(token) {
            return Err(Failure::die(format!("no such token '{token}' for user '{user}'")));
        }
    }
    Ok(())
}

/// One role to give, or to take.
struct Change<'a> {
    role: &'a str,
    propagate: Option<bool>,
}

impl Change<'_> {
    fn make(&self, all: &mut BTreeMap<String, Granted>, subjects: Vec<&str>) {
        for subject in subjects {
            let granted = all.entry(subject.to_owned()).or_default();
            match self.propagate {
                Some(propagate) => {
                    granted.insert(self.role.to_owned(), propagate);
                }
                None => {
                    granted.remove(self.role);
                }
            }
        }
    }
}
