//! The audit as JUnit's XML: a control is a case, in the class of its area.

use super::{Audit, Finding, State};
use crate::report::terminal::visible;

/// The whole document.
pub fn render(audit: &Audit) -> String {
    let count = |state: State| audit.count(|known| known == state);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"firstlight audit\" tests=\"{}\" \
         failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n",
        audit.findings.len(),
        count(State::Fails) + count(State::Refused),
        count(State::Unseen),
        count(State::Waived)
    );
    audit.findings.iter().for_each(|finding| case(&mut text, finding));
    text.push_str("</testsuite>\n</testsuites>\n");
    text
}

fn case(text: &mut String, finding: &Finding) {
    let (id, area) = (escaped(&finding.id), escaped(finding.area()));
    push(text, &["  <testcase classname=\"firstlight.", &area, "\" name=\"", &id, "\""]);
    let accepted = finding.waiver.as_ref().map_or("", |(reason, _)| reason.as_str());
    let (element, message) = match finding.state {
        State::Holds => return text.push_str("/>\n"),
        State::Waived => ("skipped", accepted),
        State::Unseen => ("error", finding.reason.as_str()),
        State::Fails | State::Refused => ("failure", finding.reason.as_str()),
    };
    push(text, &[">\n    <", element, " message=\"", &escaped(message), "\">"]);
    push(
        text,
        &[
            &escaped(&finding.wanted),
            "; remedy: ",
            &escaped(&finding.remedy),
            "</",
            element,
            ">\n  </testcase>\n",
        ],
    );
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
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // An attribute's line ends and tabs would come back as blanks; two code points are no characters of XML.
            '\t' | '\u{fffe}' | '\u{ffff}' => out.push(' '),
            _ => out.push(letter),
        }
    }
    out
}
