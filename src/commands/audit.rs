//! `firstlight audit`: what is true now. Takes no lock and writes nothing, but for the timer's run, which keeps its result.

use super::{Ended, Stop, engine, lock};
use crate::audit::{Audit, json, junit, record, text};
use crate::cli::AuditForm;
use crate::node::{Lock, Node};
use crate::progress::{self, Importance};
use crate::report::terminal::{Paint, print};
use std::path::Path;
use std::time::Duration;

/// A run at work is waited for: it takes an hour at most, and the next timer is a month away.
const TRIES: u32 = 120;
const PAUSE: Duration = Duration::from_secs(30);

/// Prints the audit.
pub fn run(node: &dyn Node, file: Option<&Path>, form: AuditForm) -> Ended {
    let (mut audit, _) = made(node, file)?;
    audit.own = engine::own_milliseconds().unwrap_or_default().try_into().unwrap_or_default();
    print(&match form {
        AuditForm::Text => text::render(&audit, Paint::of_output()),
        AuditForm::Json => json::value(&audit).to_string(),
        AuditForm::Junit => junit::render(&audit),
    });
    Ok(audit.exit_code())
}

/// For `firstlight-audit.service`: keeps the result, and says what needs attention and what has turned.
pub fn keep(node: &dyn Node) -> Ended {
    let _lock = patient_lock(node)?;
    let (mut audit, mail) = made(node, None)?;
    record::compare(node, &mut audit);
    record::keep(node, &audit)?;
    let mut watch = progress::choose();
    let code = audit.exit_code();
    let importance = if code == 0 { Importance::Info } else { Importance::Warning };
    watch.say(importance, text::headline(&audit, Paint::PLAIN).trim_end());
    for finding in audit.findings.iter().filter(|finding| finding.state.is_red()) {
        watch.say(Importance::Warning, &format!("{}: {}", finding.id, finding.reason));
    }
    if mail && let Err(error) = engine::mail(node, &audit) {
        watch.say(Importance::Warning, &error.to_string());
    }
    Ok(code)
}

fn patient_lock(node: &dyn Node) -> Result<Box<dyn Lock>, Stop> {
    for _ in 1..TRIES {
        if let Ok(lock) = lock(node) {
            return Ok(lock);
        }
        node.sleep(PAUSE);
    }
    lock(node)
}

/// The node held against ANSWER, the profile of record, or the defaults; and whether the result is to be mailed.
fn made(node: &dyn Node, file: Option<&Path>) -> Result<(Audit, bool), Stop> {
    let Some(answer) = engine::answer_or_none(node, file)? else {
        return Ok((engine::audit_untouched(node)?, false));
    };
    let audit = engine::audit(node, &answer.profile)?;
    if file.is_some() && !audit.unknown.is_empty() {
        let problem = |message: &String| answer.problem_at("firstlight.audit.waiver", message.as_str());
        let problems = audit.unknown.iter().map(problem).collect();
        return Err(engine::refused(&answer, problems));
    }
    Ok((audit, answer.profile.audit.mail))
}
