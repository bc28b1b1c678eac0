//! The result as a mail to root, where the node sends mail (row I2).

use super::{Audit, State, score, text};
use crate::error::Result;
use crate::facts::host_name;
use crate::node::{Invocation, Node, exists, run_checked};
use crate::report::terminal::Paint;
use std::path::Path;

const SENDMAIL: &str = "/usr/sbin/sendmail";

/// Gives it to the node's own mail server; without one nothing is done.
pub fn send(node: &dyn Node, audit: &Audit) -> Result<()> {
    if !exists(node, Path::new(SENDMAIL))? {
        return Ok(());
    }
    let mail = format!(
        "To: root\nSubject: firstlight audit of {}: score {}, {} findings\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\nAuto-Submitted: auto-generated\n\n{}",
        host_name(node),
        score::of(audit).unwrap_or_default(),
        audit.count(State::is_red),
        text::render(audit, Paint::PLAIN)
    );
    run_checked(node, &Invocation::new(SENDMAIL, &["-t", "-oi"]).input(mail.into_bytes())).map(drop)
}
