//! The status for programs. Every key is there always; what is not known is `null`. Described in docs/json.md.

use super::{Checked, Outcome, Status, StepStory, Story, time};
use crate::report::json::Json;
use std::path::Path;

/// The version of the form: raised when a key changes its meaning or goes.
pub const FORMAT: u64 = 1;

/// The status as one object.
pub fn value(status: &Status) -> Json {
    let story = status.story();
    let text = |field: fn(&Story) -> &str| story.map_or(Json::Null, |story| Json::text_or_null(field(story)));
    let list = |field: fn(&Story) -> Json| story.map_or(Json::List(Vec::new()), field);
    Json::Object(vec![
        ("format", Json::Number(FORMAT)),
        ("outcome", Json::text(status.outcome.word())),
        ("exit_code", Json::Number(status.exit_code.into())),
        ("message", Json::text_or_null(&status.message)),
        ("tries", Json::Number(status.tries.into())),
        ("pending", Json::Bool(status.pending)),
        ("confirmation", confirmation(status)),
        ("process", status.holder.map_or(Json::Null, |process| Json::Number(process.into()))),
        ("transaction", story.map_or(Json::Null, |story| Json::Text(story.id.to_string()))),
        ("started", story.map_or(Json::Null, |story| moment(Some(story.started)))),
        ("ended", moment(story.and_then(|story| story.ended))),
        ("seconds", seconds(story.and_then(Story::milliseconds))),
        ("version", text(|story| &story.version)),
        ("plan", text(|story| &story.plan)),
        ("door", text(|story| &story.door)),
        ("source", text(|story| &story.source)),
        ("unverified", Json::texts(&status.unverified)),
        ("unacknowledged", Json::texts(&status.unacknowledged)),
        ("audit", Json::texts(&status.audit)),
        ("steps", list(|story| Json::List(story.steps.iter().map(step).collect()))),
        ("gates", list(|story| Json::List(story.gates.iter().map(gate).collect()))),
        ("probes", list(|story| Json::List(story.probes.iter().map(probe).collect()))),
        ("warnings", list(|story| Json::texts(&story.warnings))),
        ("notes", list(|story| Json::texts(&story.notes))),
        ("kept", list(|story| Json::List(story.kept.iter().map(|kept| path(kept)).collect()))),
        ("transactions", Json::List(status.stories.iter().map(summary).collect())),
    ])
}

fn confirmation(status: &Status) -> Json {
    let waiting = status.story().and_then(|story| story.waiting.as_ref());
    let (Some(left), Some(waiting)) = (status.waits, waiting) else { return Json::Null };
    Json::Object(vec![
        ("login", Json::text(&waiting.admin)),
        ("until", moment(Some(status.now.saturating_add(left)))),
        ("seconds_left", Json::Number(left / 1000)),
    ])
}

fn step(step: &StepStory) -> Json {
    Json::Object(vec![
        ("title", Json::text(&step.title)),
        ("outcome", Json::text(step.outcome.word())),
        ("seconds", seconds(step.milliseconds)),
    ])
}

fn gate(gate: &Checked) -> Json {
    Json::Object(vec![
        ("gate", Json::text(&gate.id)),
        ("passed", Json::Bool(gate.passed)),
        ("message", Json::text_or_null(&gate.message)),
        ("seconds", seconds(gate.milliseconds)),
    ])
}

fn probe(probe: &Checked) -> Json {
    Json::Object(vec![
        ("control", Json::text(&probe.id)),
        ("holds", Json::Bool(probe.passed)),
        ("message", Json::text_or_null(&probe.message)),
    ])
}

fn summary(story: &Story) -> Json {
    Json::Object(vec![
        ("transaction", Json::Text(story.id.to_string())),
        ("outcome", Json::text(Outcome::of_standing(story.standing).word())),
        ("started", moment(Some(story.started))),
        ("ended", moment(story.ended)),
        ("door", Json::text_or_null(&story.door)),
        ("plan", Json::text_or_null(&story.plan)),
        ("message", Json::text_or_null(&story.message)),
    ])
}

fn moment(milliseconds: Option<u64>) -> Json {
    milliseconds.map_or(Json::Null, |milliseconds| Json::Text(time::iso(milliseconds)))
}

fn seconds(milliseconds: Option<u64>) -> Json {
    milliseconds.map_or(Json::Null, Json::Seconds)
}

fn path(path: &Path) -> Json {
    Json::Text(path.to_string_lossy().into_owned())
}
