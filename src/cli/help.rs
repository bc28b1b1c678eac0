//! The help texts (`help.txt`). Written by hand: 80 columns, the exit codes in each.

use crate::packed::packed;

/// The name people type.
pub const PROGRAM: &str = "firstlight";
/// The text for no command.
pub(super) const OVERVIEW: &str = "overview";

/// The help of a command; the overview for any other name.
pub fn help(name: &str) -> &'static str {
    let name = name.split(' ').next().unwrap_or_default();
    text(name).or_else(|| text(OVERVIEW)).unwrap_or_default()
}

/// Which help to read after a mistake: that of the command, where the first word is one.
pub fn where_to_look(first: &str) -> String {
    let command = if text(first).is_some() { [first, " "].concat() } else { String::new() };
    format!("{PROGRAM} {command}--help")
}

/// Each begins behind a line `= NAME`.
pub(super) fn text(name: &str) -> Option<&'static str> {
    let mut texts = packed!("help.txt").trim_end().split("\n= ");
    texts.find_map(|text| text.strip_prefix(name)?.strip_prefix('\n'))
}
