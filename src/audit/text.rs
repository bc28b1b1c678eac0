//! The audit for people: the score first, then area by area, a line for each control, and below it what was seen instead
//! and what to do. No word of it is in the colour alone.

use super::{Audit, Finding, State, score};
use crate::report::terminal::{Colour, Paint, visible, wrapped};
use crate::status::text::line;

const WIDTH: usize = 80;
/// Where a reason and a remedy begin: below the text of the line.
const INDENT: &str = "            ";

/// The audit in full.
pub fn render(audit: &Audit, paint: Paint) -> String {
    let mut text = headline(audit, paint);
    let mut area = "";
    for finding in &audit.findings {
        if finding.area() != area {
            area = finding.area();
            text.push_str(&format!("\n{}\n", paint.paint(Colour::Bold, area)));
        }
        text.push_str(&one(finding, paint));
    }
    text
}

/// What a mail and a journal say first, too.
pub fn headline(audit: &Audit, paint: Paint) -> String {
    let red = audit.count(State::is_red);
    let colour = if red == 0 { Colour::Green } else { Colour::Yellow };
    let score =
        score::of(audit).map_or("nothing to look at".to_owned(), |score| format!("score {score} of 100"));
    let mut text =
        format!("{} {}\n", paint.paint(Colour::Bold, "firstlight audit:"), paint.paint(colour, &score));
    let (holds, waived) =
        (audit.count(|state| state == State::Holds), audit.count(|state| state == State::Waived));
    text.push_str(&wrapped(
        &format!("{holds} hold, {red} need attention, {waived} waived; held against {}", audit.source),
        "  ",
        WIDTH,
    ));
    for note in &audit.notes {
        text.push_str(&wrapped(note, "  ", WIDTH));
    }
    if let Some(drift) = &audit.drift {
        text.push_str(&drift.text());
    }
    text
}

fn one(finding: &Finding, paint: Paint) -> String {
    let colour = match finding.state {
        State::Holds => Colour::Green,
        State::Waived => Colour::Dim,
        State::Fails => Colour::Red,
        State::Unseen | State::Refused => Colour::Yellow,
    };
    let title = format!("{}: {}", finding.id, finding.wanted);
    let mut text = line(finding.state.word(), colour, &title, None, paint);
    if finding.state == State::Holds {
        return text;
    }
    text.push_str(&wrapped(&finding.reason, INDENT, WIDTH));
    match &finding.waiver {
        Some((reason, until)) if finding.state == State::Waived => {
            let until = if until.is_empty() { String::new() } else { format!(" (until {until})") };
            text.push_str(&wrapped(&format!("accepted: {reason}{until}"), INDENT, WIDTH));
        }
        _ => text.push_str(&wrapped(&format!("remedy: {}", visible(&finding.remedy)), INDENT, WIDTH)),
    }
    text
}
