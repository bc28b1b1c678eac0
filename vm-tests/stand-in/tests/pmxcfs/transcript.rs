//! Reads the recordings of pmxcfs: shell lines with their status and both outputs.

/// One recorded shell line.
pub struct Item {
    pub number: usize,
    pub script: String,
    pub status: String,
    pub stdout: String,
    pub stderr: String,
}

/// A recording: the files it began with, and its items.
pub struct Transcript {
    pub files: Vec<(String, String)>,
    pub items: Vec<Item>,
}

/// Reads a recording.
pub fn read(bytes: &[u8]) -> Transcript {
    let mut items: Vec<Item> = Vec::new();
    let mut files = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let line = String::from_utf8_lossy(take_line(&mut rest)).into_owned();
        if let Some(number) = line.strip_prefix("=== [").and_then(|rest| rest.split(']').next()) {
            let number = number.parse().expect("the number of an item");
            let empty = String::new;
            items.push(Item { number, script: empty(), status: empty(), stdout: empty(), stderr: empty() });
            continue;
        }
        let Some(item) = items.last_mut() else {
            if let Some((path, head)) = line.strip_prefix("--- ").and_then(|line| line.split_once(" [")) {
                let size = head.trim_end_matches(']').rsplit(' ').next().and_then(|size| size.parse().ok());
                files.push((path.to_owned(), text(&mut rest, size.expect("a size"))));
            }
            continue;
        };
        if let Some(argv) = line.strip_prefix("argv: ") {
            let argv: Vec<String> = serde_json::from_str(argv).expect("the words of a command");
            item.script = match argv.as_slice() {
                [shell, option, script] if shell == "bash" && option == "-c" => script.clone(),
                words => words.join(" "),
            };
        } else if let Some(status) = line.strip_prefix("exit: ") {
            item.status = status.split(' ').next().unwrap_or_default().to_owned();
        } else if let Some(size) = size(&line, "stdout") {
            item.stdout = text(&mut rest, size);
        } else if let Some(size) = size(&line, "stderr") {
            item.stderr = text(&mut rest, size);
        }
    }
    Transcript { files, items }
}

fn take_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let line = &rest[..end];
    *rest = rest.get(end + 1..).unwrap_or_default();
    line
}

fn size(line: &str, stream: &str) -> Option<usize> {
    line.strip_prefix(&format!("--- {stream} ("))?.split(' ').next()?.parse().ok()
}

fn text(rest: &mut &[u8], size: usize) -> String {
    let (taken, others) = rest.split_at(size);
    *rest = others;
    String::from_utf8_lossy(taken).into_owned()
}
