//! `firstlight status`: what happened, and the exit code that says the same.

use super::{Ended, Stop};
use crate::node::Node;
use crate::report::terminal::{Paint, print};
use crate::status::{self, json, text};
use std::time::Duration;

/// Prints the status; with `wait` only once nothing more happens by itself.
pub fn run(node: &dyn Node, wait: Option<u64>, as_json: bool) -> Ended {
    let settled = match wait {
        Some(seconds) => status::wait(node, Duration::from_secs(seconds))?,
        None => Some(status::read(node)?),
    };
    let timed_out = settled.is_none();
    let status = match settled {
        Some(status) => status,
        None => status::read(node)?,
    };
    print(&if as_json {
        json::value(&status).to_string()
    } else {
        text::render(&status, Paint::of_output())
    });
    if timed_out {
        let text = format!("waited {} seconds, and it is still not over", wait.unwrap_or_default());
        return Err(Stop { code: 4, text });
    }
    Ok(status.exit_code)
}
