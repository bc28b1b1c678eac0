//! From byte offsets to lines and columns, and back from a key to its place.

use super::write::dotted;
use toml::de::{DeTable, DeValue};

/// Tables of an answer are not nested deeper; what is deeper has been refused.
const DEEPEST: usize = 4;

/// Counts lines and columns (in characters, from 1) while offsets rise, so that thousands of places cost
/// one walk over the text.
pub(super) struct Cursor<'a> {
    text: &'a str,
    offset: usize,
    line: usize,
    column: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, offset: 0, line: 1, column: 1 }
    }

    /// Line and column of `offset`.
    pub(super) fn at(&mut self, offset: usize) -> (usize, usize) {
        if offset < self.offset {
            *self = Self::new(self.text);
        }
        for character in self.text.get(self.offset..).unwrap_or_default().chars() {
            if self.offset >= offset {
                break;
            }
            self.offset += character.len_utf8();
            self.column += 1;
            if character == '\n' {
                self.line += 1;
                self.column = 1;
            }
        }
        (self.line, self.column)
    }
}

/// Where a key stands.
pub(super) struct Place {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// `items` by their place, those of one place in the order they came in.
///
/// Every type that is sorted would bring 4 KiB of code for it: only pairs of numbers are.
pub(super) fn in_order<T>(items: Vec<T>, place: &dyn Fn(&T) -> usize) -> Vec<T> {
    let mut order: Vec<(usize, usize)> =
        items.iter().enumerate().map(|(index, item)| (place(item), index)).collect();
    order.sort_unstable();
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    order.iter().filter_map(|&(_, index)| items.get_mut(index)?.take()).collect()
}

/// The places of every key and table header of a document.
pub(super) fn places(text: &str, table: &DeTable<'_>) -> Vec<Place> {
    let mut found = Vec::new();
    collect(table, "", DEEPEST, &mut found);
    let found = in_order(found, &|(offset, _)| *offset);
    let mut cursor = Cursor::new(text);
    let place = |(offset, key)| {
        let (line, column) = cursor.at(offset);
        Place { key, line, column }
    };
    found.into_iter().map(place).collect()
}

fn collect(table: &DeTable<'_>, path: &str, deeper: usize, found: &mut Vec<(usize, String)>) {
    for (key, value) in table {
        let path = dotted(path, key.get_ref());
        // A table's value starts at its header, every other one behind its key.
        let offset = key.span().start.min(value.span().start);
        if let (DeValue::Table(inner), 1..) = (value.get_ref(), deeper) {
            collect(inner, &path, deeper - 1, found);
        }
        found.push((offset, path));
    }
}
