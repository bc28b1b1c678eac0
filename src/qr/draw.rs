//! A code as text. Half blocks need one sign that not every console font has; full blocks are blanks on two colours, which
//! every terminal has; plain text has neither colours nor anything to choose.

use super::Code;

/// Light modules around a code that scanners need.
const QUIET: usize = 4;

/// How a code is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Style {
    /// Two modules in a character, in colours of our own: 41 columns and 21 rows for version 4.
    Half,
    /// A module is two blanks: 82 columns and 41 rows for version 4.
    Full,
    /// Half blocks without colours, light on dark: for files.
    Plain,
}

impl Code {
    /// Columns that a drawing needs.
    pub fn columns(&self, style: Style) -> usize {
        (self.size + 2 * QUIET) * if style == Style::Full { 2 } else { 1 }
    }

    /// Rows that a drawing needs.
    pub fn rows(&self, style: Style) -> usize {
        let rows = self.size + 2 * QUIET;
        if style == Style::Full { rows } else { rows.div_ceil(2) }
    }

    /// The drawing, line by line.
    pub fn lines(&self, style: Style) -> Vec<String> {
        let side = self.size + 2 * QUIET;
        let light = |x: usize, y: usize| !self.is_dark(x.wrapping_sub(QUIET), y.wrapping_sub(QUIET));
        let step = if style == Style::Full { 1 } else { 2 };
        let line = |y: usize| {
            let mut line = String::new();
            for x in 0..side {
                // Below the last row there is the terminal, whatever its colour.
                line.push_str(match (style, light(x, y), y + 1 < side && light(x, y + 1)) {
                    (Style::Full, true, _) => "\x1b[47m  ",
                    (Style::Full, false, _) => "\x1b[40m  ",
                    (Style::Half, true, true) => "\x1b[30;47m ",
                    (Style::Half, false, true) => "\x1b[30;47m▀",
                    (Style::Half, true, false) => "\x1b[37;40m▀",
                    (Style::Half, false, false) => "\x1b[37;40m ",
                    (Style::Plain, true, true) => "█",
                    (Style::Plain, false, true) => "▄",
                    (Style::Plain, true, false) => "▀",
                    (Style::Plain, false, false) => " ",
                });
            }
            if style != Style::Plain {
                line.push_str("\x1b[0m");
            }
            line
        };
        (0..side).step_by(step).map(line).collect()
    }

    /// The drawing for a file.
    pub fn half_blocks(&self) -> String {
        self.lines(Style::Plain).join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qr::tests::{decoded_image, uri};

    /// What a terminal of one pixel a module shows, from the drawing alone.
    fn pixels(lines: &[String], style: Style) -> Vec<Vec<bool>> {
        let mut rows = Vec::new();
        for line in lines {
            let (mut upper, mut lower) = (Vec::new(), Vec::new());
            // Whether foreground and background are light; a terminal begins white on black.
            let (mut fore, mut back) = (true, false);
            let mut letters = line.chars();
            while let Some(letter) = letters.next() {
                match letter {
                    '\x1b' => {
                        let sequence: String =
                            letters.by_ref().skip(1).take_while(|letter| *letter != 'm').collect();
                        for code in sequence.split(';') {
                            match code {
                                "30" => fore = false,
                                "37" => fore = true,
                                "40" => back = false,
                                "47" => back = true,
                                _ => (fore, back) = (true, false),
                            }
                        }
                        continue;
                    }
                    '█' => (upper.push(fore), lower.push(fore)),
                    '▀' => (upper.push(fore), lower.push(back)),
                    '▄' => (upper.push(back), lower.push(fore)),
                    _ => (upper.push(back), lower.push(back)),
                };
            }
            if style == Style::Full {
                rows.push(upper.into_iter().step_by(2).collect());
            } else {
                rows.extend([upper, lower]);
            }
        }
        rows
    }

    #[test]
    fn c2_every_drawing_is_read_back_and_fits_where_it_says() {
        for length in [78, 106] {
            let text = uri(length);
            let code = Code::of(text.as_bytes()).unwrap();
            for style in [Style::Half, Style::Full, Style::Plain] {
                let lines = code.lines(style);
                assert_eq!(lines.len(), code.rows(style));
                assert_eq!(decoded_image(&pixels(&lines, style)), text, "{style:?}");
            }
        }
        let code = Code::of(uri(78).as_bytes()).unwrap();
        assert_eq!((code.columns(Style::Half), code.rows(Style::Half)), (41, 21));
        assert_eq!((code.columns(Style::Full), code.rows(Style::Full)), (82, 41));
        assert!(code.half_blocks().lines().all(|line| line.chars().count() == 41));
    }
}
