//! The manual pages, made of the help texts and of answer-files/complete.toml. They lie in `man/`, written: a test holds them
//! against what would be made now. `FIRSTLIGHT_WRITE=1 cargo test manual` writes them anew.

use super::form::{self, HIDDEN};
use super::help::{OVERVIEW, text};
use std::path::Path;

const PROGRAM_PAGE: &str = "man/firstlight.8";
const ANSWER_PAGE: &str = "man/firstlight-answer.5";

/// Compares a file of the repository with what it has to hold, or writes it.
pub(super) fn hold(path: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("FIRSTLIGHT_WRITE").is_some() {
        std::fs::write(&path, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let at = found.lines().zip(wanted.lines()).position(|(found, wanted)| found != wanted);
    assert!(
        found == wanted,
        "{} is not what the program says (line {}): FIRSTLIGHT_WRITE=1 cargo test manual",
        path.display(),
        at.map_or(0, |at| at + 1)
    );
}

/// A help text in its parts.
pub(super) struct Help {
    pub usage: Vec<String>,
    pub body: Vec<Part>,
}

pub(super) enum Part {
    Text(String),
    /// What stands on the left, and what it means.
    Item(String, String),
}

/// The help of a command, by its first word.
pub(super) fn help_of(command: &str) -> Help {
    let text = text(command).unwrap();
    let (mut usage, mut body) = (Vec::new(), Vec::<Part>::new());
    let mut lines = text.lines();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        usage.push(line.trim_start_matches("usage:").trim().to_owned());
    }
    let mut fresh = true;
    for line in lines {
        let indented = line.len() - line.trim_start().len();
        match (body.last_mut(), indented) {
            _ if line.is_empty() => {}
            (_, 2) => {
                let (term, meaning) = line.trim().split_once("  ").unwrap();
                body.push(Part::Item(term.to_owned(), meaning.trim().to_owned()));
            }
            (Some(Part::Text(text) | Part::Item(_, text)), _) if !fresh => {
                text.push(' ');
                text.push_str(line.trim());
            }
            _ => body.push(Part::Text(line.to_owned())),
        }
        fresh = line.is_empty();
    }
    Help { usage, body }
}

/// The commands in the order of the overview, each with what it says of it there.
pub(super) fn commands() -> Vec<(String, String)> {
    let listed =
        text(OVERVIEW).unwrap().lines().filter(|line| line.starts_with("  ") && !line.contains("  -"));
    let mut commands = Vec::new();
    for line in listed.filter(|line| !line.trim_start().starts_with(|c: char| c.is_ascii_digit())) {
        let (words, meaning) = line.trim().split_once("  ").unwrap();
        for word in words.split(", ") {
            commands.push((word.split(' ').next().unwrap().to_owned(), meaning.trim().to_owned()));
        }
    }
    commands
}

/// Text as roff wants it: `…` bold, and nothing at the beginning of a line that roff would obey.
fn roff(text: &str) -> String {
    let mut roff = String::new();
    let mut bold = false;
    for letter in text.chars() {
        match letter {
            '\\' => roff.push_str("\\e"),
            '-' => roff.push_str("\\-"),
            '\'' => roff.push_str("\\(aq"),
            '…' => roff.push_str("..."),
            '`' => {
                bold = !bold;
                roff.push_str(if bold { "\\fB" } else { "\\fR" });
            }
            other => roff.push(other),
        }
    }
    let roff = roff.replace(". ", ".\n");
    if roff.starts_with('.') { format!("\\&{roff}") } else { roff }
}

fn program_page() -> String {
    let mut page = String::new();
    for (command, _) in commands() {
        let help = help_of(&command);
        page += &format!(".SS {command}\n");
        let usage: String = help.usage.iter().map(|line| format!("\\fB{}\\fR\n", roff(line))).collect();
        page += &format!(".nf\n{usage}.fi\n");
        for part in &help.body {
            page += &match part {
                Part::Text(text) => format!(".PP\n{}\n", roff(text)),
                Part::Item(term, text) => format!(".TP\n\\fB{}\\fR\n{}\n", roff(term), roff(text)),
            };
        }
    }
    let exits = text(OVERVIEW).unwrap().split_once("exit codes\n").unwrap().1;
    let exits: String = exits
        .lines()
        .map(|line| line.trim().split_once("  ").unwrap())
        .map(|(code, meaning)| format!(".TP\n\\fB{code}\\fR\n{}\n", roff(meaning)))
        .collect();
    page_of("firstlight.8.in").replace("@COMMANDS@\n", &page).replace("@EXIT@\n", &exits)
}

fn page_of(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(name);
    std::fs::read_to_string(path).unwrap().replace("@VERSION@", env!("CARGO_PKG_VERSION"))
}

/// A line of complete.toml that is about something: a table's head, or a key with its value; and whether it is switched off.
fn line_of(line: &str) -> Option<(&str, Option<&str>, bool)> {
    let off = line.starts_with('#');
    let line = line.trim_start_matches('#');
    if line.starts_with('[') {
        return Some((line, None, off));
    }
    let (key, value) = line.split_once(" = ")?;
    Some((key, Some(value), off))
}

fn answer_page() -> String {
    let mut page = String::new();
    let mut comment: Vec<&str> = Vec::new();
    let complete = include_str!("../../answer-files/complete.toml");
    // The first lines are about the file itself.
    for line in complete.lines().skip_while(|line| !line.starts_with("# ---")) {
        if let Some(title) = line.strip_prefix("# --- ") {
            let title = title.trim_end_matches(['-', ' ']);
            let (title, more) = title.split_once(": ").unwrap_or((title, ""));
            page += &format!(".SH {}\n", roff(&title.to_uppercase()));
            if !more.is_empty() {
                page += &format!("{}.\n", roff(&more.replacen('w', "W", 1)));
            }
        } else if let Some(text) = line.strip_prefix("# ") {
            comment.push(text);
        } else if let Some((name, value, off)) = line_of(line) {
            let text = roff(&comment.join(" "));
            comment.clear();
            page += &match (value, off) {
                (None, _) if text.is_empty() => format!(".SS {}\n", roff(name)),
                (None, _) => format!(".SS {}\n{text}\n", roff(name)),
                // As it is written: words of TOML are not broken into lines.
                (Some(value), off) => format!(
                    ".TP\n\\fB{}\\fR\n{text}\n.nf\n{}: {}\n.fi\n",
                    roff(name),
                    if off { "Example" } else { "Default" },
                    roff(value)
                ),
            };
        }
    }
    page_of("firstlight-answer.5.in").replace("@KEYS@\n", &page)
}

#[test]
fn the_manual_says_what_help_says() {
    let page = program_page();
    for name in form::names() {
        let (command, word) = name.split_once(' ').unwrap_or((name, ""));
        let section = page.split(&format!(".SS {command}\n")).nth(1).unwrap_or_default();
        let section = section.split(".SS ").next().unwrap_or_default();
        assert!(!section.is_empty() && section.contains(word), "man/firstlight.8 has no {name}");
        for (option, _) in form::find(name).unwrap().options().filter(|(option, _)| !HIDDEN.contains(option))
        {
            let written = format!("\\-\\-{}", option.replace('-', "\\-"));
            assert!(section.contains(&written), "man/firstlight.8 does not name --{option} of {name}");
        }
    }
    hold(PROGRAM_PAGE, &page);
}

#[test]
fn the_manual_has_every_key_of_the_complete_answer() {
    let page = answer_page();
    let complete = include_str!("../../answer-files/complete.toml");
    let mut keys = 0;
    for (name, value, _) in complete.lines().filter(|line| !line.starts_with("# ")).filter_map(line_of) {
        keys += usize::from(value.is_some());
        let written = roff(name);
        assert!(
            page.contains(&format!("\\fB{written}\\fR\n")) || page.contains(&format!(".SS {written}\n")),
            "{name}"
        );
    }
    assert!(keys > 100, "{keys} keys were found in the complete answer");
    hold(ANSWER_PAGE, &page);
}
