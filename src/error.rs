//! The one error of the engine: what was being done, to what, why it failed, what to do next.

use std::fmt;

/// A failure that a person reads. One pointer wide: results travel through every call, and the binary pays for
/// each byte of them.
#[cfg_attr(test, derive(Debug))]
pub struct Error(Box<Parts>);

/// `doing` names the object; `hint` says what to do next and may be empty.
#[cfg_attr(test, derive(Debug))]
pub struct Parts {
    /// What was being done, to which object: `writing /etc/sudoers.d/firstlight`.
    pub doing: String,
    /// Why it failed, in the words of whoever refused.
    pub because: String,
    /// What to do next; empty when there is nothing to say.
    pub hint: String,
}

/// The engine's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without a hint.
    #[cold]
    pub fn new(doing: impl Into<String>, because: impl fmt::Display) -> Self {
        Self(Box::new(Parts { doing: doing.into(), because: because.to_string(), hint: String::new() }))
    }

    /// The same error with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = hint.into();
        self
    }
}

impl std::ops::Deref for Error {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.doing, self.because)?;
        if self.hint.is_empty() { Ok(()) } else { write!(formatter, "\n  hint: {}", self.hint) }
    }
}

/// Names what was being done when an operating system call failed.
pub trait Doing<T> {
    /// Turns the error into ours; `verb` and `object` become `doing`.
    fn doing(self, verb: &str, object: &dyn AsRef<std::path::Path>) -> Result<T>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, verb: &str, object: &dyn AsRef<std::path::Path>) -> Result<T> {
        self.map_err(|error| Error::new(format!("{verb} {}", object.as_ref().display()), error))
    }
}
