//! The plan in plain words, its diffs on request, and the word that starts it.

use super::{BACK, HELP, Stop, WIDTH, say};
use crate::answer::Answer;
use crate::ask::{Ask, page};
use crate::commands::{check, engine};
use crate::node::Node;
use crate::plan::{Plan, show};
use crate::provision::Planned;
use crate::report::terminal::{Paint, wrapped};
use crate::transaction::state::write_atomically;
use crate::wizard::{self, Flow};
use std::path::PathBuf;

const BELOW: &str = "firstlight.";

/// What is applied.
pub struct Chosen {
    /// The answer.
    pub answer: Answer,
    /// Of the plan that was seen.
    pub hash: String,
}

/// `None`: back to a question.
pub fn show(
    node: &dyn Node,
    flow: &mut Flow<'_>,
    save: Option<&PathBuf>,
    ask: &mut dyn Ask,
) -> Result<Option<Chosen>, Stop> {
    let text = flow.text();
    let planned = match wizard::answer(&text) {
        Ok(answer) => match engine::planned(node, &answer)? {
            Planned::Plan(_, plan) => Ok((answer, plan)),
            Planned::Refused(problems) => Err(problems),
        },
        Err(problems) => Err(problems),
    };
    let (answer, plan) = match planned {
        Ok(planned) => planned,
        Err(problems) => {
            for problem in &problems.list {
                let line = format!("This node refuses {}: {}.", problem.key, problem.message);
                say(ask, &format!("\n{line}"));
            }
            let key = problems.list.first().map(|problem| problem.key.as_str()).unwrap_or_default();
            flow.back_to(key.strip_prefix(BELOW).unwrap_or(key));
            return Ok(None);
        }
    };
    page(ask, &in_words(&answer, &plan))?;
    if let Some(path) = save {
        write_atomically(node, path, text.as_bytes())?;
        say(ask, &format!("\nSaved as {}, readable by root alone.", path.display()));
    }
    loop {
        let typed = ask.line("Type apply to begin, d for the diffs, < to go back", "")?;
        match typed.trim() {
            "apply" => return Ok(Some(Chosen { answer, hash: plan.hash })),
            "d" => page(ask, &show::steps(&plan, Paint::of_output()))?,
            BACK => {
                flow.back();
                return Ok(None);
            }
            HELP => say(
                ask,
                "apply makes these changes in one transaction, with a snapshot of /etc before it. If a step or a check \
                 fails, or nobody logs in anew in time, everything is put back.",
            ),
            _ => say(ask, "Nothing has been touched. The whole word is needed: apply."),
        }
    }
}

/// What was chosen, and what it changes.
fn in_words(answer: &Answer, plan: &Plan) -> String {
    let mut text = "\nThe plan; nothing has been touched yet.\n\n".to_owned();
    for part in check::summary(&answer.profile) {
        text.push_str(&wrapped(&part, "   ", WIDTH));
    }
    text.push_str(&format!("\n   Changes, in this order: {}\n", plan.steps.len()));
    for step in &plan.steps {
        text.push_str(&format!("   - {}", wrapped(&step.title, "     ", WIDTH).trim_start()));
    }
    for (mark, list) in [("Warning", &plan.warnings), ("Note", &plan.notes)] {
        for line in list {
            text.push_str(&wrapped(&format!("{mark}: {line}."), "   ", WIDTH));
        }
    }
    text
}
