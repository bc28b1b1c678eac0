//! A person in a test: types these lines, and keeps what was shown.

use super::{Ask, Gone, Standing};
use std::collections::VecDeque;

/// What a person answers by themselves to some prompts.
type Knows<'a> = Box<dyn FnMut(&str) -> Option<String> + 'a>;

/// The person.
pub struct Script<'a> {
    /// What is typed; `^C` is Ctrl-C, and the end of it a dropped line.
    pub typed: VecDeque<String>,
    /// What was shown and asked, line by line; secrets as stars.
    pub seen: String,
    /// What stood when it ended.
    pub standing: Standing,
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
            standing: Standing { code: 0, text: "" },
            meanwhile: Box::new(|_| None),
            knows: Box::new(|_| None),
            waits: 0,
        }
    }

    fn next(&mut self, prompt: &str) -> Result<String, Gone> {
        if let Some(line) = (self.knows)(prompt) {
            return Ok(line);
        }
        match self.typed.pop_front() {
            None => Err(Gone::Closed),
            Some(line) if line == "^C" => Err(Gone::Interrupted),
            Some(line) => Ok(line),
        }
    }
}

impl Ask for Script<'_> {
    fn show(&mut self, text: &str) {
        self.seen.push_str(text);
    }

    fn line(&mut self, prompt: &str, default: &str) -> Result<String, Gone> {
        let typed = self.next(prompt)?;
        let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        self.seen.push_str(&format!("{prompt}{shown}: {typed}\n"));
        Ok(if typed.is_empty() { default.to_owned() } else { typed })
    }

    fn secret(&mut self, prompt: &str) -> Result<String, Gone> {
        let typed = self.next(prompt)?;
        self.seen.push_str(&format!("{prompt}: {}\n", "*".repeat(typed.len())));
        Ok(typed)
    }

    fn within(&mut self, _seconds: u32) -> Result<Option<String>, Gone> {
        self.waits += 1;
        if let Some(line) = (self.meanwhile)(self.waits) {
            return if line == "^C" { Err(Gone::Interrupted) } else { Ok(Some(line)) };
        }
        if self.waits > 10_000 { Err(Gone::Closed) } else { Ok(None) }
    }

    fn rows(&self) -> usize {
        10_000
    }

    fn stand(&mut self, standing: Standing) {
        self.standing = standing;
    }
}
