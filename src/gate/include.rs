//! Lines with file names and patterns in them: sshd_config(5) keywords, sudoers(5) includes, glob(7).

use std::path::Path;

/// The keyword of a line of `sshd_config` and its arguments. Blanks or one `=` stand between them; a comment
/// has the keyword `#…`, which nothing matches.
pub(crate) fn keyword(line: &str) -> (&str, &str) {
    let line = line.trim();
    let end = line.find(|letter: char| letter.is_ascii_whitespace() || letter == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    (keyword, rest.strip_prefix('=').unwrap_or(rest).trim_start())
}

/// Splits arguments at blanks; double quotes hold blanks, and an unquoted `#` starts a comment.
pub(crate) fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut started) = (Vec::new(), String::new(), false, false);
    for letter in text.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                started = true;
            }
            '#' if !quoted && !started => break,
            blank if blank.is_ascii_whitespace() && !quoted => {
                if started {
                    words.push(std::mem::take(&mut word));
                }
                started = false;
            }
            other => {
                word.push(other);
                started = true;
            }
        }
    }
    if started {
        words.push(word);
    }
    words
}

/// `name` itself when absolute, else below `directory`.
pub(crate) fn below(directory: &str, name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { format!("{directory}/{name}") }
}

/// Whether an absolute pattern matches an absolute path, component by component.
pub(crate) fn matches_path(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut names) = (components(pattern), components(path));
    loop {
        match (patterns.next(), names.next()) {
            (None, None) => return true,
            // As glob(3): a wildcard does not stand for a leading dot.
            (Some(pattern), Some(name))
                if matches(pattern, name) && (!name.starts_with('.') || pattern.starts_with('.')) => {}
            _ => return false,
        }
    }
}

pub(super) fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

/// Whether a name has wildcards.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// fnmatch(3) on one component: `*`, `?`, `[…]`, and a backslash before a plain letter.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    matches_bytes(pattern.as_bytes(), name.as_bytes())
}

fn matches_bytes<'a>(mut pattern: &'a [u8], mut name: &'a [u8]) -> bool {
    // What is behind the last `*`, and what that has not taken yet. An earlier one never has to take more, so that a
    // pattern of many costs no more than one.
    let mut star = None::<(&[u8], &[u8])>;
    loop {
        if let [b'*', rest @ ..] = pattern {
            star = Some((rest, name));
            pattern = rest;
        } else if let Some(behind) = matches_letter(pattern, name) {
            (pattern, name) = behind;
        } else if pattern.is_empty() && name.is_empty() {
            return true;
        } else if let Some((rest, [_, others @ ..])) = star {
            star = Some((rest, others));
            (pattern, name) = (rest, others);
        } else {
            return false;
        }
    }
}

/// What is behind the part of the pattern that stands for the first letter, and behind the letter.
fn matches_letter<'a>(pattern: &'a [u8], name: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (letter, others) = name.split_first()?;
    let (hit, rest) = match pattern {
        [] => return None,
        [b'?', rest @ ..] => (true, rest),
        [b'[', rest @ ..] => set(rest, *letter).unwrap_or((*letter == b'[', rest)),
        [b'\\', plain, rest @ ..] | [plain, rest @ ..] => (plain == letter, rest),
    };
    hit.then_some((rest, others))
}

/// Whether `letter` is in the set that `pattern` starts with, and what follows the set; `None` without a `]`.
fn set(pattern: &[u8], letter: u8) -> Option<(bool, &[u8])> {
    let (negated, body) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    // A `]` that comes first is a letter of the set.
    let end = 1 + body.iter().skip(1).position(|&byte| byte == b']')?;
    let (members, after) = (body.get(..end)?, body.get(end + 1..)?);
    let ranges = members
        .windows(3)
        .any(|range| matches!(range, [first, b'-', last] if (*first..=*last).contains(&letter)));
    Some(((ranges || members.contains(&letter)) != negated, after))
}

/// Name of the last component as text.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_glob_does() {
        assert!(matches_path("/etc/ssh/sshd_config.d/*.conf", "/etc/ssh/sshd_config.d/00-firstlight.conf"));
        assert!(!matches_path("/etc/ssh/sshd_config.d/*.conf", "/etc/ssh/sshd_config.d/.x.conf"));
        assert!(!matches_path("/etc/ssh/*.conf", "/etc/ssh/d/a.conf"));
        assert!(matches("[0-4]?-[!a]*", "05-b") && !matches("[0-4]?-[!a]*", "95-b"));
        assert!(matches("a\\*b", "a*b") && !matches("a\\*b", "axb"));
        assert!(matches("*a*b*", "xaaxbx") && !matches("*a*b", "xaaxbx") && matches("**", ""));
        assert!(matches("[x", "[x") && !matches("[x", "x") && matches("*.c*f", "a.cf.conf"));
    }

    /// What somebody has put into sshd_config must not keep the node waiting: found by the fuzzer.
    #[test]
    fn a_pattern_of_many_wildcards_costs_no_more_than_one() {
        let name = "a".repeat(255);
        assert!(!matches(&"*a".repeat(200), &name[..100]) && !matches(&("*a".repeat(100) + "b"), &name));
        assert!(!matches(&("*".repeat(2000) + "e:"), &name));
    }

    #[test]
    fn keywords_and_words_are_split_as_sshd_does() {
        assert_eq!(keyword("  Include = \"a b\" c # no"), ("Include", "\"a b\" c # no"));
        assert_eq!(words("\"a b\" c # no"), ["a b", "c"]);
        assert_eq!(keyword("#Port 22").0, "#Port");
    }

    #[test]
    fn paths_are_below_their_directory() {
        assert_eq!(below("/etc/ssh", "x/*.conf"), "/etc/ssh/x/*.conf");
        assert_eq!(below("/etc/ssh", "/y"), "/y");
    }
}
