//! A plan for programs, with the same secrets left out as for people. Described in docs/json.md.

use super::show::{Seen, seen};
use super::{Plan, Step, View};
use crate::report::json::Json;

/// The version of the form: raised when a key changes its meaning or goes.
pub const FORMAT: u64 = 1;

/// The plan as one object.
pub fn value(plan: &Plan) -> Json {
    let gates = plan.gates.iter().map(|gate| Json::text(gate.id)).collect();
    let controls = plan.controls.iter().map(|control| {
        Json::Object(vec![
            ("control", Json::text(&control.id)),
            ("requirement", Json::text(control.requirement)),
            ("wanted", Json::text(&control.wanted)),
        ])
    });
    Json::Object(vec![
        ("format", Json::Number(FORMAT)),
        ("version", Json::text(env!("CARGO_PKG_VERSION"))),
        ("plan", Json::text(&plan.hash)),
        ("empty", Json::Bool(plan.steps.is_empty())),
        ("steps", Json::List(plan.steps.iter().map(step).collect())),
        ("gates", Json::List(gates)),
        ("controls", Json::List(controls.collect())),
        ("warnings", Json::texts(&plan.warnings)),
        ("notes", Json::texts(&plan.notes)),
    ])
}

fn step(step: &Step) -> Json {
    let mut members = vec![("title", Json::text(&step.title)), ("kind", Json::text(step.change.kind()))];
    let (mut path, mut diff, mut bytes) = (Json::Null, Json::Null, Json::Null);
    if let Some((file, seen)) = seen(step) {
        path = Json::Text(file.to_string_lossy().into_owned());
        match seen {
            Seen::Bytes(size) => bytes = Json::Number(size as u64),
            Seen::Diff(lines) => {
                diff = Json::Text(lines.into_iter().map(|line| line.text + "\n").collect());
            }
        }
    }
    let details = match &step.view {
        View::Lines(lines) => Json::texts(lines),
        View::Diff { .. } => Json::List(Vec::new()),
    };
    members.extend([("path", path), ("diff", diff), ("bytes", bytes), ("details", details)]);
    Json::Object(members)
}
