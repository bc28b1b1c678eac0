//! Which options and operands each command has, and reading them. The one table of the command line.

use super::Usage;
use lexopt::{Arg, Parser};
use std::ffi::OsString;

/// Each command, behind a colon the number of its operands, then its options: `=` has a value, `?` may have one as
/// `--option=VALUE`.
const FORMS: &str = "\
check:1 for=
bake:1 out= exe= for=
plan:1 json
apply:1 plan= confirm=
wizard:0 save=
audit:1 json junit record
status:0 wait? json
rollback:1 force to= dry-run json
snapshots list:0
snapshots show:2
snapshots diff:3 json
snapshots prune:0 keep=
bundle:1
install:0
uninstall:0
recover:0 early deadline
confirm:0
totp show:1
totp verify:1
totp reset:1";

/// For our own units: no help names them.
#[cfg(test)]
pub(super) const HIDDEN: [&str; 1] = ["deadline"];

/// One command's line.
pub struct Form {
    name: &'static str,
    words: &'static str,
}

fn all() -> impl Iterator<Item = Form> {
    FORMS.lines().filter_map(|line| line.split_once(':')).map(|(name, words)| Form { name, words })
}

/// The form of a command.
pub fn find(name: &str) -> Option<Form> {
    all().find(|form| form.name == name)
}

/// All commands.
pub fn names() -> Vec<&'static str> {
    all().map(|form| form.name).collect()
}

/// The words of one command line, checked against its form.
#[derive(Default)]
pub struct Words {
    /// Whether help was asked for.
    pub help: bool,
    options: Vec<(&'static str, Option<OsString>)>,
    operands: std::collections::VecDeque<OsString>,
}

impl Words {
    /// Whether the option was given.
    pub fn flag(&self, name: &str) -> bool {
        self.options.iter().any(|(option, _)| *option == name)
    }

    /// The option's value.
    pub fn value(&self, name: &str) -> Option<OsString> {
        self.options.iter().find(|(option, _)| *option == name)?.1.clone()
    }

    /// The next operand.
    pub fn operand(&mut self) -> Option<OsString> {
        self.operands.pop_front()
    }

    /// The next operand, which must be there.
    pub fn required(&mut self, name: &str) -> Result<OsString, Usage> {
        self.operand().ok_or_else(|| Usage(format!("{name} is missing")))
    }
}

impl Form {
    /// Reads the words behind the command.
    pub fn read(&self, arguments: std::vec::IntoIter<OsString>) -> Result<Words, Usage> {
        let mut parser = Parser::from_args(arguments);
        let mut words = Words::default();
        let operands = self.words.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0usize);
        while let Some(argument) = parser.next().map_err(complaint)? {
            let name = match argument {
                Arg::Value(operand) => {
                    if words.operands.len() == operands {
                        return Err(Usage(format!("`{}` is one word too many", operand.to_string_lossy())));
                    }
                    words.operands.push_back(operand);
                    continue;
                }
                Arg::Long("help") | Arg::Short('h') => {
                    words.help = true;
                    return Ok(words);
                }
                Arg::Short(letter) => return Err(self.unknown(&format!("-{letter}"), "")),
                Arg::Long(name) => name.to_owned(),
            };
            let Some((option, takes)) = self.options().find(|(option, _)| *option == name) else {
                return Err(self.unknown(&format!("--{name}"), &name));
            };
            if words.flag(option) {
                return Err(Usage(format!("--{option} is given twice")));
            }
            let value = match takes {
                "" => None,
                "=" => Some(parser.value().map_err(complaint)?),
                _ => parser.optional_value(),
            };
            words.options.push((option, value));
        }
        Ok(words)
    }

    /// Name, and `=` or `?`.
    pub(super) fn options(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let words = self.words.split(' ').skip(1);
        words.map(|word| word.split_at(word.trim_end_matches(['=', '?']).len()))
    }

    fn unknown(&self, shown: &str, name: &str) -> Usage {
        let options: Vec<&str> = self.options().map(|(option, _)| option).collect();
        let hint = match nearest(name, &options) {
            Some(near) => format!("; did you mean `--{near}`?"),
            None => String::new(),
        };
        Usage(format!("`{}` has no option `{shown}`{hint}", self.name))
    }
}

/// The candidate that is at most two slips (or a third of its letters) away.
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let (slips, best) = candidates
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .min_by_key(|pair| pair.0)?;
    let limit = (best.len() / 3).max(2);
    if slips <= limit && slips < best.len() { Some(best) } else { None }
}

/// Insertions, deletions and replacements between two words.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (place, letter) in left.chars().enumerate() {
        let mut before = place;
        let mut last = place + 1;
        for (slot, other) in row.iter_mut().skip(1).zip(&right) {
            let replaced = before + usize::from(letter != *other);
            before = *slot;
            last = replaced.min(before + 1).min(last + 1);
            *slot = last;
        }
        if let Some(first) = row.first_mut() {
            *first = place + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// lexopt's own sentence; it names the option.
fn complaint(error: lexopt::Error) -> Usage {
    Usage(match error {
        // Its own would show the value by Debug, which the shipped binary does without.
        lexopt::Error::UnexpectedValue { option, value } => {
            format!("unexpected argument for option '{option}': \"{}\"", value.to_string_lossy())
        }
        other => other.to_string(),
    })
}
