//! `/version`.

use serde_json::{Value, json};

use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::Parameters;
use crate::context::Context;
use crate::failure::Failure;

/// Version of pve-manager that was recorded.
pub const VERSION: &str = "9.2.11";
/// Its release.
pub const RELEASE: &str = "9.2";
/// The commit it was built from.
pub const REPOSITORY_ID: &str = "14a22df35955d97d";

static GET: Method = Method::new(Verb::Get, "/version", version).returns(Returns::Object);

/// The one method.
pub static METHODS: &[&Method] = &[&GET];

fn version(_context: &Context, _parameters: &Parameters) -> Result<Value, Failure> {
    Ok(json!({ "release": RELEASE, "repoid": REPOSITORY_ID, "version": VERSION }))
}
