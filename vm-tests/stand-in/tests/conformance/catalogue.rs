//! Transcript 34: one bad line at a time in cluster.fw, and what `pve-firewall compile` said to each.

use super::compare;
use super::node::Node;
use super::transcript::Files;

/// One bad line.
pub struct Case {
    /// Its number.
    pub number: usize,
    file: String,
    exit: i32,
    stderr: String,
    lines: String,
}

/// All of them.
pub fn read(text: &str) -> Vec<Case> {
    text.split("\n=== [").skip(1).map(case).collect()
}

fn case(text: &str) -> Case {
    let (title, rest) = text.split_once('\n').expect("a title");
    let (number, _) = title.split_once(']').expect("a number");
    let (_, what) = title.split_once("section ").expect("a section");
    let (section, line) = what.split_once(": '").expect("a line");
    let line = line.strip_suffix('\'').expect("its end").replace("\\n", "\n");
    let (head, lines) = rest.split_once("--- compile lines of interest\n").expect("lines");
    let (exit, stderr) = head.split_once("\n--- stderr\n").expect("stderr");
    Case {
        number: number.parse().expect("a number"),
        file: file(section, &line),
        exit: exit.trim_start_matches("exit: ").parse().expect("a status"),
        stderr: stderr.to_owned(),
        lines: lines.trim_end_matches('\n').to_owned(),
    }
}

/// The file of the recording with the line in its section.
fn file(section: &str, line: &str) -> String {
    let at = |name: &str| if section == name { format!("{line}\n") } else { String::new() };
    let parts = [
        ("[OPTIONS]\nenable: 1\n", "OPTIONS"),
        ("[ALIASES]\ngood 10.0.0.0/8\n", "ALIASES"),
        ("[IPSET ok]\n10.0.0.0/24\n", "IPSET ok"),
        ("[RULES]\n", "RULES"),
        ("IN ACCEPT -p tcp -dport 2222\n", "end of file"),
    ];
    parts.iter().map(|(text, name)| format!("{text}{}", at(name))).collect()
}

impl Case {
    /// How the replay differs; nothing if it does not.
    pub fn differences(&self) -> Vec<String> {
        let node = Node::new(&Files::new());
        let (status, stdout, stderr) = node.compile(&self.file);
        let stdout = String::from_utf8_lossy(&stdout).into_owned();
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        let lines: Vec<&str> = stdout.lines().filter(|line| is_of_interest(line)).collect();
        let lines = lines.join("\n");
        let mut found = Vec::new();
        if (self.exit == 0) != (status == 0) {
            found.push(format!("status: recorded {}, replayed {status}", self.exit));
        }
        if compare::errors(&self.stderr) != compare::errors(&stderr) {
            found.push(compare::first_difference("stderr", &self.stderr, &stderr));
        }
        if self.lines != lines {
            found.push(compare::first_difference("lines", &self.lines, &lines));
        }
        found
    }
}

/// What the recorder kept of the output.
fn is_of_interest(line: &str) -> bool {
    line.starts_with("\tadd PVEFW")
        || line.contains("-A PVEFW-HOST-IN")
        || line.ends_with("changes")
        || line == "firewall disabled"
}
