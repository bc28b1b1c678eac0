//! Users, groups, roles, ACLs, realms and second factors: `/access`.

pub mod commands;

use crate::api::Method;

/// The methods below `/access`.
pub static METHODS: &[&Method] = &[];
