//! What the tools say when they refuse: a text for stderr and some status that is not 0.

/// A refusal of a tool.
///
/// The real status is whatever errno happened to be (pve-observed 3.1), so nothing but "not 0" may be relied on.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(any(test, debug_assertions), derive(Debug))]
pub struct Failure {
    status: u8,
    message: String,
    parameters: Vec<(String, String)>,
    usage: Option<String>,
}

impl Failure {
    /// A refusal with this status and text (several lines without the last line end).
    pub fn new(status: u8, message: impl Into<String>) -> Self {
        Self { status: status.max(1), message: message.into(), parameters: Vec::new(), usage: None }
    }

    /// A failure that has said all it had to say.
    pub fn silent(status: u8) -> Self {
        Self::new(status, String::new())
    }

    /// What Perl's `die` gives when errno is nothing in particular.
    pub fn die(message: impl Into<String>) -> Self {
        Self::new(255, message)
    }

    /// `400 Parameter verification failed.` with one line for each parameter; the command line adds its usage.
    pub fn parameters(status: u8, parameters: Vec<(String, String)>) -> Self {
        Self { parameters, ..Self::new(status, "400 Parameter verification failed.") }
    }

    /// The same for a single parameter that the method itself has looked at.
    pub fn parameter(status: u8, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self::parameters(status, vec![(name.into(), text.into())])
    }

    /// A refusal of the command line itself (`400 unable to parse option`), which ends with the usage as well.
    pub fn usage(message: impl Into<String>, usage: impl Into<String>) -> Self {
        Self { usage: Some(usage.into()), ..Self::die(message) }
    }

    /// Adds the usage line where the real tool adds it: behind refused parameters.
    #[must_use]
    pub fn with_usage(mut self, usage: &str) -> Self {
        if !self.parameters.is_empty() && self.usage.is_none() {
            self.usage = Some(usage.to_owned());
        }
        self
    }

    /// Puts words in front of the message, as in `create user failed: …`. Refused parameters stay as they are.
    #[must_use]
    pub fn within(mut self, action: &str) -> Self {
        if self.parameters.is_empty() {
            self.message = format!("{action}: {}", self.message);
        }
        self
    }

    /// The exit status, never 0.
    pub fn status(&self) -> u8 {
        self.status
    }

    /// The message without parameters and usage.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The refused parameters.
    pub fn refused(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// Everything for stderr, without the last line end.
    pub fn text(&self) -> String {
        let mut lines = vec![self.message.clone()];
        lines.extend(self.parameters.iter().map(|(name, text)| format!("{name}: {text}")));
        lines.extend(self.usage.clone());
        lines.join("\n")
    }
}
