//! `/pools`, as far as `pveum pool` goes: pools without members, for there are no guests here.

use serde_json::{Value, json};

use crate::access::user_config::{Pool, UserConfig};
use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::command_line::table::Column;
use crate::context::Context;
use crate::failure::Failure;

const POOL: Parameter = Parameter::text("poolid").pattern("[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+){0,2}");
const COMMENT: Parameter = Parameter::text("comment").optional();

static COLUMNS: [Column<'static>; 1] = [Column::text("poolid")];

/// GET /pools
pub static LIST: Method = Method::new(Verb::Get, "/pools", list)
    .parameters(&[Parameter::text("poolid").optional()])
    .returns(Returns::List(&COLUMNS))
    .children("poolid");
/// POST /pools
pub static CREATE: Method = Method::new(Verb::Create, "/pools", create).parameters(&[POOL, COMMENT]);
/// PUT /pools/{poolid}
pub static UPDATE: Method = Method::new(Verb::Set, "/pools/{poolid}", update).parameters(&[POOL, COMMENT]);
/// DELETE /pools/{poolid}
pub static DELETE: Method = Method::new(Verb::Delete, "/pools/{poolid}", delete).parameters(&[POOL]);

fn list(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let config = UserConfig::read(context)?;
    let wanted = parameters.get("poolid");
    let pools = config.pools.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name));
    let rows = pools.map(|(name, pool)| match &pool.comment {
        Some(comment) => json!({ "comment": comment, "poolid": name }),
        None => json!({ "poolid": name }),
    });
    Ok(rows.collect())
}

fn create(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let name = parameters.text("poolid");
    UserConfig::change(context, "create pool failed", |config| {
        if config.pools.contains_key(name) {
            return Err(Failure::die(format!("pool '{name}' already exists")));
        }
        let comment = parameters.get("comment").map(str::to_owned);
        config.pools.insert(name.to_owned(), Pool { comment, ..Pool::default() });
        Ok(Value::Null)
    })
}

fn update(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let name = parameters.text("poolid");
    UserConfig::change(context, "update pools failed", |config| {
        let pool = config.pools.get_mut(name).ok_or_else(|| no_such_pool(name))?;
        if let Some(comment) = parameters.get("comment") {
            pool.comment = Some(comment.to_owned());
        }
        Ok(Value::Null)
    })
}

fn delete(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let name = parameters.text("poolid");
    UserConfig::change(context, "delete pool failed", |config| {
        config.pools.remove(name).ok_or_else(|| no_such_pool(name))?;
        Ok(Value::Null)
    })
}

fn no_such_pool(name: &str) -> Failure {
    Failure::die(format!("pool '{name}' does not exist"))
}
