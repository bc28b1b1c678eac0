//! What a terminal shows, as a picture, and what a reader of QR codes sees in it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::command::{command, output};
use crate::host;

/// Pixels of a character.
const CELL: (usize, usize) = (8, 16);

/// One character with its colours; None where the terminal's own are left.
#[derive(Clone, Copy)]
struct Cell {
    sign: char,
    /// Whether it is light.
    fore: Option<bool>,
    back: Option<bool>,
}

const EMPTY: Cell = Cell { sign: ' ', fore: None, back: None };

/// A terminal so high that nothing of it scrolls away.
pub struct Terminal {
    columns: usize,
    rows: Vec<Vec<Cell>>,
}

impl Terminal {
    /// A terminal that was written to: colours, line ends, and signs. Everything else of ECMA-48 is passed over.
    pub fn after(bytes: &[u8], columns: usize) -> Self {
        let mut terminal = Self { columns, rows: vec![Vec::new()] };
        let text = String::from_utf8_lossy(bytes);
        let (mut column, mut pen) = (0, EMPTY);
        let mut signs = text.chars();
        while let Some(sign) = signs.next() {
            match sign {
                '\x1b' => sequence(&mut signs, &mut pen),
                '\n' => {
                    // A file has no carriage returns.
                    terminal.rows.push(Vec::new());
                    column = 0;
                }
                '\r' => column = 0,
                sign if sign.is_control() => {}
                sign => {
                    if column == columns {
                        terminal.rows.push(Vec::new());
                        column = 0;
                    }
                    terminal.put(column, Cell { sign, ..pen });
                    column += 1;
                }
            }
        }
        terminal
    }

    fn put(&mut self, column: usize, cell: Cell) {
        let Some(row) = self.rows.last_mut() else { return };
        row.resize(row.len().max(column + 1), EMPTY);
        if let Some(place) = row.get_mut(column) {
            *place = cell;
        }
    }

    /// How many modules the widest code has in a row, without the light edge of four on each side: half blocks and
    /// colours of their own, or blocks without.
    pub fn widest_code(&self) -> usize {
        let drawn = |cell: &&Cell| (cell.back.is_some()) || "█▀▄".contains(cell.sign);
        let width = |row: &Vec<Cell>| row.iter().take_while(drawn).count();
        self.rows.iter().map(width).max().unwrap_or_default().saturating_sub(8)
    }

    /// The characters alone.
    #[cfg(test)]
    fn text(&self) -> String {
        let line = |row: &Vec<Cell>| row.iter().map(|cell| cell.sign).collect::<String>();
        self.rows.iter().map(|row| line(row).trim_end().to_owned() + "\n").collect()
    }

    /// A picture (PGM) of it: blocks as they are, any other sign as a mark that no code looks like.
    pub fn save(&self, path: &Path) -> Result<()> {
        let (width, height) = (self.columns * CELL.0, self.rows.len() * CELL.1);
        let mut image = format!("P5\n{width} {height}\n255\n").into_bytes();
        for row in &self.rows {
            for y in 0..CELL.1 {
                for column in 0..self.columns {
                    let cell = row.get(column).copied().unwrap_or(EMPTY);
                    image.extend((0..CELL.0).map(|x| if is_light(cell, x, y) { 255 } else { 0 }));
                }
            }
        }
        fs::write(path, image).with_context(|| format!("writing {}", path.display()))
    }
}

fn is_light(cell: Cell, x: usize, y: usize) -> bool {
    let (fore, back) = (cell.fore.unwrap_or(true), cell.back.unwrap_or(false));
    let upper = y < CELL.1 / 2;
    let painted = match cell.sign {
        ' ' => false,
        '█' => true,
        '▀' => upper,
        '▄' => !upper,
        _ => (2..6).contains(&x) && (5..11).contains(&y),
    };
    if painted { fore } else { back }
}

/// A control sequence, of which colours are kept.
fn sequence(signs: &mut std::str::Chars<'_>, pen: &mut Cell) {
    if signs.next() != Some('[') {
        return;
    }
    let mut parameters = String::new();
    for sign in signs {
        match sign {
            'm' => return parameters.split(';').for_each(|code| colour(code, pen)),
            '@'..='~' => return,
            sign => parameters.push(sign),
        }
    }
}

fn colour(code: &str, pen: &mut Cell) {
    match code {
        "30" => pen.fore = Some(false),
        "37" => pen.fore = Some(true),
        "40" => pen.back = Some(false),
        "47" => pen.back = Some(true),
        _ => *pen = EMPTY,
    }
}

/// What zbar reads in a picture: every code once, sorted.
pub fn codes(path: &Path) -> Result<Vec<String>> {
    host::install_for_tests(&["zbarimg"])?;
    let mut zbarimg = command("zbarimg", ["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"]);
    let done = zbarimg.arg(path).output().context("running zbarimg")?;
    // 4: it sees no code, which is for the caller to judge.
    ensure!(
        matches!(done.status.code(), Some(0 | 4)),
        "zbarimg {}: {}",
        path.display(),
        String::from_utf8_lossy(&done.stderr)
    );
    let mut codes: Vec<String> = String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect();
    codes.sort();
    codes.dedup();
    Ok(codes)
}

/// The code of a TOTP secret at a time, by another program than ours.
pub fn code_of(uri: &str, seconds: u64) -> Result<String> {
    host::install_for_tests(&["oathtool"])?;
    let secret = secret_of(uri)?;
    let code =
        output(&mut command("oathtool", ["--totp", "--base32", &format!("--now=@{seconds}"), secret]))?;
    Ok(code.trim().to_owned())
}

/// The secret of an `otpauth` URI.
pub fn secret_of(uri: &str) -> Result<&str> {
    let (_, rest) = uri.split_once("secret=").with_context(|| format!("no secret in {uri}"))?;
    Ok(rest.split('&').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_keeps_colours_and_line_ends_and_forgets_the_rest() {
        let terminal = Terminal::after(b"\x1b[2Jab\r\n\x1b[30;47m \xe2\x96\x80\x1b[0mx\rc", 80);
        assert_eq!(terminal.text(), "ab\nc▀x\n");
        let row = &terminal.rows[1];
        assert_eq!((row[1].fore, row[1].back), (Some(false), Some(true)));
        assert!(row[2].back.is_none());
        assert!(!is_light(row[1], 0, 0) && is_light(row[1], 0, 15));
    }

    #[test]
    fn a_line_ends_at_the_edge_of_the_terminal() {
        assert_eq!(Terminal::after(b"abcd\r\ne\nf", 3).text(), "abc\nd\ne\nf\n");
    }
}
