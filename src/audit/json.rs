//! The audit for programs, and the form in which it is kept. Described in docs/audit.md.

use super::{Audit, Finding, score};
use crate::report::json::Json;
use crate::status::time;

/// The version of the form: raised when a key changes its meaning or goes.
pub const FORMAT: u64 = 1;

/// The audit as one object.
pub fn value(audit: &Audit) -> Json {
    Json::Object(vec![
        ("format", Json::Number(FORMAT)),
        ("version", Json::text(env!("CARGO_PKG_VERSION"))),
        ("at", Json::text(&time::iso(audit.at))),
        ("source", Json::text(&audit.source)),
        ("score", Json::Number(score::of(audit))),
        ("findings", Json::Number(audit.red() as u64)),
        ("own_milliseconds", Json::Number(audit.own)),
        ("summary", Json::text(&audit.summary())),
        ("notes", Json::texts(&audit.notes)),
        ("controls", Json::List(audit.findings.iter().map(control).collect())),
    ])
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
