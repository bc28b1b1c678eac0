//! Break glass: what to type when the node could not be put back. The same, longer and without firstlight, is
//! docs/recovery.md.

use super::terminal::{Colour, Paint, indented};
use crate::packed::packed;
use crate::transaction::state::TransactionId;

/// The text for transaction `id`, or for a node whose state is gone; `left` says what is not yet put back.
pub fn break_glass(id: Option<TransactionId>, left: &str, paint: Paint) -> String {
    let mut text = format!("\n{}\n", paint.paint(Colour::Red, "Break glass"));
    if !left.is_empty() {
        text.push_str("  Not put back:\n");
        text.push_str(&indented(left, "    "));
    }
    text.push_str("  Stay logged in. The node's console works whatever sshd and firewall do.\n\n");
    for part in packed!("break_glass.txt").split("=\n") {
        match id {
            Some(id) => text.push_str(&part.replace("ID", &id.to_string())),
            // What names a transaction is of no use without one.
            None if part.contains("ID") => {}
            None => text.push_str(part),
        }
    }
    text
}
