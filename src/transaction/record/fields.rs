//! Keys and values of a journal line, written and read.

use crate::manifest::Scope;
use crate::objects::ObjectId;
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// A line while it is written. Every value goes straight into it: records are many, and so are their fields.
pub struct Line {
    at: u64,
    body: String,
}

impl Line {
    pub fn new(at: u64) -> Self {
        Self { at, body: String::new() }
    }

    /// What happened; comes first.
    pub fn verb(&mut self, verb: &str) -> &mut Self {
        self.body.push_str(verb);
        self.number("at", self.at)
    }

    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        for part in ["\t", key, "="] {
            self.body.push_str(part);
        }
        escape(value, &mut self.body);
        self
    }

    pub fn texts(&mut self, key: &str, values: &[String]) -> &mut Self {
        for value in values {
            self.text(key, value);
        }
        self
    }

    pub fn pairs(&mut self, key: &str, pairs: &[(String, String)]) -> &mut Self {
        for (name, value) in pairs {
            self.text(key, &format!("{name}={value}"));
        }
        self
    }

    pub fn path(&mut self, key: &str, path: &Path) -> &mut Self {
        self.text(key, &path.to_string_lossy())
    }

    pub fn object(&mut self, key: &str, object: &ObjectId) -> &mut Self {
        self.text(key, &object.to_string())
    }

    pub fn number(&mut self, key: &str, value: u64) -> &mut Self {
        self.text(key, &value.to_string())
    }

    /// A place in the plan.
    pub fn step(&mut self, step: usize) -> &mut Self {
        self.number("step", step as u64)
    }

    pub fn flag(&mut self, key: &str, value: bool) -> &mut Self {
        self.text(key, if value { "yes" } else { "no" })
    }

    /// The line, with its checksum and its newline.
    pub fn finish(self) -> String {
        format!("{}\t{}\n", checksum(&self.body), self.body)
    }
}

/// Keys and values of one line; a key may stand there more than once. What is missing or wrong is empty, and the line
/// is damaged: that is asked once, when all has been read.
pub struct Fields<'a> {
    values: Vec<(&'a str, String)>,
    damaged: Cell<bool>,
}

impl<'a> Fields<'a> {
    pub fn new(values: Vec<(&'a str, String)>) -> Self {
        Self { values, damaged: Cell::new(false) }
    }

    /// Whether everything that was asked for was there, and what it should be.
    pub fn is_whole(&self) -> bool {
        !self.damaged.get()
    }

    fn or_damaged<T: Default>(&self, value: Option<T>) -> T {
        value.unwrap_or_else(|| {
            self.damaged.set(true);
            T::default()
        })
    }

    fn find(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    pub fn text(&self, key: &str) -> String {
        self.or_damaged(self.find(key)).to_owned()
    }

    pub fn texts(&self, key: &str) -> Vec<String> {
        self.values.iter().filter(|(name, _)| *name == key).map(|(_, value)| value.clone()).collect()
    }

    pub fn pairs(&self, key: &str) -> Vec<(String, String)> {
        let pair = |text: String| {
            let (name, value) = self.or_damaged(text.split_once('='));
            (name.to_owned(), value.to_owned())
        };
        self.texts(key).into_iter().map(pair).collect()
    }

    pub fn scopes(&self) -> Vec<Scope> {
        let scope = |(key, path): &(&str, String)| match *key {
            "entry" => Some(Scope::Entry(path.into())),
            "children" => Some(Scope::Children(path.into())),
            "tree" => Some(Scope::Tree(path.into())),
            _ => None,
        };
        self.values.iter().filter_map(scope).collect()
    }

    pub fn paths(&self, key: &str) -> Vec<PathBuf> {
        self.texts(key).into_iter().map(PathBuf::from).collect()
    }

    pub fn object(&self, key: &str) -> Option<ObjectId> {
        ObjectId::parse(self.find(key)?.as_bytes())
    }

    pub fn number(&self, key: &str) -> u64 {
        self.or_damaged(self.find(key).and_then(|value| value.parse().ok()))
    }

    pub fn small(&self, key: &str) -> u32 {
        self.or_damaged(self.number(key).try_into().ok())
    }

    /// A place in the plan.
    pub fn step(&self) -> usize {
        self.size("step")
    }

    pub fn size(&self, key: &str) -> usize {
        self.or_damaged(self.number(key).try_into().ok())
    }

    pub fn flag(&self, key: &str) -> bool {
        self.or_damaged(match self.find(key) {
            Some("yes") => Some(true),
            Some("no") => Some(false),
            _ => None,
        })
    }
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
