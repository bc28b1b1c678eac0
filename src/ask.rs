//! A person at a terminal: what is shown to them, and what they type. The one seam of the wizard, so that every
//! conversation is also held by a test.

#[cfg(test)]
pub mod pty;
#[cfg(test)]
pub mod script;
mod tty;

pub use tty::Tty;

use dialoguer::theme::{SimpleTheme, Theme};

/// Nobody answers any more: the line was dropped, the input has ended, or the program was asked to stop.
#[cfg_attr(test, derive(Debug))]
pub struct Gone;

/// The person.
pub trait Ask {
    /// Shows a text as it is.
    fn show(&mut self, text: &str);
    /// A line typed behind `prompt`, shown or `hidden`; `None` if none was within so many seconds.
    fn typed(&mut self, prompt: &str, hidden: bool, seconds: Option<u32>) -> Result<Option<String>, Gone>;
    /// Rows of the screen.
    fn rows(&self) -> usize;
}

/// A line; an empty one stands for `default`.
pub fn line(ask: &mut dyn Ask, prompt: &str, default: &str) -> Result<String, Gone> {
    let typed = ask.typed(&drawn(prompt, default), false, None)?.unwrap_or_default();
    Ok(if typed.is_empty() { default.to_owned() } else { typed })
}

/// A line that is not shown.
pub fn secret(ask: &mut dyn Ask, prompt: &str, default: &str) -> Result<String, Gone> {
    Ok(ask.typed(&drawn(prompt, default), true, None)?.unwrap_or_default())
}

/// `Login name [ops]: `, as dialoguer's plain theme draws it.
fn drawn(prompt: &str, default: &str) -> String {
    let mut text = String::new();
    // Writing into a text does not fail.
    let _ = SimpleTheme.format_input_prompt(&mut text, prompt, (!default.is_empty()).then_some(default));
    text
}

/// Shows a text of any length, a screen at a time: a console cannot be scrolled back.
pub fn page(ask: &mut dyn Ask, text: &str) -> Result<(), Gone> {
    let room = ask.rows().saturating_sub(2).max(4);
    let mut shown = 0;
    for line in text.lines() {
        if shown == room {
            if !self::line(ask, "Enter shows more, q is enough", "")?.is_empty() {
                break;
            }
            shown = 0;
        }
        ask.show(&format!("{line}\n"));
        shown += 1;
    }
    Ok(())
}
