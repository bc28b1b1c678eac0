//! Plain lines on standard error: for pipes, dumb terminals and logs.

use super::{Ending, Importance, Watch};
use crate::report::terminal::{complain, visible};
use crate::status::time;

/// One line when a step begins, one when it ends.
#[derive(Default)]
pub struct Lines {
    title: String,
}

impl Watch for Lines {
    fn begin(&mut self, number: usize, total: usize, title: &str) {
        self.title = visible(title);
        complain(&format!("[{number}/{total}] {}\n", self.title));
    }

    fn end(&mut self, ending: Ending, milliseconds: u64) {
        complain(&format!("{}: {} after {}\n", self.title, word(ending), time::duration(milliseconds)));
    }

    fn say(&mut self, importance: Importance, text: &str) {
        complain(&sentence(importance, text));
    }
}

/// How a step ended, in a word.
pub(super) fn word(ending: Ending) -> &'static str {
    match ending {
        Ending::Done => "ok",
        Ending::Failed => "failed",
        Ending::Reverted => "taken back",
    }
}

/// A sentence beside the steps, with its importance in front.
pub(super) fn sentence(importance: Importance, text: &str) -> String {
    let mark = match importance {
        Importance::Info => "",
        Importance::Warning => "warning: ",
        Importance::Error => "error: ",
    };
    let mut lines = String::new();
    for (place, line) in text.lines().enumerate() {
        let indent = if place == 0 { mark } else { "  " };
        lines.push_str(&format!("{indent}{}\n", visible(line)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j2_a_sentence_names_its_importance_once_and_sends_no_control_characters() {
        assert_eq!(sentence(Importance::Warning, "a\x07\nb"), "warning: a^G\n  b\n");
        assert_eq!(sentence(Importance::Info, "a"), "a\n");
    }
}
