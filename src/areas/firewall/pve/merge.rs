//! What others wrote into a firewall file is kept: their sections, entries and rules, behind ours.

use super::text::{HEAD, MARK};

/// A section; the lines before the first one are a section without a header.
struct Section<'a> {
    header: &'a str,
    lines: Vec<&'a str>,
}

/// The place of rules in the file.
const RULES: usize = 4;

impl Section<'_> {
    /// `options`, `ipset management`: PVE knows headers by that, whatever their case.
    fn name(&self) -> String {
        let inside = self.header.trim_start_matches('[').split(']').next().unwrap_or_default();
        let mut name = String::new();
        for word in inside.split_whitespace() {
            if !name.is_empty() {
                name.push(' ');
            }
            name.push_str(word);
        }
        name.make_ascii_lowercase();
        name
    }

    /// PVE's own order. What a rule refers to must stand in front of it.
    fn rank(&self) -> usize {
        let name = self.name();
        let first = name.split(' ').next().unwrap_or_default();
        let kinds = ["", "options", "aliases", "ipset", "rules", "group"];
        kinds.iter().position(|known| *known == first).unwrap_or(kinds.len())
    }
}

/// The whole text from ours and what `before` holds of others.
pub fn merge(ours: &str, before: &str) -> String {
    let mut sections = sections(ours, false);
    for theirs in foreign(before) {
        let (name, rank) = (theirs.name(), theirs.rank());
        match sections.iter_mut().find(|section| section.name() == name) {
            None => sections.push(theirs),
            Some(own) => {
                let count = own.lines.len();
                for line in theirs.lines {
                    let same = |known: &&str| key(known, rank).eq_ignore_ascii_case(key(line, rank));
                    if !own.lines.iter().take(count).any(same) {
                        own.lines.push(line);
                    }
                }
            }
        }
    }
    let mut text = String::new();
    for rank in 0..=6 {
        for section in &sections {
            if section.rank() != rank || rank == RULES && section.lines.is_empty() {
                continue;
            }
            if rank > 0 {
                text.push('\n');
                text.push_str(section.header);
                text.push('\n');
            }
            for line in &section.lines {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

/// What two lines of a section must not share: the option, the alias, the address; a rule is known as a whole.
fn key(line: &str, rank: usize) -> &str {
    let end = match rank {
        1 => line.find(':'),
        2 | 3 => line.find(' '),
        _ => None,
    };
    end.and_then(|end| line.get(..end)).unwrap_or(line)
}

fn is_ours(line: &str) -> bool {
    line == HEAD || line.contains(MARK)
}

/// Without blank lines, and without lines of ours where only those of others are wanted.
fn sections(text: &str, others: bool) -> Vec<Section<'_>> {
    let mut sections = vec![Section { header: "", lines: Vec::new() }];
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') && line.contains(']') {
            sections.push(Section { header: line, lines: Vec::new() });
            continue;
        }
        let wanted = !(line.is_empty() || others && is_ours(line));
        if let Some(section) = sections.last_mut().filter(|_| wanted) {
            section.lines.push(line);
        }
    }
    sections
}

/// What others wrote, each section once, as PVE reads it: a second one of a set or a group takes the place of the first;
/// others go on where the first one ended, so that the last value of an option or an alias counts.
fn foreign(text: &str) -> Vec<Section<'_>> {
    let mut found: Vec<Section<'_>> = Vec::new();
    for mut section in sections(text, true) {
        let name = section.name();
        if matches!(section.rank(), 3 | 5) {
            found.retain(|other| other.name() != name);
        } else if let Some(first) = found.iter_mut().find(|other| other.name() == name) {
            first.lines.append(&mut section.lines);
            continue;
        }
        if !section.lines.is_empty() || !section.header.is_empty() && !is_ours(section.header) {
            found.push(section);
        }
    }
    found
}

/// Lines of others in the section of this name.
pub fn foreign_lines<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let mut lines = Vec::new();
    for section in foreign(text) {
        if section.name() == name {
            lines.extend(section.lines);
        }
    }
    lines
}
