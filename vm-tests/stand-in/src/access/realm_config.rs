//! `domains.cfg`: sections `TYPE: REALM` with indented properties.

use std::collections::BTreeMap;

use crate::access::{encoding, names};
use crate::cluster_files;
use crate::context::Context;
use crate::failure::Failure;

/// A realm.
#[derive(Clone, Default)]
pub struct Realm {
    /// Its name.
    pub name: String,
    /// `pam`, `pve`, `ldap`, …
    pub kind: String,
    /// Its properties, as they stand in the file; the comment decoded.
    pub properties: BTreeMap<String, String>,
}

impl Realm {
    /// One property.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// The kind of second factor that the realm asks for: `oath` or `yubico`.
    pub fn required_factor(&self) -> Option<&str> {
        self.get("tfa")?.split(',').find_map(|part| part.strip_prefix("type="))
    }
}

/// All realms, in the order of the file.
#[derive(Default)]
pub struct Realms {
    /// The realms.
    pub all: Vec<Realm>,
    /// SHA-1 of the file's content.
    pub digest: String,
}

impl Realms {
    /// One realm.
    pub fn realm(&self, name: &str) -> Option<&Realm> {
        self.all.iter().find(|realm| realm.name == name)
    }

    /// One realm to change.
    pub fn realm_mut(&mut self, name: &str) -> Option<&mut Realm> {
        self.all.iter_mut().find(|realm| realm.name == name)
    }

    /// The two that are always there, with their comments (transcript 23).
    fn force_defaults(&mut self) {
        let built_in =
            [("pam", "Linux PAM standard authentication"), ("pve", "Proxmox VE authentication server")];
        for (name, comment) in built_in {
            if self.realm(name).is_none() {
                let realm = Realm { name: name.to_owned(), ..Realm::default() };
                self.all.push(realm);
            }
            if let Some(realm) = self.realm_mut(name) {
                name.clone_into(&mut realm.kind);
                realm.properties.entry("comment".to_owned()).or_insert_with(|| comment.to_owned());
            }
        }
    }
}

/// Reads the file. Without one there are the two built-in realms.
pub fn read(context: &Context) -> Result<Realms, Failure> {
    let content = cluster_files::read(context, "domains.cfg")?.unwrap_or_default();
    let mut realms = parse(&String::from_utf8_lossy(&content));
    realms.digest = cluster_files::digest(&content);
    realms.force_defaults();
    Ok(realms)
}

/// Writes the file. The caller holds the lock.
pub fn write(context: &Context, realms: &Realms) -> Result<(), Failure> {
    cluster_files::write(context, "domains.cfg", text(realms).as_bytes())
}

fn parse(text: &str) -> Realms {
    let mut realms = Realms::default();
    let mut open = false;
    for line in text.lines() {
        if line.trim().is_empty() {
            open = false;
        } else if line.starts_with([' ', '\t']) {
            if let (true, Some(realm)) = (open, realms.all.last_mut()) {
                let (name, value) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), "1"));
                let value =
                    if name == "comment" { encoding::decode(value.trim()) } else { value.trim().to_owned() };
                realm.properties.insert(name.to_owned(), value);
            }
        } else if let Some((kind, name)) = line.split_once(':').filter(|_| !line.starts_with('#')) {
            let name = name.trim();
            open = names::realm(name).is_ok();
            if open {
                let realm = Realm { name: name.to_owned(), kind: kind.to_lowercase(), ..Realm::default() };
                realms.all.push(realm);
            }
        }
    }
    realms
}

fn text(realms: &Realms) -> String {
    let mut text = String::new();
    for realm in &realms.all {
        text.push_str(&format!("{}: {}\n", realm.kind, realm.name));
        if let Some(comment) = realm.get("comment").filter(|comment| !comment.is_empty()) {
            text.push_str(&format!("\tcomment {}\n", encoding::encode(comment)));
        }
        for (name, value) in realm.properties.iter().filter(|(name, _)| *name != "comment") {
            text.push_str(&format!("\t{name} {value}\n"));
        }
        text.push('\n');
    }
    text
}
