//! One line when a step begins, one with its time when it ends.

use std::cell::RefCell;
use std::fmt::Display;
use std::time::{Duration, Instant};

thread_local! {
    /// What the lines of this thread begin with.
    static LABEL: RefCell<String> = const { RefCell::new(String::new()) };
}

/// From now on every line of this thread begins with a name: others print at the same time.
pub fn label(name: &str) {
    LABEL.set(if name.is_empty() { String::new() } else { format!("{name:<21}| ") });
}

/// A running step; its end prints the time it took.
pub struct Step {
    title: String,
    since: Instant,
}

impl Step {
    /// Announces a step.
    pub fn begin(title: impl Into<String>) -> Self {
        let title = title.into();
        say(format_args!("{title} …"));
        Self { title, since: Instant::now() }
    }

    /// Announces the end of the step and returns its length.
    pub fn done(self) -> Duration {
        let took = self.since.elapsed();
        say(format_args!("{}: {}", self.title, seconds(took)));
        took
    }
}

/// Says how long a part of a scenario took, if that was worth a line.
pub fn took(what: &str, since: Instant) {
    let took = since.elapsed();
    if took >= Duration::from_secs(2) {
        say(format_args!("  {what}: {}", seconds(took)));
    }
}

/// Prints one line of progress.
pub fn say(line: impl Display) {
    use std::io::Write;
    let text = LABEL.with_borrow(|label| labelled(label, &line.to_string()));
    // In one piece, so that lines of two threads do not mix. A closed pipe is no reason to stop a test run half-way.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Each line of the text with the label in front and an end.
fn labelled(label: &str, text: &str) -> String {
    if label.is_empty() {
        return format!("{text}\n");
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| format!("{label}{line}\n")).collect()
}

/// A duration as people read it.
pub fn seconds(took: Duration) -> String {
    let whole = took.as_secs();
    if whole >= 60 {
        format!("{} min {} s", whole / 60, whole % 60)
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_labelled_text_says_whose_it_is() {
        assert_eq!(labelled("a | ", "\nx\ny"), "a | x\na | y\n");
        assert_eq!(labelled("", "\nx"), "\nx\n");
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(seconds(Duration::from_millis(1540)), "1.5 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 5 s");
    }
}
