//! The result as a mail to root, where the node sends mail (row I2).

use super::{Audit, text};
use crate::error::Result;
use crate::node::{Invocation, Node, exists, run_checked};
use crate::report::terminal::Paint;
use std::path::Path;

const SENDMAIL: &str = "/usr/sbin/sendmail";
const HEADER: &str =
    "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nAuto-Submitted: auto-generated\n\n";

/// Gives it to the node's own mail server; without one nothing is done.
pub fn send(node: &dyn Node, audit: &Audit) -> Result<()> {
    if !exists(node, Path::new(SENDMAIL))? {
        return Ok(());
    }
    let summary = audit.summary();
    let subject = ["To: root\nSubject: firstlight audit: ", &summary, "\n", HEADER].concat();
    let mail = subject + &text::render(audit, Paint::PLAIN, true);
    run_checked(node, &Invocation::new(SENDMAIL, &["-t", "-oi"]).input(mail.into_bytes())).map(drop)
}
