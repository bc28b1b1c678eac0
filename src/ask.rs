//! A person at a terminal: what is shown to them, and what they type. The one seam of the wizard, so that every
//! conversation is also held by a test.

mod guard;
#[cfg(test)]
pub mod pty;
#[cfg(test)]
pub mod script;
mod tty;

pub use tty::Tty;

/// Why nobody answers any more.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Gone {
    /// The line was dropped, or the input has ended.
    Closed,
    /// Ctrl-C.
    Interrupted,
}

/// What is true while somebody is asked, for whoever ends the program at that moment.
#[derive(Clone, Copy)]
pub struct Standing {
    /// The exit code of design 9.
    pub code: u8,
    /// A sentence.
    pub text: &'static str,
}

/// The person.
pub trait Ask {
    /// Shows a text as it is.
    fn show(&mut self, text: &str);
    /// A line typed behind `prompt`; an empty one stands for `default`.
    fn line(&mut self, prompt: &str, default: &str) -> Result<String, Gone>;
    /// The same without a default and without showing it.
    fn secret(&mut self, prompt: &str) -> Result<String, Gone>;
    /// A line, if one is typed within so many seconds.
    fn within(&mut self, seconds: u32) -> Result<Option<String>, Gone>;
    /// Rows of the screen.
    fn rows(&self) -> usize;
    /// What is true from now on.
    fn stand(&mut self, standing: Standing);
}

/// Shows a text of any length, a screen at a time: a console cannot be scrolled back.
pub fn page(ask: &mut dyn Ask, text: &str) -> Result<(), Gone> {
    let room = ask.rows().saturating_sub(2).max(4);
    let lines: Vec<&str> = text.lines().collect();
    let pages = lines.chunks(room).len();
    for (number, page) in lines.chunks(room).enumerate() {
        ask.show(&format!("{}\n", page.join("\n")));
        let more = number + 1 < pages;
        if more && !ask.line("Enter shows more, q is enough", "")?.is_empty() {
            break;
        }
    }
    Ok(())
}
