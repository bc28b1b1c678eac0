//! The audit as JUnit's XML: a control is a case, in the class of its area.

use super::{Audit, State, area_of};
use crate::report::terminal::visible;

/// The whole document.
pub fn render(audit: &Audit) -> String {
    let mut text =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"firstlight audit\">\n".to_owned();
    for finding in &audit.findings {
        let (id, area) = (escaped(&finding.id), escaped(area_of(&finding.id)));
        push(&mut text, &["<testcase classname=\"firstlight.", &area, "\" name=\"", &id, "\">"]);
        let (element, message) = match finding.state {
            State::Holds => ("", ""),
            State::Waived => ("skipped", finding.waiver.as_str()),
            State::Unseen => ("error", finding.reason.as_str()),
            State::Fails | State::Refused => ("failure", finding.reason.as_str()),
        };
        if !element.is_empty() {
            let (message, remedy) = (escaped(message), escaped(&finding.remedy));
            push(&mut text, &["<", element, " message=\"", &message, "\">", &remedy, "</", element, ">"]);
        }
        text.push_str("</testcase>\n");
    }
    text + "</testsuite>\n"
}

fn push(text: &mut String, pieces: &[&str]) {
    pieces.iter().for_each(|piece| text.push_str(piece));
}

/// XML 1.0 knows no control characters at all: they are made visible.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in visible(text).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            // An attribute's line ends and tabs would come back as blanks; two code points are no characters of XML.
            '\t' | '\u{fffe}' | '\u{ffff}' => out.push(' '),
            _ => out.push(letter),
        }
    }
    out
}
