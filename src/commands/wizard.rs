//! `firstlight wizard`: questions, a look at the plan, the same run as `apply`, a new login, and a second factor that
//! was seen to work.

mod confirm;
mod enrol;
mod password;
mod preview;
#[cfg(test)]
mod tests;

use super::{Ended, Stop, apply, engine};
use crate::ask::{Ask, Gone, Standing, Tty};
use crate::node::{Node, exists, read_text};
use crate::profile::Confirm;
use crate::report::terminal::{Paint, visible, wrapped};
use crate::status::{self, text};
use crate::transaction::Outcome;
use crate::wizard::{BACK, Flow, Form, HELP, Reply};
use preview::Chosen;
use std::path::{Path, PathBuf};

/// On a node of PVE a link into `/etc/pve` (row A4).
const ROOT_KEYS_PATH: &str = "/root/.ssh/authorized_keys";
const NOTHING: Standing = Standing { code: 2, text: "the wizard has ended, nothing was changed" };
const WIDTH: usize = 79;
/// Marks that nobody answers any more: what that means, the place that asked knows.
const GONE: u8 = u8::MAX;

impl From<Gone> for Stop {
    fn from(gone: Gone) -> Self {
        let text = match gone {
            Gone::Closed => "the input has ended",
            Gone::Interrupted => "ended by Ctrl-C",
        };
        Self { code: GONE, text: text.to_owned() }
    }
}

/// Asks on this terminal.
pub fn run(node: &dyn Node, save: Option<&Path>) -> Ended {
    match Tty::open(NOTHING) {
        Some(mut tty) => with(node, save, &mut tty),
        None => Err(Stop::refusal(
            "the wizard asks on a terminal, and standard input, output or errors are none\n  hint: firstlight apply \
             ANSWER takes the answers from a file",
        )),
    }
}

/// Asks this person.
pub fn with(node: &dyn Node, save: Option<&Path>, ask: &mut dyn Ask) -> Ended {
    let mut stands = NOTHING;
    let ended = talk(node, save, ask, &mut stands);
    ended.map_err(|stop| match stop.code {
        GONE => Stop { code: stands.code, text: format!("{}: {}", stop.text, stands.text) },
        _ => stop,
    })
}

fn talk(node: &dyn Node, save: Option<&Path>, ask: &mut dyn Ask, stands: &mut Standing) -> Ended {
    let save = save.map(engine::absolute).transpose()?;
    if let Some(path) = &save {
        // After the last question it would be too late to say so.
        if exists(node, path)? {
            return Err(Stop::refusal(format!("{} is there already; name another file", path.display())));
        }
        if !exists(node, path.parent().unwrap_or(path))? {
            return Err(Stop::refusal(format!("there is no directory for {}", path.display())));
        }
    }
    if let Some(code) = resume(node, ask, stands)? {
        return Ok(code);
    }
    let chosen = choose(node, save.as_ref(), ask)?;
    let (outcome, code) =
        apply::execute(node, &chosen.answer, "wizard", Some(&chosen.hash), Some(Confirm::Login))?;
    apply::hand_over(node, &outcome);
    match outcome {
        Outcome::Waiting(..) => finish(node, ask, stands),
        Outcome::Committed(_) | Outcome::Unchanged => {
            enrol::all(node, &chosen.answer.profile, ask, stands)?;
            Ok(code)
        }
        _ => Ok(code),
    }
}

/// Where an earlier run stands; an exit code when that was what there is to do.
fn resume(node: &dyn Node, ask: &mut dyn Ask, stands: &mut Standing) -> Result<Option<u8>, Stop> {
    let status = status::read(node)?;
    if status.latest.is_some() {
        ask.show(&text::brief(&status, Paint::of_output()));
    }
    if status.waits.is_some() {
        return finish(node, ask, stands).map(Some);
    }
    if matches!(
        status.outcome,
        status::Outcome::Running | status::Outcome::Unfinished | status::Outcome::Stuck
    ) {
        return Err(Stop::refusal("that run has to end first, see above"));
    }
    if let Ok(answer) = engine::answer_or_record(node, None)
        && !enrol::open(node, &answer.profile).is_empty()
    {
        let typed =
            ask.line("Second factors are missing. Type e to enrol them, or Enter for the questions", "")?;
        if typed.trim() == "e" {
            enrol::all(node, &answer.profile, ask, stands)?;
            return Ok(Some(0));
        }
    }
    Ok(None)
}

/// A new login, then second factors: an entry must not outlive a run that is put back.
fn finish(node: &dyn Node, ask: &mut dyn Ask, stands: &mut Standing) -> Ended {
    let (code, kept) = confirm::wait(node, ask, stands)?;
    if kept {
        let answer = engine::answer_or_record(node, None)?;
        enrol::all(node, &answer.profile, ask, stands)?;
    }
    Ok(code)
}

/// The questions, and the plan that comes of them.
fn choose(node: &dyn Node, save: Option<&PathBuf>, ask: &mut dyn Ask) -> Result<Chosen, Stop> {
    let facts = engine::facts(node)?;
    let roots = read_text(node, Path::new(ROOT_KEYS_PATH)).ok().flatten().unwrap_or_default();
    let pve = facts.pve_version.as_ref().map(|version| format!("PVE {version}, ")).unwrap_or_default();
    ask.show(&format!(
        "firstlight hardens this node: {} ({pve}Debian {}).\n\nNothing is touched before you have seen the plan and typed \
         \"apply\".\nAt every question: ? explains it, < goes back, Enter takes what stands in [ ],\nCtrl-C ends the wizard.\n",
        visible(&facts.host_name),
        visible(&facts.debian_version)
    ));
    let mut flow = Flow::new(&facts, &roots);
    loop {
        questions(node, &mut flow, ask)?;
        if let Some(chosen) = preview::show(node, &mut flow, save, ask)? {
            return Ok(chosen);
        }
    }
}

/// Asks until every question is answered.
fn questions(node: &dyn Node, flow: &mut Flow<'_>, ask: &mut dyn Ask) -> Result<(), Stop> {
    while let Some(question) = flow.question() {
        ask.show(&flow.shown());
        loop {
            let (prompt, default) = flow.prompt();
            let typed = match question.form {
                Form::Password => password::ask(node, ask, prompt, &default)?,
                _ => ask.line(prompt, &default)?,
            };
            match typed.trim() {
                HELP => ask.show(&flow.help()),
                BACK if flow.back() => break,
                BACK => say(ask, "This is the first question."),
                _ => match flow.answer(&typed) {
                    Reply::Next => break,
                    Reply::Again(text) => ask.show(&text),
                },
            }
        }
    }
    Ok(())
}

/// A paragraph beside the questions.
fn say(ask: &mut dyn Ask, text: &str) {
    ask.show(&wrapped(text, "   ", WIDTH));
}
