//! `firstlight rollback`: takes committed transactions back on request, or shows what that would do.

use super::{Ended, Stop, engine, entry, failed, lock, recover_first, write_status};
use crate::cli::Rollback;
use crate::node::Node;
use crate::progress::{self, Watch};
use crate::report::json::Json;
use crate::report::terminal::{Colour, Paint, print, visible};
use crate::report::{Occasion, Report};
use crate::status;
use crate::transaction::Outcome;
use crate::transaction::preview::{Fate, Preview};
use crate::transaction::state::{self, TransactionId};

/// Rolls back and reports.
pub fn run(node: &dyn Node, what: &Rollback) -> Ended {
    if what.dry_run {
        let preview = engine::preview(node, engine::chain(node, what.id, what.to)?, what.force)?;
        let text = if what.json { json(&preview).to_string() } else { render(&preview, Paint::of_output()) };
        print(&text);
        return Ok(0);
    }
    let _lock = lock(node)?;
    let mut watch = progress::choose();
    if let Some(waiting) = engine::waiting(node)? {
        return withdraw(node, waiting, what, watch);
    }
    recover_first(node, &mut *watch)?;
    let standing = state::standing(node)?;
    let id = engine::chain(node, what.id, what.to)?.last().copied();
    let ended = engine::rollback(node, id, what.force, &mut *watch);
    write_status(node, &mut *watch);
    drop(watch);
    let outcome = match ended {
        Ok(outcome) => outcome,
        // Refused before the first effect: everything that stood still stands.
        Err(error) if still_stand(node, &standing) => return Err(error.into()),
        Err(error) => return Err(failed(node, &error)),
    };
    let report = Report { occasion: Occasion::Rollback, outcome: &outcome, warnings: &[], login: None };
    print(&report.render(Paint::of_output()));
    Ok(report.exit_code())
}

/// Takes back what nobody has confirmed yet.
fn withdraw(node: &dyn Node, waiting: TransactionId, what: &Rollback, mut watch: Box<dyn Watch>) -> Ended {
    if let Some(id) = what.id.filter(|id| what.to || *id != waiting) {
        let text = format!("rolling back {id}: {waiting} waits for confirmation; take that back first");
        return Err(Stop::refusal(text));
    }
    let ended = engine::withdraw(node, what.force, &mut *watch);
    write_status(node, &mut *watch);
    drop(watch);
    let outcome = ended.map_err(|error| failed(node, &error))?.unwrap_or(Outcome::Unchanged);
    let report = Report { occasion: Occasion::Rollback, outcome: &outcome, warnings: &[], login: None };
    print(&report.render(Paint::of_output()));
    Ok(report.exit_code())
}

fn still_stand(node: &dyn Node, before: &[TransactionId]) -> bool {
    state::standing(node).is_ok_and(|now| now == before)
        && status::read(node).is_ok_and(|status| !status.is_open())
}

const FATES: [(Fate, &str, &str); 5] = [
    (Fate::Restored, "restore", "as we left it, goes back"),
    (Fate::Merged, "merge", "our lines go back, those of others stay"),
    (Fate::Kept, "keep", "changed by us and by somebody else since, stays"),
    (Fate::WithPackage, "package", "goes or stays with its package"),
    (Fate::Foreign, "foreign", "changed by somebody else alone, stays"),
];

/// The preview for people.
pub(super) fn render(preview: &Preview, paint: Paint) -> String {
    let names: Vec<String> = preview.transactions.iter().map(TransactionId::to_string).collect();
    let mut text = format!("Takes back {}; changes nothing yet.\n", names.join(", then "));
    for action in &preview.actions {
        text.push_str(&format!("  {}\n", visible(action)));
    }
    for (fate, _, meaning) in FATES {
        let mut paths = preview.paths.iter().filter(|(_, seen)| seen.fate == fate).peekable();
        if paths.peek().is_some() {
            text.push_str(&format!("\n{}\n", paint.paint(Colour::Bold, &format!("{meaning}:"))));
        }
        for (path, seen) in paths {
            let [before, left, now] =
                [&seen.before, &seen.left, &seen.now].map(|it| entry::words(it.as_ref()));
            text.push_str(&format!("  {}\n", visible(&path.to_string_lossy())));
            text.push_str(&format!("    before: {before}\n"));
            if fate != Fate::Foreign && left != before {
                text.push_str(&format!("    left:   {left}\n"));
            }
            if now != left || fate == Fate::Foreign {
                text.push_str(&format!("    now:    {now}\n"));
            } else if fate != Fate::Restored {
                text.push_str("    now:    another content or attributes\n");
            }
        }
    }
    text
}

/// The preview for programs; docs/json.md describes it.
pub(super) fn json(preview: &Preview) -> Json {
    let names: Vec<String> = preview.transactions.iter().map(TransactionId::to_string).collect();
    let paths = preview.paths.iter().map(|(path, seen)| {
        let fate = FATES.iter().find(|(fate, ..)| *fate == seen.fate).map_or("", |(_, word, _)| *word);
        Json::Object(vec![
            ("path", Json::text(&path.to_string_lossy())),
            ("fate", Json::text(fate)),
            ("before", entry::json(seen.before.as_ref())),
            ("left", entry::json(seen.left.as_ref())),
            ("now", entry::json(seen.now.as_ref())),
        ])
    });
    Json::Object(vec![
        ("format", Json::Number(crate::plan::json::FORMAT)),
        ("version", Json::text(env!("CARGO_PKG_VERSION"))),
        ("transactions", Json::texts(&names)),
        ("actions", Json::texts(&preview.actions)),
        ("paths", Json::List(paths.collect())),
    ])
}
