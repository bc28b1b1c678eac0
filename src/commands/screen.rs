//! One-time secrets on a screen: the QR code at the left, what to type in at the right, 80 columns and 24 rows (design
//! 8). Never on the standard output of a unit: that is the journal.

use super::{Stop, engine};
use crate::factor::Shown;
use crate::node::{Invocation, Node, exists, read_text};
use crate::qr::{Code, Style};
use crate::report::terminal::{print, visible};
use crate::transaction::state::RUN_DIR;
use std::io::{IsTerminal, Write};
use std::path::Path;

const STTY: &str = "/usr/bin/stty";
const SETFONT: &str = "/usr/bin/setfont";
/// Debian's font with half blocks, for the usual cells of 16 rows. Others with them have 512 signs, for which VGA takes the bit
/// that makes a colour bright, and QEMU draws both.
const FONT_PATH: &str = "/usr/share/consolefonts/CyrKoi-VGA16.psf.gz";
/// The font that a screen had before ours.
const FORMER_PATH: &str = "/run/firstlight/font";
/// `▀`, as setfont writes it.
const HALF_BLOCK: &str = "U+2580";
const CONSOLES_PATH: &str = "/sys/class/tty/console/active";
/// Room for what stands beside the code, or below it.
const WORDS_COLUMNS: usize = 39;
const WORDS_ROWS: usize = 20;
/// Longest line that is read.
const LINE: u64 = 64;
/// The first of the kernel's own screens.
const FIRST: &str = "/dev/tty1";
const WHITE: &str = "\x1b[0m";

/// A terminal to show something on.
struct Terminal<'a> {
    node: &'a dyn Node,
    /// Its device.
    device: &'a str,
    /// Whether it is one of the kernel's own screens, whose fonts have few signs.
    screen: bool,
}

/// Standard output must be somebody's terminal.
pub fn needs_terminal() -> Result<(), Stop> {
    if std::io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Stop::refusal("it shows secrets, and standard output is no terminal"))
}

/// Shows them on this terminal.
pub fn show(node: &dyn Node, all: &[Shown]) {
    let term = std::env::var("TERM").unwrap_or_default();
    let terminal = Terminal { node, device: "/dev/tty", screen: term == "linux" };
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    for shown in all {
        let code = Code::of(shown.uri.as_bytes());
        let style = match &code {
            _ if term == "dumb" => None,
            Some(_) if plain => Some(Style::Plain),
            Some(code) => terminal.style(code),
            None => None,
        };
        print(&render(shown, code.as_ref(), style, terminal.size().1));
    }
    let loaded = exists(node, Path::new(FORMER_PATH)).unwrap_or_default();
    if terminal.screen && loaded && std::io::stdin().is_terminal() {
        print("Enter, when it is scanned: ");
        let _ = engine::read_line(LINE);
        // With the former font it would be other signs.
        print("\x1b[H\x1b[J");
        give_font_back(node, terminal.device);
    }
}

/// Nobody has to read a code on the first screen any more.
pub fn all_seen(node: &dyn Node) {
    give_font_back(node, FIRST);
}

/// Gives a screen the font that it had before ours, once nobody has to read a code on it any more.
fn give_font_back(node: &dyn Node, device: &str) {
    if exists(node, Path::new(FORMER_PATH)).unwrap_or_default() {
        Terminal { node, device, screen: true }.setfont(&[FORMER_PATH]);
        let _ = node.remove_file(Path::new(FORMER_PATH));
    }
}

/// Shows them on the node's consoles: the first screen, and the serial line if there is one (design 6, `handover`).
pub fn show_on_consoles(node: &dyn Node, all: &[Shown]) {
    let active = read_text(node, Path::new(CONSOLES_PATH)).ok().flatten().unwrap_or_default();
    let serial =
        active.split_whitespace().filter(|name| !name.starts_with("tty") || name.starts_with("ttyS"));
    let devices = std::iter::once("tty1").chain(serial).map(|name| format!("/dev/{name}"));
    for device in devices {
        // No screen is no failure of the run: `totp show` shows it again.
        let Ok(mut file) = std::fs::OpenOptions::new().write(true).open(&device) else { continue };
        if !file.is_terminal() {
            continue;
        }
        let terminal = Terminal { node, device: &device, screen: device == FIRST };
        for shown in all {
            let code = Code::of(shown.uri.as_bytes());
            let style = code.as_ref().and_then(|code| terminal.style(code));
            let text = render(shown, code.as_ref(), style, terminal.size().1).replace("\n", "\r\n");
            let _ = file.write_all(text.as_bytes());
        }
    }
}

impl Terminal<'_> {
    /// Half blocks where the font has them, after one that has them was loaded where there is one; else full blocks
    /// where they fit; else none.
    fn style(&self, code: &Code) -> Option<Style> {
        let (rows, columns) = self.size();
        // The words stand beside the code, or below it.
        let room =
            |style| columns >= code.columns(style) + WORDS_COLUMNS || rows > code.rows(style) + WORDS_ROWS;
        let fits = |style| code.rows(style) < rows && code.columns(style) <= columns && room(style);
        if fits(Style::Half) && (!self.screen || self.has_half_blocks()) {
            Some(Style::Half)
        } else if fits(Style::Full) {
            Some(Style::Full)
        } else if fits(Style::Half) && self.load_font() {
            Some(Style::Half)
        } else {
            None
        }
    }

    fn size(&self) -> (usize, usize) {
        let said =
            self.node.run(&Invocation::new(STTY, &["-F", self.device, "size"])).map(|output| output.stdout);
        let said = said.unwrap_or_default();
        let mut numbers = said.split_whitespace().map(|number| number.parse().unwrap_or_default());
        match (numbers.next(), numbers.next()) {
            (Some(rows), Some(columns)) if rows > 0 && columns > 0 => (rows, columns),
            // A serial line does not know (design 8).
            _ => (24, 80),
        }
    }

    /// What the font has: setfont(8) writes the signs that it has places for.
    fn has_half_blocks(&self) -> bool {
        let path = format!("{RUN_DIR}/font-map");
        let saved = self.setfont(&["-ou", &path]);
        let text = read_text(self.node, Path::new(&path)).ok().flatten().unwrap_or_default();
        let _ = self.node.remove_file(Path::new(&path));
        saved && text.to_ascii_uppercase().contains(HALF_BLOCK)
    }

    /// Loads a font with half blocks. It stays for as long as the code is to be read: until Enter where somebody looks,
    /// until the last code was seen (`totp verify`) on a console, or until the next boot.
    fn load_font(&self) -> bool {
        self.screen
            && exists(self.node, Path::new(FONT_PATH)).unwrap_or_default()
            && self.setfont(&["-O", FORMER_PATH])
            && self.setfont(&[FONT_PATH])
            && self.has_half_blocks()
    }

    fn setfont(&self, arguments: &[&str]) -> bool {
        let mut words = vec!["-C", self.device];
        words.extend(arguments);
        self.node.run(&Invocation::new(SETFONT, &words)).is_ok_and(|output| output.success())
    }
}

/// One screen: at most 23 rows with half blocks and a code of version 4.
fn render(shown: &Shown, code: Option<&Code>, style: Option<Style>, columns: usize) -> String {
    let mut words = vec![visible(&shown.title)];
    if !shown.uri.is_empty() {
        words.push("Scan it, or type in the secret:".to_owned());
        words.extend(halves(&shown.secret));
        if style.is_none() {
            words.push("The code itself: sudo firstlight totp show USER, over SSH.".to_owned());
        }
        words.push("Then: sudo firstlight totp verify USER".to_owned());
    }
    if !shown.keys.is_empty() {
        words.push(String::new());
        let name = if shown.uri.is_empty() {
            "Keep, it is not shown again:"
        } else {
            "Recovery keys, once each; keep them:"
        };
        words.push(name.to_owned());
        words.extend(shown.keys.iter().map(|key| visible(key)));
    }
    let mut text = String::from("\n");
    let drawing = match (code, style) {
        (Some(code), Some(style)) => code.lines(style),
        _ => Vec::new(),
    };
    let taken = code.zip(style).map_or(columns, |(code, style)| code.columns(style));
    let left = columns.saturating_sub(taken);
    let beside = left >= WORDS_COLUMNS;
    let end = if style == Some(Style::Plain) { "" } else { WHITE };
    for (row, line) in drawing.iter().enumerate() {
        text.push_str(line);
        if let (true, Some(words)) = (beside, words.get(row)) {
            let shown: String = words.chars().take(left.saturating_sub(1)).collect();
            text.push_str(&format!("{end} {shown}"));
        }
        text.push('\n');
    }
    for line in words.iter().skip(if beside { drawing.len() } else { 0 }) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Groups of four, four in a line.
fn halves(secret: &str) -> Vec<String> {
    let groups: Vec<&str> = secret.split(' ').collect();
    groups.chunks(4).map(|chunk| format!("  {}", chunk.join(" "))).collect()
}

#[cfg(test)]
#[path = "screen/tests.rs"]
mod tests;
