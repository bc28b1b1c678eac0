//! Reads a recording: commands with their outputs and the files they changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files by path; `None` is one that is not there.
pub type Files = BTreeMap<String, Option<Vec<u8>>>;

/// One recorded command.
pub struct Item {
    pub number: usize,
    pub argv: Vec<String>,
    pub exit: i32,
    pub stdout: String,
    pub stderr: String,
    /// Files it changed.
    pub files: Files,
    /// All watched files behind it.
    state: Files,
}

/// One file of recordings.
pub struct Recording {
    pub initial: Files,
    pub items: Vec<Item>,
}

/// Where the recordings are.
pub fn directory() -> Option<PathBuf> {
    let given = std::env::var_os("STAND_IN_TRANSCRIPTS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/transcripts");
    given.or(Some(beside)).filter(|path| path.is_dir())
}

impl Item {
    /// A file's content behind the command.
    pub fn after(&self, path: &str) -> Option<String> {
        let content = self.state.get(path)?.as_ref()?;
        Some(String::from_utf8_lossy(content).into_owned())
    }

    /// A time the command has stored as `enable`.
    pub fn stored_time(&self) -> Option<u64> {
        let text = self.files.get("/etc/pve/firewall/cluster.fw")?.as_ref()?;
        let text = String::from_utf8_lossy(text).into_owned();
        let value = text.lines().find_map(|line| line.strip_prefix("enable: "))?;
        value.parse().ok().filter(|time| *time > 1_000_000_000)
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn line(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
        let line = std::str::from_utf8(&self.rest[..end]).expect("UTF-8");
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        Some(line)
    }

    fn peek(&self) -> &'a str {
        let end = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
        std::str::from_utf8(&self.rest[..end]).unwrap_or_default()
    }

    /// So many bytes, and the line end the recorder put behind a text without one.
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (content, rest) = self.rest.split_at(count);
        self.rest = rest;
        if content.last().is_some_and(|last| *last != b'\n') {
            self.rest = self.rest.strip_prefix(b"\n").unwrap_or(self.rest);
            if self.peek() == "\\ no newline at end" {
                self.line();
            }
        }
        content
    }

    /// Blocks `--- /path [mode owner size]` or `--- /path: absent`.
    fn files(&mut self) -> Files {
        let mut files = Files::new();
        while let Some(head) = self.peek().strip_prefix("--- /") {
            self.line();
            if let Some(path) = head.strip_suffix(": absent") {
                files.insert(format!("/{path}"), None);
                continue;
            }
            let (path, rest) = head.split_once(" [").expect("mode and size");
            let size = rest.trim_end_matches(']').rsplit(' ').next().expect("size");
            let content = self.bytes(size.parse().expect("a number"));
            files.insert(format!("/{path}"), Some(content.to_vec()));
        }
        files
    }
}

fn size(line: &str) -> usize {
    let (_, rest) = line.split_once('(').expect("a size");
    rest.split(' ').next().expect("digits").parse().expect("a number")
}

impl Recording {
    /// Reads a file.
    pub fn read(path: &Path) -> Self {
        let content = fs::read(path).expect("a recording");
        let mut reader = Reader { rest: &content };
        let mut recording = Self { initial: Files::new(), items: Vec::new() };
        let mut state = Files::new();
        while let Some(line) = reader.line() {
            if line == "== initial state of watched files" {
                recording.initial = reader.files();
                state = recording.initial.clone();
            } else if let Some(rest) = line.strip_prefix("=== [") {
                let number = rest.split(']').next().expect("a number").parse().expect("a number");
                let item = item(&mut reader, number, &mut state);
                recording.items.push(item);
            }
        }
        recording
    }
}

fn item(reader: &mut Reader<'_>, number: usize, state: &mut Files) -> Item {
    let mut item = Item {
        number,
        argv: Vec::new(),
        exit: 0,
        stdout: String::new(),
        stderr: String::new(),
        files: Files::new(),
        state: Files::new(),
    };
    loop {
        let line = reader.line().expect("the rest of an item");
        let text = |reader: &mut Reader<'_>| String::from_utf8_lossy(reader.bytes(size(line))).into_owned();
        if let Some(argv) = line.strip_prefix("argv: ") {
            item.argv = serde_json::from_str(argv).expect("argv");
        } else if let Some(exit) = line.strip_prefix("exit: ") {
            item.exit = exit.split(' ').next().expect("a status").parse().expect("a number");
        } else if line.starts_with("--- stdout (") {
            item.stdout = text(reader);
        } else if line.starts_with("--- stderr (") {
            item.stderr = text(reader);
        } else if line.starts_with("--- files: ") {
            item.files = reader.files();
            break;
        }
    }
    state.extend(item.files.clone());
    item.state = state.clone();
    item
}
