//! JSON that tools and PVE write, read. Strict (RFC 8259); what is not JSON is nothing. Ours is written by
//! [`report::json`](crate::report::json).
//!
//! serde_json in its place costs more than 10 KB: its maps are B-trees, and it knows what every number is worth.

#[cfg(test)]
mod tests;

use crate::sorted::Map;

/// How deep values may lie in each other.
const DEEPEST: usize = 128;

/// A value.
#[cfg_attr(test, derive(Debug))]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A number as it is written.
    Number(String),
    /// A text.
    Text(String),
    /// Values in order.
    List(Vec<Value>),
    /// Values by their names; of two with the same name the last one counts.
    Object(Map<String, Value>),
}

impl Value {
    /// Reads a text that is one value.
    pub fn read(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text };
        let value = reader.value(DEEPEST)?;
        reader.skip_blanks();
        reader.rest.is_empty().then_some(value)
    }

    /// The member of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(name),
            _ => None,
        }
    }

    /// The members of an object, sorted by their names; none of anything else.
    pub fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members.as_slice(),
            _ => &[],
        }
    }

    /// The values of a list; none of anything else.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(values) => values,
            _ => &[],
        }
    }

    /// The text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is a whole one without a sign.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }
}

/// What has not been read yet. Every method takes what it names from the front, or fails.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        self.skip_blanks();
        match self.rest.bytes().next()? {
            b'"' => self.text().map(Value::Text),
            b'-' | b'0'..=b'9' => self.number().map(Value::Number),
            b'n' => self.take("null").map(|()| Value::Null),
            b't' => self.take("true").map(|()| Value::Flag(true)),
            b'f' => self.take("false").map(|()| Value::Flag(false)),
            b'[' => {
                let mut values = Vec::new();
                self.items("[", "]", &mut |reader| {
                    values.push(reader.value(depth)?);
                    Some(())
                })?;
                Some(Value::List(values))
            }
            _ => {
                let mut members = Map::default();
                self.items("{", "}", &mut |reader| {
                    let name = reader.text()?;
                    reader.skip_blanks();
                    reader.take(":")?;
                    members.insert(name, reader.value(depth)?);
                    Some(())
                })?;
                Some(Value::Object(members))
            }
        }
    }

    /// What stands between brackets, with commas in between.
    fn items(
        &mut self,
        open: &str,
        close: &str,
        item: &mut dyn FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(open)?;
        self.skip_blanks();
        if self.take(close).is_some() {
            return Some(());
        }
        loop {
            self.skip_blanks();
            item(self)?;
            self.skip_blanks();
            if self.take(close).is_some() {
                return Some(());
            }
            self.take(",")?;
        }
    }

    fn text(&mut self) -> Option<String> {
        self.take("\"")?;
        let mut text = String::new();
        loop {
            let end = self.rest.find(|character| matches!(character, '"' | '\\' | '\0'..='\x1f'))?;
            let (plain, rest) = self.rest.split_at_checked(end)?;
            text.push_str(plain);
            self.rest = rest;
            if self.take("\"").is_some() {
                return Some(text);
            }
            self.take("\\")?;
            text.push(self.escaped()?);
        }
    }

    /// What stands behind a backslash.
    fn escaped(&mut self) -> Option<char> {
        const SHORT: [(&str, char); 8] = [
            ("\"", '"'),
            ("\\", '\\'),
            ("/", '/'),
            ("b", '\x08'),
            ("f", '\x0c'),
            ("n", '\n'),
            ("r", '\r'),
            ("t", '\t'),
        ];
        if let Some((_, character)) = SHORT.iter().find(|(word, _)| self.take(word).is_some()) {
            return Some(*character);
        }
        let mut code = self.unit()?;
        // The first half of a pair of UTF-16; a half alone is no character.
        if (0xd800..0xdc00).contains(&code) {
            self.take("\\")?;
            let second = self.unit().filter(|second| (0xdc00..0xe000).contains(second))?;
            code = 0x10000 + ((code & 0x3ff) << 10 | second & 0x3ff);
        }
        char::from_u32(code)
    }

    /// `u` and four hexadecimal digits.
    fn unit(&mut self) -> Option<u32> {
        self.take("u")?;
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        hexadecimal.then(|| u32::from_str_radix(digits, 16).ok())?
    }

    fn number(&mut self) -> Option<String> {
        let all = self.rest;
        let _ = self.take("-");
        if self.take("0").is_none() {
            self.digits()?;
        }
        if self.take(".").is_some() {
            self.digits()?;
        }
        if self.take("e").or_else(|| self.take("E")).is_some() {
            let _ = self.take("+").or_else(|| self.take("-"));
            self.digits()?;
        }
        all.strip_suffix(self.rest).map(str::to_owned)
    }

    /// At least one.
    fn digits(&mut self) -> Option<()> {
        let rest = self.rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
        (rest.len() < self.rest.len()).then(|| self.rest = rest)
    }
}
