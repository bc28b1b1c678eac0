//! One line when a step begins, one with its time when it ends.

use std::fmt::Display;
use std::time::{Duration, Instant};

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

/// Prints one line of progress.
pub fn say(line: impl Display) {
    use std::io::Write;
    // A closed pipe is no reason to stop a test run half-way.
    let _ = writeln!(std::io::stdout(), "{line}");
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
    fn durations_read_well() {
        assert_eq!(seconds(Duration::from_millis(1540)), "1.5 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 5 s");
    }
}
