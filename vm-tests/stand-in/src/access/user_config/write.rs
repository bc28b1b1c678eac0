//! Writing `user.cfg`: five blocks with an empty line between them, everything sorted.

use std::collections::{BTreeMap, BTreeSet};

use super::{Acl, Granted, ROOT, UserConfig, path_text};
use crate::access::{encoding, roles};

impl UserConfig {
    /// The text of the file.
    pub fn text(&self) -> String {
        let blocks = [self.user_lines(), self.group_lines(), self.pool_lines(), self.role_lines()];
        let mut text: String = blocks.iter().map(|block| format!("{block}\n")).collect();
        for (parts, acl) in &self.acls {
            text.push_str(&acl_lines(&path_text(parts), acl));
        }
        text
    }

    fn user_lines(&self) -> String {
        let mut lines = String::new();
        for (id, user) in &self.users {
            let fields = [
                encoded(user.first_name.as_ref()),
                encoded(user.last_name.as_ref()),
                user.email.clone().unwrap_or_default(),
                encoded(user.comment.as_ref()),
                user.keys.clone().unwrap_or_default(),
            ];
            let expire = user.expire.unwrap_or_default();
            lines.push_str(&format!("user:{id}:{}:{expire}:{}:\n", u8::from(user.enable), fields.join(":")));
            for (name, token) in &user.tokens {
                let (privsep, comment) = (u8::from(token.privsep), encoded(token.comment.as_ref()));
                lines.push_str(&format!("token:{id}!{name}:{}:{privsep}:{comment}:\n", token.expire));
            }
        }
        lines
    }

    fn group_lines(&self) -> String {
        self.groups
            .iter()
            .map(|(name, group)| {
                format!("group:{name}:{}:{}:\n", joined(&group.users), encoded(group.comment.as_ref()))
            })
            .collect()
    }

    fn pool_lines(&self) -> String {
        self.pools
            .iter()
            .map(|(name, pool)| {
                let comment = encoded(pool.comment.as_ref());
                format!("pool:{name}:{comment}:{}:{}:\n", joined(&pool.guests), joined(&pool.storages))
            })
            .collect()
    }

    fn role_lines(&self) -> String {
        self.roles
            .iter()
            .filter(|(name, _)| !roles::is_built_in(name))
            .map(|(name, privileges)| format!("role:{name}:{}:\n", joined(privileges)))
            .collect()
    }
}

/// The lines of one path: subjects with the same roles share a line; without propagation first.
fn acl_lines(path: &str, acl: &Acl) -> String {
    let mut lines: BTreeMap<(bool, String), BTreeSet<String>> = BTreeMap::new();
    let mut collect = |subject: String, granted: &Granted| {
        for propagate in [false, true] {
            let roles: Vec<&str> =
                granted.iter().filter(|(_, own)| **own == propagate).map(|(role, _)| role.as_str()).collect();
            if !roles.is_empty() {
                lines.entry((propagate, roles.join(","))).or_default().insert(subject.clone());
            }
        }
    };
    for (group, granted) in &acl.groups {
        collect(format!("@{group}"), granted);
    }
    // Root is always an administrator, whatever stands here.
    for (user, granted) in acl.users.iter().filter(|(user, _)| *user != ROOT) {
        collect(user.clone(), granted);
    }
    for (token, granted) in &acl.tokens {
        collect(token.clone(), granted);
    }
    lines
        .iter()
        .map(|((propagate, roles), subjects)| {
            format!("acl:{}:{path}:{}:{roles}:\n", u8::from(*propagate), joined(subjects))
        })
        .collect()
}

fn encoded(text: Option<&String>) -> String {
    text.map(|text| encoding::encode(text)).unwrap_or_default()
}

fn joined(set: &BTreeSet<String>) -> String {
    let entries: Vec<&str> = set.iter().map(String::as_str).collect();
    entries.join(",")
}
