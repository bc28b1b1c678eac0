//! A person at a terminal: what is shown to them, and what they type. The one seam of the wizard, so that every
//! conversation is also held by a test.

#[cfg(test)]
pub mod pty;
#[cfg(test)]
pub mod script;
mod tty;

pub use tty::Tty;

/// What is true while somebody is asked: an exit code of design 9, and a sentence.
pub type Standing = (u8, &'static str);

/// The person.
pub trait Ask {
    /// Shows a text as it is.
    fn show(&mut self, text: &str);
    /// A line typed behind `prompt`, shown or `hidden`; `None` if none was within so many seconds (0: however long it takes).
    /// When nobody answers any more (Ctrl-C, a request to stop, a dropped line, the end of the input), the program ends
    /// here, with what stands.
    fn typed(&mut self, prompt: &str, hidden: bool, seconds: u32, stands: Standing) -> Option<String>;
    /// Rows of the screen.
    fn rows(&self) -> usize;
}
