//! `pveum`.

use crate::command_line::program::Program;

/// The tool.
pub static PVEUM: Program = Program { name: "pveum", groups: &[], aliases: &[] };
