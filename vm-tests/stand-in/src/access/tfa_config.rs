//! `priv/tfa.cfg`: one line of JSON without a line end, keys in the order of proxmox-tfa's structures.

use std::collections::BTreeMap;

use hmac::Hmac;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::access::totp::{Totp, hmac};
use crate::access::{failures, random};
use crate::cluster_files;
use crate::context::Context;
use crate::failure::Failure;
use crate::locks;

const FILE: &str = "priv/tfa.cfg";

/// The whole file.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct TfaConfig {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    u2f: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    webauthn: Option<Value>,
    /// Factors by user.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub users: BTreeMap<String, Factors>,
}

/// The factors of one user.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Factors {
    /// TOTP entries.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub totp: Vec<TotpEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    u2f: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    webauthn: Vec<Value>,
    /// Recovery keys.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recovery: Option<Recovery>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    yubico: Vec<Value>,
    /// TOTP is not accepted until somebody unlocks it, or a recovery key was used.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub totp_locked: bool,
    /// Nothing is accepted before this time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tfa_locked_until: Option<u64>,
}

/// One TOTP entry.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TotpEntry {
    /// A random UUID.
    pub id: String,
    /// What the owner calls it.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub description: String,
    /// When it was made.
    pub created: u64,
    /// May be used.
    #[serde(skip_serializing_if = "Clone::clone", default = "yes")]
    pub enable: bool,
    /// The secret.
    pub entry: Secret,
}

/// A secret, and the step of the last code that was accepted.
#[derive(Clone)]
pub struct Secret {
    /// The secret.
    pub totp: Totp,
    /// None before the first login: the file has the plain URI then.
    pub last_count: Option<i64>,
}

/// Ten recovery keys, of which the file has salted hashes. A used one is null.
#[derive(Clone, Deserialize, Serialize)]
pub struct Recovery {
    secret: String,
    entries: Vec<Option<String>>,
    /// When they were made.
    pub created: u64,
}

fn yes() -> bool {
    true
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        struct Used {
            totp: String,
            last_count: i64,
        }
        match self.last_count {
            None => serializer.serialize_str(&self.totp.uri()),
            Some(last_count) => Used { totp: self.totp.uri(), last_count }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let uri = value.as_str().or_else(|| value.get("totp")?.as_str()).unwrap_or_default();
        let totp = Totp::read(uri).map_err(serde::de::Error::custom)?;
        Ok(Self { totp, last_count: value.get("last-count").and_then(Value::as_i64) })
    }
}

impl Recovery {
    /// New keys: what is stored, and what is shown once.
    pub fn generate(now: u64) -> Result<(Self, Vec<String>), Failure> {
        let mut recovery =
            Self { secret: random::hexadecimal(&random::bytes::<8>()?), entries: Vec::new(), created: now };
        let mut keys = Vec::new();
        for _ in 0..10 {
            let digits = random::hexadecimal(&random::bytes::<8>()?);
            let groups: Vec<&str> = [0, 4, 8, 12].iter().filter_map(|at| digits.get(*at..at + 4)).collect();
            let key = groups.join("-");
            recovery.entries.push(Some(recovery.hash(&key)));
            keys.push(key);
        }
        Ok((recovery, keys))
    }

    fn hash(&self, key: &str) -> String {
        random::hexadecimal(&hmac::<Hmac<Sha256>>(self.secret.as_bytes(), key.as_bytes()))
    }

    /// Uses a key up. False if there is no such key, or no longer.
    pub fn use_up(&mut self, key: &str) -> bool {
        let hash = self.hash(key);
        match self.entries.iter_mut().find(|entry| entry.as_ref() == Some(&hash)) {
            Some(entry) => {
                *entry = None;
                true
            }
            None => false,
        }
    }

    /// The places of the keys that are left.
    pub fn left(&self) -> Vec<usize> {
        self.entries.iter().enumerate().filter(|(_, entry)| entry.is_some()).map(|(index, _)| index).collect()
    }
}

impl Factors {
    /// True without any factor.
    pub fn is_empty(&self) -> bool {
        self.totp.is_empty()
            && self.recovery.is_none()
            && self.u2f.is_empty()
            && self.webauthn.is_empty()
            && self.yubico.is_empty()
    }

    /// What the lists show: never a secret. Recovery keys come first.
    pub fn rows(&self) -> Vec<Value> {
        let recovery = self
            .recovery
            .iter()
            .map(|recovery| json!({ "created": recovery.created, "id": "recovery", "type": "recovery" }));
        let totp = self.totp.iter().map(|entry| {
            let mut row = json!({ "created": entry.created, "id": entry.id, "type": "totp" });
            if let Some(row) = row.as_object_mut() {
                if !entry.description.is_empty() {
                    row.insert("description".to_owned(), json!(entry.description));
                }
                if !entry.enable {
                    row.insert("enable".to_owned(), json!(0));
                }
            }
            row
        });
        recovery.chain(totp).collect()
    }

    /// Puts what is locked into an answer.
    pub fn insert_locks(&self, row: &mut Map<String, Value>, now: u64) {
        if self.totp_locked {
            row.insert("totp-locked".to_owned(), json!(1));
        }
        if let Some(until) = self.tfa_locked_until.filter(|until| *until > now) {
            row.insert("tfa-locked-until".to_owned(), json!(until));
        }
    }
}

impl TfaConfig {
    /// Reads the file. A missing or empty one is fine.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        let content = cluster_files::read(context, FILE)?.unwrap_or_default();
        if content.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        serde_json::from_slice(&content).map_err(|error| Failure::new(2, error.to_string()))
    }

    /// Writes the file.
    pub fn write(&self, context: &Context) -> Result<(), Failure> {
        let text = serde_json::to_vec(self).map_err(|error| Failure::new(2, error.to_string()))?;
        cluster_files::write(context, FILE, &text)
    }

    /// Does something under the lock of the file.
    pub fn locked<T>(context: &Context, action: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let _lock = locks::take(context, "file-priv_tfa_cfg")?;
        action()
    }

    /// Forgets a user, and the count of failures.
    pub fn remove_user(&mut self, context: &Context, user: &str) {
        self.users.remove(user);
        failures::forget(context, user);
    }

    /// Deletes one entry. True if the user has others left.
    pub fn delete(&mut self, user: &str, id: &str) -> Result<bool, Failure> {
        let none = || Failure::die("no such entry");
        let factors = self.users.get_mut(user).ok_or_else(none)?;
        if id == "recovery" {
            factors.recovery.take().ok_or_else(none)?;
        } else {
            let before = factors.totp.len();
            factors.totp.retain(|entry| entry.id != id);
            if factors.totp.len() == before {
                return Err(none());
            }
        }
        let left = !factors.is_empty();
        if !left {
            self.users.remove(user);
        }
        Ok(left)
    }
}
