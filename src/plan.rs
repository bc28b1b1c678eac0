//! The ordered changes still needed, with a hash over them: what was reviewed is what is applied.

pub mod diff;
pub mod json;
pub mod show;

use crate::change::Change;
use crate::control::{Control, Gate, Proposal};
use crate::error::Result;
use crate::node::Node;
use crate::reach::Reach;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The changes still needed on this node.
pub struct Plan {
    /// In the order they are made.
    pub steps: Vec<Step>,
    /// Every statement that shall be true afterwards, also those that hold already.
    pub controls: Vec<Control>,
    /// Checks of new contents.
    pub gates: Vec<Gate>,
    /// What new connections must show before the commit.
    pub reach: Option<Box<Reach>>,
    /// What needs the operator's attention.
    pub warnings: Vec<String>,
    /// What the operator may want to know.
    pub notes: Vec<String>,
    /// SHA-256 over the steps, hexadecimal; a secret counts by its reference.
    pub hash: String,
}

/// One change that is still needed.
pub struct Step {
    /// The change.
    pub change: Change,
    /// One line: `file /etc/sudoers.d/firstlight: new, 120 bytes, 0440 root`.
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

/// Looks at the node for each change that is proposed, and keeps those that are still needed.
pub fn make(node: &dyn Node, mut proposal: Proposal) -> Result<Plan> {
    proposal.sort_by_phase();
    let Proposal { changes, controls, gates, reach, warnings, notes } = proposal;
    let mut steps: Vec<Step> = Vec::new();
    for (_, change) in changes {
        if let Change::Reload(reload) = &change {
            if reload.after.iter().any(|path| steps.iter().any(|step| step.writes(path))) {
                let title = format!("unit {}: reloaded", reload.name);
                steps.push(Step { change, title, view: View::Lines(Vec::new()) });
            }
        } else if let Some(need) = change.need(node)? {
            steps.push(Step { change, title: need.title, view: need.view });
        }
    }
    let hash = hash(&steps);
    Ok(Plan { steps, controls, gates, reach, warnings, notes, hash })
}

impl Step {
    fn writes(&self, path: &Path) -> bool {
        match &self.change {
            Change::File(file) => file.path == path,
            Change::HostKey(key) => key.path == path,
            _ => false,
        }
    }
}

fn hash(steps: &[Step]) -> String {
    let mut digest = Sha256::new();
    for step in steps {
        let text = step.change.digest_text();
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text.as_bytes());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
