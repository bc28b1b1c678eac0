//! What lies below `/access`, for `pvesh ls`.

use serde_json::{Value, json};

use crate::api::{Method, Returns, Verb};

/// GET /access
pub static ACCESS: Method = Method::new(Verb::Get, "/access", |_, _| {
    Ok(list(&["acl", "domains", "groups", "openid", "password", "roles", "tfa", "ticket", "users"]))
})
.returns(Returns::List(&[]))
.children("subdir");

/// GET /access/openid
pub static OPENID: Method = Method::new(Verb::Get, "/access/openid", |_, _| Ok(list(&["auth-url", "login"])))
    .returns(Returns::List(&[]))
    .children("subdir");

fn list(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "subdir": name })).collect()
}
