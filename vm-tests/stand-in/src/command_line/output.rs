//! Printing what a method gave back, in the format that was asked for.

use serde_json::{Value, json};

use crate::api::Returns;
use crate::command_line::parameter::Parameters;
use crate::command_line::table::{Column, Style, cell, draw, in_ascii};
use crate::context::Context;
use crate::failure::Failure;

/// How to print, taken out of the parameters of a call.
pub struct Wanted {
    format: String,
    quiet: bool,
    border: bool,
    header: bool,
}

impl Wanted {
    /// Takes the options of the output out of the parameters.
    pub fn taken_from(parameters: &mut Parameters) -> Self {
        let mut flag = |name: &str| parameters.take(name).is_some_and(|value| value == "1");
        let (quiet, noborder, noheader) = (flag("quiet"), flag("noborder"), flag("noheader"));
        parameters.take("human-readable");
        Self {
            format: parameters.take("output-format").unwrap_or_else(|| "text".to_owned()),
            quiet,
            border: !noborder,
            header: !noheader,
        }
    }

    /// True for the format that people read.
    pub fn is_text(&self) -> bool {
        self.format == "text"
    }

    /// Prints a value. A method that returns nothing prints nothing, whatever the format.
    pub fn print(&self, context: &Context, value: &Value, returns: Returns) -> Result<(), Failure> {
        if self.quiet || matches!(returns, Returns::Nothing) {
            return Ok(());
        }
        let text = match self.format.as_str() {
            "json" => format!("{value}\n"),
            "json-pretty" => pretty(value),
            "yaml" => yaml(value),
            _ if context.is_utf8() => self.text(value, returns),
            _ => in_ascii(&self.text(value, returns)),
        };
        if context.print(&text) {
            Ok(())
        } else {
            Err(Failure::new(1, "Unable to flush stdout: No space left on device"))
        }
    }

    fn text(&self, value: &Value, returns: Returns) -> String {
        let style = Style { border: self.border, header: self.header, sorted: true };
        match (value, returns) {
            (Value::Object(object), _) => {
                let rows: Vec<Value> = object
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| json!({ "key": key, "value": cell(Some(value)) }))
                    .collect();
                draw(&rows, &[Column::text("key"), Column::text("value")], style)
            }
            (Value::Array(values), _) if values.is_empty() => String::new(),
            (Value::Array(values), Returns::List(columns)) if !columns.is_empty() => {
                draw(values, columns, style)
            }
            (Value::Array(values), Returns::Values) => {
                let rows: Vec<Value> = values.iter().map(|value| json!({ "value": value })).collect();
                draw(&rows, &[Column::text("value")], Style { header: false, ..style })
            }
            (Value::Array(values), _) => every_key(values, style),
            (value, _) => format!("{}\n", cell(Some(value))),
        }
    }
}

/// A table of every key that occurs, sorted.
fn every_key(rows: &[Value], style: Style) -> String {
    let mut keys: Vec<&String> =
        rows.iter().filter_map(Value::as_object).flat_map(serde_json::Map::keys).collect();
    keys.sort_unstable();
    keys.dedup();
    let columns: Vec<Column<'_>> = keys.into_iter().map(|key| Column::text(key)).collect();
    draw(rows, &columns, style)
}

/// Perl's pretty JSON: three blanks, and a blank before the colon.
fn pretty(value: &Value) -> String {
    let mut text = String::new();
    pretty_into(&mut text, value, 0);
    text.push('\n');
    text
}

fn pretty_into(text: &mut String, value: &Value, depth: usize) {
    let inner = "   ".repeat(depth + 1);
    let outer = "   ".repeat(depth);
    match value {
        Value::Array(values) if !values.is_empty() => {
            text.push_str("[\n");
            for (index, value) in values.iter().enumerate() {
                text.push_str(&inner);
                pretty_into(text, value, depth + 1);
                text.push_str(if index + 1 < values.len() { ",\n" } else { "\n" });
            }
            text.push_str(&format!("{outer}]"));
        }
        Value::Object(object) if !object.is_empty() => {
            text.push_str("{\n");
            for (index, (key, value)) in object.iter().enumerate() {
                text.push_str(&format!("{inner}{} : ", Value::String(key.clone())));
                pretty_into(text, value, depth + 1);
                text.push_str(if index + 1 < object.len() { ",\n" } else { "\n" });
            }
            text.push_str(&format!("{outer}}}"));
        }
        other => text.push_str(&other.to_string()),
    }
}

/// YAML, as far as flat answers need it.
fn yaml(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let lines = object.iter().map(|(key, value)| format!("{key}: {}\n", cell(Some(value))));
            format!("---\n{}", lines.collect::<String>())
        }
        Value::Array(values) => {
            let lines = values.iter().map(|value| format!("- {value}\n"));
            format!("---\n{}", lines.collect::<String>())
        }
        other => format!("--- {}\n", cell(Some(other))),
    }
}
