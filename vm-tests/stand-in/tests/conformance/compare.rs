//! What differs between a recorded command and its replay.
//!
//! Exact, but for what is random on the real node: new ids and secrets are bound to ours in the order in which they
//! appear, and orders that Perl and Rust choose by chance are compared as sets.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::Regex;
use serde_json::Value;
use serde_json::value::RawValue;

use super::node::Outcome;
use super::transcript::{Files, Item};

/// The differences, each in a line; none if the replay is equal.
pub fn differences(item: &Item, outcome: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    if (item.exit == 0) != (outcome.status == 0) {
        found.push(format!("status: recorded {}, replayed {}", item.exit, outcome.status));
    }
    let recorded = Texts::of(&item.stdout, &item.stderr, &item.after);
    let mut own = Texts::of(&outcome.stdout, &outcome.stderr, &outcome.files);
    own.bind(&recorded, item);
    let output: fn(&str) -> Vec<String> = if is_in_random_order(&item.argv) { as_set } else { as_it_is };
    if output(&recorded.stdout) != output(&own.stdout) {
        found.push(first_difference("stdout", &recorded.stdout, &own.stdout));
    }
    if errors(&recorded.stderr) != errors(&own.stderr) {
        found.push(first_difference("stderr", &recorded.stderr, &own.stderr));
    }
    for (path, text) in &recorded.files {
        let other = own.files.get(path).cloned().flatten();
        match (text, &other) {
            (Some(text), Some(other)) if file(path, text) != file(path, other) => {
                found.push(first_difference(path, text, other));
            }
            (Some(_), None) => found.push(format!("{path}: recorded, but not written")),
            (None, Some(_)) => found.push(format!("{path}: written, but not recorded")),
            _ => {}
        }
    }
    found.extend(modes(item, outcome));
    found
}

/// Modes of the files that the command changed.
fn modes(item: &Item, outcome: &Outcome) -> Vec<String> {
    let changed = item.changed.iter().filter_map(|(path, file)| Some((path, file.as_ref()?)));
    changed
        .filter_map(|(path, file)| {
            let own = outcome.files.get(path)?.as_ref()?;
            (own.mode != file.mode).then(|| format!("{path}: recorded {}, replayed {}", file.mode, own.mode))
        })
        .collect()
}

/// Everything that a command left, as text.
struct Texts {
    stdout: String,
    stderr: String,
    files: BTreeMap<String, Option<String>>,
}

impl Texts {
    fn of(stdout: &[u8], stderr: &[u8], files: &Files) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let files = files
            .iter()
            .map(|(path, file)| (path.clone(), file.as_ref().map(|file| text(&file.content))))
            .collect();
        Self { stdout: text(stdout), stderr: text(stderr), files }
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        [&self.stdout, &self.stderr].into_iter().chain(self.files.values().flatten())
    }

    /// Random texts that were not there before the command, in the order of their first appearance.
    fn new_random(&self, known: &str) -> Vec<String> {
        let mut new: Vec<String> = Vec::new();
        for text in self.all() {
            for random in random(text) {
                if !known.contains(&random) && !new.contains(&random) {
                    new.push(random);
                }
            }
        }
        new
    }

    /// Puts the recorded random texts in the place of ours. The same id must stand wherever it stood in the recording.
    fn bind(&mut self, recorded: &Self, item: &Item) {
        let before = Self::of(&[], &[], &item.before);
        let known: Vec<&str> = before.all().chain(&item.argv).map(String::as_str).collect();
        let known = known.join("\n");
        let pairs: Vec<(String, String)> =
            self.new_random(&known).into_iter().zip(recorded.new_random(&known)).collect();
        let replace = |text: &mut String| {
            for (own, recorded) in pairs.iter().filter(|(own, recorded)| own.len() == recorded.len()) {
                *text = text.replace(own, recorded);
            }
        };
        replace(&mut self.stdout);
        replace(&mut self.stderr);
        self.files.values_mut().flatten().for_each(replace);
    }
}

/// Ids, recovery keys and their hashes, salts, password hashes, signatures.
fn random(text: &str) -> Vec<String> {
    static RANDOM: OnceLock<Regex> = OnceLock::new();
    const EXPRESSION: &str = concat!(
        r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
        r"|\b[0-9a-f]{4}(?:-[0-9a-f]{4}){3}\b",
        r"|\b[0-9a-f]{64}\b",
        r#"|"secret":"[0-9a-f]{16}""#,
        r"|\$5\$[./0-9A-Za-z]{8}\$[./0-9A-Za-z]{43}",
        r"|::[A-Za-z0-9+/]{342}==",
        r#"|:[A-Za-z0-9+/]{43}""#,
    );
    let expression = RANDOM.get_or_init(|| Regex::new(EXPRESSION).expect("an expression"));
    expression.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

/// Lists that Perl or Rust keep in a hash: their order is another one in every process (pve-observed 3.1).
fn is_in_random_order(argv: &[String]) -> bool {
    const COMMANDS: [&str; 5] = ["acl", "group", "realm", "role", "token"];
    const PATHS: [&str; 6] =
        ["/access/acl", "/access/domains", "/access/groups", "/access/roles", "/access/tfa", "/pools"];
    argv.windows(2).any(|pair| COMMANDS.contains(&pair[0].as_str()) && pair[1] == "list")
        || argv.iter().any(|word| PATHS.contains(&word.as_str()))
}

fn as_it_is(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

/// JSON with the entries of its list in a fixed order, or the lines of a table in one.
fn as_set(text: &str) -> Vec<String> {
    match serde_json::from_str::<Vec<Value>>(text) {
        Ok(values) => {
            let mut entries: Vec<String> = values.iter().map(Value::to_string).collect();
            entries.sort_unstable();
            entries.push(format!("{} bytes", text.len()));
            entries
        }
        Err(_) => lines_as_set(text),
    }
}

fn lines_as_set(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Standard error without what `time` and the recorder's machine printed. The order of refused parameters is random,
/// as is that of the fields of one rule, and a thread's number.
pub fn errors(text: &str) -> Vec<String> {
    const MACHINE: [&str; 5] = [
        "# Warning: iptables-legacy tables present",
        "Compilation failed in require",
        "BEGIN failed--compilation aborted",
        "trying to acquire lock...",
        " OK",
    ];
    static THREAD: OnceLock<Regex> = OnceLock::new();
    static CLOCK: OnceLock<Regex> = OnceLock::new();
    let thread = THREAD.get_or_init(|| Regex::new(r"^thread '<unnamed>' \(\d+\)").expect("an expression"));
    let clock = CLOCK.get_or_init(|| Regex::new(r"^(?:real|user|sys)\t\d+m[\d.]+s$").expect("an expression"));
    let timed = text.lines().any(|line| clock.is_match(line));
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| !timed || !(clock.is_match(line) || line.is_empty()))
        .filter(|line| !MACHINE.iter().any(|machine| line.starts_with(machine)))
        .map(|line| thread.replace(line, "thread").into_owned())
        .collect();
    if text.contains("400 Parameter verification failed.") {
        lines.sort_unstable();
    }
    for fields in lines.chunk_by_mut(|one, other| one.starts_with("  ") && other.starts_with("  ")) {
        fields.sort_unstable();
    }
    lines
}

/// A file: users in tfa.cfg, sections of domains.cfg, lines of the two secret files and options of the firewall's files
/// come in a random order.
fn file(path: &str, text: &str) -> Vec<String> {
    match path {
        "/etc/pve/priv/tfa.cfg" => factors(text).unwrap_or_else(|| vec![text.to_owned()]),
        "/etc/pve/domains.cfg" => {
            let mut sections: Vec<String> = text.split("\n\n").map(str::to_owned).collect();
            sections.sort_unstable();
            sections
        }
        "/etc/pve/priv/token.cfg" | "/etc/pve/priv/shadow.cfg" => lines_as_set(text),
        _ if path.ends_with(".fw") => sorted_options(text),
        _ => vec![text.to_owned()],
    }
}

/// The lines of a firewall file, those of its options sorted.
fn sorted_options(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    for section in lines.split_mut(String::is_empty) {
        if section.iter().all(|line| line.contains(": ") && !line.starts_with('[')) {
            section.sort_unstable();
        }
    }
    lines
}

/// The users of tfa.cfg, each as the bytes that stand in the file.
fn factors(text: &str) -> Option<Vec<String>> {
    let parts: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).ok()?;
    let mut found = vec![format!("{} bytes", text.len())];
    for (name, part) in parts {
        match serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(part.get()) {
            Ok(users) if name == "users" => {
                found.extend(users.iter().map(|(user, factors)| format!("{user} {}", factors.get())));
            }
            _ => found.push(format!("{name} {}", part.get())),
        }
    }
    Some(found)
}

/// The first line that differs.
pub fn first_difference(what: &str, recorded: &str, own: &str) -> String {
    let at = recorded.lines().zip(own.lines()).position(|(one, other)| one != other);
    let at = at.unwrap_or_else(|| recorded.lines().count().min(own.lines().count()));
    let line = |text: &str| text.lines().nth(at).unwrap_or("(end)").to_owned();
    format!("{what}, line {}:\n      recorded {:?}\n      replayed {:?}", at + 1, line(recorded), line(own))
}
