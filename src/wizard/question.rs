//! One question: what stands about it in `questions.txt`, and the lines of an answer that a value becomes. What a value may
//! be is not said here: the reader of answers and the areas decide, as they do for a file.

use crate::answer::quoted;
use crate::packed::packed;

/// Stands for a new pair of keys, and what it puts below `[firstlight]`.
pub const NEW_PAIR: &str = "n";
pub const PAIR: &str = "admin.ssh-key-pair = \"node\"\n";
/// Lines of each; choices come behind, with a tab in front of what they put into the answer.
const KEYS: usize = 0;
const FORM: usize = 1;
const TITLE: usize = 2;
const TEXT: usize = 3;
const PROMPT: usize = 4;
const HELP: usize = 5;
const CHOICES: usize = 6;

/// One question.
#[derive(Clone, Copy)]
pub struct Question(&'static str);

impl Question {
    /// The one in this place of the file, where an empty line is between them; `None` behind the last.
    pub fn at(place: usize) -> Option<Self> {
        packed!("questions.txt").trim_end().split("\n\n").nth(place).map(Self)
    }

    fn line(self, number: usize) -> &'static str {
        self.0.lines().nth(number).unwrap_or_default()
    }

    /// What is typed, `hidden` or not (`text`, `list`, `keys`, `password`, `passphrase`, or numbers of `one` or `many` choices), and when it is asked (on a node
    /// of `pve`, unless the `firewall` is left alone, where the answer is refused without it: `needed`).
    pub fn is(self, word: &str) -> bool {
        self.line(FORM).split(' ').any(|own| own == word)
    }

    /// The key below `[firstlight]` that takes what is typed.
    pub fn key(self) -> &'static str {
        self.line(KEYS).split(' ').next().unwrap_or_default()
    }

    /// Whether it decides this key: its own, others beside it, or their tables.
    pub fn decides(self, key: &str) -> bool {
        let below = |own| key.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.line(KEYS).split(' ').any(below)
    }

    /// A heading.
    pub fn title(self) -> &'static str {
        self.line(TITLE)
    }

    /// What it means, always shown.
    pub fn text(self) -> &'static str {
        self.line(TEXT)
    }

    /// In front of the cursor.
    pub fn prompt(self) -> &'static str {
        self.line(PROMPT)
    }

    /// What `?` says.
    pub fn help(self) -> &'static str {
        self.line(HELP)
    }

    /// Of each choice what it means, and its lines.
    pub fn choices(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.0.lines().skip(CHOICES).filter_map(|line| line.split_once('\t'))
    }

    /// The lines that a value puts below `[firstlight]`. Nothing is checked but the numbers of choices: `None`.
    pub fn lines(self, value: &str) -> Option<String> {
        let (keys, chosen) = (self.is("keys"), !self.line(CHOICES).is_empty());
        if keys && value == NEW_PAIR {
            return Some(PAIR.to_owned());
        }
        if self.is("passphrase") {
            return Some(String::new());
        }
        if !chosen && !keys && !self.is("list") {
            let none = value.is_empty() && self.is("password");
            return Some(if none { String::new() } else { self.with_key("", &quoted(value), "") });
        }
        // A key has blanks in it.
        let ends = |sign: char| sign == '\n' || !keys && matches!(sign, ' ' | ',' | '\t');
        let (mut lines, mut count) = (String::new(), 0);
        for word in value.split(ends).filter(|word| !word.is_empty()) {
            let (between, text) = if chosen {
                let place = word.parse::<usize>().ok()?.checked_sub(1)?;
                ("\n", self.choices().nth(place)?.1.to_owned())
            } else {
                (", ", quoted(word))
            };
            lines.push_str(if count > 0 { between } else { "" });
            lines.push_str(&text);
            count += 1;
        }
        if chosen {
            lines.push_str(if count > 0 { "\n" } else { "" });
            return (count == 1 || self.is("many")).then_some(lines);
        }
        Some(if count > 0 { self.with_key("[", &lines, "]") } else { lines })
    }

    /// A line of the answer.
    #[inline(never)]
    fn with_key(self, open: &str, value: &str, close: &str) -> String {
        [self.key(), " = ", open, value, close, "\n"].concat()
    }
}
