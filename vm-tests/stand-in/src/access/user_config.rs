//! `user.cfg`: users, tokens, groups, pools, roles and ACLs.

mod parse;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{encoding, roles};
use crate::cluster_files;
use crate::context::Context;
use crate::failure::Failure;
use crate::locks;

/// The one user that is always there.
pub const ROOT: &str = "root@pam";

/// A user.
#[derive(Clone, Default)]
pub struct User {
    /// May log in.
    pub enable: bool,
    /// When the account ends; 0 for never. None for the root that no file names.
    pub expire: Option<u64>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Mail address. Empty if the line goes on behind it.
    pub email: Option<String>,
    /// Comment.
    pub comment: Option<String>,
    /// The old second factor, or `x`.
    pub keys: Option<String>,
    /// API tokens.
    pub tokens: BTreeMap<String, Token>,
}

/// An API token.
#[derive(Clone, Default)]
pub struct Token {
    /// With privileges of its own.
    pub privsep: bool,
    /// When it ends.
    pub expire: u64,
    /// Comment.
    pub comment: Option<String>,
}

/// A group.
#[derive(Clone, Default)]
pub struct Group {
    /// Its members.
    pub users: BTreeSet<String>,
    /// Comment.
    pub comment: Option<String>,
}

/// A pool; only kept, nobody here changes one.
#[derive(Clone, Default)]
pub struct Pool {
    /// Comment.
    pub comment: Option<String>,
    /// Guests.
    pub guests: BTreeSet<String>,
    /// Storages.
    pub storages: BTreeSet<String>,
}

/// Roles of one subject on one path, with their propagation.
pub type Granted = BTreeMap<String, bool>;

/// The ACL of one path.
#[derive(Clone, Default)]
pub struct Acl {
    /// By group.
    pub groups: BTreeMap<String, Granted>,
    /// By user.
    pub users: BTreeMap<String, Granted>,
    /// By token.
    pub tokens: BTreeMap<String, Granted>,
}

/// The whole file.
#[derive(Clone, Default)]
pub struct UserConfig {
    /// Users by id.
    pub users: BTreeMap<String, User>,
    /// Groups by name.
    pub groups: BTreeMap<String, Group>,
    /// Pools by name.
    pub pools: BTreeMap<String, Pool>,
    /// Roles by name, the built-in ones among them.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// ACLs by the parts of their path: in the order in which the real tool walks its tree.
    pub acls: BTreeMap<Vec<String>, Acl>,
}

impl UserConfig {
    /// Reads the file. Without one there is root alone.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        let content = cluster_files::read(context, "user.cfg")?.unwrap_or_default();
        let (config, warnings) = Self::parse(&encoding::characters(&content));
        for warning in warnings {
            context.warn(&format!("user config - {warning}"));
        }
        Ok(config)
    }

    /// Writes the file. The caller holds the lock.
    pub fn write(&self, context: &Context) -> Result<(), Failure> {
        cluster_files::write(context, "user.cfg", &encoding::bytes(&self.text()))
    }

    /// Changes the file under its lock. A failure begins with these words.
    pub fn change<T>(
        context: &Context,
        action: &str,
        change: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let changed = || {
            let _lock = locks::take(context, "file-user_cfg")?;
            let mut config = Self::read(context)?;
            let value = change(&mut config)?;
            config.write(context)?;
            Ok(value)
        };
        changed().map_err(|failure: Failure| if action.is_empty() { failure } else { failure.within(action) })
    }

    /// A user, or the refusal that there is none.
    pub fn user(&self, user: &str) -> Result<&User, Failure> {
        self.users.get(user).ok_or_else(|| no_such_user(user))
    }

    /// A user to change.
    pub fn user_mut(&mut self, user: &str) -> Result<&mut User, Failure> {
        self.users.get_mut(user).ok_or_else(|| no_such_user(user))
    }

    /// Groups of a user.
    pub fn groups_of(&self, user: &str) -> Vec<&str> {
        self.groups
            .iter()
            .filter(|(_, group)| group.users.contains(user))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Takes a user out of every group.
    pub fn leave_groups(&mut self, user: &str) {
        for group in self.groups.values_mut() {
            group.users.remove(user);
        }
    }

    /// The ACL of a path, made if there is none.
    pub fn acl_mut(&mut self, path: &str) -> &mut Acl {
        self.acls.entry(path_parts(path)).or_default()
    }

    fn force_defaults(&mut self) {
        for (name, privileges) in roles::built_in() {
            self.roles.insert(name, privileges);
        }
        self.users.entry(ROOT.to_owned()).or_insert_with(|| User { enable: true, ..User::default() });
        self.acls.entry(Vec::new()).or_default();
    }
}

/// The parts of a path; none for the root.
pub fn path_parts(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The path of these parts.
pub fn path_text(parts: &[String]) -> String {
    format!("/{}", parts.join("/"))
}

fn no_such_user(user: &str) -> Failure {
    Failure::die(format!("no such user ('{user}')"))
}
