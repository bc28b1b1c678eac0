//! A person in a test: types these lines, and keeps what was shown.

use super::{Ask, Standing};
use std::collections::VecDeque;

/// What a person answers by themselves to some prompts.
type Knows<'a> = Box<dyn FnMut(&str) -> Option<String> + 'a>;

/// The person.
pub struct Script<'a> {
    /// What is typed; `^C` is Ctrl-C, or a dropped line, as is the end of it.
    pub typed: VecDeque<String>,
    /// What was shown and asked, line by line; secrets as stars.
    pub seen: String,
    /// What happens elsewhere whenever the person waits, with the number of the wait.
    pub meanwhile: Box<dyn FnMut(usize) -> Option<String> + 'a>,
    /// Gives a line instead of `typed` where the prompt begins with this: `Code`.
    pub knows: Knows<'a>,
    waits: usize,
}

impl<'a> Script<'a> {
    /// Types these.
    pub fn new(typed: &[&str]) -> Self {
        Self {
            typed: typed.iter().map(|&line| line.to_owned()).collect(),
            seen: String::new(),
            meanwhile: Box::new(|_| None),
            knows: Box::new(|_| None),
            waits: 0,
        }
    }
}

impl Ask for Script<'_> {
    fn show(&mut self, text: &str) {
        self.seen.push_str(text);
    }

    fn typed(&mut self, prompt: &str, hidden: bool, seconds: u32, stands: Standing) -> Option<String> {
        let typed = if seconds > 0 {
            self.waits += 1;
            assert!(self.waits < 10_000, "it waits for ever");
            (self.meanwhile)(self.waits)
        } else {
            let line =
                (self.knows)(prompt).or_else(|| self.typed.pop_front()).unwrap_or_else(|| "^C".to_owned());
            let shown = if hidden { "*".repeat(line.len()) } else { line.clone() };
            self.seen.push_str(&format!("{prompt}{shown}\n"));
            Some(line)
        };
        if typed.as_deref() == Some("^C") {
            // In the place of the end of the program; the test catches it.
            std::panic::resume_unwind(Box::new(stands));
        }
        typed
    }

    fn rows(&self) -> usize {
        10_000
    }
}
