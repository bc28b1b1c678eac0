//! Names of users, checked when they are built.

/// A user name as Debian's `adduser` accepts it: a lower-case letter or underscore first, then lower-case
/// letters, digits, underscores and dashes; at most 32 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserName(String);

impl UserName {
    /// Checks `text`; the error is a sentence part that says what would be right.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut bytes = text.bytes();
        match bytes.next() {
            None => return Err("must not be empty"),
            Some(b'a'..=b'z' | b'_') => {}
            Some(_) => return Err("must start with a lower-case letter or an underscore"),
        }
        if !bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')) {
            return Err("may only hold lower-case letters, digits, `_` and `-`");
        }
        if text.len() > 32 {
            return Err("must have at most 32 characters");
        }
        Ok(Self(text.to_owned()))
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
