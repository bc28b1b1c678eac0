//! Keys and values of a journal line.

use crate::manifest::Scope;
use crate::objects::ObjectId;
use std::path::PathBuf;

/// Keys and values of one line; a key may stand there more than once.
pub struct Fields<'a>(pub Vec<(&'a str, String)>);

impl Fields<'_> {
    pub fn text(&self, key: &str) -> Option<String> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone())
    }

    pub fn all(&self, key: &str) -> Vec<String> {
        self.0.iter().filter(|(name, _)| *name == key).map(|(_, value)| value.clone()).collect()
    }

    pub fn scopes(&self) -> Vec<Scope> {
        let scope = |(key, path): &(&str, String)| match *key {
            "entry" => Some(Scope::Entry(path.into())),
            "children" => Some(Scope::Children(path.into())),
            "tree" => Some(Scope::Tree(path.into())),
            _ => None,
        };
        self.0.iter().filter_map(scope).collect()
    }

    pub fn paths(&self, key: &str) -> Vec<PathBuf> {
        self.all(key).into_iter().map(PathBuf::from).collect()
    }

    pub fn object(&self, key: &str) -> Option<ObjectId> {
        ObjectId::parse(self.text(key)?.as_bytes())
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.text(key)?.as_str() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        }
    }
}

/// The word for a truth value.
pub fn flag(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

/// The first 16 hexadecimal digits of the SHA-256.
pub fn checksum(body: &str) -> String {
    let mut digits = ObjectId::of(body.as_bytes()).to_string();
    digits.truncate(16);
    digits
}

/// Escapes what would break a line or a field: `%`, tab, newline and other control characters.
pub fn escape(value: &str, into: &mut String) {
    for character in value.chars() {
        if character == '%' || character.is_ascii_control() {
            into.push_str(&format!("%{:02x}", u32::from(character)));
        } else {
            into.push(character);
        }
    }
}

/// Undoes [`escape`].
pub fn unescape(value: &str) -> Option<String> {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(place) = rest.find('%') {
        text.push_str(rest.get(..place)?);
        let digits = rest.get(place + 1..place + 3)?;
        text.push(char::from(u8::from_str_radix(digits, 16).ok()?));
        rest = rest.get(place + 3..)?;
    }
    text.push_str(rest);
    Some(text)
}
