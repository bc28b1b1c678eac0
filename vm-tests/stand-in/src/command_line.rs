//! The command line of PVE's tools: options, verification of parameters, usage, output formats.

pub mod options;
pub mod output;
pub mod parameter;
pub mod program;
pub mod pvesh;
pub mod table;
