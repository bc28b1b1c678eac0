//! Names of users, groups, roles, realms and paths: what is accepted, and with which words the rest is refused.
//!
//! From PVE::Auth::Plugin, PVE::AccessControl and transcript 20.

use crate::command_line::parameter::matches;

/// A realm.
pub const REALM: &str = "[A-Za-z][A-Za-z0-9._-]+";
/// The part of a user id before the realm. Anything goes but blanks, colons and slashes.
pub const USER: &str = r"[^\s:/]+";
/// Groups and roles.
const PLAIN: &str = "[A-Za-z0-9._-]+";

/// Checks a user id.
pub fn user_id(value: &str) -> Result<(), String> {
    let length = value.chars().count();
    if length < 3 {
        return Err(format!("user name '{value}' is too short"));
    }
    if length > 64 {
        return Err(format!("user name '{value}' is too long ({length} > 64)"));
    }
    if matches(&format!("{USER}@{REALM}"), value) {
        Ok(())
    } else {
        Err(format!("value '{value}' does not look like a valid user name"))
    }
}

/// The name and the realm of a user id. The last `@` divides them.
pub fn split_user(user: &str) -> Option<(&str, &str)> {
    user_id(user).ok()?;
    user.rsplit_once('@')
}

/// Checks a list of user ids.
pub fn user_ids(value: &str) -> Result<(), String> {
    each(value, user_id)
}

/// Checks a group's name.
pub fn group(value: &str) -> Result<(), String> {
    plain(value, || format!("group name '{value}' contains invalid characters"))
}

/// Checks a list of groups.
pub fn groups(value: &str) -> Result<(), String> {
    each(value, group)
}

/// Checks a role's name.
pub fn role(value: &str) -> Result<(), String> {
    plain(value, || format!("role name '{value}' contains invalid characters"))
}

/// Checks a list of roles.
pub fn roles(value: &str) -> Result<(), String> {
    each(value, role)
}

/// Checks a realm.
pub fn realm(value: &str) -> Result<(), String> {
    if matches(REALM, value) { Ok(()) } else { Err("value does not look like a valid realm".to_owned()) }
}

/// Checks a full token id: `USER@REALM!TOKEN`.
pub fn token_id(value: &str) -> Result<(), String> {
    if split_token(value).is_some() {
        Ok(())
    } else {
        Err(format!("value '{value}' does not look like a valid token ID"))
    }
}

/// Checks a list of full token ids.
pub fn token_ids(value: &str) -> Result<(), String> {
    each(value, token_id)
}

/// User and token of a full token id.
pub fn split_token(value: &str) -> Option<(&str, &str)> {
    let (user, token) = value.rsplit_once('!')?;
    (user_id(user).is_ok() && matches(REALM, token)).then_some((user, token))
}

/// Checks a mail address; empty is one, too.
pub fn email(value: &str) -> Result<(), String> {
    const LOCAL: &str = "[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+";
    const DOMAIN: &str = "[A-Za-z0-9-]+(?:\\.[A-Za-z0-9-]+)*";
    if value.is_empty() || matches(&format!("{LOCAL}@{DOMAIN}"), value) {
        Ok(())
    } else {
        Err("value does not look like a valid email address".to_owned())
    }
}

/// A path of the ACLs in its normal form, if it is one at all.
pub fn normal_path(path: &str) -> Option<String> {
    if path.is_empty() || !matches("[A-Za-z0-9._/-]+", path) {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    Some(format!("/{}", parts.join("/")))
}

/// True for the paths that may get an ACL.
pub fn is_acl_path(path: &str) -> bool {
    const NAME: &str = "[A-Za-z0-9._-]+";
    let patterns = [
        "/".to_owned(),
        format!("/access(?:/groups|/realm)?|/access/(?:groups|realm)/{NAME}"),
        format!("/(?:nodes|storage)(?:/{NAME})?"),
        format!("/pool(?:/{NAME}){{0,3}}"),
        "/sdn|/sdn/(?:controllers|dns|fabrics|ipams|prefix-lists|route-maps|zones)".to_owned(),
        "/sdn/(?:dns|fabrics|ipams|prefix-lists|route-maps)/[A-Za-z0-9]+".to_owned(),
        "/sdn/controllers/[A-Za-z0-9_-]+".to_owned(),
        format!("/sdn/zones/{NAME}(?:/{NAME}(?:/[1-9][0-9]{{0,3}})?)?"),
        "/vms(?:/[1-9][0-9]{2,})?".to_owned(),
        format!("/mapping(?:/{NAME}){{0,2}}"),
    ];
    patterns.iter().any(|pattern| matches(pattern, path))
}

fn plain(value: &str, text: impl Fn() -> String) -> Result<(), String> {
    if matches(PLAIN, value) { Ok(()) } else { Err(text()) }
}

fn each(value: &str, check: impl Fn(&str) -> Result<(), String>) -> Result<(), String> {
    entries(value).try_for_each(check)
}

/// The entries of a list in a file or a parameter.
pub fn entries(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | ';' | '\0'))
        .filter(|entry| !entry.is_empty())
}
