//! Users, groups, roles, ACLs, realms and second factors: `/access`.

pub mod acl;
pub mod commands;
pub mod encoding;
pub mod failures;
pub mod groups;
pub mod index;
pub mod legacy;
pub mod login;
pub mod names;
pub mod password;
pub mod permissions;
pub mod pools;
pub mod random;
pub mod realm_config;
pub mod realms;
pub mod roles;
pub mod shadow;
pub mod tfa;
pub mod tfa_config;
pub mod ticket;
pub mod tokens;
pub mod totp;
pub mod user_config;
pub mod users;

use crate::api::Method;

/// The methods below `/access`.
pub static METHODS: &[&Method] = &[
    &acl::LIST,
    &acl::UPDATE,
    &groups::CREATE,
    &groups::DELETE,
    &groups::LIST,
    &groups::READ,
    &groups::UPDATE,
    &index::ACCESS,
    &index::OPENID,
    &password::SET,
    &permissions::READ,
    &pools::CREATE,
    &pools::DELETE,
    &pools::LIST,
    &pools::UPDATE,
    &realms::CREATE,
    &realms::DELETE,
    &realms::LIST,
    &realms::READ,
    &realms::SYNC,
    &realms::UPDATE,
    &roles::CREATE,
    &roles::DELETE,
    &roles::LIST,
    &roles::READ,
    &roles::UPDATE,
    &tfa::CREATE,
    &tfa::DELETE,
    &tfa::LIST,
    &tfa::LIST_USER,
    &tfa::READ,
    &tfa::UNLOCK,
    &tfa::UPDATE,
    &ticket::CREATE,
    &ticket::READ,
    &tokens::CREATE,
    &tokens::DELETE,
    &tokens::LIST,
    &tokens::READ,
    &tokens::UPDATE,
    &users::CREATE,
    &users::DELETE,
    &users::LIST,
    &users::READ,
    &users::UPDATE,
];
