//! Who may log in to PVE and with what: `user.cfg`, `priv/tfa.cfg` and `domains.cfg`, read as files. Asking `pvesh`
//! costs a second for each call (pve-observed 3.1), and what it answers is read from these files.
//!
//! Formats: pve-contract 1.6, 2.4, 2.5 and the recordings 20 to 23. What is not known here is passed over.

use crate::error::Result;
use crate::json::Value;
use crate::node::{Node, read_text};
use std::path::Path;

/// Users, tokens and ACLs.
pub const USERS_PATH: &str = "/etc/pve/user.cfg";
/// Second factors, with their secrets.
pub const FACTORS_PATH: &str = "/etc/pve/priv/tfa.cfg";
/// Realms.
pub const REALMS_PATH: &str = "/etc/pve/domains.cfg";
/// The one user that is there without a line of its own.
pub const ROOT: &str = "root@pam";

/// PVE's users, what they may, and their factors.
#[derive(Clone, Default)]
pub struct Access {
    /// Users; root@pam always is one.
    pub users: Vec<PveUser>,
    /// Full names of API tokens: `ops@pam!ansible`.
    pub tokens: Vec<String>,
    /// What is allowed directly: path, user (`@group`, token), role.
    pub acls: Vec<[String; 3]>,
    /// Roles that are not PVE's own.
    pub roles: Vec<String>,
    /// Second factors.
    pub factors: Vec<Factor>,
    /// Whether `tfa.cfg` could be understood.
    pub factors_damaged: bool,
    /// Users whose TOTP entries PVE has locked after eight wrong codes (pve-contract 2.4).
    pub locked: Vec<String>,
    /// Realms with lines of their own, and what each demands: `type=oath`.
    pub realms: Vec<(String, Option<String>)>,
}

/// A user of PVE.
#[derive(Clone)]
pub struct PveUser {
    /// `ops@pam`.
    pub id: String,
    /// Switched on.
    pub enabled: bool,
    /// When it ends, in seconds since 1970; 0 for never.
    pub expire: u64,
    /// Whether it has ended.
    pub expired: bool,
    /// The old place of second factors: empty, or `x` beside `tfa.cfg`; anything else is a secret of old.
    pub keys: String,
}

impl PveUser {
    /// What PVE asks before anything else (`PVE::AccessControl::check_user_enabled`).
    pub fn may_log_in(&self) -> bool {
        self.enabled && !self.expired
    }
}

/// A second factor.
#[derive(Clone)]
pub struct Factor {
    /// Whose.
    pub user: String,
    /// PVE's id for it: a UUID, or `recovery`.
    pub id: String,
    /// `totp`, `recovery`, `webauthn`, …
    pub kind: String,
    /// As it was given; may be empty.
    pub description: String,
    /// Whether it counts.
    pub enabled: bool,
    /// `otpauth://…` of a TOTP entry: a secret.
    pub uri: String,
    /// The time step of the last login with it; 0 before the first one.
    pub last: u64,
}

impl Access {
    /// Reads the three files; what is missing is empty, as PVE takes it.
    pub fn read(node: &dyn Node) -> Result<Self> {
        let text =
            |path: &str| Ok::<_, crate::error::Error>(read_text(node, Path::new(path))?.unwrap_or_default());
        let mut access = Self::default();
        access.take_users(&text(USERS_PATH)?, node.now() / 1000);
        access.take_factors(&text(FACTORS_PATH)?);
        access.take_realms(&text(REALMS_PATH)?);
        Ok(access)
    }

    /// The user of that id.
    pub fn user(&self, id: &str) -> Option<&PveUser> {
        self.users.iter().find(|user| user.id == id)
    }

    /// A user's factors of a kind, disabled ones too.
    pub fn factors<'a>(&'a self, user: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Factor> {
        self.factors.iter().filter(move |factor| factor.user == user && factor.kind == kind)
    }

    /// How many TOTP entries let the user in.
    pub fn totp_count(&self, user: &str) -> usize {
        self.factors(user, "totp").filter(|factor| factor.enabled && !factor.uri.is_empty()).count()
    }

    /// What the realm demands beside the password.
    pub fn demanded(&self, realm: &str) -> Option<&str> {
        let realm = self.realms.iter().find(|(name, _)| name == realm)?;
        realm.1.as_deref()
    }

    /// Users of the realm that may log in and have no TOTP entry.
    pub fn without_factor(&self, realm: &str) -> Vec<&String> {
        let of_realm = |user: &&PveUser| {
            user.may_log_in() && user.id.rsplit_once('@').is_some_and(|(_, of)| of == realm)
        };
        let users = self.users.iter().filter(of_realm);
        users.filter(|user| self.totp_count(&user.id) == 0).map(|user| &user.id).collect()
    }

    fn take_users(&mut self, text: &str, now: u64) {
        for line in text.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            let field = |place: usize| fields.get(place).copied().unwrap_or_default().trim().to_owned();
            match fields.first().copied() {
                Some("user") if fields.len() > 2 => {
                    let (enabled, expire) = (field(2) == "1", field(3).parse().unwrap_or_default());
                    let expired = expire > 0 && expire < now;
                    self.users.push(PveUser { id: field(1), enabled, expire, expired, keys: field(8) });
                }
                Some("token") if fields.len() > 1 => self.tokens.push(field(1)),
                Some("role") if fields.len() > 1 => self.roles.push(field(1)),
                Some("acl") if fields.len() > 4 => {
                    for subject in field(3).split(',') {
                        let acl = |role: &str| [field(2), subject.trim().to_owned(), role.trim().to_owned()];
                        self.acls.extend(field(4).split(',').map(acl));
                    }
                }
                _ => {}
            }
        }
        if self.user(ROOT).is_none() {
            let (id, keys) = (ROOT.to_owned(), String::new());
            self.users.push(PveUser { id, enabled: true, expire: 0, expired: false, keys });
        }
    }

    fn take_factors(&mut self, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let Some(read) = Value::read(text) else {
            self.factors_damaged = true;
            return;
        };
        for (user, kinds) in read.get("users").map(Value::members).unwrap_or_default() {
            for (kind, entries) in kinds.members() {
                if kind == "totp-locked" && is_true(entries) {
                    self.locked.push(user.clone());
                }
                match entries {
                    Value::List(entries) => {
                        let entries = entries.iter().filter(|entry| matches!(entry, Value::Object(_)));
                        self.factors.extend(entries.map(|entry| factor(user, kind, entry)));
                    }
                    _ if kind == "recovery" => self.factors.push(factor(user, kind, entries)),
                    _ => {}
                }
            }
        }
    }

    /// `pam: pam`, then lines that begin with a tab or blank.
    fn take_realms(&mut self, text: &str) {
        for line in text.lines() {
            if let Some(property) = line.strip_prefix(['\t', ' ']) {
                if let (Some(("tfa", value)), Some(realm)) =
                    (property.trim().split_once(' '), self.realms.last_mut())
                {
                    realm.1 = Some(value.trim().to_owned());
                }
            } else if let Some((_, name)) = line.split_once(':') {
                self.realms.push((name.trim().to_owned(), None));
            }
        }
    }
}

/// A TOTP entry is the URI alone until somebody has logged in with it, then an object (pve-observed 3.4).
fn factor(user: &str, kind: &str, entry: &Value) -> Factor {
    let text = |value: Option<&Value>| value.and_then(Value::text).unwrap_or_default().to_owned();
    let inner = entry.get("entry");
    let used = inner.and_then(|inner| inner.get("totp"));
    Factor {
        user: user.to_owned(),
        id: if kind == "recovery" { kind.to_owned() } else { text(entry.get("id")) },
        kind: kind.to_owned(),
        description: text(entry.get("description")),
        enabled: entry.get("enable").is_none_or(is_true),
        uri: text(used.or(inner)),
        last: inner.and_then(|inner| inner.get("last-count")?.number()).unwrap_or_default(),
    }
}

/// Truth values are not of one type (pve-contract 1.2).
fn is_true(value: &Value) -> bool {
    match value {
        Value::Flag(value) => *value,
        // Zero, however it is written: `0`, `0.0`, `-0e3`.
        Value::Number(text) => {
            text.bytes().take_while(|byte| !b"eE".contains(byte)).any(|byte| matches!(byte, b'1'..=b'9'))
        }
        Value::Text(text) => !matches!(text.as_str(), "" | "0" | "no" | "off" | "false"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::scripted::Scripted;

    fn access(users: &str, factors: &str, realms: &str) -> Access {
        let node = Scripted::new();
        node.files.put(USERS_PATH, users);
        node.files.put(FACTORS_PATH, factors);
        node.files.put(REALMS_PATH, realms);
        Access::read(&node).unwrap()
    }

    #[test]
    fn a2_users_roles_and_tokens_are_read_as_pve_writes_them() {
        let text = "user:ops@pam:1:0:::ops@example.org:Ops%3A two:x:\nuser:off@pve:0:0::::::\n\
                    user:past@pve:1:1000000000::::::\nuser:later@pve:1:99999999999::::::\n\
                    token:ops@pam!t1:0:1::\n\ngroup:admins:ops@pam:c:\nrole:Own:VM.Audit:\n\
                    acl:1:/:@admins,ops@pam:Administrator,PVEAuditor:\nacl:\nnonsense\n";
        let access = access(text, "{}", "");
        let ops = access.user("ops@pam").unwrap();
        assert_eq!((ops.enabled, ops.keys.as_str()), (true, "x"));
        assert!(!access.user("off@pve").unwrap().enabled);
        let may = |id: &str| access.user(id).unwrap().may_log_in();
        assert!(!may("past@pve") && may("later@pve") && may(ROOT) && !may("off@pve"));
        assert!(access.user(ROOT).unwrap().enabled, "without a line of its own");
        assert_eq!(access.tokens, ["ops@pam!t1"]);
        assert_eq!(access.roles, ["Own"]);
        assert!(access.acls.contains(&["/", "ops@pam", "Administrator"].map(str::to_owned)));
        assert_eq!(access.acls.len(), 4);
    }

    #[test]
    fn c1_both_forms_of_a_totp_entry_are_read() {
        let text = r#"{"users":{"ops@pam":{"totp":[
            {"id":"a","description":"one","created":1,"entry":"otpauth://totp/ops%40pam?secret=AAAA"},
            {"id":"b","enable":false,"created":2,"entry":{"totp":"otpauth://totp/x?secret=BBBB","last-count":59844175}},
            {"id":"c","enable":"1","entry":7}, null],
            "recovery":{"secret":"00","entries":["h",null],"created":3},"totp-locked":true,"new":[5],"u2f":{}}}}"#;
        let access = access("", text, "");
        assert!(!access.factors_damaged);
        let found = |id: &str| access.factors.iter().find(|factor| factor.id == id).unwrap();
        assert_eq!((found("a").uri.as_str(), found("a").last), ("otpauth://totp/ops%40pam?secret=AAAA", 0));
        assert_eq!(found("b").uri, "otpauth://totp/x?secret=BBBB");
        assert!(found("b").last == 59844175 && !found("b").enabled);
        assert!(found("c").enabled && found("c").uri.is_empty());
        assert_eq!(access.factors("ops@pam", "recovery").count(), 1);
        assert_eq!(access.totp_count("ops@pam"), 1, "what is not understood lets nobody in");
        assert_eq!(access.locked, ["ops@pam"]);
    }

    #[test]
    fn c1_what_is_no_json_is_said_to_be_damaged_and_nothing_panics() {
        assert!(access("", "root@pam:oath:eyJ9", "").factors_damaged);
        for text in [
            "[]",
            "{\"users\":7}",
            "{\"users\":{\"a\":7}}",
            "null",
            "  \n",
            "{\"users\":{\"a\":{\"totp\":{}}}}",
        ] {
            let access = access(text, text, text);
            assert!(!access.factors_damaged && access.factors.is_empty(), "{text}");
        }
    }

    #[test]
    fn c6_the_demand_of_a_realm_is_read() {
        let text =
            "pam: pam\n\tcomment Linux PAM\n\ttfa type=oath,step=30,digits=6\n\npve: pve\n\tcomment x\n";
        let access = access("", "", text);
        assert_eq!(access.demanded("pam"), Some("type=oath,step=30,digits=6"));
        assert_eq!(access.demanded("pve"), None);
        assert_eq!(access.demanded("ldap"), None);
        assert_eq!(access.realms.len(), 2);
    }
}
