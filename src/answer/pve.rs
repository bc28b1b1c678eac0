//! PVE's own tables (`[global]`, `[network]`, `[disk-setup]`, `[post-installation-webhook]`, `[first-boot]`):
//! held against what the installer takes as of 9.2, and written again in the one form that it documents.

mod forms;
mod keys;
mod rules;

use super::key::public_key;
use super::table::{Form, Found, Table, whole};
use super::write;
use crate::profile::PublicKey;
use keys::{Key, Kind, TABLES};
use toml::de::DeValue;

/// PVE's part of an answer.
pub struct PveAnswer {
    /// A strict `answer.toml`: nothing but PVE's tables, canonical keys.
    pub toml: String,
    /// The name that the answer gives the node; `None` when DHCP does.
    pub fqdn: Option<String>,
    /// `[global] root-ssh-keys`.
    pub root_ssh_keys: Vec<PublicKey>,
}

/// What a table gave, under canonical names.
pub(super) struct Given<'a> {
    table: Table<'a>,
    list: Vec<(&'static str, Found<'a>)>,
}

impl<'a> Given<'a> {
    fn find(&self, key: &str) -> Option<Found<'a>> {
        self.list.iter().find(|(name, _)| *name == key).map(|&(_, found)| found)
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.find(key)?.value.as_str()
    }

    fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// At the value, else at the header.
    fn note(&self, key: &str, message: &str) {
        let at = self.find(key).map_or(self.table.at, |found| found.at);
        self.table.note_at(at, key, message.to_owned());
    }
}

/// `None` when the answer has none of PVE's tables.
pub(super) fn read(root: &Table<'_>) -> Option<PveAnswer> {
    let present = TABLES.iter().any(|(name, ..)| root.entries.contains_key(*name));
    let mut answer = PveAnswer { toml: String::new(), fqdn: None, root_ssh_keys: Vec::new() };
    for &(name, required, known) in TABLES {
        // Asked for in any case, so that the root knows the name.
        let found = root.find(name);
        if found.is_none() {
            if required && present {
                root.note(name, "is missing, and required as soon as one of PVE's tables is there");
            }
            continue;
        }
        let table = root.child(name).telling(UNKNOWN);
        answer.toml.push_str(&format!("[{name}]\n"));
        let given = read_table(table, known, &mut answer.toml, Layout::Lines);
        if name == "first-boot" && !given.has("ordering") {
            answer.toml.push_str("ordering = \"fully-up\"\n");
        }
        answer.toml.push('\n');
        match name {
            "global" => {
                answer.root_ssh_keys = root_keys(&given);
                answer.fqdn = given.text("fqdn").map(str::to_owned);
                rules::global(&given);
            }
            "network" => rules::network(&given),
            "disk-setup" => rules::disk_setup(&given),
            "first-boot" => rules::first_boot(&given),
            _ => {}
        }
    }
    if !root.entries.contains_key("first-boot") {
        answer.toml.push_str("[first-boot]\nsource = \"from-iso\"\nordering = \"fully-up\"\n");
    }
    present.then_some(answer)
}

const UNKNOWN: &str = "is not a key of PVE's answer file as of 9.2";

/// How the canonical form is laid out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// A line for each key.
    Lines,
    /// Inside braces.
    Inline,
}

/// Reads the `known` keys, notes what is wrong with each, and writes them under their canonical names.
fn read_table<'a>(table: Table<'a>, known: &'static [Key], out: &mut String, layout: Layout) -> Given<'a> {
    let mut list = Vec::new();
    for key in known {
        let found = table.find(key.name);
        let other = if key.alias.is_empty() { None } else { table.find(key.alias) };
        if found.is_some() && other.is_some() {
            table.note(
                key.alias,
                format!("is the old spelling of `{}`, which is there, too; keep one", key.name),
            );
        }
        let Some(found) = found.or(other) else {
            if key.required {
                table.note(key.name, "is required");
            }
            continue;
        };
        if layout == Layout::Inline {
            write::separate(out, list.len());
        }
        write::push_key(out, key.name);
        out.push_str(" = ");
        read_value(&table, key, found, out);
        if layout == Layout::Lines {
            out.push('\n');
        }
        list.push((key.name, found));
    }
    table.finish();
    Given { table, list }
}

fn read_value<'a>(table: &Table<'a>, key: &'static Key, found: Found<'a>, out: &mut String) {
    let wrong = |message: &str| table.note_at(found.at, key.name, message.to_owned());
    match key.kind {
        Kind::Table(known) => return read_inner(table, key.name, known, found, out),
        Kind::Fqdn if found.value.is_table() => {
            return read_inner(table, key.name, keys::FROM_DHCP, found, out);
        }
        Kind::Fqdn => check_text(table, key.name, forms::FQDN, found),
        Kind::Text(form) => check_text(table, key.name, form, found),
        Kind::Words(words) => {
            table.as_word(key.name, found, words);
        }
        Kind::Flag => {
            if !found.value.is_bool() {
                wrong("must be true or false");
            }
        }
        Kind::Whole(low, high) => {
            let number = found.value.as_integer().and_then(whole);
            if !number.is_some_and(|number| (low..=high).contains(&number)) {
                wrong(&match high {
                    i64::MAX => format!("must be a whole number from {low} on"),
                    _ => format!("must be a whole number from {low} to {high}"),
                });
            }
        }
        Kind::Size => {
            if forms::thousandths(found.value).is_none() {
                wrong("must be a size in GiB such as 32 or 12.5");
            }
        }
        Kind::List => {
            table.as_texts(key.name, found);
        }
        Kind::Map(form) => check_map(table, key.name, form, found),
    }
    write::push_value(out, found.value);
}

fn read_inner<'a>(
    table: &Table<'a>,
    name: &'static str,
    known: &'static [Key],
    found: Found<'a>,
    out: &mut String,
) {
    out.push_str("{ ");
    if found.value.is_table() {
        let inner = table.child(name).telling(UNKNOWN);
        read_table(inner, known, out, Layout::Inline);
    } else {
        table.note_at(found.at, name, "must be a table".to_owned());
    }
    out.push_str(" }");
}

fn check_text<'a>(table: &Table<'a>, name: &str, form: Form, found: Found<'a>) {
    if table.as_text(name, found).is_some_and(|text| !(form.fits)(text)) {
        table.note_at(found.at, name, form.right.to_owned());
    }
}

/// A table of text = text; `form` is that of the texts on the right.
fn check_map<'a>(table: &Table<'a>, name: &str, form: Form, found: Found<'a>) {
    let DeValue::Table(entries) = found.value else {
        table.note_at(
            found.at,
            name,
            "must be a table such as { ID_NET_NAME_MAC = \"*aabbccddeeff\" }".to_owned(),
        );
        return;
    };
    if entries.is_empty() {
        table.note_at(found.at, name, "must not be empty".to_owned());
    }
    for (key, value) in entries {
        let found = Found { at: value.span().start, value: value.get_ref() };
        check_text(table, &write::dotted(name, key.get_ref()), form, found);
    }
}

/// The keys of root are held to the same rules as the admin's: a line that is no key locks out just as well.
fn root_keys(global: &Given<'_>) -> Vec<PublicKey> {
    let Some(list) = global.find("root-ssh-keys").and_then(|found| found.value.as_array()) else {
        return Vec::new();
    };
    let mut keys = Vec::new();
    for entry in list.iter() {
        // What is no text has been noted.
        match entry.get_ref().as_str().map(public_key) {
            Some(Ok(key)) => keys.push(key),
            Some(Err(message)) => global.table.note_at(entry.span().start, "root-ssh-keys", message),
            None => {}
        }
    }
    keys
}
