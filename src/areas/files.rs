//! Files of the operator's own: what no area knows, in the same transaction. Nothing is started for them.

use super::{Area, control, push};
use crate::change::{Change, FileChange};
use crate::control::{Check, Phase, Proposal};
use crate::facts::Facts;
use crate::profile::Profile;

pub(super) struct Files;

impl Area for Files {
    fn name(&self) -> &'static str {
        "file"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        !profile.files.is_empty()
    }

    fn described(&self, profile: &Profile, _: &Facts) -> Proposal {
        let mut proposal = Proposal::default();
        for file in &profile.files {
            let change = FileChange {
                path: file.path.as_str().into(),
                content: file.content.as_bytes().to_vec(),
                mode: file.mode,
                owner: "root".to_owned(),
                // What not everybody may read is not shown either.
                public: file.mode & 0o004 != 0,
            };
            let mut control = control(
                "",
                "J1",
                [&file.path, " is as the answer has it"].concat(),
                Check::File(change.clone()),
            );
            control.id = ["file.", &file.path].concat().into();
            push(&mut proposal, (Phase::Files, Change::File(change)), vec![control]);
        }
        proposal
    }
}

#[cfg(test)]
mod tests;
