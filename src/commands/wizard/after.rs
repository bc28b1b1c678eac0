//! After the run: the minutes in which a new login, or a word, keeps what was applied; then second factors, each seen to
//! work before it counts (rows C1 to C5). An entry must not outlive a run that is put back.

use super::{Stop, Talk};
use crate::ask::Standing;
use crate::cli::Rollback;
use crate::commands::{Ended, confirm, engine, lock, recover_first, rollback, screen};
use crate::factor::{self, Verified};
use crate::handover;
use crate::node::{Lock, Node};
use crate::profile::Profile;
use crate::progress::Silent;
use crate::report::terminal::Paint;
use crate::status::{self, text, time};
use crate::wizard::HELP;
use std::time::Duration;

const WAITS: Standing =
    (4, "the changes wait for a new login, and are put back without one: firstlight status");
const LATER: Standing =
    (0, "the node is hardened; second factors are missing: firstlight wizard goes on with them");
const LOGIN: &str = "
Log in anew from another terminal now, as said above: that ends this by itself. Type confirm to keep \
                     everything without a login, or undo to put it back at once.";
const CODE: &str = "The six digits that the phone shows for this node; is its time right, and the node's (timedatectl)? s shows \
                    the QR code again. Enter leaves it for later: firstlight wizard, or `firstlight totp show USER`.";
/// Between two looks.
const SECONDS: u32 = 2;
/// For the keeper of the deadline to finish what it has begun.
const PATIENCE: Duration = Duration::from_secs(300);

impl Talk<'_> {
    /// Waits until it is kept or put back; second factors where it is kept.
    pub fn finish(&mut self) -> Ended {
        let node = self.node;
        self.stands = WAITS;
        self.say(LOGIN);
        let mut told = u64::MAX;
        while let Some(left) = status::read(node)?.waits {
            let minutes = left.div_ceil(60_000);
            if minutes < told {
                self.say_of("", &time::minutes(minutes), " left");
                told = minutes;
            }
            match self.ask.typed("", false, SECONDS, self.stands).as_deref().map(str::trim) {
                None => {}
                // Where the time was up a moment before, what follows tells.
                Some("confirm") => drop(confirm::run(node)?),
                Some("undo") => return rollback::run(node, &Rollback::default()),
                Some(_) => self.say(LOGIN),
            }
        }
        let status = match status::wait(node, PATIENCE)? {
            Some(status) => status,
            None => status::read(node)?,
        };
        self.ask.show(&text::brief(&status, Paint::of_output()));
        if matches!(status.outcome, status::Outcome::Committed) {
            self.enrol(&engine::answer_or_record(node, None)?.profile)?;
        }
        Ok(status.exit_code)
    }

    /// Everybody who has no second factor yet.
    pub fn enrol(&mut self, profile: &Profile) -> Result<(), Stop> {
        let node = self.node;
        for user in open(node, profile) {
            self.stands = LATER;
            self.ask.show(&["\nSecond factor of ", &user, ": take the phone.\n"].concat());
            if !self.device(&user, false)? {
                continue;
            }
            let mut keys = factor::pending(node)?;
            keys.retain(|shown| !shown.keys.is_empty() && handover::is_of(&shown.title, &user));
            // Their code was scanned: without it nothing clears the screen that they are read from.
            keys.iter_mut().for_each(|shown| shown.uri.clear());
            if !keys.is_empty() {
                screen::show(node, &keys);
                while self.line("For a lost phone. Type kept once they lie in a safe place", "") != "kept" {}
            }
            seen(node, &user)?;
            let second = ["A second device for ", &user, ", such as a spare phone? y or n"].concat();
            if self.line(&second, "n").starts_with(['y', 'Y']) {
                self.device(&user, true)?;
                seen(node, &user)?;
            }
        }
        Ok(())
    }

    /// One device; whether it counts from now on.
    fn device(&mut self, user: &str, second: bool) -> Result<bool, Stop> {
        let node = self.node;
        let offered = {
            let _held = held(node)?;
            factor::offer(node, user, second)?
        };
        screen::show(node, &offered);
        loop {
            match &*self.line(&["Code of ", user].concat(), "") {
                "" => return Ok(false),
                "s" => screen::show(node, &offered),
                HELP => self.say(CODE),
                code => {
                    let held = held(node)?;
                    let wrong = matches!(factor::enrol_with_code(node, user, second, code)?, Verified::Wrong);
                    drop(held);
                    if !wrong {
                        self.say_of("Right. PVE asks ", user, " for a code at every login from now on.");
                        return Ok(true);
                    }
                    self.say("Not one of this secret's. ? says more.");
                }
            }
        }
    }
}

/// Users of the answer who have none yet; unknown counts as nobody.
pub fn open(node: &dyn Node, profile: &Profile) -> Vec<String> {
    factor::open(node, profile).unwrap_or_default()
}

fn seen(node: &dyn Node, user: &str) -> Result<(), Stop> {
    let _held = held(node)?;
    Ok(handover::seen(node, user)?)
}

/// The lock: the monthly audit or another terminal may be at work.
fn held(node: &dyn Node) -> Result<Box<dyn Lock>, Stop> {
    let held = lock(node)?;
    recover_first(node, &mut Silent)?;
    Ok(held)
}
