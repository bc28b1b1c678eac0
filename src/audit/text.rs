//! The audit for people: the score first, then area by area, a line for each control, and below it what was seen instead
//! and what to do. No word of it is in the colour alone.

use super::{Audit, Finding, State, area_of};
use crate::report::terminal::{Colour, Paint, wrapped};
use crate::status::text::{heading, line};

const WIDTH: usize = 80;
/// Where a reason and a remedy begin: below the text of the line.
const INDENT: &str = "            ";

/// The audit in full, or without what holds.
pub fn render(audit: &Audit, paint: Paint, all: bool) -> String {
    let mut text = paint.paint(Colour::Bold, "firstlight audit:") + "\n";
    text.push_str(&wrapped(&audit.summary(), "  ", WIDTH));
    for note in &audit.notes {
        text.push_str(&wrapped(note, "  ", WIDTH));
    }
    let mut area = "";
    for finding in audit.findings.iter().filter(|finding| all || finding.state != State::Holds) {
        if area_of(&finding.id) != area {
            area = area_of(&finding.id);
            text.push_str(&heading(area, paint));
        }
        one(&mut text, finding, paint);
    }
    text
}

fn one(text: &mut String, finding: &Finding, paint: Paint) {
    let colour = match finding.state {
        State::Holds => Colour::Green,
        State::Waived => Colour::Dim,
        State::Fails => Colour::Red,
        State::Unseen | State::Refused => Colour::Yellow,
    };
    let title = [finding.id.as_str(), ": ", &finding.wanted].concat();
    text.push_str(&line(finding.state.word(), colour, &title, None, paint));
    let waived = finding.state == State::Waived;
    for (word, what) in [
        ("", finding.reason.as_str()),
        ("accepted: ", if waived { &finding.waiver } else { "" }),
        ("until ", if waived { &finding.until } else { "" }),
        ("remedy: ", if waived { "" } else { &finding.remedy }),
    ] {
        if !what.is_empty() {
            text.push_str(&wrapped(&[word, what].concat(), INDENT, WIDTH));
        }
    }
}
