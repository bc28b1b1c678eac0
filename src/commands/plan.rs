//! `firstlight plan`: what would change. Takes no lock and writes nothing.

use super::{Ended, engine};
use crate::node::Node;
use crate::plan::{json, show};
use crate::report::terminal::{Paint, print};
use std::path::Path;

/// Prints the plan.
pub fn run(node: &dyn Node, file: Option<&Path>, as_json: bool) -> Ended {
    let answer = engine::answer_or_record(node, file)?;
    let (_, plan) = engine::plan(node, &answer)?;
    if as_json {
        print(&json::value(&plan).to_string());
    } else {
        let operand = file.map(Path::to_string_lossy);
        print(&show::render(&plan, operand.as_deref(), Paint::of_output()));
    }
    Ok(0)
}
