//! The probe of reachability as a step of its own: journalled before it begins, and taken back, in every case, by
//! the same way back as any other step.

use super::super::record::{Event, Inverse};
use super::super::revert::Way;
use super::super::story::Made;
use super::super::{Failure, Stage, TransactionId};
use super::{Run, named};
use crate::error::{Error, Result};
use crate::progress::Importance;
use crate::reach::{Course, Finding};

const WHAT: &str = "reachability";

impl Run<'_> {
    /// Proves with new connections that the admin gets in and outsiders do not. What cannot be tried is a warning.
    pub(super) fn reach(&mut self, id: TransactionId) -> std::result::Result<(), Failure> {
        let Some(reach) = &self.plan.reach else { return Ok(()) };
        let course = match Course::plot(self.node, reach) {
            Ok(course) => course,
            Err(error) => return self.unproved(&error),
        };
        self.watch.say(Importance::Info, "trying new connections, from inside and from outside");
        let findings = match self.probe(id, &course).map_err(named(WHAT))? {
            Ok(findings) => findings,
            Err(error) => return self.unproved(&error),
        };
        let mut failed = None;
        for Finding { id: control, holds, message } in findings {
            if !holds && failed.is_none() {
                failed = Some(Failure { what: WHAT.to_owned(), message: message.clone() });
            }
            self.journal.note(Event::Probe { control, holds, message }).map_err(named("journal"))?;
        }
        match failed {
            Some(failure) => Err(failure),
            None => {
                if let Some(gap) = course.gap() {
                    self.warn(gap)?;
                }
                self.journal.note(Event::Note { text: course.summary() }).map_err(named("journal"))
            }
        }
    }

    fn unproved(&mut self, error: &Error) -> std::result::Result<(), Failure> {
        self.warn(format!("reachability is not proved: {error}"))
    }

    fn warn(&mut self, text: String) -> std::result::Result<(), Failure> {
        self.watch.say(Importance::Warning, &text);
        self.journal.note(Event::Warning { text }).map_err(named("journal"))
    }

    /// The outer error: the node could not be put back to how it was before the probe.
    fn probe(&mut self, id: TransactionId, course: &Course) -> Result<Result<Vec<Finding>>> {
        let step = self.plan.steps.len();
        let scopes = course.scopes();
        let inverse = Inverse::Reach(course.keys_path().to_owned());
        let before = self.capture(&scopes, &|_| true)?;
        let intent = Event::Intent { step, inverse: inverse.clone(), scopes: scopes.clone(), before };
        self.journal.write(intent)?;
        self.touched = true;
        let begun = course.begin(self.node);
        let after = self.capture(&scopes, &|_| false)?;
        self.journal.write(Event::Observed { step, after })?;
        let findings = begun.and_then(|()| course.run(self.node));
        let made =
            Made { step, inverse, scopes, before, after: Some(after), reverting: None, reverted: None };
        Way { node: self.node, id, journal: self.journal, objects: self.objects, watch: &mut *self.watch }
            .step(&made, Stage::Late, false, "", true)?;
        Ok(findings)
    }
}
