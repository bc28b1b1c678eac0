//! JSON for programs: values put together by hand and written with keys in their order.
//!
//! A third of the size of a serialiser, and the order of keys is ours. Reading is not needed.

use std::fmt;

/// A value.
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(u64),
    /// Milliseconds, written as seconds with three decimals.
    Seconds(u64),
    /// A text.
    Text(String),
    /// Values in order.
    List(Vec<Json>),
    /// Keys and values in order.
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// A text, or `null` when it is empty.
    pub fn text_or_null(text: &str) -> Self {
        if text.is_empty() { Self::Null } else { Self::text(text) }
    }

    /// A list of texts.
    pub fn texts(texts: &[String]) -> Self {
        Self::List(texts.iter().map(|text| Self::text(text)).collect())
    }

    fn write(&self, depth: usize, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Bool(value) => write!(formatter, "{value}"),
            Self::Number(value) => write!(formatter, "{value}"),
            Self::Seconds(value) => write!(formatter, "{}.{:03}", value / 1000, value % 1000),
            Self::Text(text) => quote(text, formatter),
            Self::List(values) if values.is_empty() => formatter.write_str("[]"),
            Self::List(values) => {
                formatter.write_str("[")?;
                for (place, value) in values.iter().enumerate() {
                    separate(place, depth + 1, formatter)?;
                    value.write(depth + 1, formatter)?;
                }
                end(depth, "]", formatter)
            }
            Self::Object(members) => {
                formatter.write_str("{")?;
                for (place, (key, value)) in members.iter().enumerate() {
                    separate(place, depth + 1, formatter)?;
                    quote(key, formatter)?;
                    formatter.write_str(": ")?;
                    value.write(depth + 1, formatter)?;
                }
                end(depth, "}", formatter)
            }
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(0, formatter)?;
        formatter.write_str("\n")
    }
}

fn separate(place: usize, depth: usize, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    if place > 0 {
        formatter.write_str(",")?;
    }
    end(depth, "", formatter)
}

fn end(depth: usize, close: &str, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    formatter.write_str("\n")?;
    for _ in 0..depth {
        formatter.write_str("  ")?;
    }
    formatter.write_str(close)
}

/// Escapes what JSON wants, and everything above that a terminal could obey: `status --json` is read on one.
fn quote(text: &str, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    formatter.write_str("\"")?;
    for character in text.chars() {
        match character {
            '"' => formatter.write_str("\\\"")?,
            '\\' => formatter.write_str("\\\\")?,
            '\n' => formatter.write_str("\\n")?,
            '\t' => formatter.write_str("\\t")?,
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => {
                write!(formatter, "\\u{:04x}", u32::from(character))?;
            }
            _ => write!(formatter, "{character}")?,
        }
    }
    formatter.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json_and_says_the_same() {
        let odd = "q\" b\\ n\n t\t e\x1b z\0 d\x7f é ✔ \u{202e} 😀";
        let value = Json::Object(vec![
            ("text", Json::text(odd)),
            ("none", Json::text_or_null("")),
            ("yes", Json::Bool(true)),
            ("number", Json::Number(u64::MAX)),
            ("seconds", Json::Seconds(12_034)),
            ("list", Json::List(vec![Json::List(Vec::new()), Json::Object(Vec::new()), Json::Number(0)])),
        ]);
        let read: serde_json::Value = serde_json::from_str(&value.to_string()).unwrap();
        assert_eq!(read["text"], odd);
        assert!(read["none"].is_null());
        assert_eq!(read["yes"], true);
        assert_eq!(read["number"], u64::MAX);
        assert_eq!(read["seconds"], 12.034);
        assert_eq!(read["list"], serde_json::json!([[], {}, 0]));
        assert!(!value.to_string().contains('\x1b'));
    }

    #[test]
    fn keys_keep_their_order_and_lines_are_indented() {
        let value = Json::Object(vec![("b", Json::Number(1)), ("a", Json::List(vec![Json::Bool(false)]))]);
        assert_eq!(value.to_string(), "{\n  \"b\": 1,\n  \"a\": [\n    false\n  ]\n}\n");
    }
}
