//! `firstlight wizard`: questions, a look at the plan, the same run as `apply`, a new login, and a second factor that
//! was seen to work.

mod after;
mod before;
#[cfg(test)]
mod tests;

use super::{Ended, Stop, apply, engine};
use crate::answer::Answer;
use crate::ask::{Ask, Standing, Tty};
use crate::node::{Node, exists};
use crate::profile::Confirm;
use crate::report::terminal::{Paint, wrapped};
use crate::status::{self, text};
use crate::transaction::Outcome;
use crate::wizard::{INDENT, WIDTH};
use dialoguer::theme::{SimpleTheme, Theme};
use std::path::Path;

const NOTHING: Standing = (2, "the wizard was ended, nothing was changed");

/// The conversation.
struct Talk<'a> {
    node: &'a dyn Node,
    ask: &'a mut dyn Ask,
    stands: Standing,
}

/// Asks on this terminal.
pub fn run(node: &dyn Node, save: Option<&Path>) -> Ended {
    match Tty::open() {
        Some(mut tty) => with(node, save, &mut tty),
        None => Err(Stop::refusal(
            "the wizard asks on a terminal, and standard input, output or errors are none\n  hint: firstlight apply \
             ANSWER takes the answers from a file",
        )),
    }
}

/// Asks this person.
pub fn with(node: &dyn Node, save: Option<&Path>, ask: &mut dyn Ask) -> Ended {
    Talk { node, ask, stands: NOTHING }.all(save)
}

impl Talk<'_> {
    fn all(&mut self, save: Option<&Path>) -> Ended {
        let node = self.node;
        let save = save.map(engine::absolute).transpose()?;
        if let Some(path) = &save
            // After the last question it would be too late to say so.
            && (exists(node, path)? || !exists(node, path.parent().unwrap_or(path))?)
        {
            let text =
                format!("--save takes a new file in a directory that is there, not {}", path.display());
            return Err(Stop::refusal(text));
        }
        if let Some(code) = self.resume()? {
            return Ok(code);
        }
        self.choose(save.as_deref())
    }

    /// The run itself.
    fn begin(&mut self, answer: &Answer, hash: &str) -> Ended {
        let (outcome, code) = apply::execute(self.node, answer, "wizard", Some(hash), Some(Confirm::Login))?;
        apply::hand_over(self.node, &outcome);
        match outcome {
            Outcome::Waiting(..) => return self.finish(),
            Outcome::Committed(_) | Outcome::Unchanged => self.enrol(&answer.profile)?,
            _ => {}
        }
        Ok(code)
    }

    /// Where an earlier run stands; an exit code when that was what there is to do.
    fn resume(&mut self) -> Result<Option<u8>, Stop> {
        let status = status::read(self.node)?;
        if status.latest.is_some() {
            self.ask.show(&text::brief(&status, Paint::of_output()));
        }
        if status.waits.is_some() {
            return self.finish().map(Some);
        }
        if matches!(
            status.outcome,
            status::Outcome::Running | status::Outcome::Unfinished | status::Outcome::Stuck
        ) {
            return Err(Stop::refusal("that run has to end first, see above"));
        }
        if let Ok(answer) = engine::answer_or_record(self.node, None)
            && !after::open(self.node, &answer.profile).is_empty()
            && self.line("Second factors are missing. Type e to enrol them, or Enter for the questions", "")
                == "e"
        {
            self.enrol(&answer.profile)?;
            return Ok(Some(0));
        }
        Ok(None)
    }

    /// A line behind a prompt (`Login name [ops]: `); an empty one stands for `default`.
    fn line(&mut self, prompt: &str, default: &str) -> String {
        let typed = self.typed(prompt, default, false);
        let typed = typed.trim();
        if typed.is_empty() { default } else { typed }.to_owned()
    }

    /// What was typed, shown or hidden.
    fn typed(&mut self, prompt: &str, default: &str, hidden: bool) -> String {
        let mut drawn = String::new();
        // Writing into a text does not fail.
        let _ = SimpleTheme.format_input_prompt(&mut drawn, prompt, (!default.is_empty()).then_some(default));
        self.ask.typed(&drawn, hidden, 0, self.stands).unwrap_or_default()
    }

    /// The same about something, in three parts.
    #[inline(never)]
    fn say_of(&mut self, before: &str, what: &str, behind: &str) {
        self.say(&[before, what, behind].concat());
    }

    /// A paragraph beside the questions.
    fn say(&mut self, text: &str) {
        self.ask.show(&wrapped(text, INDENT, WIDTH));
    }

    /// A text of any length, a screen at a time: a console cannot be scrolled back.
    fn page(&mut self, text: &str) {
        let room = self.ask.rows().saturating_sub(2).max(4);
        let mut shown = 0;
        for line in text.lines() {
            if shown == room {
                if !self.line("Enter shows more, q is enough", "").is_empty() {
                    break;
                }
                shown = 0;
            }
            self.ask.show(line);
            self.ask.show("\n");
            shown += 1;
        }
    }
}
