//! `firstlight audit`: what is true now. Takes no lock and writes nothing, but for the timer's run, which keeps its result.

use super::{Ended, engine, lock, write_status};
use crate::audit::{json, junit, record, text};
use crate::cli::AuditForm;
use crate::node::Node;
use crate::progress::{self, Importance};
use crate::report::terminal::{Paint, print};
use std::path::Path;

/// Holds the node against ANSWER, the profile of record, or the defaults, and prints what was seen.
pub fn run(node: &dyn Node, file: Option<&Path>, form: AuditForm) -> Ended {
    // A run at work is left alone: systemd tries again.
    let _lock = if form == AuditForm::Record { Some(lock(node)?) } else { None };
    let answer = engine::answer_or_none(node, file)?;
    let profile = answer.as_ref().map(|answer| &answer.profile);
    let mut audit = engine::audit(node, profile)?;
    audit.own = engine::own_milliseconds().unwrap_or_default().unsigned_abs();
    let code = audit.exit_code();
    let shown = match form {
        AuditForm::Text => text::render(&audit, Paint::of_output(), true),
        AuditForm::Json => json::value(&audit).to_string(),
        AuditForm::Junit => junit::render(&audit),
        AuditForm::Record => {
            record::compare(node, &mut audit);
            record::keep(node, &audit)?;
            let importance = if code == 0 { Importance::Info } else { Importance::Warning };
            let mut watch = progress::choose();
            watch.say(importance, text::render(&audit, Paint::PLAIN, false).trim_end());
            if profile.is_some_and(|profile| profile.audit.mail)
                && let Err(error) = engine::mail(node, &audit)
            {
                watch.say(Importance::Warning, &error.to_string());
            }
            write_status(node, &mut *watch);
            String::new()
        }
    };
    print(&shown);
    Ok(code)
}
