//! A table of the answer, read key by key: every question is remembered, every wrong value noted with its
//! place, and at the end what nobody asked for is refused.

use super::nearest::nearest;
use super::write::dotted;
use crate::profile::{Network, Secret};
use std::cell::RefCell;
use toml::de::{DeInteger, DeTable, DeValue};

/// A problem whose place is still a byte offset.
pub(super) struct Note {
    pub(super) at: usize,
    pub(super) key: String,
    pub(super) message: String,
}

/// What is collected while an answer is read.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) list: RefCell<Vec<Note>>,
    /// Stands for every table that the answer leaves out.
    empty: DeTable<'static>,
    /// Every key that was asked for, for the test that holds `complete.toml` against it.
    #[cfg(test)]
    pub(super) asked: RefCell<Vec<String>>,
}

impl Notes {
    pub(super) fn note(&self, at: usize, key: String, message: String) {
        self.list.borrow_mut().push(Note { at, key, message });
    }
}

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) at: usize,
    pub(super) value: &'a DeValue<'a>,
}

/// A text of a list and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) at: usize,
    pub(super) text: &'a str,
}

/// One table; its `finish` has to be called.
pub(super) struct Table<'a> {
    pub(super) notes: &'a Notes,
    pub(super) entries: &'a DeTable<'a>,
    pub(super) path: String,
    /// Where its header stands.
    pub(super) at: usize,
    /// What an unknown key is told.
    unknown: &'static str,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    pub(super) fn new(notes: &'a Notes, entries: &'a DeTable<'a>, unknown: &'static str) -> Self {
        Self { notes, entries, path: String::new(), at: 0, unknown, known: RefCell::default() }
    }

    fn inner(&self, key: &str, at: usize, entries: &'a DeTable<'a>, unknown: &'static str) -> Self {
        Self { at, path: dotted(&self.path, key), ..Self::new(self.notes, entries, unknown) }
    }

    /// The same table under this name, from this place on.
    pub(super) fn named(self, path: &str, at: usize) -> Self {
        Self { path: path.to_owned(), at, ..self }
    }

    /// The same table with another sentence for unknown keys.
    pub(super) fn telling(self, unknown: &'static str) -> Self {
        Self { unknown, ..self }
    }

    /// Notes a problem with `key` at its value, or at the header when the key is missing.
    #[cold]
    pub(super) fn note(&self, key: &str, message: impl Into<String>) {
        let at = self.entries.get(key).map_or(self.at, |value| value.span().start);
        self.notes.note(at, dotted(&self.path, key), message.into());
    }

    /// Notes a problem with what stands at `at`; `key` may be a dotted path below this table.
    #[cold]
    pub(super) fn note_at(&self, at: usize, key: &str, message: String) {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        self.notes.note(at, path, message);
    }

    /// The value of `key`, and that it is a known one.
    pub(super) fn find(&self, key: &'static str) -> Option<Found<'a>> {
        self.known.borrow_mut().push(key);
        #[cfg(test)]
        self.notes.asked.borrow_mut().push(dotted(&self.path, key));
        let value = self.entries.get(key)?;
        Some(Found { at: value.span().start, value: value.get_ref() })
    }

    /// Refuses every key that was never asked for.
    pub(super) fn finish(&self) {
        let mut known = self.known.take();
        let unknown: Vec<_> =
            self.entries.keys().filter(|key| !known.contains(&key.get_ref().as_ref())).collect();
        // Old spellings are taken, not recommended.
        known.retain(|word| !word.contains('_'));
        for key in unknown {
            let word: &str = key.get_ref();
            let advice = match nearest(word, &known) {
                Some(near) => format!("{}; did you mean `{near}`?", self.unknown),
                None => format!("{}; known here: {}", self.unknown, known.join(", ")),
            };
            self.note_at(key.span().start, &dotted("", word), advice);
        }
    }

    /// A text without control characters; `None` when it is missing or wrong.
    pub(super) fn text(&self, key: &'static str) -> Option<&'a str> {
        let found = self.find(key)?;
        self.as_text(key, found)
    }

    pub(super) fn as_text(&self, key: &str, found: Found<'a>) -> Option<&'a str> {
        let message = match found.value.as_str() {
            Some(text) if !text.chars().any(char::is_control) => return Some(text),
            Some(_) => "must not hold line ends or other control characters",
            None => "must be a text in quotes",
        };
        self.note_at(found.at, key, message.to_owned());
        None
    }

    /// A text of a certain form, `default` when it is missing; `form` says what is right.
    pub(super) fn formed(&self, key: &'static str, default: &str, form: Form) -> String {
        match self.text(key) {
            Some(text) if text == default || (form.fits)(text) => text.to_owned(),
            Some(_) => {
                self.note(key, form.right);
                default.to_owned()
            }
            None => default.to_owned(),
        }
    }

    /// Like `formed`, but required and without default.
    pub(super) fn required(&self, key: &'static str, form: Form) -> String {
        if !self.entries.contains_key(key) {
            self.note(key, "is required");
        }
        match self.text(key) {
            Some(text) if !(form.fits)(text) => self.note(key, form.right),
            Some(text) => return text.to_owned(),
            None => {}
        }
        String::new()
    }

    /// The index of the text among `words`; the first one is the default.
    pub(super) fn word(&self, key: &'static str, words: &[&str]) -> usize {
        let Some(found) = self.find(key) else { return 0 };
        self.as_word(key, found, words)
    }

    pub(super) fn as_word(&self, key: &str, found: Found<'a>, words: &[&str]) -> usize {
        let index = words.iter().position(|&word| found.value.as_str() == Some(word));
        index.unwrap_or_else(|| {
            self.note_at(found.at, key, one_of(words));
            0
        })
    }

    /// The text itself, which is one of `words`; the first one is the default.
    pub(super) fn chosen(&self, key: &'static str, words: &[&'static str]) -> String {
        words.get(self.word(key, words)).copied().unwrap_or_default().to_owned()
    }

    pub(super) fn flag(&self, key: &'static str, default: bool) -> bool {
        let Some(found) = self.find(key) else { return default };
        found.value.as_bool().unwrap_or_else(|| {
            self.note_at(found.at, key, "must be true or false".to_owned());
            default
        })
    }

    /// A whole number from `low` to `high`.
    pub(super) fn number(&self, key: &'static str, (low, high): (u32, u32), default: u32) -> u32 {
        let Some(found) = self.find(key) else { return default };
        let number = found.value.as_integer().and_then(whole).and_then(|number| u32::try_from(number).ok());
        number.filter(|number| (low..=high).contains(number)).unwrap_or_else(|| {
            self.note_at(found.at, key, format!("must be a whole number from {low} to {high}"));
            default
        })
    }

    /// A list of different texts without control characters.
    pub(super) fn texts(&self, key: &'static str) -> Vec<Item<'a>> {
        self.find(key).map_or_else(Vec::new, |found| self.as_texts(key, found))
    }

    pub(super) fn as_texts(&self, key: &str, found: Found<'a>) -> Vec<Item<'a>> {
        let mut items: Vec<Item<'a>> = Vec::new();
        let Some(list) = found.value.as_array() else {
            self.note_at(found.at, key, "must be a list of texts: [\"…\", \"…\"]".to_owned());
            return items;
        };
        if list.len() > MOST_ITEMS {
            self.note_at(found.at, key, format!("has more than {MOST_ITEMS} entries"));
            return items;
        }
        for entry in list.iter() {
            let at = entry.span().start;
            let Some(text) = self.as_text(key, Found { at, value: entry.get_ref() }) else { continue };
            if items.iter().any(|item| item.text == text) {
                self.note_at(at, key, "is listed twice".to_owned());
            }
            items.push(Item { at, text });
        }
        items
    }

    /// A list of texts of a certain form.
    pub(super) fn formed_texts(&self, key: &'static str, form: Form) -> Vec<String> {
        let items = self.texts(key);
        for item in &items {
            if !(form.fits)(item.text) {
                self.note_at(item.at, key, form.right.to_owned());
            }
        }
        items.iter().map(|item| item.text.to_owned()).collect()
    }

    /// A list of networks without host bits.
    pub(super) fn networks(&self, key: &'static str) -> Vec<Network> {
        self.as_networks(key, &self.texts(key))
    }

    pub(super) fn as_networks(&self, key: &str, items: &[Item<'a>]) -> Vec<Network> {
        let mut networks = Vec::new();
        for item in items {
            match Network::parse(item.text) {
                // PVE's address sets refuse a /0, and it would say "everybody" by accident.
                Ok(network) if network.prefix() == 0 => {
                    self.note_at(item.at, key, "is every address there is; name the networks".to_owned());
                }
                // The same one in another spelling: PVE's address sets refuse doubles.
                Ok(network) if networks.contains(&network) => {}
                Ok(network) => networks.push(network),
                Err(message) => self.note_at(item.at, key, message),
            }
        }
        networks
    }

    /// A secret: a text, or where the node finds it. An empty text is none.
    pub(super) fn secret(&self, key: &'static str) -> Option<Secret<&'a str>> {
        let found = self.find(key)?;
        let Some(entries) = found.value.as_table() else {
            return self.as_text(key, found).filter(|text| !text.is_empty()).map(Secret::Value);
        };
        let table = self.inner(key, found.at, entries, UNKNOWN);
        let file = table.text("file");
        let credential = table.text("credential");
        table.finish();
        match (file, credential) {
            (Some(path), None) if (ABSOLUTE.fits)(path) => return Some(Secret::File(path.to_owned())),
            (Some(_), None) => table.note("file", ABSOLUTE.right),
            (None, Some(name)) if (CREDENTIAL.fits)(name) => {
                return Some(Secret::Credential(name.to_owned()));
            }
            (None, Some(_)) => table.note("credential", CREDENTIAL.right),
            _ => self.note(key, "must be a text, { file = \"/path\" } or { credential = \"name\" }"),
        }
        None
    }

    /// The table of `key`; an empty one when it is missing.
    pub(super) fn child(&self, key: &'static str) -> Table<'a> {
        let found = self.find(key);
        let (at, entries) = match found.map(|found| (found.at, found.value.as_table())) {
            Some((at, Some(entries))) => (at, entries),
            Some((at, None)) => {
                self.note_at(at, key, "must be a table".to_owned());
                (at, &self.notes.empty)
            }
            None => (self.at, &self.notes.empty),
        };
        self.inner(key, at, entries, UNKNOWN)
    }

    /// The tables of a list of tables.
    pub(super) fn children(&self, key: &'static str) -> Vec<Table<'a>> {
        let Some(found) = self.find(key) else { return Vec::new() };
        let mut tables = Vec::new();
        match found.value.as_array() {
            None => self.note_at(
                found.at,
                key,
                format!("must be a list of tables: [[{}]]", dotted(&self.path, key)),
            ),
            Some(list) => {
                for entry in list.iter() {
                    let at = entry.span().start;
                    match entry.get_ref().as_table() {
                        Some(entries) => tables.push(self.inner(key, at, entries, UNKNOWN)),
                        None => self.note_at(at, key, "must be a table".to_owned()),
                    }
                }
            }
        }
        tables
    }
}

/// No list of an answer comes near it; items are compared with each other.
const MOST_ITEMS: usize = 1000;

/// What a key of ours is told that nobody asked for.
const UNKNOWN: &str = "is not a key of firstlight's part";

/// How a text must look, and the sentence that says so.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) fits: fn(&str) -> bool,
    pub(super) right: &'static str,
}

/// Anything.
pub(super) const ANY: Form = Form { fits: |_| true, right: "" };

/// A path from the root.
pub(super) const ABSOLUTE: Form =
    Form { fits: |text| text.starts_with('/'), right: "must be an absolute path such as /path/to/it" };

const CREDENTIAL: Form = Form {
    fits: |text| !text.is_empty() && !text.starts_with('.') && !text.contains('/'),
    right: "must be the name of a systemd credential",
};

/// The integer, unless it is beyond 64 bits.
pub(super) fn whole(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// "must be one of" these words.
pub(super) fn one_of(words: &[&str]) -> String {
    let mut sentence = "must be ".to_owned();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            sentence.push_str(if index + 1 == words.len() { " or " } else { ", " });
        }
        super::write::push_text(&mut sentence, word);
    }
    sentence
}

/// Whether `text` is not empty and holds ASCII letters, digits and `others` only.
pub(super) fn only(text: &str, others: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}
