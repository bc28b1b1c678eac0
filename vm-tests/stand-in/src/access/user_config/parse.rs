//! Reading `user.cfg`: line by line, what does not fit is dropped with a warning.

use super::{Group, Pool, Token, User, UserConfig};
use crate::access::{encoding, names, roles};

impl UserConfig {
    /// Reads the text of the file; also gives the warnings.
    pub fn parse(text: &str) -> (Self, Vec<String>) {
        let mut config = Self::default();
        let mut warnings = Vec::new();
        config.force_defaults();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let fields = Fields::of(line);
            let read = match fields.kind {
                "user" => config.read_user(&fields),
                "group" => config.read_group(&fields, &mut warnings),
                "role" => config.read_role(&fields, &mut warnings),
                "acl" => config.read_acl(&fields, &mut warnings),
                "pool" => config.read_pool(&fields),
                "token" => config.read_token(&fields),
                _ => Err(format!("ignore config line: {line}")),
            };
            warnings.extend(read.err());
        }
        config.force_defaults();
        (config, warnings)
    }

    fn read_user(&mut self, fields: &Fields<'_>) -> Result<(), String> {
        let id = fields.text(0);
        names::user_id(id).map_err(|_| format!("ignore user '{id}' - invalid user name"))?;
        let expire = fields
            .number(2)
            .map_err(|expire| format!("ignore user '{id}' - (illegal characters in expire '{expire}')"))?;
        let user = User {
            enable: fields.flag(1),
            expire: Some(expire),
            first_name: fields.decoded(3),
            last_name: fields.decoded(4),
            email: fields.get(5).map(str::to_owned),
            comment: fields.decoded(6),
            keys: fields.filled(7).map(str::to_owned),
            tokens: Default::default(),
        };
        self.users.insert(id.to_owned(), user);
        Ok(())
    }

    fn read_token(&mut self, fields: &Fields<'_>) -> Result<(), String> {
        let id = fields.text(0);
        let (user, name) = names::split_token(id).ok_or_else(|| format!("ignore invalid tokenid '{id}'"))?;
        let expire = fields
            .number(1)
            .map_err(|expire| format!("ignore token '{id}' - (illegal characters in expire '{expire}')"))?;
        let owner = self.users.get_mut(user);
        let owner = owner.ok_or_else(|| format!("ignore token '{id}' - user does not exist"))?;
        let token = Token { privsep: fields.flag(2), expire, comment: fields.decoded(3) };
        owner.tokens.insert(name.to_owned(), token);
        Ok(())
    }

    fn read_group(&mut self, fields: &Fields<'_>, warnings: &mut Vec<String>) -> Result<(), String> {
        let name = fields.text(0);
        names::group(name)
            .map_err(|_| format!("ignore group '{name}' - invalid characters in group name"))?;
        let mut group = Group { comment: fields.decoded(2), ..Group::default() };
        for user in names::entries(fields.text(1)) {
            if !self.users.contains_key(user) {
                warnings.push(format!("ignore invalid group member '{user}'"));
            }
            if names::user_id(user).is_ok() {
                group.users.insert(user.to_owned());
            }
        }
        self.groups.insert(name.to_owned(), group);
        Ok(())
    }

    fn read_role(&mut self, fields: &Fields<'_>, warnings: &mut Vec<String>) -> Result<(), String> {
        let name = fields.text(0);
        names::role(name).map_err(|_| format!("ignore role '{name}' - invalid characters in role name"))?;
        let role = self.roles.entry(name.to_owned()).or_default();
        for privilege in names::entries(fields.text(1)) {
            if roles::is_privilege(privilege) {
                role.insert(privilege.to_owned());
            } else {
                warnings.push(format!("ignore invalid privilege '{privilege}'"));
            }
        }
        Ok(())
    }

    fn read_pool(&mut self, fields: &Fields<'_>) -> Result<(), String> {
        let set = |index: usize| names::entries(fields.text(index)).map(str::to_owned).collect();
        let pool = Pool { comment: fields.decoded(1), guests: set(2), storages: set(3) };
        self.pools.insert(fields.text(0).to_owned(), pool);
        Ok(())
    }

    fn read_acl(&mut self, fields: &Fields<'_>, warnings: &mut Vec<String>) -> Result<(), String> {
        let path = fields.text(1);
        let path = names::normal_path(path).ok_or_else(|| format!("ignore invalid path in acl '{path}'"))?;
        for role in names::entries(fields.text(3)) {
            if !self.roles.contains_key(role) {
                warnings.push(format!("ignore invalid acl role '{role}'"));
                continue;
            }
            for subject in names::entries(fields.text(2)) {
                warnings.extend(self.grant(&path, subject, role, fields.flag(0)));
            }
        }
        Ok(())
    }

    /// Gives a role to a subject of the file; also says what is wrong with the subject.
    fn grant(&mut self, path: &str, subject: &str, role: &str, propagate: bool) -> Option<String> {
        let (name, unknown, kind) = if let Some(group) = subject.strip_prefix('@') {
            (group, !self.groups.contains_key(group), "group")
        } else if let Some((user, token)) = names::split_token(subject) {
            let known = self.users.get(user).is_some_and(|user| user.tokens.contains_key(token));
            (subject, !known && !self.users.contains_key(subject), "token")
        } else if names::user_id(subject).is_ok() {
            (subject, !self.users.contains_key(subject), "member")
        } else {
            return Some(format!("invalid user/group '{subject}' in acl"));
        };
        let is_user = kind == "member" || (kind == "token" && self.users.contains_key(subject));
        if kind == "token" && unknown {
            return Some(format!("ignore invalid acl token '{subject}'"));
        }
        let acl = self.acl_mut(path);
        let subjects = match kind {
            "group" => &mut acl.groups,
            _ if is_user => &mut acl.users,
            _ => &mut acl.tokens,
        };
        subjects.entry(name.to_owned()).or_default().insert(role.to_owned(), propagate);
        unknown.then(|| format!("ignore invalid acl {kind} '{name}'"))
    }
}

/// The fields of one line. Empty ones at its end do not exist, as in Perl's split.
struct Fields<'a> {
    kind: &'a str,
    fields: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    fn of(line: &'a str) -> Self {
        let mut fields: Vec<&str> = line.split(':').map(str::trim).collect();
        while fields.last().is_some_and(|field| field.is_empty()) {
            fields.pop();
        }
        let kind = if fields.is_empty() { "" } else { fields.remove(0) };
        Self { kind, fields }
    }

    fn get(&self, index: usize) -> Option<&'a str> {
        self.fields.get(index).copied()
    }

    fn text(&self, index: usize) -> &'a str {
        self.get(index).unwrap_or_default()
    }

    fn filled(&self, index: usize) -> Option<&'a str> {
        self.get(index).filter(|field| !field.is_empty() && *field != "0")
    }

    fn decoded(&self, index: usize) -> Option<String> {
        self.filled(index).map(encoding::decode)
    }

    fn flag(&self, index: usize) -> bool {
        self.filled(index).is_some()
    }

    fn number(&self, index: usize) -> Result<u64, String> {
        let field = self.filled(index).unwrap_or("0");
        field.parse().map_err(|_| field.to_owned())
    }
}
