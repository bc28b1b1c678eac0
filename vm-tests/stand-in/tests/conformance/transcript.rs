//! Reads a recording: commands with their outputs and the files they changed.

use std::collections::BTreeMap;

/// A watched file: its mode as `ls` shows it, and its content.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// As in `-rw-r-----`.
    pub mode: String,
    /// The bytes.
    pub content: Vec<u8>,
}

/// Watched files by path; None is one that is not there.
pub type Files = BTreeMap<String, Option<File>>;

/// One recorded command.
pub struct Item {
    /// Its number in the recording.
    pub number: usize,
    /// What was run.
    pub argv: Vec<String>,
    /// What it read.
    pub input: String,
    /// Its status.
    pub exit: i32,
    /// How long it took, in thousandths of a second.
    pub wall: u64,
    /// Its output.
    pub stdout: Vec<u8>,
    /// Its errors.
    pub stderr: Vec<u8>,
    /// Files that it changed.
    pub changed: Files,
    /// All watched files before it.
    pub before: Files,
    /// All watched files after it.
    pub after: Files,
}

/// One recording.
pub struct Transcript {
    /// The name of its file without the ending.
    pub name: String,
    /// When it began.
    pub time: u64,
    /// Watched files at its beginning.
    pub initial: Files,
    /// Its commands.
    pub items: Vec<Item>,
}

impl Transcript {
    /// Reads the text of a recording.
    pub fn read(name: &str, content: &[u8]) -> Self {
        let mut reader = Reader { rest: content };
        let mut transcript =
            Self { name: name.to_owned(), time: 0, initial: Files::new(), items: Vec::new() };
        let mut state = Files::new();
        while let Some(line) = reader.line() {
            if let Some(rest) = line.strip_prefix("# recorded ") {
                transcript.time = seconds(rest);
            } else if line == "== initial state of watched files" {
                state = reader.files();
                transcript.initial = state.clone();
            } else if let Some(rest) = line.strip_prefix("=== [") {
                let number = rest.split(']').next().and_then(|number| number.parse().ok()).expect("a number");
                transcript.items.push(reader.item(number, &mut state));
            }
        }
        transcript
    }
}

/// Seconds since 1970 of `YYYY-MM-DD HH:MM:SS …`.
fn seconds(text: &str) -> u64 {
    let numbers: Vec<u64> =
        text.split(|letter: char| !letter.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    let [year, month, day, hour, minute, second, ..] = numbers.as_slice() else { panic!("a time: {text}") };
    // Days since 1970, by counting years from March.
    let (year, month) = if *month > 2 { (*year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    ((days * 24 + hour) * 60 + minute) * 60 + second
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn line(&mut self) -> Option<String> {
        if self.rest.is_empty() {
            return None;
        }
        let line = self.peek();
        self.rest = self.rest.get(self.end() + 1..).unwrap_or_default();
        Some(line)
    }

    fn end(&self) -> usize {
        self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len())
    }

    fn peek(&self) -> String {
        String::from_utf8_lossy(&self.rest[..self.end()]).into_owned()
    }

    /// So many bytes, and the line end that the recorder put behind a text without one.
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let (content, rest) = self.rest.split_at(count);
        self.rest = rest;
        if content.last().is_some_and(|last| *last != b'\n') {
            self.rest = self.rest.strip_prefix(b"\n").unwrap_or(self.rest);
            if self.peek() == "\\ no newline at end" {
                self.line();
            }
        }
        content.to_vec()
    }

    /// Blocks `--- /path [mode owner size]` or `--- /path: absent`.
    fn files(&mut self) -> Files {
        let mut files = Files::new();
        while let Some(head) = self.peek().strip_prefix("--- /").map(str::to_owned) {
            self.line();
            if let Some(path) = head.strip_suffix(": absent") {
                files.insert(format!("/{path}"), None);
                continue;
            }
            let (path, rest) = head.split_once(" [").expect("mode and size");
            let words: Vec<&str> = rest.trim_end_matches(']').split(' ').collect();
            let [mode, .., size] = words.as_slice() else { panic!("mode and size: {head}") };
            let content = self.bytes(size.parse().expect("a size"));
            files.insert(format!("/{path}"), Some(File { mode: (*mode).to_owned(), content }));
        }
        files
    }

    fn item(&mut self, number: usize, state: &mut Files) -> Item {
        let mut item = Item {
            number,
            argv: Vec::new(),
            input: String::new(),
            exit: 0,
            wall: 0,
            stdout: Vec::new(),
            stderr: Vec::new(),
            changed: Files::new(),
            before: state.clone(),
            after: Files::new(),
        };
        while !self.peek().starts_with("=== [") && !self.peek().starts_with("== ") {
            let Some(line) = self.line() else { break };
            if let Some(argv) = line.strip_prefix("argv: ") {
                item.argv = serde_json::from_str(argv).expect("argv");
            } else if let Some(input) = line.strip_prefix("stdin: \"") {
                item.input = serde_json::from_str(&format!("\"{input}")).expect("stdin");
            } else if let Some(exit) = line.strip_prefix("exit: ") {
                let words: Vec<&str> = exit.split_whitespace().collect();
                item.exit = words.first().and_then(|exit| exit.parse().ok()).expect("a status");
                item.wall = words.last().and_then(|wall| wall.parse().ok()).unwrap_or_default();
            } else if line.starts_with("--- stdout (") {
                item.stdout = self.bytes(size(&line));
            } else if line.starts_with("--- stderr (") {
                // A path was taken out of one text after the recording: it is shorter than its size says.
                let end = self.rest.windows(12).position(|window| window == b"\n--- files: ");
                let limit = end.map_or(self.rest.len(), |end| end + 1);
                item.stderr = self.bytes(size(&line).min(limit));
            } else if line.starts_with("--- files: ") {
                item.changed = self.files();
            }
        }
        state.extend(item.changed.clone());
        item.after = state.clone();
        item
    }
}

fn size(line: &str) -> usize {
    let (_, rest) = line.split_once('(').expect("a size");
    rest.split(' ').next().and_then(|size| size.parse().ok()).expect("a size")
}
