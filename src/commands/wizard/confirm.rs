//! The minutes in which a new login, or a word, keeps what was applied.

use super::{Standing, Stop, say};
use crate::ask::Ask;
use crate::cli::Rollback;
use crate::commands::{confirm, rollback};
use crate::node::Node;
use crate::report::terminal::Paint;
use crate::status::{self, text, time};
use std::time::Duration;

const WAITS: Standing = Standing {
    code: 4,
    text: "the changes wait for a new login, and are put back without one: firstlight status",
};
const WORDS: &str = "
Log in anew from another terminal now, as said above: that ends this by itself. Type confirm to keep \
                     everything without a login, or undo to put it back at once.";
/// Between two looks.
const SECONDS: u32 = 2;
/// For the keeper of the deadline to finish what it has begun.
const PATIENCE: Duration = Duration::from_secs(300);

/// Until it is kept or put back: the exit code, and whether it is kept.
pub fn wait(node: &dyn Node, ask: &mut dyn Ask, stands: &mut Standing) -> Result<(u8, bool), Stop> {
    *stands = WAITS;
    ask.stand(WAITS);
    say(ask, WORDS);
    let mut told = u64::MAX;
    while let Some(left) = status::read(node)?.waits {
        let minutes = left.div_ceil(60_000);
        if minutes < told {
            say(ask, &format!("{} left", time::minutes(minutes)));
            told = minutes;
        }
        match ask.within(SECONDS)?.as_deref().map(str::trim) {
            None => {}
            // Where the time was up a moment before, what follows tells.
            Some("confirm") => drop(confirm::run(node)?),
            Some("undo") => return Ok((rollback::run(node, &Rollback::default())?, false)),
            Some(_) => say(ask, WORDS),
        }
    }
    let status = match status::wait(node, PATIENCE)? {
        Some(status) => status,
        None => status::read(node)?,
    };
    ask.show(&text::brief(&status, Paint::of_output()));
    Ok((status.exit_code, matches!(status.outcome, status::Outcome::Committed)))
}
