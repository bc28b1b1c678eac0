//! `/access/password` and `pveum passwd`.

use serde_json::Value;

use crate::access::shadow;
use crate::access::user_config::UserConfig;
use crate::access::users::USER;
use crate::api::{Method, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::context::Context;
use crate::failure::Failure;

const PASSWORD: Parameter = Parameter::text("password").min_length(8).max_length(64);

/// PUT /access/password
pub static SET: Method = Method::new(Verb::Set, "/access/password", set).parameters(&[
    USER,
    PASSWORD,
    Parameter::text("confirmation-password").min_length(5).max_length(64).optional(),
]);
/// `pveum passwd`: two lines on stdin, if it is no terminal.
pub static COMMAND: Method = Method::new(Verb::Set, "", command).parameters(&[
    USER,
    Parameter::text("password").optional(),
    Parameter::text("confirmation-password").min_length(5).max_length(64).optional(),
]);

fn set(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let user = parameters.text("userid");
    UserConfig::read(context)?.user(user)?;
    shadow::set_password(context, user, parameters.text("password"))?;
    Ok(Value::Null)
}

fn command(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let password = match parameters.get("password").filter(|password| !password.is_empty()) {
        Some(password) => password.to_owned(),
        None => confirmed(&context.read_input())?,
    };
    let mut given = parameters.clone();
    given.set("password", password);
    SET.call(context, &given)
}

fn confirmed(input: &str) -> Result<String, Failure> {
    let mut lines = input.lines();
    let mut line = || lines.next().ok_or_else(|| Failure::die("EOF while reading password"));
    let (first, again) = (line()?, line()?);
    if first == again { Ok(first.to_owned()) } else { Err(Failure::die("passwords do not match")) }
}
