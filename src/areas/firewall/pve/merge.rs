//! What others wrote into a firewall file is kept: their sections, entries and rules, behind ours.

use super::text::is_ours;

/// The first line of a file that we wrote.
pub const HEAD: &str =
    "# firstlight: lines with this name in their comment are written anew, all others are kept";

/// A section; the lines before the first one are a section without a header.
pub struct Section {
    header: String,
    lines: Vec<String>,
}

impl Section {
    pub fn new(header: String, lines: Vec<String>) -> Self {
        Self { header, lines }
    }

    /// `options`, `ipset management`: PVE knows headers by that, whatever their case.
    fn name(&self) -> String {
        let inside = self.header.trim_start_matches('[').split(']').next().unwrap_or_default();
        inside.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase()
    }

    /// PVE's own order. What a rule refers to must stand in front of it.
    fn rank(&self) -> usize {
        let kind = self.name();
        let kinds = ["", "options", "aliases", "ipset", "rules", "group"];
        let first = kind.split(' ').next().unwrap_or_default();
        kinds.iter().position(|known| *known == first).unwrap_or(kinds.len())
    }
}

/// The whole text from our sections and what `before` holds of others.
pub fn merge(mut ours: Vec<Section>, before: &str) -> String {
    for theirs in foreign(before) {
        let name = theirs.name();
        match ours.iter_mut().find(|section| section.name() == name) {
            None => ours.push(theirs),
            Some(own) => {
                let key = |line: &str| match name.as_str() {
                    "options" => line.split(':').next().unwrap_or_default().to_ascii_lowercase(),
                    _ if theirs.rank() > 3 => line.to_owned(),
                    _ => line.split_whitespace().next().unwrap_or_default().to_ascii_lowercase(),
                };
                let known: Vec<String> = own.lines.iter().map(|line| key(line)).collect();
                own.lines.extend(theirs.lines.iter().filter(|line| !known.contains(&key(line))).cloned());
            }
        }
    }
    ours.sort_by_key(Section::rank);
    let mut text = format!("{HEAD}\n");
    for section in ours.iter().filter(|section| section.rank() != 4 || !section.lines.is_empty()) {
        if !section.header.is_empty() {
            text.push_str(&format!("\n{}\n", section.header));
        }
        section.lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    }
    text
}

/// The sections of others, without blank lines. A second section of a set takes the place of the first one, as PVE reads
/// it.
pub fn foreign(text: &str) -> Vec<Section> {
    let mut sections = vec![Section::new(String::new(), Vec::new())];
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('[') && line.contains(']') {
            let next = Section::new(line.to_owned(), Vec::new());
            let name = next.name();
            sections.retain(|section| !name.starts_with("ipset ") || section.name() != name);
            sections.push(next);
        } else if !is_ours(line)
            && let Some(section) = sections.last_mut()
        {
            section.lines.push(line.to_owned());
        }
    }
    sections.retain(|section| {
        !section.lines.is_empty() || !section.header.is_empty() && !is_ours(&section.header)
    });
    sections
}

/// Lines of others in the section of this name.
pub fn foreign_lines(text: &str, name: &str) -> Vec<String> {
    let sections = foreign(text).into_iter().filter(|section| section.name() == name);
    sections.flat_map(|section| section.lines).collect()
}
