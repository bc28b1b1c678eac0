//! The audit for programs, and the form in which it is kept. Described in docs/audit.md.

use super::record::Drift;
use super::{Audit, BENCHMARK, Finding, State, score};
use crate::report::json::Json;
use crate::status::time;

/// The version of the form: raised when a key changes its meaning or goes.
pub const FORMAT: u64 = 1;

/// The audit as one object.
pub fn value(audit: &Audit) -> Json {
    let count = |state: State| audit.count(|known| known == state) as u64;
    let numbers = [
        ("format", FORMAT),
        ("own_milliseconds", audit.own),
        ("findings", audit.count(State::is_red) as u64),
        ("holds", count(State::Holds)),
        ("waived", count(State::Waived)),
    ];
    let at = time::iso(audit.at);
    let texts = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("at", &at),
        ("source", &audit.source),
        ("benchmark", BENCHMARK),
    ];
    let mut members: Vec<_> = numbers.iter().map(|(key, number)| (*key, Json::Number(*number))).collect();
    members.extend(texts.iter().map(|(key, text)| (*key, Json::text(text))));
    members.extend([
        ("score", score::of(audit).map_or(Json::Null, Json::Number)),
        ("notes", Json::texts(&audit.notes)),
        ("drift", audit.drift.as_ref().map_or(Json::Null, Drift::json)),
        ("controls", Json::List(audit.findings.iter().map(control).collect())),
    ]);
    Json::Object(members)
}

fn control(finding: &Finding) -> Json {
    let waiver = finding.waiver.as_ref().map_or(Json::Null, |(reason, until)| {
        Json::Object(vec![("reason", Json::text(reason)), ("until", Json::text_or_null(until))])
    });
    let (severity, weight) = score::weight(finding.requirement);
    let texts = [
        ("control", finding.id.as_str()),
        ("requirement", finding.requirement),
        ("state", finding.state.word()),
        ("wanted", &finding.wanted),
        ("reason", &finding.reason),
        ("remedy", &finding.remedy),
        ("severity", severity),
    ];
    let mut members: Vec<_> = texts.iter().map(|(key, text)| (*key, Json::text_or_null(text))).collect();
    let cis = finding.cis.split_whitespace().map(Json::text).collect();
    members.extend([("weight", Json::Number(weight)), ("cis", Json::List(cis)), ("waiver", waiver)]);
    Json::Object(members)
}
