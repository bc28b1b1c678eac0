//! Unified diffs of two contents, line by line.
//!
//! Lines that occur once on both sides are matched first (the longest run of them that keeps its order), then
//! what lies between: short gaps exactly, long ones without unique lines as replaced. So the diff is not always
//! the shortest, but its cost stays near n·log n, and configuration files read well that way.

use crate::report::terminal::visible;
use std::ops::Range;

/// Lines of context around a change.
const CONTEXT: usize = 3;
/// Cells of the exact comparison of a gap; above it the gap counts as replaced.
const CELLS: usize = 1 << 20;

/// One line of a diff, ready to be shown.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Line {
    /// What it is.
    pub kind: Kind,
    /// The text with its mark in front, control characters made visible.
    pub text: String,
}

/// What a line of a diff is.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Kind {
    /// `---` and `+++`.
    Header,
    /// `@@ … @@`.
    Place,
    /// On both sides.
    Same,
    /// Only before.
    Removed,
    /// Only afterwards.
    Added,
    /// About the line above it.
    Note,
}

/// The diff of a file; `None` for `before` is a new file. Empty when nothing differs.
pub fn unified(path: &str, before: Option<&[u8]>, after: &[u8]) -> Vec<Line> {
    let old: Vec<&[u8]> = before.unwrap_or_default().split_inclusive(|&byte| byte == b'\n').collect();
    let new: Vec<&[u8]> = after.split_inclusive(|&byte| byte == b'\n').collect();
    let edits = edits(&old, &new);
    let mut lines = Vec::new();
    for hunk in hunks(&edits) {
        if lines.is_empty() {
            let from = if before.is_some() { visible(path) } else { "/dev/null".to_owned() };
            lines.push(Line { kind: Kind::Header, text: format!("--- {from}") });
            lines.push(Line { kind: Kind::Header, text: format!("+++ {}", visible(path)) });
        }
        show(edits.get(hunk).unwrap_or_default(), &old, &new, &mut lines);
    }
    lines
}

/// Whether a content is text that can be shown.
pub fn is_text(content: &[u8]) -> bool {
    !content.contains(&0) && std::str::from_utf8(content).is_ok()
}

/// A line of the comparison, with its place on the sides where it stands.
#[derive(Clone, Copy)]
enum Edit {
    Same(usize, usize),
    Removed(usize, usize),
    Added(usize, usize),
}

impl Edit {
    /// Places on both sides: of the line, or where it would stand.
    fn places(self) -> (usize, usize) {
        match self {
            Self::Same(old, new) | Self::Removed(old, new) | Self::Added(old, new) => (old, new),
        }
    }
}

fn edits(old: &[&[u8]], new: &[&[u8]]) -> Vec<Edit> {
    let mut pairs = Vec::new();
    matches(old, new, (0, 0), &mut pairs);
    pairs.push((old.len(), new.len()));
    let mut edits = Vec::new();
    let (mut at_old, mut at_new) = (0, 0);
    for (pair_old, pair_new) in pairs {
        edits.extend((at_old..pair_old).map(|place| Edit::Removed(place, at_new)));
        edits.extend((at_new..pair_new).map(|place| Edit::Added(pair_old, place)));
        if pair_old < old.len() {
            edits.push(Edit::Same(pair_old, pair_new));
        }
        (at_old, at_new) = (pair_old + 1, pair_new + 1);
    }
    edits
}

/// Pairs of equal lines, ascending on both sides; `base` is where the slices lie in the whole.
fn matches(old: &[&[u8]], new: &[&[u8]], base: (usize, usize), pairs: &mut Vec<(usize, usize)>) {
    let head = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    pairs.extend((0..head).map(|place| (base.0 + place, base.1 + place)));
    let (old_rest, new_rest) = (old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| old == new).count();
    let old_middle = old_rest.get(..old_rest.len() - tail).unwrap_or_default();
    let new_middle = new_rest.get(..new_rest.len() - tail).unwrap_or_default();
    between(old_middle, new_middle, (base.0 + head, base.1 + head), pairs);
    let (old_tail, new_tail) = (old.len() - tail, new.len() - tail);
    pairs.extend((0..tail).map(|place| (base.0 + old_tail + place, base.1 + new_tail + place)));
}

/// What is left between equal ends.
fn between(old: &[&[u8]], new: &[&[u8]], base: (usize, usize), pairs: &mut Vec<(usize, usize)>) {
    if old.is_empty() || new.is_empty() {
        return;
    }
    let anchors = ascending(&unique(old, new));
    if anchors.is_empty() {
        if old.len().saturating_mul(new.len()) <= CELLS {
            exact(old, new, base, pairs);
        }
        return;
    }
    let (mut at_old, mut at_new) = (0, 0);
    for (anchor_old, anchor_new) in anchors.into_iter().chain([(old.len(), new.len())]) {
        let gap_old = old.get(at_old..anchor_old).unwrap_or_default();
        let gap_new = new.get(at_new..anchor_new).unwrap_or_default();
        matches(gap_old, gap_new, (base.0 + at_old, base.1 + at_new), pairs);
        if anchor_old < old.len() {
            pairs.push((base.0 + anchor_old, base.1 + anchor_new));
        }
        (at_old, at_new) = (anchor_old + 1, anchor_new + 1);
    }
}

/// Lines that stand exactly once on both sides, in the order of the old one.
fn unique(old: &[&[u8]], new: &[&[u8]]) -> Vec<(usize, usize)> {
    // Equal lines come together, the old side's first.
    let mut lines: Vec<(&[u8], bool, usize)> = Vec::with_capacity(old.len() + new.len());
    for (is_new, side) in [(false, old), (true, new)] {
        lines.extend(side.iter().enumerate().map(|(place, line)| (*line, is_new, place)));
    }
    lines.sort_unstable();
    let once = |same: &[(&[u8], bool, usize)]| match same {
        [(_, false, old), (_, true, new)] => Some((*old, *new)),
        _ => None,
    };
    let mut pairs: Vec<(usize, usize)> =
        lines.chunk_by(|one, other| one.0 == other.0).filter_map(once).collect();
    pairs.sort_unstable();
    pairs
}

/// The longest part of `pairs` that ascends on the new side too (patience sorting).
fn ascending(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut tops: Vec<usize> = Vec::new();
    let mut previous: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    let new_side = |place: usize| pairs.get(place).map(|pair| pair.1);
    for (place, pair) in pairs.iter().enumerate() {
        let pile = tops.partition_point(|&top| new_side(top) < Some(pair.1));
        previous.push(pile.checked_sub(1).and_then(|below| tops.get(below).copied()));
        match tops.get_mut(pile) {
            Some(top) => *top = place,
            None => tops.push(place),
        }
    }
    let mut chain = Vec::with_capacity(tops.len());
    let mut at = tops.last().copied();
    while let Some(place) = at {
        chain.extend(pairs.get(place).copied());
        at = previous.get(place).copied().flatten();
    }
    chain.reverse();
    chain
}

/// The longest common subsequence of a short gap, by its table.
fn exact(old: &[&[u8]], new: &[&[u8]], base: (usize, usize), pairs: &mut Vec<(usize, usize)>) {
    let width = new.len() + 1;
    let mut table = vec![0_u32; (old.len() + 1) * width];
    let cell =
        |table: &[u32], row: usize, column: usize| table.get(row * width + column).copied().unwrap_or(0);
    for (row, line) in old.iter().enumerate().rev() {
        for (column, other) in new.iter().enumerate().rev() {
            let best = if line == other {
                cell(&table, row + 1, column + 1) + 1
            } else {
                cell(&table, row + 1, column).max(cell(&table, row, column + 1))
            };
            if let Some(slot) = table.get_mut(row * width + column) {
                *slot = best;
            }
        }
    }
    let (mut row, mut column) = (0, 0);
    while let (Some(line), Some(other)) = (old.get(row), new.get(column)) {
        if line == other {
            pairs.push((base.0 + row, base.1 + column));
            (row, column) = (row + 1, column + 1);
        } else if cell(&table, row + 1, column) >= cell(&table, row, column + 1) {
            row += 1;
        } else {
            column += 1;
        }
    }
}

/// Changes with their context; changes whose contexts touch share a hunk.
fn hunks(edits: &[Edit]) -> Vec<Range<usize>> {
    let mut hunks: Vec<Range<usize>> = Vec::new();
    for (place, edit) in edits.iter().enumerate() {
        if matches!(edit, Edit::Same(..)) {
            continue;
        }
        let (start, end) = (place.saturating_sub(CONTEXT), (place + 1 + CONTEXT).min(edits.len()));
        match hunks.last_mut() {
            Some(last) if start <= last.end => last.end = end,
            _ => hunks.push(start..end),
        }
    }
    hunks
}

fn show(edits: &[Edit], old: &[&[u8]], new: &[&[u8]], lines: &mut Vec<Line>) {
    let (old_start, new_start) = edits.first().map_or((0, 0), |edit| edit.places());
    let added = edits.iter().filter(|edit| matches!(edit, Edit::Added(..))).count();
    let removed = edits.iter().filter(|edit| matches!(edit, Edit::Removed(..))).count();
    let place = format!(
        "@@ -{} +{} @@",
        place(old_start, edits.len() - added),
        place(new_start, edits.len() - removed)
    );
    lines.push(Line { kind: Kind::Place, text: place });
    for edit in edits {
        let (kind, mark, content) = match *edit {
            Edit::Same(old_place, _) => (Kind::Same, ' ', old.get(old_place)),
            Edit::Removed(old_place, _) => (Kind::Removed, '-', old.get(old_place)),
            Edit::Added(_, new_place) => (Kind::Added, '+', new.get(new_place)),
        };
        let content = String::from_utf8_lossy(content.copied().unwrap_or_default());
        let line = content.strip_suffix('\n');
        lines.push(Line { kind, text: format!("{mark}{}", visible(line.unwrap_or(&content))) });
        if line.is_none() {
            lines.push(Line { kind: Kind::Note, text: "\\ No newline at end of file".to_owned() });
        }
    }
}

/// `START,COUNT` as `diff -u` writes it: from 1, `,1` left out, and an empty side names the line before it.
fn place(start: usize, count: usize) -> String {
    match count {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        _ => format!("{},{count}", start + 1),
    }
}

#[cfg(test)]
#[path = "diff/tests.rs"]
mod tests;
