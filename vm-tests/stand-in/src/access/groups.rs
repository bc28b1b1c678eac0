//! `/access/groups`.

use serde_json::{Value, json};

use crate::access::names;
use crate::access::user_config::{Group, UserConfig};
use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::command_line::table::Column;
use crate::context::Context;
use crate::failure::Failure;

const GROUP: Parameter = Parameter::text("groupid").format(names::group);
const COMMENT: Parameter = Parameter::text("comment").optional();

static COLUMNS: [Column<'static>; 3] =
    [Column::text("groupid"), Column::text("comment"), Column::text("users")];

/// GET /access/groups
pub static LIST: Method =
    Method::new(Verb::Get, "/access/groups", list).returns(Returns::List(&COLUMNS)).children("groupid");
/// POST /access/groups
pub static CREATE: Method = Method::new(Verb::Create, "/access/groups", create).parameters(&[GROUP, COMMENT]);
/// GET /access/groups/{groupid}
pub static READ: Method =
    Method::new(Verb::Get, "/access/groups/{groupid}", read).parameters(&[GROUP]).returns(Returns::Object);
/// PUT /access/groups/{groupid}
pub static UPDATE: Method =
    Method::new(Verb::Set, "/access/groups/{groupid}", update).parameters(&[GROUP, COMMENT]);
/// DELETE /access/groups/{groupid}
pub static DELETE: Method =
    Method::new(Verb::Delete, "/access/groups/{groupid}", delete).parameters(&[GROUP]);

fn list(context: &Context, _parameters: &Parameters) -> Result<Value, Failure> {
    let config = UserConfig::read(context)?;
    let rows = config.groups.iter().map(|(name, group)| {
        let users: Vec<&str> = group.users.iter().map(String::as_str).collect();
        let mut row = json!({ "groupid": name, "users": users.join(",") });
        with_comment(&mut row, group);
        row
    });
    Ok(rows.collect())
}

fn read(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let config = UserConfig::read(context)?;
    let name = parameters.text("groupid");
    let group = config.groups.get(name).ok_or_else(|| no_such_group(name))?;
    let mut row = json!({ "members": group.users });
    with_comment(&mut row, group);
    Ok(row)
}

fn with_comment(row: &mut Value, group: &Group) {
    if let (Some(row), Some(comment)) = (row.as_object_mut(), &group.comment) {
        row.insert("comment".to_owned(), json!(comment));
    }
}

fn create(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let name = parameters.text("groupid");
    UserConfig::change(context, "create group failed", |config| {
        if config.groups.contains_key(name) {
            return Err(Failure::die(format!("group '{name}' already exists")));
        }
        let comment = parameters.get("comment").filter(|comment| !comment.is_empty()).map(str::to_owned);
        config.groups.insert(name.to_owned(), Group { comment, ..Group::default() });
        Ok(Value::Null)
    })
}

fn update(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let name = parameters.text("groupid");
    UserConfig::change(context, "update group failed", |config| {
        let group = config.groups.get_mut(name).ok_or_else(|| no_such_group(name))?;
        if let Some(comment) = parameters.get("comment") {
            group.comment = Some(comment.to_owned());
        }
        Ok(Value::Null)
    })
}

fn delete(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let name = parameters.text("groupid");
    UserConfig::change(context, "delete group failed", |config| {
        config.groups.remove(name).ok_or_else(|| no_such_group(name))?;
        for acl in config.acls.values_mut() {
            acl.groups.remove(name);
        }
        Ok(Value::Null)
    })
}

fn no_such_group(name: &str) -> Failure {
    Failure::die(format!("group '{name}' does not exist"))
}
