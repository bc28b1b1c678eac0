//! The audit for programs, and the form in which it is kept. Described in docs/audit.md.

use super::{Audit, Finding, score};
use crate::report::json::Json;
use crate::status::time;

/// The version of the form: raised when a key changes its meaning or goes.
pub const FORMAT: u64 = 1;

/// The audit as one object.
pub fn value(audit: &Audit) -> Json {
    let mut members = Vec::new();
    for (key, text) in [
        ("version", env!("CARGO_PKG_VERSION")),
        ("at", &time::iso(audit.at)),
        ("source", &audit.source),
        ("summary", &audit.summary()),
    ] {
        members.push((key, Json::text(text)));
    }
    for (key, number) in [
        ("format", FORMAT),
        ("score", score::of(audit)),
        ("findings", audit.red() as u64),
        ("own_milliseconds", audit.own),
    ] {
        members.push((key, Json::Number(number)));
    }
    members.push(("notes", Json::texts(&audit.notes)));
    members.push(("controls", Json::List(audit.findings.iter().map(control).collect())));
    Json::Object(members)
}

fn control(finding: &Finding) -> Json {
    let texts = [
        ("control", finding.id.as_str()),
        ("requirement", finding.requirement),
        ("state", finding.state.word()),
        ("wanted", &finding.wanted),
        ("reason", &finding.reason),
        ("remedy", &finding.remedy),
        ("severity", score::severity(finding.requirement).0),
        ("cis", finding.cis),
        ("waiver", &finding.waiver),
        ("until", &finding.until),
    ];
    Json::Object(texts.iter().map(|(key, text)| (*key, Json::text_or_null(text))).collect())
}
