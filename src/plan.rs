//! The ordered changes still needed, with a hash over them: what was reviewed is what is applied.

pub mod diff;
pub mod json;
pub mod show;

use crate::change::Change;
use crate::control::{Control, Gate};
use std::path::PathBuf;

/// The changes still needed on this node.
pub struct Plan {
    /// In the order they are made.
    pub steps: Vec<Step>,
    /// Every statement that shall be true afterwards, also those that hold already.
    pub controls: Vec<Control>,
    /// Checks of new contents; only those whose contents change.
    pub gates: Vec<Gate>,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// SHA-256 over the steps, hexadecimal; a secret counts by its reference.
    pub hash: String,
}

/// One change that is still needed.
pub struct Step {
    /// The change.
    pub change: Change,
    /// One line: `file /etc/sudoers.d/firstlight: new, 120 bytes, 0440`.
    pub title: String,
    /// What a reviewer sees below the title.
    pub view: View,
}

/// What a reviewer sees of a step.
pub enum View {
    /// A file: content before and after.
    Diff {
        /// The file.
        path: PathBuf,
        /// Content now; `None` for a new file.
        before: Option<Vec<u8>>,
        /// Content afterwards.
        after: Vec<u8>,
    },
    /// The title says it all, with these details, a line each.
    Lines(Vec<String>),
}
