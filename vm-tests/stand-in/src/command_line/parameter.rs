//! Parameters as PVE's schema describes them, and their verification.
//!
//! Order and texts of the checks are those of PVE::JSONSchema (check_prop): type, format, pattern, length, range,
//! enumeration; the first that fails is told.

use std::collections::BTreeMap;
use std::sync::Mutex;

use regex::Regex;

use crate::failure::Failure;

/// A check that the schema calls a format: the text behind `invalid format - `.
pub type Format = fn(&str) -> Result<(), String>;

/// The type of a parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(any(test, debug_assertions), derive(Debug))]
pub enum Kind {
    /// Any text.
    Text,
    /// Text that may be given several times; the parts are joined with commas.
    List,
    /// A whole number.
    Integer,
    /// 0 or 1 (on the command line also yes, on, true and their opposites, or nothing at all).
    Boolean,
}

impl Kind {
    /// The name of the type in usage lines and errors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text | Self::List => "string",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
        }
    }
}

/// One parameter of a method.
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// True if it may be left out.
    pub optional: bool,
    format: Option<Format>,
    pattern: Option<&'static str>,
    length: (usize, usize),
    range: (i64, i64),
    values: &'static [&'static str],
}

impl Parameter {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            optional: false,
            format: None,
            pattern: None,
            length: (0, usize::MAX),
            range: (i64::MIN, i64::MAX),
            values: &[],
        }
    }

    /// A text.
    pub const fn text(name: &'static str) -> Self {
        Self::new(name, Kind::Text)
    }

    /// A list of texts.
    pub const fn list(name: &'static str) -> Self {
        Self::new(name, Kind::List)
    }

    /// A whole number.
    pub const fn integer(name: &'static str) -> Self {
        Self::new(name, Kind::Integer)
    }

    /// A boolean.
    pub const fn boolean(name: &'static str) -> Self {
        Self::new(name, Kind::Boolean)
    }

    /// One of these words.
    pub const fn one_of(name: &'static str, values: &'static [&'static str]) -> Self {
        let mut parameter = Self::new(name, Kind::Text);
        parameter.values = values;
        parameter
    }

    /// May be left out.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Must pass this check.
    #[must_use]
    pub const fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Must match this expression as a whole.
    #[must_use]
    pub const fn pattern(mut self, pattern: &'static str) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// Least number of characters.
    #[must_use]
    pub const fn min_length(mut self, length: usize) -> Self {
        self.length.0 = length;
        self
    }

    /// Largest number of characters.
    #[must_use]
    pub const fn max_length(mut self, length: usize) -> Self {
        self.length.1 = length;
        self
    }

    /// Least value.
    #[must_use]
    pub const fn minimum(mut self, value: i64) -> Self {
        self.range.0 = value;
        self
    }

    /// Largest value.
    #[must_use]
    pub const fn maximum(mut self, value: i64) -> Self {
        self.range.1 = value;
        self
    }

    /// What is wrong with a value, in PVE's words.
    pub fn check(&self, value: &str) -> Result<(), String> {
        self.check_type(value)?;
        if let Some(format) = self.format {
            // The text is that of a Perl exception, and ends as one.
            format(value).map_err(|text| format!("invalid format - {}\n", text.trim_end_matches('\n')))?;
        }
        if let Some(pattern) = self.pattern
            && !matches(pattern, value)
        {
            return Err("value does not match the regex pattern".to_owned());
        }
        self.check_size(value)?;
        if !self.values.is_empty() && !self.values.contains(&value) {
            let values = self.values.join(", ");
            return Err(format!("value '{value}' does not have a value in the enumeration '{values}'"));
        }
        Ok(())
    }

    fn check_type(&self, value: &str) -> Result<(), String> {
        let fits = match self.kind {
            Kind::Text | Kind::List => true,
            Kind::Integer => matches("[+-]?[0-9]+", value),
            Kind::Boolean => value == "0" || value == "1",
        };
        if fits { Ok(()) } else { Err(format!("type check ('{}') failed - got '{value}'", self.kind.name())) }
    }

    fn check_size(&self, value: &str) -> Result<(), String> {
        let (shortest, longest) = self.length;
        let length = value.chars().count();
        if length > longest {
            return Err(format!("value may only be {longest} characters long"));
        }
        if length < shortest {
            return Err(format!("value must be at least {shortest} characters long"));
        }
        let (least, largest) = self.range;
        if let Ok(number) = value.parse::<i64>() {
            if number > largest {
                return Err(format!("value must have a maximum value of {largest}"));
            }
            if number < least {
                return Err(format!("value must have a minimum value of {least}"));
            }
        }
        Ok(())
    }
}

/// True if the expression matches the whole text.
pub fn matches(pattern: &str, text: &str) -> bool {
    static KNOWN: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    // Compiling an expression costs far more than using it.
    let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !known.contains_key(pattern) {
        let Ok(expression) = Regex::new(&format!("^(?:{pattern})$")) else { return false };
        known.insert(pattern.to_owned(), expression);
    }
    known.get(pattern).is_some_and(|expression| expression.is_match(text))
}

/// The parameters of one call, by name. All are texts; a boolean is `0` or `1`.
#[derive(Clone, Default)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Sets one.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Takes one out.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// The text of one, if it was given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The text of one that verification has made sure of; empty if there is none.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A boolean, if it was given.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| value == "1")
    }

    /// A number, if it was given.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(|value| value.trim_start_matches('+').parse().ok())
    }

    /// The entries of a list: separated by commas, semicolons or blanks.
    pub fn entries(&self, name: &str) -> Vec<&str> {
        self.text(name)
            .split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | ';' | '\0'))
            .filter(|entry| !entry.is_empty())
            .collect()
    }

    /// True if it was given.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Verifies all against the schema of a method.
    pub fn verify(&self, schema: &[Parameter]) -> Result<(), Failure> {
        let mut refused = Vec::new();
        for parameter in schema {
            let outcome = match self.get(parameter.name) {
                Some(value) => parameter.check(value),
                None if parameter.optional => Ok(()),
                None => Err("property is missing and it is not optional".to_owned()),
            };
            if let Err(text) = outcome {
                refused.push((parameter.name.to_owned(), text));
            }
        }
        for name in self.0.keys().filter(|name| !schema.iter().any(|parameter| parameter.name == **name)) {
            let text =
                "property is not defined in schema and the schema does not allow additional properties";
            refused.push((name.clone(), text.to_owned()));
        }
        if refused.is_empty() { Ok(()) } else { Err(Failure::parameters(255, refused)) }
    }
}
