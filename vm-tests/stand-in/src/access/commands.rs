//! `pveum`: its commands in the order of its own usage text (transcript 20, item 70).

use serde_json::Value;

use crate::access::{acl, groups, password, permissions, pools, realms, roles, tfa, ticket, tokens, users};
use crate::command_line::program::{Command, Print, Program};
use crate::command_line::table::{Column, Style, draw};

const NOTHING: Print = Print::Nothing;
const RESULT: Print = Print::Result(None);

static ACL: [Command; 3] = [
    Command::new("acl delete", &acl::UPDATE, &["path"], NOTHING).fixed(&[("delete", "1")]),
    Command::new("acl list", &acl::LIST, &[], RESULT),
    Command::new("acl modify", &acl::UPDATE, &["path"], NOTHING).fixed(&[("delete", "0")]),
];
static GROUP: [Command; 4] = [
    Command::new("group add", &groups::CREATE, &["groupid"], NOTHING),
    Command::new("group delete", &groups::DELETE, &["groupid"], NOTHING),
    Command::new("group list", &groups::LIST, &[], RESULT),
    Command::new("group modify", &groups::UPDATE, &["groupid"], NOTHING),
];
static POOL: [Command; 4] = [
    Command::new("pool add", &pools::CREATE, &["poolid"], NOTHING),
    Command::new("pool delete", &pools::DELETE, &["poolid"], NOTHING),
    Command::new("pool list", &pools::LIST, &[], RESULT),
    Command::new("pool modify", &pools::UPDATE, &["poolid"], NOTHING),
];
static REALM: [Command; 5] = [
    Command::new("realm add", &realms::CREATE, &["realm"], NOTHING),
    Command::new("realm delete", &realms::DELETE, &["realm"], NOTHING),
    Command::new("realm list", &realms::LIST, &[], RESULT),
    Command::new("realm modify", &realms::UPDATE, &["realm"], NOTHING),
    Command::new("realm sync", &realms::SYNC, &["realm"], NOTHING),
];
static ROLE: [Command; 4] = [
    Command::new("role add", &roles::CREATE, &["roleid"], NOTHING),
    Command::new("role delete", &roles::DELETE, &["roleid"], NOTHING),
    Command::new("role list", &roles::LIST, &[], RESULT),
    Command::new("role modify", &roles::UPDATE, &["roleid"], NOTHING),
];
static USER: [Command; 13] = [
    Command::new("user tfa unlock", &tfa::UNLOCK, &["userid"], NOTHING),
    Command::new("user tfa delete", &tfa::COMMAND_DELETE, &["userid"], NOTHING),
    Command::new("user tfa list", &tfa::COMMAND_LIST, &["userid"], Print::Text(tfa::list_text)),
    Command::new("user token add", &tokens::CREATE, &["userid", "tokenid"], RESULT),
    Command::new("user token delete", &tokens::DELETE, &["userid", "tokenid"], RESULT),
    Command::new("user token list", &tokens::LIST, &["userid"], RESULT),
    Command::new("user token modify", &tokens::UPDATE, &["userid", "tokenid"], RESULT),
    Command::new("user token permissions", &permissions::TOKEN, &["userid", "tokenid"], PERMISSIONS),
    Command::new("user permissions", &permissions::READ, &["userid"], PERMISSIONS),
    Command::new("user add", &users::CREATE, &["userid"], NOTHING),
    Command::new("user delete", &users::DELETE, &["userid"], NOTHING),
    Command::new("user list", &users::LIST, &[], RESULT),
    Command::new("user modify", &users::UPDATE, &["userid"], NOTHING),
];
static OTHERS: [Command; 2] = [
    Command::new("passwd", &password::COMMAND, &["userid"], NOTHING),
    Command::new("ticket", &ticket::COMMAND, &["username"], Print::Text(ticket_text)),
];

const PERMISSIONS: Print = Print::ResultOrText(permissions_text);

/// The tool.
pub static PVEUM: Program = Program {
    name: "pveum",
    groups: &[&ACL, &GROUP, &POOL, &REALM, &ROLE, &USER, &OTHERS],
    aliases: &[
        ("acldel", "acl delete"),
        ("aclmod", "acl modify"),
        ("groupadd", "group add"),
        ("groupdel", "group delete"),
        ("groupmod", "group modify"),
        ("roleadd", "role add"),
        ("roledel", "role delete"),
        ("rolemod", "role modify"),
        ("useradd", "user add"),
        ("userdel", "user delete"),
        ("usermod", "user modify"),
    ],
};

fn ticket_text(value: &Value) -> String {
    format!("{}\n", value.get("ticket").and_then(Value::as_str).unwrap_or_default())
}

fn permissions_text(value: &Value) -> String {
    let columns = [Column::text("path").title("ACL path"), Column::text("permissions").title("Permissions")];
    let rows = permissions::rows(value);
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    let style = Style { border: true, header: true, sorted: true };
    let table = if rows.is_empty() { String::new() } else { draw(rows, &columns, style) };
    format!("{table}Permissions marked with '(*)' have the 'propagate' flag set.\n")
}
