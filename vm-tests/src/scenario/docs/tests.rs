//! Nothing stands in the docs that no test runs.

use std::fs;
use std::path::Path;

use super::sessions::{PVE, SESSIONS};
use super::table::{BY_TEST, TEXT, is_known};
use crate::check;
use crate::scenario::ALL;
use crate::workspace::Workspace;

/// What stands indented in a text, one command or one line of something else each.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    /// Relative to the project.
    file: String,
    /// Without the reader's comment.
    text: String,
}

/// Every indented line of a text: what is indented further, and the end of a loop, belong to the line before.
fn lines_of(file: &str, text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("    ")) {
        if line.trim().is_empty() {
            continue;
        }
        match lines.last_mut() {
            Some(last) if line.starts_with(' ') && last.text.ends_with('\\') => {
                last.text.truncate(last.text.len() - 1);
                last.text = format!("{} {}", last.text.trim_end(), line.trim());
            }
            Some(last) if line.starts_with("  ") || line.starts_with("done ") => {
                last.text = format!("{}\n{line}", last.text);
            }
            _ => lines.push(Line { file: file.to_owned(), text: without_comment(line).to_owned() }),
        }
    }
    lines
}

/// Comments stand apart from what is typed by two blanks at least.
fn without_comment(line: &str) -> &str {
    [line.find("  #"), line.find("   ")].into_iter().flatten().min().map_or(line, |at| &line[..at]).trim_end()
}

fn texts(root: &Path) -> Vec<(String, String)> {
    let mut files: Vec<String> =
        ["README.md", "CONTRIBUTING.md", "iso-hooks/README.md", "answer-files/README.md"]
            .map(String::from)
            .to_vec();
    for entry in fs::read_dir(root.join("docs")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".md") {
            files.push(format!("docs/{name}"));
        }
    }
    files.sort();
    let read = |file: String| {
        let text = fs::read_to_string(root.join(&file)).unwrap();
        (file, text)
    };
    files.into_iter().map(read).collect()
}

fn all() -> Vec<Line> {
    let root = Workspace::find().unwrap().root;
    texts(&root).iter().flat_map(|(file, text)| lines_of(file, text)).collect()
}

#[test]
fn every_command_of_the_docs_is_run_by_a_test() {
    let lines = all();
    assert!(lines.len() > 100, "only {} lines are found", lines.len());
    let unknown: Vec<String> = lines
        .iter()
        .filter(|line| !is_known(&line.file, &line.text))
        .map(|line| format!("{}: {}", line.file, line.text))
        .collect();
    assert!(unknown.is_empty(), "nobody runs\n{}", unknown.join("\n"));
}

#[test]
fn nothing_is_run_for_the_docs_that_does_not_stand_there() {
    let lines = all();
    let stands =
        |file: &str, is: &dyn Fn(&str) -> bool| lines.iter().any(|line| line.file == file && is(&line.text));
    for session in SESSIONS.iter().chain(PVE) {
        for (file, line) in
            session.files.iter().flat_map(|file| session.lines.iter().map(move |line| (file, line)))
        {
            assert!(stands(file, &|text| text == *line), "{file}: {line}");
        }
    }
    for by in BY_TEST {
        assert!(stands(by.file, &|text| text == by.command), "{}: {}", by.file, by.command);
    }
    for (file, texts) in TEXT {
        for begins in *texts {
            assert!(stands(file, &|text| text.starts_with(begins)), "{file}: {begins}");
        }
    }
}

#[test]
fn the_tests_that_are_named_exist_and_run_what_they_are_named_for() {
    let root = Workspace::find().unwrap().root;
    for by in BY_TEST {
        let exists = ALL.iter().any(|scenario| scenario.name == by.test)
            || check::ALL.iter().any(|check| check.name == by.test);
        assert!(exists, "{}: there is no test {}", by.command, by.test);
        let (file, words) = by.source;
        let text = fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains(words), "{}: nothing of `{words}` in {file}", by.command);
    }
}

#[test]
fn a_command_goes_on_where_it_is_indented_further_or_ends_its_loop() {
    let text =
        "Text\n\n    one two   # why\n    three \\\n        four\n    while x; do\n      y\n    done < z\n";
    let lines: Vec<String> = lines_of("f", text).into_iter().map(|line| line.text).collect();
    assert_eq!(lines, ["one two", "three four", "while x; do\n  y\ndone < z"]);
}

#[test]
fn every_test_that_the_docs_name_exists() {
    let root = Workspace::find().unwrap().root;
    let names: Vec<&str> =
        ALL.iter().map(|scenario| scenario.name).chain(check::ALL.iter().map(|check| check.name)).collect();
    let mut named = 0;
    for (file, text) in texts(&root) {
        for span in text.split('`').skip(1).step_by(2) {
            let Some(words) = span.strip_prefix("cargo vm test ") else { continue };
            let mut words = words.split_whitespace();
            while let Some(word) = words.next() {
                if matches!(word, "--guest" | "--jobs") {
                    words.next();
                } else if !word.starts_with("--") && word != "FILTER" {
                    assert!(
                        names.iter().any(|name| name.contains(word)),
                        "{file}: there is no test `{word}`"
                    );
                    named += 1;
                }
            }
        }
    }
    assert!(named > 15, "only {named} tests are named");
}
