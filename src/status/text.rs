//! The status for people: what is true first, then step by step, 80 columns.

use super::{Checked, Outcome, Status, StepOutcome, Story, time};
use crate::report::terminal::{Colour, Paint, indented, visible, wrapped};
use crate::transaction::state::TransactionId;

const WIDTH: usize = 80;
/// Columns of a line's word, and of its time.
const WORD: usize = 10;
const TIME: usize = 12;

/// What is true, and what to do about it.
pub fn brief(status: &Status, paint: Paint) -> String {
    let mut text = headline(status, paint);
    if !status.message.is_empty() {
        text.push_str(&indented(&status.message, "  "));
    }
    text.push_str(&wrapped(&next(status), "  ", WIDTH));
    text
}

/// The status in full.
pub fn render(status: &Status, paint: Paint) -> String {
    let mut text = brief(status, paint);
    for factor in &status.unverified {
        // The second device's has more words.
        let user = factor.split(',').next().unwrap_or_default();
        let line = format!(
            "The second factor of {factor} is unverified: scan `firstlight totp show {user}`, then give a code to \
             `firstlight totp verify {user}`."
        );
        text.push_str(&wrapped(&line, "  ", WIDTH));
    }
    for shown in &status.unacknowledged {
        let line = format!(
            "Shown on the console, never acknowledged: {shown}. See `totp show`, until the next boot; then `totp verify`, or \
             `totp reset`."
        );
        text.push_str(&wrapped(&line, "  ", WIDTH));
    }
    if let Some(story) = status.story() {
        text.push_str(&facts(status, story, paint));
        text.push_str(&details(story, paint));
    }
    // What the timer's last audit found, and what had turned by then.
    for (place, line) in status.audit.iter().enumerate() {
        if place == 0 {
            text.push_str(&heading("Audit", paint));
        }
        text.push_str(&wrapped(line, "  ", WIDTH));
    }
    text.push_str(&earlier(status, paint));
    text
}

/// One line of a list: word, text, time.
pub fn line(word: &str, colour: Colour, text: &str, milliseconds: Option<u64>, paint: Paint) -> String {
    let shown = visible(text);
    // A mark needs less room than a word.
    let column = if word.chars().count() == 1 { 2 } else { WORD };
    let word = paint.paint(colour, &format!("{word:<column$}"));
    let Some(milliseconds) = milliseconds else { return format!("  {word}{shown}\n") };
    let width = WIDTH - 2 - column - TIME;
    let time = time::duration(milliseconds);
    if shown.chars().count() > width {
        // The whole title, and its time below it: nothing is cut off.
        return format!("  {word}{shown}\n{time:>WIDTH$}\n");
    }
    format!("  {word}{shown:<width$}{time:>TIME$}\n")
}

fn headline(status: &Status, paint: Paint) -> String {
    let colour = match status.exit_code {
        0 => Colour::Green,
        3 | 4 => Colour::Yellow,
        _ => Colour::Red,
    };
    let word = paint.paint(colour, status.outcome.word());
    format!("{} {word}\n", paint.paint(Colour::Bold, "firstlight:"))
}

/// What the word means, and what to do about it.
fn next(status: &Status) -> String {
    let attention = status.exit_code == 3;
    let text = match status.outcome {
        Outcome::Committed if attention => "The node is as the answer wants it, with warnings.",
        Outcome::Committed | Outcome::Unchanged => "The node is as the answer wants it.",
        Outcome::Reverted if status.pending => {
            "It was put back. The first boot tries again at the next boot, three times in all."
        }
        Outcome::Reverted => "It was put back; the node is as it was before.",
        Outcome::Untouched if status.pending => {
            "Nothing was touched. The first boot tries again at the next boot, three times in all."
        }
        Outcome::Untouched => "Nothing was touched.",
        Outcome::RolledBack if attention => "It was rolled back on request, except the kept files below.",
        Outcome::RolledBack => "It was rolled back on request; the node is as it was before.",
        Outcome::Stuck => {
            "The node is neither the old one nor the new one. `firstlight recover` tries again."
        }
        Outcome::Waiting => return confirmation(status),
        Outcome::Running => "Wait for it with `firstlight status --wait`.",
        Outcome::Unfinished if !status.settled => {
            "It is put back by itself; wait with `firstlight status --wait`."
        }
        Outcome::Unfinished => "Put it back with `firstlight recover`.",
        Outcome::GaveUp => "Put back, and not tried again. Mend the cause, then `firstlight apply ANSWER`.",
        Outcome::BadInput => "Nothing was touched. Mend the answer, then `firstlight apply ANSWER`.",
        Outcome::NoAnswer => {
            "No answer was found at first boot; nothing was changed. `firstlight wizard` asks for one, `firstlight apply ANSWER` \
             takes it from a file."
        }
        Outcome::NeverRan if !status.settled => {
            "The first boot is still to come; wait with `firstlight status --wait`."
        }
        Outcome::NeverRan => "Nothing has run on this node.",
    };
    text.to_owned()
}

/// Until when, and how.
fn confirmation(status: &Status) -> String {
    let left = status.waits.unwrap_or_default();
    let until = time::iso(status.now.saturating_add(left));
    let admin = status.story().and_then(|story| story.waiting.as_ref()).map_or("", |waiting| &waiting.admin);
    format!(
        "Applied, and waiting for confirmation until {until}, {} left: log in anew as {admin}, over SSH or \
         at PVE with a TOTP code, or run `firstlight confirm`. Sessions that are open already do not count. Otherwise it is put back.",
        time::minutes(left.div_ceil(60_000))
    )
}

fn facts(status: &Status, story: &Story, paint: Paint) -> String {
    let mut lines = vec![("transaction", story.id.to_string())];
    lines.push(("started", time::iso(story.started)));
    if let (Some(ended), Some(took)) = (story.ended, story.milliseconds()) {
        lines.push(("ended", format!("{}, after {}", time::iso(ended), time::duration(took))));
    }
    if !story.door.is_empty() {
        lines.push(("started by", format!("{}, answer from {}", door(&story.door), story.source)));
    }
    if status.tries > 0 {
        lines.push(("tries", format!("{} of the first boot", status.tries)));
    }
    if !story.version.is_empty() {
        lines.push(("version", story.version.clone()));
        lines.push(("plan", story.plan.clone()));
    }
    let mut text = String::from("\n");
    for (name, value) in lines {
        let name = paint.paint(Colour::Dim, &format!("{name:<12}"));
        text.push_str(&format!("  {name}{}\n", visible(&value)));
    }
    text
}

fn door(door: &str) -> &str {
    match door {
        "hook" => "the first boot",
        "wizard" => "the wizard",
        "command" => "firstlight apply",
        other => other,
    }
}

fn details(story: &Story, paint: Paint) -> String {
    let mut text = String::new();
    text.push_str(&checks("Gates", &story.gates, ("passed", "refused"), paint));
    if !story.steps.is_empty() {
        text.push_str(&heading("Steps", paint));
    }
    for step in &story.steps {
        let colour = match step.outcome {
            StepOutcome::Done => Colour::Green,
            StepOutcome::Failed | StepOutcome::Stuck => Colour::Red,
            StepOutcome::Waiting => Colour::Dim,
            StepOutcome::Started | StepOutcome::Reverted => Colour::Yellow,
        };
        text.push_str(&line(step.outcome.word(), colour, &step.title, step.milliseconds, paint));
    }
    text.push_str(&checks("Probes", &story.probes, ("holds", "fails"), paint));
    if !story.warnings.is_empty() {
        text.push_str(&heading("Warnings", paint));
    }
    for warning in &story.warnings {
        text.push_str(&wrapped(warning, "  ", WIDTH));
    }
    if !story.notes.is_empty() {
        text.push_str(&heading("Notes", paint));
    }
    for note in &story.notes {
        text.push_str(&wrapped(note, "  ", WIDTH));
    }
    if !story.kept.is_empty() {
        text.push_str(&heading("Kept: somebody else changed these since", paint));
    }
    for path in &story.kept {
        text.push_str(&format!("  {}\n", visible(&path.to_string_lossy())));
    }
    text
}

fn checks(title: &str, checks: &[Checked], words: (&str, &str), paint: Paint) -> String {
    let mut text = if checks.is_empty() { String::new() } else { heading(title, paint) };
    for check in checks {
        let (word, colour) = if check.passed { (words.0, Colour::Green) } else { (words.1, Colour::Red) };
        text.push_str(&line(word, colour, &check.id, check.milliseconds, paint));
        if !check.passed {
            text.push_str(&indented(&check.message, "            "));
        }
    }
    text
}

fn earlier(status: &Status, paint: Paint) -> String {
    let others: Vec<&Story> = status.stories.iter().filter(|story| Some(story.id) != status.latest).collect();
    if others.is_empty() {
        return String::new();
    }
    let mut text = heading("Other transactions", paint);
    for story in others {
        text.push_str(&format!("  {}\n", summary(story.id, story)));
    }
    text
}

/// A transaction in one line.
pub fn summary(id: TransactionId, story: &Story) -> String {
    let outcome = Outcome::of_standing(story.standing).word();
    let started = if story.started == 0 { "-".to_owned() } else { time::iso(story.started) };
    format!("{id}  {outcome:<12}{started:<22}{}", visible(&story.door)).trim_end().to_owned()
}

/// A heading, with a line of its own in front.
pub fn heading(title: &str, paint: Paint) -> String {
    format!("\n{}\n", paint.paint(Colour::Bold, title))
}
