//! Transcript 34: one firewall file, and 81 lines put into it one after the other.

use std::collections::BTreeMap;

use super::compare;
use super::node::Node;
use super::transcript::{File, Files, Item};

const PATH: &str = "/etc/pve/firewall/cluster.fw";

/// The file, with one line put in.
fn file(section: &str, line: &str) -> String {
    let at = |name: &str| if section == name { format!("{line}\n") } else { String::new() };
    let (options, aliases, set) = (at("OPTIONS"), at("ALIASES"), at("IPSET ok"));
    let (rules, end) = (at("RULES"), at("end of file"));
    format!(
        "[OPTIONS]\nenable: 1\n{options}[ALIASES]\ngood 10.0.0.0/8\n{aliases}[IPSET ok]\n10.0.0.0/24\n{set}[RULES]\n\
         {rules}IN ACCEPT -p tcp -dport 2222\n{end}"
    )
}

/// What of the output the recorder kept.
fn interesting(output: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(output).into_owned();
    let kept = text.split_inclusive('\n').filter(|line| {
        let line = line.trim_end();
        line.starts_with("\tadd PVEFW")
            || line.contains("-A PVEFW-HOST-IN")
            || line.ends_with(" changes")
            || line == "firewall disabled"
    });
    kept.collect::<String>().into_bytes()
}

/// One case as a recorded command.
fn item(case: &str) -> Option<Item> {
    let (title, rest) = case.split_once('\n')?;
    let (number, what) = title.split_once("] section ")?;
    let (section, line) = what.split_once(": '")?;
    let content = file(section, &line.strip_suffix('\'')?.replace("\\n", "\n")).into_bytes();
    let (head, lines) = rest.split_once("--- compile lines of interest\n")?;
    let (exit, stderr) = head.split_once("\n--- stderr\n")?;
    let lines: String = lines.split_inclusive('\n').filter(|line| *line != "\n").collect();
    let files: Files =
        BTreeMap::from([(PATH.to_owned(), Some(File { mode: "-rw-r-----".to_owned(), content }))]);
    Some(Item {
        number: number.parse().ok()?,
        argv: vec!["pve-firewall".to_owned(), "compile".to_owned()],
        input: String::new(),
        exit: exit.strip_prefix("exit: ")?.parse().ok()?,
        wall: 0,
        stdout: lines.into_bytes(),
        stderr: stderr.as_bytes().to_vec(),
        changed: Files::new(),
        before: files.clone(),
        after: files,
    })
}

/// Replays all cases: how many there are, and what is wrong with each that is not equal.
pub fn replay(text: &str) -> (usize, Vec<String>) {
    let mut node = Node::new(&Files::new());
    let (mut cases, mut wrong) = (0, Vec::new());
    for case in text.split("\n=== [").skip(1) {
        let item = item(case).unwrap_or_else(|| panic!("the catalogue: {case}"));
        node.restore(&item.after);
        let mut outcome = node.replay(&item, 0).expect("a command of ours");
        outcome.stdout = interesting(&outcome.stdout);
        let found = compare::differences(&item, &outcome);
        cases += 1;
        if !found.is_empty() {
            wrong.push(format!("34-fw-error-catalogue [{}]\n    {}", item.number, found.join("\n    ")));
        }
    }
    (cases, wrong)
}
