//! The terminal that this process was started on. Its kernel edits the line: whoever is asked to stop there leaves it as it
//! was, a key is shown once however long it is, and no key comes in halves over a slow line.

use super::{Ask, Standing};
use crate::node::stop_signals;
use crate::report::terminal::{complain, print};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::tcgetwinsize;
use std::io::IsTerminal;

/// Longest line that the kernel hands over at once (n_tty).
const LONGEST: usize = 4096;
/// A serial line does not know how many it has.
const ROWS: usize = 24;

/// The terminal.
pub struct Tty;

impl Tty {
    /// `None` unless input, output and errors all are a terminal: a question that nobody sees or answers would hang.
    pub fn open() -> Option<Self> {
        let whole = std::io::stdin().is_terminal()
            && std::io::stdout().is_terminal()
            && std::io::stderr().is_terminal();
        whole.then_some(Self)
    }
}

impl Ask for Tty {
    fn show(&mut self, text: &str) {
        print(text);
    }

    /// Ctrl-C, SIGTERM and a dropped line are waited for beside what is typed, so that they are answered here.
    fn typed(&mut self, prompt: &str, hidden: bool, seconds: u32, stands: Standing) -> Option<String> {
        let mask = stop_signals();
        // A run may have blocked them before: it goes on to hear of them.
        let open = SigSet::thread_get_mask().is_ok_and(|now| !now.contains(Signal::SIGTERM));
        // Where that fails, they do what they always did.
        let _ = mask.thread_block();
        let before = tcgetattr(std::io::stdin()).ok().filter(|_| hidden);
        if let Some(mut modes) = before.clone() {
            modes.local_flags.remove(LocalFlags::ECHO);
            modes.local_flags.insert(LocalFlags::ECHONL);
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &modes);
        }
        complain(prompt);
        let read = wait(&mask, seconds);
        if let Some(modes) = before {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &modes);
        }
        if open {
            let _ = mask.thread_unblock();
        }
        match read.as_deref() {
            None => None,
            Some("") => {
                complain(&format!("\n{}\n", stands.1));
                std::process::exit(stands.0.into());
            }
            Some(line) => Some(without_keys(line)),
        }
    }

    fn rows(&self) -> usize {
        tcgetwinsize(std::io::stdout())
            .ok()
            .map(|size| size.ws_row.into())
            .filter(|rows| *rows > 0)
            .unwrap_or(ROWS)
    }
}

/// A line with its end; `None` if there was none in time, and nothing at all when nobody answers.
fn wait(mask: &SigSet, seconds: u32) -> Option<String> {
    let mut line = String::new();
    let Ok(signals) = SignalFd::with_flags(mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK) else {
        return Some(line);
    };
    let stdin = std::io::stdin();
    let mut ends = [PollFd::new(&signals, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
    let limit = Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
    let ready = loop {
        match poll(&mut ends, (seconds > 0).then_some(&limit)) {
            Err(Errno::INTR) => {}
            ready => break ready,
        }
    };
    if ready == Ok(0) {
        return None;
    }
    // They have been heard: once they are let through, nothing of them is left.
    let mut heard = false;
    while let Ok(Some(_)) = signals.read_signal() {
        heard = true;
    }
    if !heard {
        let mut bytes = vec![0; LONGEST];
        let count = rustix::io::read(&stdin, &mut bytes).unwrap_or_default();
        bytes.truncate(count);
        line.push_str(&String::from_utf8_lossy(&bytes));
    }
    Some(line)
}

/// ESC and the keys that begin with it (arrows, Home, Delete) are nothing that was typed; nor is the end of the line.
fn without_keys(line: &str) -> String {
    let mut parts = line.lines().next().unwrap_or_default().split('\x1b');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = |sign: char| sign.is_ascii_alphabetic() || sign == '~';
        text.push_str(match part.strip_prefix(['[', 'O']) {
            Some(key) => key.split_once(end).map_or("", |(_, rest)| rest),
            None => part,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j2_escape_and_the_keys_that_begin_with_it_leave_the_line_alone() {
        for (typed, line) in [
            ("ops\n", "ops"),
            ("\x1bo\x1b[Ap\x1b[3~s\x1bOH\x1b\n", "ops"),
            ("\x1b[1;5C\x1b[", ""),
            ("[A<?", "[A<?"),
        ] {
            assert_eq!(without_keys(typed), line, "{typed:?}");
        }
    }
}
