//! The terminal: where text leaves the program, whether in colour, and what no text may do to it.
//!
//! Writing never fails and never panics: a reader that closed the pipe has seen enough.

use std::io::{IsTerminal, Write};

/// Writes to standard output.
pub fn print(text: &str) {
    print_bytes(text.as_bytes());
}

/// Writes bytes as they are to standard output.
pub fn print_bytes(bytes: &[u8]) {
    let mut output = std::io::stdout().lock();
    // A closed pipe or a full disk behind standard output changes nothing about what was done.
    let _ = output.write_all(bytes).and_then(|()| output.flush());
}

/// Writes to standard error.
pub fn complain(text: &str) {
    // The same: there is nobody left to tell.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Whether text may be coloured.
#[derive(Clone, Copy)]
pub struct Paint {
    colour: bool,
}

/// What a colour says.
#[derive(Clone, Copy)]
pub enum Colour {
    /// Failed, removed.
    Red,
    /// Fine, added.
    Green,
    /// Needs attention.
    Yellow,
    /// A place in a file.
    Cyan,
    /// A heading.
    Bold,
    /// Beside the point.
    Dim,
}

impl Paint {
    /// Never any colour.
    pub const PLAIN: Self = Self { colour: false };

    /// Always colour; for tests.
    #[cfg(test)]
    pub const COLOURED: Self = Self { colour: true };

    /// Colour if standard output is a terminal that wants it.
    pub fn of_output() -> Self {
        Self { colour: std::io::stdout().is_terminal() && wanted() }
    }

    /// Colour if standard error is a terminal that wants it.
    pub fn of_errors() -> Self {
        Self { colour: std::io::stderr().is_terminal() && wanted() }
    }

    /// `text` in that colour.
    pub fn paint(self, colour: Colour, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Red => "31",
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Cyan => "36",
            Colour::Bold => "1",
            Colour::Dim => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Makes control characters visible, so that a file or a tool cannot write to the terminal behind our back.
/// Tabs stay; a text of several lines goes through this line by line.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => shown.push('\t'),
            '\0'..='\x1f' => {
                shown.push('^');
                shown.push(char::from(character as u8 + 0x40));
            }
            '\x7f' => shown.push_str("^?"),
            // C1 controls, and marks that hide text or turn its direction (CVE-2021-42574).
            '\u{80}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => shown.push_str(&format!("<U+{:04X}>", u32::from(character))),
            _ => shown.push(character),
        }
    }
    shown
}

/// Several lines: each made visible, each behind `indent`; ends with a newline unless empty.
pub fn indented(text: &str, indent: &str) -> String {
    text.lines().map(|line| format!("{indent}{}\n", visible(line))).collect()
}

/// Words of `text` in lines of at most `width` characters, behind `indent`. A longer word stands alone.
pub fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let mut lines = String::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let word = visible(word);
            let needed = indent.len() + line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && needed > width {
                lines.push_str(&format!("{indent}{line}\n"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        lines.push_str(format!("{indent}{line}").trim_end());
        lines.push('\n');
    }
    lines
}

/// <https://no-color.org>, and terminals that cannot.
fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_sent() {
        let cases = [
            ("plain é ✔", "plain é ✔"),
            ("a\tb", "a\tb"),
            ("\x1b[2J", "^[[2J"),
            ("a\rb\0", "a^Mb^@"),
            ("\x7f", "^?"),
            ("\u{9b}31m", "<U+009B>31m"),
            ("user\u{202e}resu", "user<U+202E>resu"),
        ];
        for (text, shown) in cases {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn a_text_is_wrapped_at_words_and_a_long_word_is_not_cut() {
        assert_eq!(wrapped("aa bb cc\ndd", "  ", 7), "  aa bb\n  cc\n  dd\n");
        assert_eq!(wrapped("a 0123456789 b", "", 4), "a\n0123456789\nb\n");
    }

    #[test]
    fn a_plain_paint_adds_nothing() {
        assert_eq!(Paint::PLAIN.paint(Colour::Red, "x"), "x");
        assert_eq!(Paint::COLOURED.paint(Colour::Red, "x"), "\x1b[31mx\x1b[0m");
    }
}
