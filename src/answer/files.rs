//! `[[firstlight.file]]`: files of the operator's own.

use super::table::{Form, Table};
use crate::profile::OwnFile;

/// The first one is the default.
const MODES: &[&str] = &["0644", "0600", "0640", "0755", "0700", "0440"];
/// What PVE shares among the nodes of a cluster has commands of its own.
const PATH: Form = Form {
    fits: |text| {
        let parts = text.strip_prefix("/etc/").unwrap_or_default();
        !parts.starts_with("pve/") && parts.split('/').all(|part| !["", ".", ".."].contains(&part))
    },
    right: "must be the path of a file below /etc, and not below /etc/pve",
};

pub(super) fn read(top: &Table<'_>) -> Vec<OwnFile> {
    let mut files: Vec<OwnFile> = Vec::new();
    for entry in top.children("file") {
        let path = entry.required("path", PATH);
        if files.iter().any(|file| file.path == path) && !path.is_empty() {
            entry.note("path", "is written twice");
        }
        // Lines end in it, unlike in every other text.
        let content = entry.find("content").and_then(|found| found.value.as_str());
        if content.is_none() {
            entry.note("content", "is required: a text in quotes");
        }
        let mode = u32::from_str_radix(&entry.chosen("mode", MODES), 8).unwrap_or_default();
        files.push(OwnFile { path, content: content.unwrap_or_default().to_owned(), mode });
        entry.finish();
    }
    files
}
