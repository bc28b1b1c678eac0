//! A plan for people: what would change, and nothing that is secret.

use super::diff::{self, Kind, Line};
use super::{Plan, Step, View};
use crate::change::Change;
use crate::report::terminal::{Colour, Paint, visible, wrapped};
use std::path::Path;

/// The plan in full; `answer` is the operand the operator gave, for the command at the end.
pub fn render(plan: &Plan, answer: Option<&str>, paint: Paint) -> String {
    let mut text = steps(plan, paint);
    for warning in &plan.warnings {
        let mark = paint.paint(Colour::Yellow, "warning:");
        let sentence = wrapped(warning, "         ", 80);
        text.push_str(&format!("{mark} {}", sentence.trim_start()));
    }
    for note in &plan.notes {
        text.push_str(&format!("note: {}", wrapped(note, "      ", 80).trim_start()));
    }
    text.push_str(&ending(plan, answer));
    text
}

/// Its steps alone.
pub fn steps(plan: &Plan, paint: Paint) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        text.push_str(&paint.paint(Colour::Bold, &visible(&step.title)));
        text.push('\n');
        text.push_str(&details(step, paint));
    }
    text
}

/// What may be seen of a file's change.
pub enum Seen {
    /// Its diff.
    Diff(Vec<Line>),
    /// Only its size.
    Bytes(usize),
}

/// What may be seen of a step's file; `None` when the step shows no file. A file that not everybody may read
/// shows its size only; so does one that is no text.
pub fn seen(step: &Step) -> Option<(&Path, Seen)> {
    let View::Diff { path, before, after } = &step.view else { return None };
    let open = match &step.change {
        Change::File(file) => file.public && file.mode & 0o004 != 0,
        // Whatever shows a file without saying how it may be read is not shown.
        _ => false,
    };
    let old = before.as_deref();
    if open && diff::is_text(after) && old.is_none_or(diff::is_text) {
        return Some((path, Seen::Diff(diff::unified(&path.to_string_lossy(), old, after))));
    }
    Some((path, Seen::Bytes(after.len())))
}

/// A diff in colour, each line behind two spaces.
pub fn coloured(lines: &[Line], paint: Paint) -> String {
    let mut text = String::new();
    for line in lines {
        let shown = match line.kind {
            Kind::Header => paint.paint(Colour::Bold, &line.text),
            Kind::Place => paint.paint(Colour::Cyan, &line.text),
            Kind::Removed => paint.paint(Colour::Red, &line.text),
            Kind::Added => paint.paint(Colour::Green, &line.text),
            Kind::Note => paint.paint(Colour::Dim, &line.text),
            Kind::Same => line.text.clone(),
        };
        text.push_str(&format!("  {shown}\n"));
    }
    text
}

fn details(step: &Step, paint: Paint) -> String {
    match (&step.view, seen(step)) {
        (_, Some((_, Seen::Diff(lines)))) => coloured(&lines, paint),
        (_, Some((path, Seen::Bytes(size)))) => {
            let path = visible(&path.to_string_lossy());
            format!("  {path}: {}\n", hidden(step, size))
        }
        (View::Lines(lines), None) => lines.iter().map(|line| format!("  {}\n", visible(line))).collect(),
        (View::Diff { .. }, None) => String::new(),
    }
}

fn hidden(step: &Step, size: usize) -> String {
    let new = matches!(&step.view, View::Diff { before: None, .. });
    let word = if new { "new" } else { "changed" };
    format!("{word}, {size} bytes, not shown")
}

fn ending(plan: &Plan, answer: Option<&str>) -> String {
    if plan.steps.is_empty() {
        return "Nothing to do: the node is as the answer wants it.\n".to_owned();
    }
    let count = match plan.steps.len() {
        1 => "1 change".to_owned(),
        count => format!("{count} changes"),
    };
    let gates: Vec<&str> = plan.gates.iter().map(|gate| gate.id).collect();
    let gates = if gates.is_empty() { "none".to_owned() } else { gates.join(", ") };
    let answer = answer.map(|answer| format!(" {}", quoted(answer))).unwrap_or_default();
    format!(
        "\n{count}; {} statements are checked afterwards; gates before: {gates}.\n\
         Exactly this, and nothing else, is done by\n\n  firstlight apply{answer} --plan {}\n",
        plan.controls.len(),
        plan.hash
    )
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", visible(word).replace("'", "'\\''"))
}

#[cfg(test)]
#[path = "show/tests.rs"]
mod tests;
