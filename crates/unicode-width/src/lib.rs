//! Stands in the place of the crate of this name, whose tables of widths are 9 KB of the product's 960.
//!
//! dialoguer brings console with those tables, and no feature leaves them out. The bars that console measures hold text
//! of ours alone, a column a character; what the product lays out itself, it measures itself.

/// Width of a character.
pub trait UnicodeWidthChar {
    /// Columns; `None` for a control character.
    fn width(self) -> Option<usize>;
}

impl UnicodeWidthChar for char {
    fn width(self) -> Option<usize> {
        (!self.is_control()).then_some(1)
    }
}

/// Width of a text.
pub trait UnicodeWidthStr {
    /// Columns.
    fn width(&self) -> usize;
}

impl UnicodeWidthStr for str {
    fn width(&self) -> usize {
        self.chars().count()
    }
}

#[cfg(test)]
mod tests {
    use super::{UnicodeWidthChar, UnicodeWidthStr};

    #[test]
    fn a_character_is_a_column_and_a_control_character_none() {
        assert_eq!((UnicodeWidthChar::width('ä'), UnicodeWidthChar::width('\n')), (Some(1), None));
        assert_eq!(UnicodeWidthStr::width("⠋ fünf"), 6);
    }
}
