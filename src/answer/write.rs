//! TOML out of a parsed table, and of single values: what the record, the payload and PVE's own answer
//! are written with.

use toml::de::{DeTable, DeValue};

/// `path.key`, the key quoted where TOML wants it.
pub(super) fn dotted(path: &str, key: &str) -> String {
    let mut out = path.to_owned();
    if !path.is_empty() {
        out.push('.');
    }
    push_key(&mut out, key);
    out
}

/// A key: bare where it may be, else a basic string.
pub(super) fn push_key(out: &mut String, key: &str) {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !key.is_empty() && key.bytes().all(bare) {
        out.push_str(key);
    } else {
        push_text(out, key);
    }
}

/// A text as a value of TOML.
pub fn quoted(text: &str) -> String {
    let mut out = String::new();
    push_text(&mut out, text);
    out
}

/// A basic string on one line.
pub(super) fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            // C1 controls are legal in TOML; escaped they are harmless on a terminal, too.
            _ if character.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// A value, tables and arrays inline.
pub(super) fn push_value(out: &mut String, value: &DeValue<'_>) {
    match value {
        DeValue::String(text) => push_text(out, text),
        DeValue::Boolean(flag) => out.push_str(if *flag { "true" } else { "false" }),
        DeValue::Integer(number) => {
            out.push_str(match number.radix() {
                2 => "0b",
                8 => "0o",
                16 => "0x",
                _ => "",
            });
            out.push_str(number.as_str());
        }
        DeValue::Float(number) => out.push_str(number.as_str()),
        DeValue::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, index);
                push_value(out, item.get_ref());
            }
            out.push(']');
        }
        DeValue::Table(table) => {
            out.push_str("{ ");
            for (index, (key, value)) in table.iter().enumerate() {
                separate(out, index);
                push_entry(out, key.get_ref(), value.get_ref());
            }
            out.push_str(" }");
        }
        // No key of an answer takes a date; an answer with one was refused.
        DeValue::Datetime(_) => out.push_str("\"\""),
    }
}

/// `key = value`.
pub(super) fn push_entry(out: &mut String, key: &str, value: &DeValue<'_>) {
    push_key(out, key);
    out.push_str(" = ");
    push_value(out, value);
}

/// The comma in front of every item but the first.
pub(super) fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push_str(", ");
    }
}

/// What to do with an entry of a table that is written.
pub(super) enum Entry {
    /// As given.
    Keep,
    /// Left out.
    Skip,
    /// This line instead.
    Replace(String),
}

/// `[path]`, its values, then its tables; `decide` sees every dotted path first.
pub(super) fn push_table(
    out: &mut String,
    path: &str,
    table: &DeTable<'_>,
    decide: &dyn Fn(&str, &DeValue<'_>) -> Entry,
) {
    out.push('[');
    out.push_str(path);
    out.push_str("]\n");
    for (key, value) in table {
        if value.get_ref().is_table() {
            continue;
        }
        match decide(&dotted(path, key.get_ref()), value.get_ref()) {
            Entry::Keep => push_entry(out, key.get_ref(), value.get_ref()),
            Entry::Replace(line) => out.push_str(&line),
            Entry::Skip => continue,
        }
        out.push('\n');
    }
    for (key, value) in table {
        if let DeValue::Table(inner) = value.get_ref() {
            out.push('\n');
            push_table(out, &dotted(path, key.get_ref()), inner, decide);
        }
    }
}
