//! A terminal: the step at work with a spinner and its time, the finished ones above it.

use super::lines::{sentence, word};
use super::{Ending, Importance, Watch};
use crate::report::terminal::{Colour, Paint, complain, visible};
use crate::status::text::line;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// One line per step; finished lines stay.
pub struct Bar {
    spinner: Option<ProgressBar>,
    title: String,
    paint: Paint,
    utf8: bool,
}

impl Bar {
    /// For this terminal.
    pub fn new() -> Self {
        Self { spinner: None, title: String::new(), paint: Paint::of_errors(), utf8: has_marks() }
    }

    fn mark(&self, ending: Ending) -> (&'static str, Colour) {
        let (mark, colour) = match ending {
            Ending::Done => ("✔", Colour::Green),
            Ending::Failed => ("✘", Colour::Red),
            Ending::Reverted => ("↶", Colour::Yellow),
        };
        (if self.utf8 { mark } else { word(ending) }, colour)
    }

    fn clear(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        // An error that ends the run between two steps must not leave half a line behind.
        self.clear();
    }
}

impl Watch for Bar {
    fn begin(&mut self, number: usize, total: usize, title: &str) {
        self.clear();
        self.title = visible(title);
        let ticks = if self.utf8 { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ " } else { "-\\|/ " };
        let spinner = ProgressBar::new_spinner();
        // The template is a constant; were it wrong, indicatif's own style would do.
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {wide_msg} {elapsed:>6}") {
            spinner.set_style(style.tick_chars(ticks));
        }
        spinner.set_message(format!("[{number}/{total}] {}", self.title));
        spinner.enable_steady_tick(Duration::from_millis(120));
        self.spinner = Some(spinner);
    }

    fn end(&mut self, ending: Ending, milliseconds: u64) {
        self.clear();
        let (mark, colour) = self.mark(ending);
        complain(&line(mark, colour, &self.title, Some(milliseconds), self.paint));
    }

    fn say(&mut self, importance: Importance, text: &str) {
        let colour = match importance {
            Importance::Info => Colour::Dim,
            Importance::Warning => Colour::Yellow,
            Importance::Error => Colour::Red,
        };
        let text = self.paint.paint(colour, sentence(importance, text).trim_end()) + "\n";
        match &self.spinner {
            Some(spinner) => spinner.suspend(|| complain(&text)),
            None => complain(&text),
        }
    }
}

/// Whether the terminal shows `✔`. The fonts of the Linux console have no such sign, whatever the locale says.
fn has_marks() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .unwrap_or_default()
        .to_ascii_uppercase();
    let console = std::env::var_os("TERM").is_some_and(|value| value == "linux");
    (locale.contains("UTF-8") || locale.contains("UTF8")) && !console
}
