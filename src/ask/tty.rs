//! The terminal that this process was started on. Whoever types has the keys of a line (dialoguer); a terminal that
//! can do nothing (`TERM=dumb`) has its kernel's.

use super::guard::Guard;
use super::{Ask, Gone, Standing};
use crate::report::terminal::{complain, print};
use dialoguer::Input;
use dialoguer::theme::Theme;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, tcgetwinsize};
use std::fmt::{self, Write};
use std::io::{BufRead, IsTerminal, Read};

/// Longest line that the kernel hands over at once (n_tty).
const LONGEST: u64 = 4096;

/// What was typed over several rows, such as a key, is shown once: dialoguer takes the last row back alone.
struct Rows<'a> {
    default: &'a str,
    columns: usize,
}

impl Theme for Rows<'_> {
    fn format_input_prompt_selection(&self, to: &mut dyn Write, prompt: &str, given: &str) -> fmt::Result {
        let default = if self.default.is_empty() { 0 } else { self.default.chars().count() + 3 };
        let typed = if given == self.default { 0 } else { given.chars().count() };
        let above = (prompt.chars().count() + 2 + default + typed).saturating_sub(1) / self.columns;
        if above > 0 {
            write!(to, "\x1b[{above}A\x1b[J")?;
        }
        write!(to, "{prompt}: {given}")
    }
}

/// The terminal.
pub struct Tty {
    dumb: bool,
    standing: Standing,
}

impl Tty {
    /// `None` unless input, output and errors all are a terminal: a question that nobody sees or answers would hang.
    pub fn open(standing: Standing) -> Option<Self> {
        let whole = std::io::stdin().is_terminal()
            && std::io::stdout().is_terminal()
            && std::io::stderr().is_terminal();
        let dumb = std::env::var_os("TERM").is_none_or(|value| value == "dumb");
        whole.then_some(Self { dumb, standing })
    }

    /// Rows and columns; a serial line does not know.
    fn size(&self) -> (usize, usize) {
        match tcgetwinsize(std::io::stdout()) {
            Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
            _ => (24, 80),
        }
    }

    /// A line with the kernel's own keys: backspace, Ctrl-U, Ctrl-C.
    fn plain_line(&self) -> Result<String, Gone> {
        let mut line = String::new();
        let read = std::io::stdin().lock().take(LONGEST).read_line(&mut line);
        match read {
            Ok(1..) if line.ends_with('\n') => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
            _ => Err(Gone::Closed),
        }
    }
}

impl Ask for Tty {
    fn show(&mut self, text: &str) {
        print(text);
    }

    fn line(&mut self, prompt: &str, default: &str) -> Result<String, Gone> {
        if self.dumb {
            let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
            complain(&format!("{prompt}{shown}: "));
            let _guard = Guard::new(LocalModes::empty(), self.standing);
            let typed = self.plain_line()?;
            return Ok(if typed.is_empty() { default.to_owned() } else { typed });
        }
        // Between two keys dialoguer gives the terminal back: what is pasted then must not be shown twice.
        let _guard = Guard::new(LocalModes::ECHO | LocalModes::ICANON, self.standing);
        let theme = Rows { default, columns: self.size().1 };
        let mut input = Input::<String>::with_theme(&theme).with_prompt(prompt).allow_empty(true);
        if !default.is_empty() {
            input = input.default(default.to_owned());
        }
        input.interact_text().map_err(|error| {
            complain("\n");
            let dialoguer::Error::IO(error) = error;
            if error.kind() == std::io::ErrorKind::Interrupted { Gone::Interrupted } else { Gone::Closed }
        })
    }

    fn secret(&mut self, prompt: &str) -> Result<String, Gone> {
        complain(&format!("{prompt}: "));
        let guard = Guard::new(LocalModes::ECHO, self.standing);
        let typed = self.plain_line();
        drop(guard);
        complain("\n");
        typed
    }

    fn within(&mut self, seconds: u32) -> Result<Option<String>, Gone> {
        let _guard = Guard::new(LocalModes::empty(), self.standing);
        let stdin = std::io::stdin();
        let mut ends = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut ends, Some(&Timespec { tv_sec: seconds.into(), tv_nsec: 0 })) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(None),
            _ => self.plain_line().map(Some),
        }
    }

    fn rows(&self) -> usize {
        self.size().0
    }

    fn stand(&mut self, standing: Standing) {
        self.standing = standing;
    }
}
