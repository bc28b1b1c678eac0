//! The other end of a terminal, for tests: types into it, and sees the screen as a person does.

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const COLUMNS: usize = 80;
const ROWS: usize = 24;
/// A loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program on a terminal of its own.
pub struct Pty {
    child: Child,
    master: File,
    slave: OwnedFd,
    screen: Arc<Mutex<Screen>>,
    modes: LocalFlags,
}

impl Pty {
    /// Starts it as the leader of a session, 80 columns and 24 rows, with nothing in its environment but this.
    pub fn start(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let ends = openpty(Some(&size), None).unwrap();
        let modes = tcgetattr(&ends.slave).unwrap().local_flags;
        let end = || Stdio::from(ends.slave.try_clone().unwrap());
        let child = Command::new("/usr/bin/setsid")
            .args(["--ctty", program])
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(environment.iter().copied())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let master = File::from(ends.master);
        let screen = Arc::new(Mutex::new(Screen::default()));
        let (mut reader, drawn) = (master.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut bytes) {
                drawn.lock().unwrap().draw(&bytes[..read]);
            }
        });
        Self { child, master, slave: ends.slave, screen, modes }
    }

    /// Types this, and Enter.
    pub fn line(&mut self, text: &str) {
        self.keys(&format!("{text}\r"));
    }

    /// Types this.
    pub fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the cursor stands behind this.
    pub fn prompt(&self, end: &str) {
        self.until(&|screen| screen.line().ends_with(end), end);
    }

    /// Waits until this is on the screen, wherever its lines end.
    pub fn sees(&self, text: &str) {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.until(&|screen| words(&screen.text()).contains(text), text);
    }

    /// Waits until this was sent, on whatever lines.
    pub fn says(&self, text: &str) {
        self.until(&|screen| screen.sent.contains(text), text);
    }

    /// Waits until it asks again, after so much was sent.
    pub fn asks_after(&self, sent: usize) {
        let asks = |screen: &Screen| {
            screen.line().ends_with(": ") && screen.sent.get(sent..).is_some_and(|more| more.contains(": "))
        };
        self.until(&asks, "another question");
    }

    fn until(&self, holds: &dyn Fn(&Screen) -> bool, what: &str) {
        let begin = Instant::now();
        while !holds(&self.screen.lock().unwrap()) {
            assert!(begin.elapsed() < PATIENCE, "waited for {what:?}:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The screen as text.
    pub fn screen(&self) -> String {
        self.screen.lock().unwrap().text()
    }

    /// Everything that was ever sent.
    pub fn sent(&self) -> String {
        self.screen.lock().unwrap().sent.clone()
    }

    /// Whether the terminal echoes and hands over lines, as at the start.
    pub fn is_restored(&self) -> bool {
        tcgetattr(&self.slave).unwrap().local_flags == self.modes
    }

    /// Asks it to stop.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Its exit code; 128 and the signal that killed it.
    pub fn ends(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Ours; it may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a terminal shows: characters, and the few sequences that anything of ours sends.
#[derive(Default)]
struct Screen {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    sent: String,
    waiting: Vec<u8>,
}

impl Screen {
    fn draw(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        let text = match std::str::from_utf8(&self.waiting) {
            Ok(text) => text.to_owned(),
            // A character that is not whole yet.
            Err(error) => String::from_utf8_lossy(&self.waiting[..error.valid_up_to()]).into_owned(),
        };
        // A sequence that is not whole yet.
        let whole =
            text.rfind('\x1b').filter(|&at| !text[at + 1..].contains(|c: char| c.is_ascii_alphabetic()));
        let text = &text[..whole.unwrap_or(text.len())];
        self.waiting.drain(..text.len());
        self.sent.push_str(text);
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => self.column = 0,
                '\n' => self.row += 1,
                '\x08' => self.column = self.column.saturating_sub(1),
                '\x07' => {}
                '\x1b' => self.sequence(&mut characters),
                _ => self.put(character),
            }
            self.scroll();
        }
    }

    fn put(&mut self, character: char) {
        if self.column == COLUMNS {
            (self.row, self.column) = (self.row + 1, 0);
            self.scroll();
        }
        let column = self.column;
        let row = self.here();
        row.resize(row.len().max(column + 1), ' ');
        row[column] = character;
        self.column += 1;
    }

    fn here(&mut self) -> &mut Vec<char> {
        self.rows.resize(self.rows.len().max(self.row + 1), Vec::new());
        &mut self.rows[self.row]
    }

    fn scroll(&mut self) {
        self.here();
        while self.row >= ROWS {
            self.rows.remove(0);
            self.row -= 1;
        }
    }

    fn sequence(&mut self, characters: &mut std::str::Chars<'_>) {
        assert_eq!(characters.next(), Some('['));
        let mut number = String::new();
        let end = characters.find(|character| {
            if !character.is_ascii_alphabetic() {
                number.push(*character);
            }
            character.is_ascii_alphabetic()
        });
        let count = number.trim_start_matches('?').parse().unwrap_or(1);
        match end.unwrap() {
            'A' => self.row = self.row.saturating_sub(count),
            'B' => self.row += count,
            'C' => self.column = (self.column + count).min(COLUMNS - 1),
            'D' => self.column = self.column.saturating_sub(count),
            'K' if number == "2" => self.here().clear(),
            'K' => {
                let column = self.column;
                self.here().truncate(column);
            }
            'J' => {
                let (row, column) = (self.row, self.column);
                self.here().truncate(column);
                self.rows.truncate(row + 1);
            }
            'm' | 'h' | 'l' => {}
            other => panic!("a sequence that is not known: {number}{other}"),
        }
    }

    fn line(&self) -> String {
        self.rows.get(self.row).map(|row| row.iter().collect()).unwrap_or_default()
    }

    fn text(&self) -> String {
        let line = |row: &Vec<char>| row.iter().collect::<String>().trim_end().to_owned() + "\n";
        self.rows.iter().map(line).collect()
    }
}
