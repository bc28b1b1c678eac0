//! Second factors, each seen to work before it counts (rows C1 to C5).

use super::{HELP, Standing, Stop, say};
use crate::ask::Ask;
use crate::commands::{lock, recover_first, screen};
use crate::factor::{self, Verified};
use crate::handover;
use crate::node::Node;
use crate::profile::Profile;
use crate::progress::Silent;

const LATER: Standing = Standing {
    code: 0,
    text: "the node is hardened; second factors are missing: firstlight wizard goes on with them",
};
const CLOCK: &str = "Not one of this secret's. Is the phone's time right, and the node's (timedatectl)?";
const WORDS: &str = "The six digits that the phone shows for this node. s shows the QR code again. Enter leaves this user without \
                     a second factor for now: start the wizard again, or `firstlight totp show USER`.";

/// Users of the answer who have none yet; unknown counts as nobody.
pub fn open(node: &dyn Node, profile: &Profile) -> Vec<String> {
    factor::open(node, profile).unwrap_or_default()
}

/// Everybody who has none yet.
pub fn all(node: &dyn Node, profile: &Profile, ask: &mut dyn Ask, stands: &mut Standing) -> Result<(), Stop> {
    let users = open(node, profile);
    if !users.is_empty() {
        *stands = LATER;
        ask.stand(LATER);
    }
    for user in users {
        ask.show(&format!("\nSecond factor of {user}: take the phone.\n"));
        if !device(node, &user, false, ask)? {
            continue;
        }
        keys(node, &user, ask)?;
        let second = ask.line(&format!("A second device for {user}, such as a spare phone? y or n"), "n")?;
        if second.trim().starts_with(['y', 'Y']) {
            device(node, &user, true, ask)?;
            held(node, &|| handover::seen(node, &user))?;
        }
    }
    Ok(())
}

/// One device; whether it counts from now on.
fn device(node: &dyn Node, user: &str, second: bool, ask: &mut dyn Ask) -> Result<bool, Stop> {
    let offered = held(node, &|| factor::offer(node, user, second))?;
    screen::show(node, &offered);
    loop {
        let typed = ask.line(&format!("Code of {user}"), "")?;
        match typed.trim() {
            "" => return Ok(false),
            HELP => say(ask, WORDS),
            "s" => screen::show(node, &offered),
            code => match held(node, &|| factor::enrol_with_code(node, user, second, code))? {
                Verified::Wrong => say(ask, CLOCK),
                Verified::Right | Verified::Enrolled => {
                    say(ask, &format!("Right. PVE asks {user} for a code at every login from now on."));
                    return Ok(true);
                }
            },
        }
    }
}

/// Recovery keys, until somebody has said that they are kept.
fn keys(node: &dyn Node, user: &str, ask: &mut dyn Ask) -> Result<(), Stop> {
    let mut waiting = factor::pending(node)?;
    waiting.retain(|shown| !shown.keys.is_empty() && handover::is_of(&shown.title, user));
    if !waiting.is_empty() {
        for shown in &mut waiting {
            // The code was scanned.
            shown.uri.clear();
        }
        screen::show(node, &waiting);
        while ask.line("For a lost phone. Type kept once they lie in a safe place", "")?.trim() != "kept" {}
    }
    held(node, &|| handover::seen(node, user))
}

/// Does it with the lock: the monthly audit or another terminal may be at work.
fn held<T>(node: &dyn Node, work: &dyn Fn() -> crate::error::Result<T>) -> Result<T, Stop> {
    let _lock = lock(node)?;
    recover_first(node, &mut Silent)?;
    Ok(work()?)
}
